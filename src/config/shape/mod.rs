//! The shape of a config as every other room sees it: plain values, no places, no short forms.
//!
//! *Owns:* the public types. *Does not know:* how they are written or read.
//! *Invariants:* they never run: `plan::compile` makes of them what runs.
//! *Read next:* `split.rs`.

mod admin;
mod assets;
mod aws;
mod balance;
mod breaker;
mod classify;
mod health;
mod listener;
mod marathon;
mod metrics;
mod retry;
mod rollout;
mod split;
mod telling;
mod upstream;
mod warm_up;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

pub use self::{
    admin::{Admin, AdminSocket, CallerCertificate},
    assets::Assets,
    aws::{Aws, CloudMap, Deployment, Ecs},
    balance::{Balance, OutlierDetection, Policy},
    breaker::CircuitBreaker,
    classify::{ClassRule, When},
    health::{HealthCheck, Question},
    listener::{
        Certificate, Cidr, ClientAuth, Clients, Limits, Listener, ListenerTimeouts, ListenerTls,
        ProxyMode, ProxyProtocol, UnknownSni,
    },
    marathon::{LabelRule, Marathon, MasterLogin, TaskHalf, TaskPort},
    metrics::{Emf, Metrics, Statsd},
    retry::{Hedge, HedgeAfter, RescueOn, RetryOn, RetryPolicy},
    rollout::{
        AbsoluteAction, AbsoluteMetric, AbsoluteRule, Analysis, Auto, DryRun, Gate, GateKind,
        OnFailure, OnInconclusive, OnStart, RateMargin, Rollout, Slo, Step, Webhook,
    },
    split::{
        Cookie, HeaderMatch, KeySource, Match, OnUnhealthy, Override, PathMatch, RequestStart,
        SameSite, Split, SplitTimeouts, Sticky,
    },
    telling::{AccessLog, LogField, LogFormat, LogPath, LogPiece, Tracing},
    upstream::{
        Buffer, ProxyVersion, Source, StaticEndpoint, Upstream, UpstreamProtocol, UpstreamTimeouts,
        UpstreamTls, Verify,
    },
    warm_up::{SafeMethod, WarmUp},
};

/// The whole file, understood. Built by [`load`](crate::config::load) only.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// SipHash of the text, to tell whether anything changed at all.
    pub hash: u64,
    /// The text itself.
    pub text: Written,
    /// Addresses to accept on; at least one.
    pub listeners: Vec<Listener>,
    /// Where operators and scrapers ask.
    pub admin: Admin,
    /// Worker threads; `None`: as many as the process may use cores.
    pub workers: Option<u16>,
    /// Where rollout state is kept; `None`: the default of the platform (see `app.rs`).
    pub state_dir: Option<PathBuf>,
    /// Named groups of endpoints, in the order of the file.
    pub upstreams: Vec<Upstream>,
    /// Splits, in the order of the file.
    pub splits: Vec<Split>,
    /// How the proxy goes down.
    pub drain: Drain,
    /// The access log, if any.
    pub access_log: Option<AccessLog>,
    /// Spans, if any.
    pub tracing: Option<Tracing>,
    /// Names and bounds of metrics.
    pub metrics: Metrics,
}

/// How the proxy goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long requests under way may take.
    pub timeout: Duration,
    /// How long new connections are still taken after readiness is gone.
    pub lag: Duration,
    /// How long-lived streams end on a rollback, an abort and at the end; `None`: they are left
    /// alone.
    pub long_lived: Option<LongLived>,
}

/// The text of a file, kept so that it can be compared with another one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written(pub Arc<str>);

/// It may be long.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// How long-lived streams end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLived {
    /// The time after which none is left.
    pub deadline: Duration,
    /// Over this time their ends are spread.
    pub spread: Duration,
}
