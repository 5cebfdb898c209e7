//! Who may come, where, and with what.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::model::ListenerName;

/// One address to accept on.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one word of `protocols`"
)]
pub struct Listener {
    /// Its name; `listen:` makes one called `default`.
    pub name: ListenerName,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether HTTP/1.1 is spoken.
    pub h1: bool,
    /// Whether clients may choose HTTP/2 in the TLS handshake.
    pub h2: bool,
    /// Whether HTTP/2 is taken without TLS, from clients that begin with it.
    pub h2c: bool,
    /// Whether gRPC is let through.
    pub grpc: bool,
    /// Whether upgrades to WebSocket are let through.
    pub websocket: bool,
    /// How TLS is spoken; `None`: plain text.
    pub tls: Option<ListenerTls>,
    /// Whether and from whom the PROXY protocol tells who the client is.
    pub proxy_protocol: ProxyProtocol,
    /// Limits in time.
    pub timeouts: ListenerTimeouts,
    /// Limits in size and number.
    pub limits: Limits,
    /// Networks whose `X-Forwarded-*` is believed and appended to; others' is replaced.
    pub trusted_proxies: Vec<Cidr>,
}

/// How TLS is spoken to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one; the first is the default.
    pub certificates: Vec<Certificate>,
    /// Whose certificates clients show; `None`: they show none.
    pub clients: Option<Clients>,
    /// What a client gets that asks for a name that no certificate has, or for none.
    pub unknown_sni: UnknownSni,
}

/// Where a certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate and those that lead to its authority, in PEM.
    pub cert: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Its authority's word that it still holds, in DER.
    pub ocsp: Option<PathBuf>,
}

/// Whose certificates clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// The authorities that sign them, in PEM.
    pub ca: PathBuf,
    /// Whether a client must show one.
    pub auth: ClientAuth,
}

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// It must.
    Required,
    /// It may.
    Optional,
}

/// What becomes of a client that asks for a name that no certificate has, or for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownSni {
    /// It gets the first certificate.
    Default,
    /// Its handshake fails.
    Reject,
}

/// Whether and from whom the PROXY protocol tells who the client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Whether it is read.
    pub mode: ProxyMode,
    /// Networks that are believed.
    pub from: Vec<Cidr>,
}

/// Whether the PROXY protocol is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// It is not.
    Disabled,
    /// Who is believed may begin with it; others are served without.
    Accept,
    /// Who is believed must begin with it; others are not served.
    Require,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// From the first byte of a head (or the accept) to its end; absolute.
    pub request_header: Duration,
    /// From the accept to the end of the TLS handshake; absolute.
    pub tls_handshake: Duration,
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
    /// Connections of one client address at a time, over all workers. `None`: no limit.
    pub max_connections_per_ip: Option<u32>,
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
    /// Bytes a second, over 10 s, below which a body is cut off, either way. `None`: never.
    pub min_rate: Option<u64>,
    /// HTTP/2: streams of one connection at a time.
    pub max_streams_per_connection: u32,
    /// HTTP/2: bytes of a request's field list; more is 431.
    pub max_header_list: usize,
    /// HTTP/2: streams that may be reset, or provoke a reset, in 10 s.
    pub max_resets: u32,
    /// HTTP/2: SETTINGS, PING, PRIORITY and empty frames a second.
    pub max_control_frames: u32,
    /// HTTP/2: CONTINUATION frames of one head.
    pub max_continuation_frames: u32,
    /// HTTP/2: bytes of one stream that may be on their way to us.
    pub stream_window: u32,
    /// HTTP/2: bytes of all streams of a connection that may be on their way to us.
    pub connection_window: u32,
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
