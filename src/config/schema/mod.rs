//! Every key of the file: its name, its type, its default, its meaning. The reference manual.
//!
//! *Owns:* the keys, and the words that may stand behind them; defaults are texts, read by the same
//! reader as the file.
//! *Does not know:* what keys mean together (`check.rs`), presets (`preset.rs`), the YAML library.
//! *Invariants:* no key and no word is a YAML 1.1 boolean; a key that a later build will have is
//! listed as such, and refused.
//! *Read next:* `split.rs`, `short.rs` (short forms), then `../build.rs`.

mod http;
mod rollout;
mod short;
mod split;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::{Value as Json, json};

pub(super) use self::{
    http::{CookieName, DomainName, HeaderName, HostName, Method, UrlPath},
    rollout::{AutoBlock, GateBlock, GateForm, HookUrl, Interval, RolloutBlock, StepBlock},
    short::{
        AdminForm, CookieForm, DnsForm, EndpointForm, EndpointList, Fields, Key, MaxAge, Pause,
        StepForm, WarmUp,
    },
    split::{
        AbsoluteBlock, AnalysisBlock, LATENCIES, MatchBlock, MetricBlock, MetricName, SloBlock,
        SloGuard, SloQuantile, SplitBlock, StickyBlock,
    },
};
use super::{
    Cidr, LogPath, Preset,
    collection::Named,
    declare::{
        KeyInfo,
        Need::{Default, Optional, Required},
        block, describe_block, words,
    },
    leaf::{Bytes, Count, OrZero, Text},
    tree::Node,
    walk::{Placed, Shape, Walk, word},
};
use crate::model::{ListenerName, Share, SplitName, UpstreamName};

/// Up to what fits a `u32`.
pub(super) type Many = Count<1, 4_294_967_295>;
/// A port that can be connected to.
pub(super) type Port = Count<1, 65_535>;

/// The JSON Schema of the file.
pub(super) fn json_schema() -> Json {
    let mut schema = FileBlock::describe();
    if let Some(schema) = schema.as_object_mut() {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        schema.shift_insert(0, "$schema".into(), draft.into());
        schema.shift_insert(1, "title".into(), "Serin configuration".into());
    }
    schema
}

block! {
    /// The whole file.
    struct FileBlock {
        /// The version of this format. Files of version 1 stay readable.
        version: Version = Default("1"),
        /// Defaults for a place in the network: `edge` (in front of everything) or `sidecar`
        /// (beside one service, behind a load balancer).
        preset: Preset = Optional,
        /// Short for one listener named `default`: the address and port to accept on.
        listen: SocketAddr = Optional,
        /// The addresses to accept on.
        listeners: Vec<Placed<ListenerBlock>> = Optional,
        /// Where operators and scrapers ask: an address, `none`, or a mapping.
        admin: AdminForm = Default("127.0.0.1:9900"),
        /// Worker threads. Without it: as many as the process may use cores.
        workers: Count<1, 1024> = Optional,
        /// Where rollout state, decisions and secrets of its own are kept. Without it: the
        /// platform's place for state.
        state_dir: PathBuf = Optional,
        /// Named groups of endpoints.
        upstreams: Named<UpstreamName, UpstreamBlock> = Required,
        /// Which traffic goes to which versions, by name.
        splits: Named<SplitName, SplitBlock> = Required,
        /// How the proxy goes down.
        drain: DrainBlock = Default("{}"),
        /// The access log. Without it: none.
        access_log: AccessLogBlock = Optional,
        /// Names and bounds of metrics.
        metrics: MetricsBlock = Default("{}"),
    } later ["tracing", "fleet"]
}

block! {
    /// One address to accept on.
    struct ListenerBlock {
        /// Its name.
        name: ListenerName = Required,
        /// The address and port to accept on.
        address: SocketAddr = Required,
        /// What is spoken: `h1`, and `websocket` if upgrades are let through.
        protocols: Vec<Placed<Protocol>> = Default("[h1, websocket]"),
        /// How long a client may take.
        timeouts: ListenerTimeoutsBlock = Default("{}"),
        /// What a client may send.
        limits: LimitsBlock = Default("{}"),
        /// Networks whose `X-Forwarded-*` is believed and appended to; others' is replaced.
        trusted_proxies: Vec<Placed<Cidr>> = Default("[]"),
    } later ["tls", "proxy_protocol"]
}

block! {
    /// How long a client may take.
    struct ListenerTimeoutsBlock {
        /// From the first byte of a request's head to its end; absolute.
        request_header: Duration = Default("5s"),
        /// Between two pieces of a body, in either direction.
        body_idle: Duration = Default("10s"),
        /// Between two requests on one connection.
        idle: Duration = Default("60s"),
        /// Without a byte either way on an upgraded connection.
        stream_idle: Duration = Default("5m"),
    } later ["tls_handshake"]
}

block! {
    /// What a client may send.
    struct LimitsBlock {
        /// Connections of this listener at a time, over all workers.
        max_connections: Many = Default("10000"),
        /// Bytes of a whole request head; more is answered 431.
        max_headers: Bytes = Default("64KiB"),
        /// Fields of a request head; more is answered 431.
        max_header_fields: Count<1, 10_000> = Default("100"),
        /// Bytes of one field line; more is answered 431.
        max_header_line: Bytes = Default("32KiB"),
        /// Bytes of the request target; more is answered 414.
        max_target: Bytes = Default("8KiB"),
        /// Bytes of a request body; more is answered 413. Without it: no limit.
        max_body: Bytes = Optional,
    } later ["max_streams_per_connection"],
    expect clippy::struct_field_names, "the keys say it: each is a maximum"
}

block! {
    /// Where operators and scrapers ask.
    struct AdminBlock {
        /// The address and port for plain HTTP.
        http: SocketAddr = Optional,
        /// The path of a unix socket.
        unix: PathBuf = Optional,
    } later ["tokens_file", "dashboard"]
}

block! {
    /// A named group of endpoints; exactly one of `static`, `file` and `dns` says where they are.
    struct UpstreamBlock {
        /// Endpoints in this file: `"host:port"`, or a mapping with address and weight.
        r#static: Vec<Placed<EndpointForm>> = Optional,
        /// A file with a YAML or JSON list of endpoints, in the form of `static`; watched.
        file: PathBuf = Optional,
        /// A name whose A and AAAA records are the endpoints: `"name:port"` or a mapping.
        dns: DnsForm = Optional,
        /// What is spoken to the endpoints.
        protocol: UpstreamProtocol = Default("h1"),
        /// How long the upstream may take.
        timeouts: UpstreamTimeoutsBlock = Default("{}"),
        /// Idle connections kept to each endpoint by each worker.
        max_idle_connections: Count<0, 65_536> = Default("64"),
    } later [
        "marathon", "ecs", "cloud_map", "balance", "health_check", "outlier_detection",
        "circuit_breaker", "warm_up", "tls"
    ]
}

block! {
    /// How long an upstream may take.
    struct UpstreamTimeoutsBlock {
        /// To make a TCP connection.
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

block! {
    /// How the proxy goes down.
    struct DrainBlock {
        /// How long requests under way may take.
        timeout: Duration = Default("30s"),
        /// How long new connections are still taken after readiness is gone, so that load
        /// balancers notice first.
        lag: OrZero = Default("0s"),
    } later ["long_lived"]
}

block! {
    /// The access log.
    struct AccessLogBlock {
        /// `stdout`, `stderr` or the path of a file that is appended to.
        path: LogPath = Default("stdout"),
        /// One JSON object a line.
        format: LogFormat = Default("json"),
        /// How much of it is written.
        sample: SampleBlock = Default("{}"),
    } later []
}

block! {
    /// How much of the access log is written.
    struct SampleBlock {
        /// The share of successes.
        success: Share = Default("100%"),
        /// The share of everything else.
        failure: Share = Default("100%"),
    } later []
}

block! {
    /// Names and bounds of metrics.
    struct MetricsBlock {
        /// The first word of every metric's name.
        prefix: Text = Default("serin"),
        /// No more series than this; the excess is counted in `route="_other"`.
        max_series: Count<100, 10_000_000> = Default("20000"),
    } later ["native_histograms", "endpoint_label"]
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version;

impl Shape for Version {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Count(n) = Count::<1, 1_000_000>::read(node, walk)?;
        if n != 1 {
            let message = format!("version {n} of this format is not known");
            walk.error(
                node.at,
                "unknown_version",
                message,
                "this build reads `version: 1`",
            );
            return None;
        }
        Some(Self)
    }

    fn describe() -> Json {
        json!({ "const": 1 })
    }
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    H1,
    Websocket,
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpstreamProtocol {
    H1,
}

/// The form of an access log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFormat {
    Json,
}

words!(Preset { "edge" => Preset::Edge, "sidecar" => Preset::Sidecar, } later []);
words!(Protocol { "h1" => Self::H1, "websocket" => Self::Websocket, } later ["h2", "h2c", "grpc"]);
words!(UpstreamProtocol { "h1" => Self::H1, } later ["h2", "h2c"]);
words!(LogFormat { "json" => Self::Json, } later ["text"]);

impl Shape for LogPath {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Text(text) = Text::read(node, walk)?;
        Some(match text.as_str() {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            _ => Self::File(PathBuf::from(text)),
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "examples": ["stdout", "stderr", "/var/log/serin.log"] })
    }
}
