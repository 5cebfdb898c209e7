//! Every key of the file: its name, its type, its default, its meaning. The reference manual.
//!
//! *Owns:* the keys, and the words that may stand behind them; defaults are texts, read by the same
//! reader as the file.
//! *Does not know:* what keys mean together (`check.rs`), presets (`preset.rs`), the YAML library.
//! *Invariants:* no key and no word is a YAML 1.1 boolean; a key that a later build will have is
//! listed as such, and refused.
//! *Read next:* `listener.rs`, `upstream.rs`, `split.rs`, `short.rs` (short forms), then
//! `../build.rs`.

mod admin;
mod assets;
mod aws;
mod balance;
mod breaker;
mod buffer;
mod classify;
mod health;
mod http;
mod listener;
mod marathon;
mod metrics;
mod retry;
mod rollout;
mod short;
mod split;
mod telling;
mod upstream;
mod warm_up;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::{Value as Json, json};

pub(super) use self::{
    admin::{AdminBlock, AdminForm, AdminTlsBlock},
    assets::{AssetPath, AssetsBlock},
    aws::{ApiUrl, Attributes, CloudMapBlock, EcsBlock, PollInterval, Region},
    balance::{BalanceBlock, OutlierForm, Policy},
    breaker::BreakerBlock,
    buffer::BufferBlock,
    classify::{ClassifyBlock, StatusForm, WhenBlock, WhenForm},
    health::{CheckProtocol, HealthCheckBlock},
    http::{CookieName, DomainName, HeaderName, HostName, Method, UrlPath},
    listener::{
        CertificateBlock, LimitsBlock, ListenerBlock, MinRate, Protocol, ProxyProtocolForm,
        TlsBlock,
    },
    marathon::{AppId, Events, LabelSelector, MarathonAuthBlock, MarathonBlock, ServerUrl},
    metrics::{EmfBlock, Flavor, MetricsBlock, StatsdBlock},
    retry::{HedgeAfterForm, HedgeBlock, RetryBlock, RetryOnForm},
    rollout::{AutoBlock, GateBlock, GateForm, HookUrl, Interval, RolloutBlock, StepBlock},
    short::{
        CookieForm, DnsForm, EndpointForm, EndpointList, Fields, Key, MaxAge, Pause, StepForm,
        WarmUp,
    },
    split::{
        AbsoluteBlock, AnalysisBlock, LATENCIES, MatchBlock, MetricBlock, MetricName, SloBlock,
        SloGuard, SloQuantile, SplitBlock, StickyBlock,
    },
    telling::{AccessLogBlock, CollectorUrl, LogForm, LogQuery, TracingBlock},
    upstream::{
        DnsBlock, EndpointBlock, ListedBlock, ProxyHeader, UpstreamBlock, UpstreamTlsBlock,
    },
    warm_up::WarmUpBlock,
};
use super::{
    Preset,
    collection::Named,
    declare::{
        KeyInfo,
        Need::{Default, Optional, Required},
        block, describe_block, words,
    },
    leaf::{Count, OrZero, SecretFile, Text},
    tree::Node,
    walk::{Placed, Shape, Walk, word},
};
use crate::model::{SplitName, UpstreamName};

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
        /// Where operators and scrapers ask: an address, `none`, or a mapping. Without it: this
        /// address, where everybody may look and nobody act, and a unix socket for acts,
        /// `admin.sock` in `$RUNTIME_DIRECTORY` or in the state directory.
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
        /// Spans of requests. Without it: none, and what clients say of traces passes through.
        tracing: TracingBlock = Optional,
        /// Names and bounds of metrics.
        metrics: MetricsBlock = Default("{}"),
    } later ["fleet"]
}

block! {
    /// How the proxy goes down.
    struct DrainBlock {
        /// How long requests under way may take.
        timeout: Duration = Default("30s"),
        /// How long new connections are still taken after readiness is gone, so that load
        /// balancers notice first.
        lag: OrZero = Default("0s"),
        /// How upgraded connections, event streams and other long answers end on a rollback, an
        /// abort and at the end: a mapping, or `none` to leave them alone.
        long_lived: LongLivedForm = Default("{}"),
    } later []
}

block! {
    /// How long-lived streams end.
    struct LongLivedBlock {
        /// The time after which none is left.
        deadline: Duration = Default("2m"),
        /// Over this time their ends are spread, so that clients do not all come back at once.
        spread: OrZero = Default("20s"),
    } later []
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

/// `long_lived: none`, `long_lived: { deadline, spread }`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LongLivedForm {
    None,
    Block(LongLivedBlock),
}

impl Shape for LongLivedForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if short::text(node) == Some("none") {
            return Some(Self::None);
        }
        LongLivedBlock::read(node, walk).map(Self::Block)
    }

    fn describe() -> Json {
        short::any_of(&[json!({ "const": "none" }), LongLivedBlock::describe()])
    }
}

words!(Preset { "edge" => Preset::Edge, "sidecar" => Preset::Sidecar, } later []);
