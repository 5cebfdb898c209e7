//! What the human wrote, checked and given units, with every default filled in.
//!
//! *Owns:* the file format, its defaults, its problems and how they are shown.
//! *Does not know:* plans, traffic, the network, the clock. Config types never run.
//! *Invariants:* loading is pure: text in, [`Config`] or every [`Problem`] out; a `Config` is
//! consistent (each name that is referred to exists).
//! *Read next:* `schema.rs` (the reference of every key), `check.rs`, then `crate::plan`.

mod build;
mod check;
mod collection;
mod declare;
mod endpoints;
mod foreign;
mod guess;
mod leaf;
mod outline;
mod parse;
mod preset;
mod problem;
mod redact;
mod schema;
mod shape;
mod tree;
mod units;
mod walk;

pub use self::{
    endpoints::load_endpoints,
    foreign::{Foreign, foreign},
    outline::{Difference, differences},
    problem::{Problem, Problems},
    redact::{redacted, without_addresses},
    shape::{
        AbsoluteAction, AbsoluteMetric, AbsoluteRule, AccessLog, Admin, AdminSocket, Analysis,
        Assets, Auto, Aws, Balance, Buffer, CallerCertificate, Certificate, Cidr, CircuitBreaker,
        ClassRule, ClientAuth, Clients, CloudMap, Config, Cookie, Deployment, Drain, DryRun, Ecs,
        Emf, Gate, GateKind, HeaderMatch, HealthCheck, Hedge, HedgeAfter, KeySource, LabelRule,
        Limits, Listener, ListenerTimeouts, ListenerTls, LogField, LogFormat, LogPath, LogPiece,
        LongLived, Marathon, MasterLogin, Match, Metrics, OnFailure, OnInconclusive, OnStart,
        OnUnhealthy, OutlierDetection, Override, PathMatch, Policy, ProxyMode, ProxyProtocol,
        ProxyVersion, Question, RateMargin, RequestStart, RescueOn, RetryOn, RetryPolicy, Rollout,
        SafeMethod, SameSite, Slo, Source, Split, SplitTimeouts, StaticEndpoint, Statsd, Step,
        Sticky, TaskHalf, TaskPort, Tracing, UnknownSni, Upstream, UpstreamProtocol,
        UpstreamTimeouts, UpstreamTls, Verify, WarmUp, Webhook, When, Written,
    },
};
use self::{
    preset::Preset,
    tree::Place,
    walk::{Placed, Shape},
};

/// Reads a file's text. Warnings come with the config, errors instead of it; nothing of the text
/// is ignored, and all problems are found at once.
pub fn load(text: &str, name: &str) -> Result<(Config, Problems), Problems> {
    let (file, mut walk) = read::<schema::FileBlock>(text, "a mapping with `splits`");
    let mut config = None;
    if let Some(mut file) = file {
        build::expand(&mut file.value);
        preset::fill(&mut file.value);
        check::check(&file, &mut walk);
        config = build::config(&file.value, text);
    }
    let is_silent = config.is_none() && !walk.problems.iter().any(|problem| !problem.is_warning);
    if is_silent {
        walk.error(
            Place::START,
            "unreadable",
            "this file could not be understood",
            "",
        );
    }
    let problems = Problems::new(name, text, walk.problems);
    match config {
        Some(config) if !problems.has_errors() => Ok((config, problems)),
        Some(_) | None => Err(problems),
    }
}

/// What tells a file's text from another: [`Config::hash`] of what it says.
pub fn hash(text: &str) -> u64 {
    build::hash(text)
}

/// The JSON Schema of the file, for editors; it comes from the same declarations as [`load`].
pub fn json_schema() -> serde_json::Value {
    schema::json_schema()
}

/// Reads one document. `None` if it is not whole: what a broken text says cannot be checked.
fn read<T: Shape>(text: &str, expects: &str) -> (Option<Placed<T>>, walk::Walk) {
    let parse::Parsed {
        root,
        is_whole,
        problems,
    } = parse::parse(text);
    let mut walk = walk::Walk::new(problems, !is_whole);
    let is_empty = root
        .as_ref()
        .is_none_or(|root| matches!(root.value, tree::Value::Null));
    if is_empty && is_whole {
        walk.error(
            Place::START,
            "empty_file",
            format!("the file is empty, not {expects}"),
            "",
        );
        return (None, walk);
    }
    let read = root.and_then(|root| Placed::read(&root, &mut walk));
    (read.filter(|_| is_whole), walk)
}
