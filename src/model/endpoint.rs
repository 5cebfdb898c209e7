//! One address and port that answers for an upstream.

use std::net::SocketAddr;

use super::names::{VersionKey, Zone};

/// What is known of an endpoint's health. `Unknown` is not unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// Its checks pass.
    Healthy,
    /// Its checks fail.
    Unhealthy,
    /// Nobody has said.
    #[default]
    Unknown,
}

/// One address and port, as a discovery source knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its relative weight among its upstream's endpoints; 1 unless the source says otherwise.
    pub weight: u32,
    /// What the source says of its health.
    pub health: Health,
    /// It is going away: no new requests, those under way finish.
    pub draining: bool,
    /// Where it runs, if the source says so.
    pub zone: Option<Zone>,
    /// Which release it runs, if the source says so.
    pub version: Option<VersionKey>,
}

impl Endpoint {
    /// An endpoint of weight 1 and unknown health.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            weight: 1,
            health: Health::Unknown,
            draining: false,
            zone: None,
            version: None,
        }
    }

    /// Whether new requests may go there.
    pub fn is_usable(&self) -> bool {
        !self.draining && self.weight > 0 && self.health != Health::Unhealthy
    }
}
