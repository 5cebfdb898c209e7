//! Who may come, where, and with what.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::model::ListenerName;

/// One address to accept on.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its name; `listen:` makes one called `default`.
    pub name: ListenerName,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether upgrades to WebSocket are let through.
    pub websocket: bool,
    /// Limits in time.
    pub timeouts: ListenerTimeouts,
    /// Limits in size and number.
    pub limits: Limits,
    /// Networks whose `X-Forwarded-*` is believed and appended to; others' is replaced.
    pub trusted_proxies: Vec<Cidr>,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// From the first byte of a head (or the accept) to its end; absolute.
    pub request_header: Duration,
    /// Between two pieces of a body, in either direction.
    pub body_idle: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Without a byte either way on an upgraded connection.
    pub stream_idle: Duration,
}

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of this listener at a time, over all workers.
    pub max_connections: u32,
    /// Bytes of a whole request head; more is 431.
    pub max_headers: usize,
    /// Fields of a request head; more is 431.
    pub max_header_fields: usize,
    /// Bytes of one field line; more is 431.
    pub max_header_line: usize,
    /// Bytes of the target; more is 414.
    pub max_target: usize,
    /// Bytes of a request body; more is 413. `None`: no limit.
    pub max_body: Option<u64>,
}

/// A network: address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// Its base address.
    pub address: std::net::IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Cidr {
    /// Whether an address lies in this network (an IPv4-mapped IPv6 address is its IPv4 address).
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        match (self.address, address.to_canonical()) {
            (V4(net), V4(ip)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                net.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            (V6(net), V6(ip)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                net.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// Where operators and scrapers ask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admin {
    /// A TCP address for plain HTTP; loopback unless told otherwise.
    pub http: Option<SocketAddr>,
    /// A unix socket.
    pub unix: Option<PathBuf>,
}
