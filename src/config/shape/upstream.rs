//! Where requests go.

use std::{path::PathBuf, time::Duration};

use crate::model::UpstreamName;

/// A named group of endpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Its name; as a version of a split it is known by the same name.
    pub name: UpstreamName,
    /// Where its endpoints come from.
    pub source: Source,
    /// Limits in time towards it.
    pub timeouts: UpstreamTimeouts,
    /// Idle connections kept to each endpoint by each worker.
    pub max_idle_connections: usize,
}

/// Where endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Addresses in the file; host names are resolved like [`Source::Dns`] with type A/AAAA.
    Static(Vec<StaticEndpoint>),
    /// A YAML or JSON list of endpoints in another file, watched.
    File(PathBuf),
    /// A and AAAA records of a name, asked again when their TTL ends.
    Dns {
        /// The name to resolve.
        name: String,
        /// The port of every address.
        port: u16,
        /// The shortest time between two questions, whatever the TTL.
        min_ttl: Duration,
        /// The longest time between two questions, whatever the TTL.
        max_ttl: Duration,
    },
}

/// One endpoint in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticEndpoint {
    /// An IP address or a host name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its relative weight.
    pub weight: u32,
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To make a TCP connection.
    pub connect: Duration,
    /// From the end of the request to the end of the answer's head (`504` after it).
    pub response_header: Duration,
    /// Between two pieces of an answer's body.
    pub body_idle: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}
