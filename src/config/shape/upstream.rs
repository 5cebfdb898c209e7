//! Where requests go.

use std::{path::PathBuf, time::Duration};

use super::{
    Balance, CircuitBreaker, HealthCheck, Marathon, OutlierDetection, WarmUp,
    aws::{CloudMap, Ecs},
    listener::Certificate,
};
use crate::model::{Health, UpstreamName, VersionKey, Zone};

/// A named group of endpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Its name; as a version of a split it is known by the same name.
    pub name: UpstreamName,
    /// Where its endpoints come from.
    pub source: Source,
    /// What is spoken to its endpoints.
    pub protocol: UpstreamProtocol,
    /// How TLS is spoken to its endpoints; `None`: plain text.
    pub tls: Option<UpstreamTls>,
    /// Each connection begins with the PROXY protocol, in this version.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Limits in time towards it.
    pub timeouts: UpstreamTimeouts,
    /// Idle connections kept to each endpoint by each worker.
    pub max_idle_connections: usize,
    /// What it is spared of slow clients.
    pub buffer: Buffer,
    /// What endpoints are asked; `None`: nothing.
    pub health_check: Option<HealthCheck>,
    /// Which endpoint gets a request.
    pub balance: Balance,
    /// When an endpoint is ejected; `None`: never.
    pub outlier_detection: Option<OutlierDetection>,
    /// How much it is asked to do at a time; `None`: no limit.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// What a new endpoint is sent first; `None`: nothing.
    pub warm_up: Option<WarmUp>,
}

/// What an upstream is spared of slow clients, in bytes; 0: nothing is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buffer {
    /// Of a request's body, before an endpoint is asked.
    pub request: usize,
    /// Of an answer, while its client is slow.
    pub response: usize,
}

/// What is spoken to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2 without TLS.
    H2c,
    /// HTTP/2 over TLS.
    H2,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}

/// How TLS is spoken to endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities that sign their certificates, in PEM; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// The name that their certificates must have; `None`: the endpoint's address.
    pub server_name: Option<String>,
    /// The certificate that we show; its `ocsp` is always `None`.
    pub certificate: Option<Certificate>,
    /// Whether their certificates are looked at.
    pub verify: Verify,
}

/// Whether endpoints' certificates are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Name, time and authority must be right.
    Full,
    /// Whoever answers is trusted.
    None,
}

/// Where endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The instances of a service of AWS Cloud Map.
    CloudMap(CloudMap),
    /// The tasks of a service of Amazon ECS.
    Ecs(Ecs),
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
    /// Tasks of Marathon apps.
    Marathon(Box<Marathon>),
    /// SRV records of a name: targets, ports and weights.
    Srv {
        /// The name to resolve.
        name: String,
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
    /// Where it runs.
    pub zone: Option<Zone>,
    /// Which release it runs.
    pub version: Option<VersionKey>,
    /// What is known of its health.
    pub health: Health,
    /// It is going away: no new requests.
    pub draining: bool,
}

impl StaticEndpoint {
    /// An endpoint of weight 1 of which nothing else is known.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            weight: 1,
            zone: None,
            version: None,
            health: Health::Unknown,
            draining: false,
        }
    }
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To make a connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the end of the answer's head (`504` after it).
    pub response_header: Duration,
    /// Between two pieces of an answer's body.
    pub body_idle: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}
