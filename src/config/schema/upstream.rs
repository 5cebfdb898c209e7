//! Where requests go, and how.

use std::{path::PathBuf, time::Duration};

use super::{
    BalanceBlock, BreakerBlock, BufferBlock, CloudMapBlock, Default, DnsForm, DomainName, EcsBlock,
    EndpointForm, HealthCheckBlock, KeyInfo, MarathonBlock, Node, Optional, OutlierForm, Placed,
    Port, Required, Shape, Walk, WarmUpBlock, block, describe_block, word, words,
};
use crate::{
    config::{
        ProxyVersion, UpstreamProtocol, Verify,
        leaf::{Count, SecretFile, Text},
    },
    model::Health,
};

block! {
    /// A named group of endpoints; exactly one of `cloud_map`, `dns`, `ecs`,
    /// `file`, `marathon` and `static` says where they are.
    struct UpstreamBlock {
        /// The instances of a service of AWS Cloud Map.
        cloud_map: CloudMapBlock = Optional,
        /// The tasks of a service of Amazon ECS.
        ecs: EcsBlock = Optional,
        /// Endpoints in this file: `"host:port"`, or a mapping.
        r#static: Vec<Placed<EndpointForm>> = Optional,
        /// A file with a YAML or JSON list of endpoints, in the form of `static`, which may also
        /// say `version`, `health` and `draining`; watched.
        file: PathBuf = Optional,
        /// A name whose A and AAAA records are the endpoints: `"name:port"` or a mapping, which can
        /// name SRV records instead.
        dns: DnsForm = Optional,
        /// Tasks of Marathon apps.
        marathon: MarathonBlock = Optional,
        /// What is spoken to the endpoints: `h1`; `h2c`, HTTP/2 without TLS; `h2`, HTTP/2 over
        /// TLS.
        protocol: UpstreamProtocol = Default("h1"),
        /// How TLS is spoken to the endpoints. Without it: plain text, unless the protocol is `h2`.
        tls: UpstreamTlsBlock = Optional,
        /// Whether each connection begins with the PROXY protocol, which tells the endpoint who
        /// the client is: `disabled`, `v1` or `v2`.
        proxy_protocol: ProxyHeader = Default("disabled"),
        /// How long the upstream may take.
        timeouts: UpstreamTimeoutsBlock = Default("{}"),
        /// Idle connections kept to each endpoint by each worker.
        max_idle_connections: Count<0, 65_536> = Default("64"),
        /// What the upstream is spared of slow clients. Without it: nothing is held.
        buffer: BufferBlock = Optional,
        /// Questions that the proxy puts to the endpoints itself. Without it: none.
        health_check: HealthCheckBlock = Optional,
        /// Which endpoint gets a request.
        balance: BalanceBlock = Default("{}"),
        /// When an endpoint gets no requests for a while because of how it answers: a mapping, or
        /// `none`, never.
        outlier_detection: OutlierForm = Default("{}"),
        /// How much the upstream is asked to do at a time. Without it: no limit.
        circuit_breaker: BreakerBlock = Optional,
        /// What a new endpoint is sent before users land on it. Without it: nothing.
        warm_up: WarmUpBlock = Optional,
    } later []
}

block! {
    /// How TLS is spoken to endpoints. The files are watched.
    struct UpstreamTlsBlock {
        /// A file with the authorities (PEM) that sign the endpoints' certificates. Without it:
        /// those that the system trusts.
        ca: SecretFile = Optional,
        /// The name that the endpoints' certificates must have. Without it: the name that `dns` or
        /// `static` gives, else the endpoint's address.
        server_name: DomainName = Optional,
        /// The certificate that we show, if the endpoints ask. Without it: none.
        certificate: ClientCertificateBlock = Optional,
        /// Whether the endpoints' certificates are looked at: `full`, or `none`, which trusts
        /// whoever answers.
        verify: Verify = Default("full"),
    } later []
}

block! {
    /// A certificate that we show, and its key.
    struct ClientCertificateBlock {
        /// A file with the certificate and those that lead to its authority (PEM).
        cert: SecretFile = Required,
        /// A file with its private key (PEM), readable by serin only.
        key: SecretFile = Required,
    } later []
}

block! {
    /// How long an upstream may take.
    struct UpstreamTimeoutsBlock {
        /// To make a connection, TLS included.
        connect: Duration = Default("1s"),
        /// From the end of the request to the end of the answer's head; then 504.
        response_header: Duration = Default("30s"),
        /// Between two pieces of an answer's body.
        body_idle: Duration = Default("10s"),
        /// How long an unused connection is kept: less than the origin keeps it.
        idle: Duration = Default("4s"),
    } later []
}

block! {
    /// One endpoint.
    struct EndpointBlock {
        /// An IP address or a host name, and a port.
        address: Text = Required,
        /// Its weight relative to the other endpoints of the upstream.
        weight: Count<1, 65_535> = Default("1"),
        /// Where it runs, such as an availability zone.
        zone: Text = Optional,
    } later []
}

block! {
    /// One endpoint in a file of endpoints.
    struct ListedBlock {
        /// An IP address or a host name, and a port.
        address: Text = Required,
        /// Its weight relative to the other endpoints of the upstream.
        weight: Count<1, 65_535> = Default("1"),
        /// Where it runs, such as an availability zone.
        zone: Text = Optional,
        /// Which release it runs.
        version: Text = Optional,
        /// What is known of its health: `healthy`, `unhealthy` or `unknown`.
        health: Health = Default("unknown"),
        /// It is going away: no new requests, those under way finish.
        draining: bool = Default("false"),
    } later []
}

block! {
    /// A name to resolve: `name` and `port`, or `srv`.
    struct DnsBlock {
        /// The name whose A and AAAA records are the endpoints.
        name: DomainName = Optional,
        /// The port of every address.
        port: Port = Optional,
        /// The name whose SRV records say hosts, ports and weights: `_web._tcp.marathon.mesos`.
        srv: DomainName = Optional,
        /// The shortest time between two questions, whatever the TTL.
        min_ttl: Duration = Default("1s"),
        /// The longest time between two questions, whatever the TTL.
        max_ttl: Duration = Default("10s"),
    } later []
}

/// `proxy_protocol` towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct ProxyHeader(pub Option<ProxyVersion>);

words!(ProxyHeader {
    "disabled" => Self(None),
    "v1" => Self(Some(ProxyVersion::V1)),
    "v2" => Self(Some(ProxyVersion::V2)),
} later []);
words!(UpstreamProtocol {
    "h1" => Self::H1,
    "h2c" => Self::H2c,
    "h2" => Self::H2,
} later []);
words!(Health {
    "healthy" => Self::Healthy,
    "unhealthy" => Self::Unhealthy,
    "unknown" => Self::Unknown,
} later []);
words!(Verify { "full" => Self::Full, "none" => Self::None, } later []);
