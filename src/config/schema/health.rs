//! Questions that the proxy puts to endpoints itself.

use std::time::Duration;

use super::{
    Default, DomainName, KeyInfo, Node, Optional, Placed, Port, Shape, StatusForm, UrlPath, Walk,
    block, describe_block, word, words,
};
use crate::config::{
    collection::Several,
    leaf::{Count, Text},
};

block! {
    /// Questions that the proxy puts to each endpoint; what they say wins over what the source
    /// says. They are counted nowhere else.
    struct HealthCheckBlock {
        /// What is asked: `http`, a GET in the upstream's protocol; `tcp`, a connection; `grpc`,
        /// the health service of gRPC.
        protocol: CheckProtocol = Default("http"),
        /// The path of the GET.
        path: UrlPath = Default("/healthz"),
        /// The host that is asked for. Without it: the endpoint's address.
        host: DomainName = Optional,
        /// Another port than the endpoint's own.
        port: Port = Optional,
        /// For `grpc`: the service that is asked about. Without it: the whole server.
        service: Text = Optional,
        /// Between two questions to an endpoint, give or take a tenth.
        interval: Duration = Default("2s"),
        /// How long one may take, connection included.
        timeout: Duration = Default("500ms"),
        /// So many good answers in a row make an unhealthy endpoint healthy; a new one needs one.
        healthy: Count<1, 100> = Default("2"),
        /// So many bad ones in a row make a healthy endpoint unhealthy.
        unhealthy: Count<1, 100> = Default("3"),
        /// Statuses that are good, as in `classify`: `2xx`, `[200, 204]`.
        expect: Several<StatusForm> = Default("[2xx]"),
    } later []
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum CheckProtocol {
    Http,
    Tcp,
    Grpc,
}

words!(CheckProtocol {
    "http" => Self::Http,
    "tcp" => Self::Tcp,
    "grpc" => Self::Grpc,
} later []);
