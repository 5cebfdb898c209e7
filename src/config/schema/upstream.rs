//! Where requests go, and how.

use std::{path::PathBuf, time::Duration};

use super::{
    BufferBlock, Default, DnsForm, DomainName, EndpointForm, KeyInfo, Node, Optional, Placed, Port,
    Required, Shape, Walk, block, describe_block, word, words,
};
use crate::config::{
    ProxyVersion, UpstreamProtocol, Verify,
    leaf::{Count, SecretFile, Text},
};

block! {
    /// A named group of endpoints; exactly one of `static`, `file` and `dns` says where they are.
    struct UpstreamBlock {
        /// Endpoints in this file: `"host:port"`, or a mapping with address and weight.
        r#static: Vec<Placed<EndpointForm>> = Optional,
        /// A file with a YAML or JSON list of endpoints, in the form of `static`; watched.
        file: PathBuf = Optional,
        /// A name whose A and AAAA records are the endpoints: `"name:port"` or a mapping.
        dns: DnsForm = Optional,
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
    } later [
        "marathon", "ecs", "cloud_map", "balance", "health_check", "outlier_detection",
        "circuit_breaker", "warm_up"
    ]
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
    } later []
}

block! {
    /// A name to resolve.
    struct DnsBlock {
        /// The name.
        name: DomainName = Required,
        /// The port of every address.
        port: Port = Required,
        /// The shortest time between two questions, whatever the TTL.
        min_ttl: Duration = Default("1s"),
        /// The longest time between two questions, whatever the TTL.
        max_ttl: Duration = Default("1m"),
    } later ["srv"]
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
words!(Verify { "full" => Self::Full, "none" => Self::None, } later []);
