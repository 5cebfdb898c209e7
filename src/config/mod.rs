//! What the human wrote, checked and given units, with every default filled in.
//!
//! *Owns:* the file format, its defaults, its problems and how they are shown.
//! *Does not know:* plans, traffic, the network, the clock. Config types never run.
//! *Invariants:* loading is pure: text in, [`Config`] or every [`Problem`] out; a `Config` is
//! consistent (each name that is referred to exists).
//! *Read next:* `schema.rs` (the reference of every key), `check.rs`, then `crate::plan`.

mod build;
mod check;
mod endpoints;
mod guess;
mod leaf;
mod parse;
mod preset;
mod problem;
mod schema;
mod units;
mod walk;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use self::{
    endpoints::load_endpoints,
    problem::{Problem, Problems},
};
use self::{parse::Place, preset::Preset, walk::Shape};
use crate::model::{ListenerName, RouteName, Share, SplitName, UpstreamName};

/// Reads a file's text. Warnings come with the config, errors instead of it; nothing of the text
/// is ignored, and all problems are found at once.
pub fn load(text: &str, name: &str) -> Result<(Config, Problems), Problems> {
    let (file, mut walk) = read::<schema::FileBlock>(text, "a mapping with `splits`");
    let mut config = None;
    if let Some(mut file) = file {
        build::expand(&mut file);
        preset::fill(&mut file);
        check::check(&file, &mut walk);
        config = build::config(&file, build::hash(text));
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

/// The JSON Schema of the file, for editors; it comes from the same declarations as [`load`].
pub fn json_schema() -> serde_json::Value {
    schema::json_schema()
}

/// Reads one document. `None` if it is not whole: what a broken text says cannot be checked.
fn read<T: Shape>(text: &str, expects: &str) -> (Option<T>, walk::Walk) {
    let parse::Parsed {
        root,
        is_whole,
        problems,
    } = parse::tree(text);
    let mut walk = walk::Walk::new(problems, !is_whole);
    let is_empty = root
        .as_ref()
        .is_none_or(|root| matches!(root.value, parse::Value::Null));
    if is_empty && is_whole {
        walk.error(
            Place::START,
            "empty_file",
            format!("the file is empty, not {expects}"),
            "",
        );
        return (None, walk);
    }
    let read = root.and_then(|root| T::read(&root, &mut walk));
    (read.filter(|_| is_whole), walk)
}

/// The whole file, understood. Built by [`load`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// SipHash of the text, to tell whether anything changed at all.
    pub hash: u64,
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
    /// Names and bounds of metrics.
    pub metrics: Metrics,
}

/// One address to accept on.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its name; `listen:` makes one called `default`.
    pub name: ListenerName,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether upgrades to WebSocket are let through.
    pub websocket: bool,
    /// Limits in time.
    pub timeouts: ListenerTimeouts,
    /// Limits in size and number.
    pub limits: Limits,
    /// Networks whose `X-Forwarded-*` is believed and appended to; others' is replaced.
    pub trusted_proxies: Vec<Cidr>,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// From the first byte of a head (or the accept) to its end; absolute.
    pub request_header: Duration,
    /// Between two pieces of a body, in either direction.
    pub body_idle: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Without a byte either way on an upgraded connection.
    pub stream_idle: Duration,
}

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of this listener at a time, over all workers.
    pub max_connections: u32,
    /// Bytes of a whole request head; more is 431.
    pub max_headers: usize,
    /// Fields of a request head; more is 431.
    pub max_header_fields: usize,
    /// Bytes of one field line; more is 431.
    pub max_header_line: usize,
    /// Bytes of the target; more is 414.
    pub max_target: usize,
    /// Bytes of a request body; more is 413. `None`: no limit.
    pub max_body: Option<u64>,
}

/// A network: address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// Its base address.
    pub address: std::net::IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Cidr {
    /// Whether an address lies in this network (an IPv4-mapped IPv6 address is its IPv4 address).
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        match (self.address, address.to_canonical()) {
            (V4(net), V4(ip)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                net.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            (V6(net), V6(ip)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                net.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// Where operators and scrapers ask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admin {
    /// A TCP address for plain HTTP; loopback unless told otherwise.
    pub http: Option<SocketAddr>,
    /// A unix socket.
    pub unix: Option<PathBuf>,
}

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

/// A match and the versions that share its traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Its name.
    pub name: SplitName,
    /// What it takes; at least one, named routes (`default` if unnamed).
    pub routes: Vec<Match>,
    /// The version users have today.
    pub stable: UpstreamName,
    /// The version being tried, if any.
    pub canary: Option<UpstreamName>,
    /// The canary's share as written; `None` if the file says none (a rollout decides).
    pub weight: Option<Share>,
    /// How clients keep their version; `None`: every request falls anew.
    pub sticky: Option<Sticky>,
    /// How testers choose their version.
    pub version_override: Option<Override>,
    /// What happens to the share of a canary without a usable endpoint.
    pub on_unhealthy: OnUnhealthy,
    /// Limits in time that this split sets over its upstreams'.
    pub timeouts: SplitTimeouts,
    /// The course of the rollout, if one is written.
    pub rollout: Option<Rollout>,
    /// How versions are compared.
    pub analysis: Analysis,
}

/// What a split or a route takes: everything written must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The route's name: a metric label.
    pub name: RouteName,
    /// Host names (lower case, no port), `*.example` for every subdomain; empty: any.
    pub hosts: Vec<String>,
    /// The path, exactly or by prefix.
    pub path: PathMatch,
    /// Header fields that must be there.
    pub headers: Vec<HeaderMatch>,
    /// Methods; empty: any.
    pub methods: Vec<String>,
}

/// How a path is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This path and all below it: `/a` takes `/a`, `/a/` and `/a/b`, not `/ab`.
    Prefix(String),
    /// This path only.
    Exact(String),
}

/// A header field that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Field name, lower case.
    pub name: String,
    /// Its exact value; `None`: any.
    pub value: Option<String>,
}

/// How clients keep their version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Where the client's identity is read, first present wins; empty: our own cookie is it.
    pub key: Vec<KeySource>,
    /// The cookie that remembers.
    pub cookie: Cookie,
    /// A file with the secret that signs cookies; `None`: one is made and kept in the state
    /// directory.
    pub secret_file: Option<PathBuf>,
}

/// Where a client's identity is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The value of a cookie.
    Cookie(String),
    /// The value of a header field (lower case).
    Header(String),
    /// The client's address.
    ClientIp,
}

/// The cookie that remembers a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its life; `None`: the browser's session.
    pub max_age: Option<Duration>,
    /// `Path`.
    pub path: String,
    /// `Domain`, if any.
    pub domain: Option<String>,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Secure`.
    pub secure: bool,
    /// `SameSite`.
    pub same_site: SameSite,
}

/// The `SameSite` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`.
    Lax,
    /// `Strict`.
    Strict,
    /// `None` (asks for `Secure`).
    None,
}

/// How testers choose their version: a header or a cookie whose value is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The header field, lower case.
    pub header: Option<String>,
    /// The cookie.
    pub cookie: Option<String>,
    /// The file with the secret that signs.
    pub signed_by: PathBuf,
}

/// What happens to the share of a canary without a usable endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// Stable answers, and the canary is charged with a failure.
    FallbackToStable,
    /// The client gets the error.
    Fail,
}

/// Limits in time of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SplitTimeouts {
    /// From the end of the request to the end of the answer's head, instead of the upstream's.
    pub response_header: Option<Duration>,
    /// From the end of the request's head to the last byte of the answer.
    pub total: Option<Duration>,
}

/// The course of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// When it starts.
    pub on_start: OnStart,
    /// What a `fail` does.
    pub on_failure: OnFailure,
    /// What a stage does whose time is over without a decision.
    pub on_inconclusive: OnInconclusive,
    /// What a stage does that saw no traffic.
    pub on_no_data: OnInconclusive,
}

/// One step of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Gives the canary this share.
    SetWeight(Share),
    /// Waits, watched; `None`: until an operator resumes or promotes.
    Pause(Option<Duration>),
    /// Waits for the judge: goes on at `pass`, at `fail` rolls back; `max` ends it undecided.
    Analysis {
        /// The longest wait.
        max: Option<Duration>,
        /// The shortest wait.
        min: Option<Duration>,
    },
    /// Waits, watched, before the rollout ends well.
    Bake(Duration),
}

/// When a rollout starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStart {
    /// When the split has a canary version that was not yet rolled out or rolled back.
    NewVersion,
    /// When an operator says `promote` or `resume`.
    Manual,
}

/// What a `fail` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Takes the canary to 0.
    Rollback,
    /// Holds the weight and waits for a person.
    Pause,
    /// Says so and goes on.
    Notify,
}

/// What an undecided stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInconclusive {
    /// Holds the weight and waits for a person.
    Pause,
    /// Takes the canary to 0.
    Rollback,
}

/// How versions are compared. Every number has the judge's default.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Probability that a healthy canary is ever rolled back, over the whole rollout.
    pub false_rollback_rate: f64,
    /// Canary requests before a `pass` may be given.
    pub min_requests: u64,
    /// How long slow tests leave a canary alone after its first request.
    pub warm_up: Duration,
    /// How much worse the canary's error rate may be.
    pub error_rate: RateMargin,
    /// How much slower the canary may be, as a ratio: 0.10 is 10 %.
    pub latency_margin: f64,
    /// Length of one block of evidence whose weight is capped.
    pub burst_tolerance: Duration,
    /// Plain floors that hold even if stable is bad too.
    pub absolute: Vec<AbsoluteRule>,
}

/// A tolerated rate: at most `ratio` times stable's plus `absolute`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateMargin {
    /// Factor, 1.05 by default.
    pub ratio: f64,
    /// Summand as a ratio of requests, 0.0005 by default.
    pub absolute: f64,
}

/// A plain floor over a sliding window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbsoluteRule {
    /// What is measured.
    pub metric: AbsoluteMetric,
    /// Canary requests in the window before the rule may act.
    pub min_requests: u64,
    /// The sliding window.
    pub window: Duration,
    /// What it does when broken.
    pub action: AbsoluteAction,
}

/// What an absolute rule measures, and its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AbsoluteMetric {
    /// Failures over requests may be at most this.
    ErrorRate(f64),
    /// This quantile (0.99) of latency may be at most this.
    Latency {
        /// 0 to 1.
        quantile: f64,
        /// The limit.
        limit: Duration,
    },
}

/// What a broken absolute rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsoluteAction {
    /// Takes the canary to 0 (cause `absolute`).
    Rollback,
    /// Stops the ramp.
    Hold,
}

/// How the proxy goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long requests under way may take.
    pub timeout: Duration,
    /// How long new connections are still taken after readiness is gone.
    pub lag: Duration,
}

/// The access log.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    /// Where it goes.
    pub path: LogPath,
    /// Of successes, this share is written (low discrepancy).
    pub success: Share,
    /// Of everything else, this share is written.
    pub failure: Share,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPath {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}

/// Names and bounds of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The first word of every name.
    pub prefix: Arc<str>,
    /// No more series than this.
    pub max_series: usize,
}
