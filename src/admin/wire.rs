//! The JSON of the admin API, in both directions: the server writes it, `serin status` and its
//! sisters read it. Field names are part of the product's promise (the version number covers them).
//!
//! The types of other rooms are not serializable on purpose (I9); each has its twin here.

mod acts;
mod audit;
mod budget;
mod endpoints;
mod forecast;
mod hook;
mod in_force;
mod process;
mod rollback;
mod rollouts;
mod shown;
mod survey;
mod whoami;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::{
    acts::{Act, Done, Weights},
    audit::{Audit, Audited},
    budget::HarmBudget,
    endpoints::{Endpoint, EndpointAct, EndpointDone, Endpoints},
    forecast::{Finding, Forecast, Need},
    hook::GateQuestion,
    in_force::InForce,
    process::{LogFilter, Process, Validated},
    rollback::Rollback,
    rollouts::{Decided, Errors, Evidence, Measured, Rollout, Rollouts, Spot, Trail},
    shown::{parse_share, rfc3339},
    survey::{Cell, States, Survey, Surveyed},
    whoami::Whoami,
};

/// Writes JSON; nothing here can fail to be written.
pub fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Writes JSON for people.
pub fn to_pretty_json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned())
}

/// Reads JSON; says in words what is wrong with it.
pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// `GET /v1/splits`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Splits {
    /// In the order of the file.
    pub splits: Vec<Split>,
}

/// `GET /v1/splits/{split}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Its name.
    pub name: String,
    /// The version users have today.
    pub stable: String,
    /// The version being tried.
    pub canary: Option<String>,
    /// Of its rollout; what `If-Match` takes.
    pub epoch: u64,
    /// Raised by each operator's act inside an epoch.
    pub revision: u64,
    /// `idle`, `progressing`, `paused`, `promoted`, `rolled_back`.
    pub phase: String,
    /// Why it is in this phase; empty if it goes by itself.
    pub phase_reason: String,
    /// The step under way.
    pub step: Option<Step>,
    /// The canary's share.
    pub weight: Weight,
    /// What the judge said last.
    pub analysis: Option<Analysis>,
    /// What a bad canary has cost, and may, while a step `auto` is under way.
    pub harm_budget: Option<HarmBudget>,
    /// How clumped failures of single stable endpoints are; 1: not at all.
    pub dispersion: Option<f64>,
    /// The trial of stable against itself.
    pub shadow: Option<Shadow>,
    /// How long verdicts will take; `null`: nothing is on trial, or there is no traffic.
    pub forecast: Option<Forecast>,
    /// How the canary was taken back, if it was.
    #[serde(default)]
    pub rollback: Option<Rollback>,
    /// What is planned and cannot be, in words.
    pub warnings: Vec<String>,
    /// Each version's numbers since the rollout began.
    pub versions: Vec<Version>,
    /// What was decided, newest last.
    pub history: Vec<Decision>,
}

/// The step under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// In words.
    pub text: String,
    /// When it ends by itself at the latest.
    pub ends_at: Option<String>,
}

/// The canary's share: as written, in force, as seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// In the file, such as `5%`.
    pub configured: Option<String>,
    /// In force.
    pub effective: String,
    /// Seen in this stage, 0 to 1.
    pub observed: Option<f64>,
}

/// `GET /v1/splits/{split}/analysis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// `pass`, `fail`, `inconclusive`, `no_data`.
    pub verdict: String,
    /// The metric that says most; empty if none does.
    pub cause: String,
    /// One sentence with the numbers.
    pub why: String,
    /// The evidence against the canary.
    pub evidence: f64,
    /// How much evidence rolls back.
    pub threshold: f64,
    /// One for each metric.
    pub metrics: Vec<Metric>,
    /// The route that the cause was found on; `null`: on all together.
    pub route: Option<String>,
    /// Every test's part of the evidence, the largest first.
    pub parts: Vec<Part>,
    /// The one endpoint of several that makes the canary look bad.
    pub suspect: Option<Suspect>,
    /// The canary is proven to fail more often than stable, be it within the margin or not.
    pub is_worse: bool,
    /// Why nothing may be promoted for now.
    pub invalid: Option<String>,
    /// Judged canary requests since the rollout began.
    pub canary_requests: u64,
    /// Canary requests still needed for a pass; `null`: cannot be said.
    pub needed: Option<u64>,
    /// Canary requests that failed beyond what is tolerated.
    pub harm: f64,
    /// Judged canary requests a second, lately.
    pub pace: f64,
    /// Ids of the canary's first failed requests.
    pub first_failed: Vec<String>,
}

/// One test's part of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The cause it stands for.
    pub cause: String,
    /// On this route; `null`: on all together.
    pub route: Option<String>,
    /// Its part.
    pub evidence: f64,
    /// Hits of the canary.
    pub hits: u64,
}

/// One endpoint that is bad among good ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Which.
    pub endpoint: String,
    /// Its failures and judged requests.
    pub counts: Counts,
    /// Those of the canary's other endpoints together.
    pub others: Counts,
}

/// What is known of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// `error_rate`, `latency_p99`, ...
    pub metric: String,
    /// For this metric alone.
    pub verdict: String,
    /// The canary's counts.
    pub canary: Counts,
    /// Stable's counts.
    pub stable: Counts,
    /// Canary minus stable, a ratio.
    pub estimate: f64,
    /// An interval for it that stays valid at every look.
    pub interval: [f64; 2],
    /// What is tolerated.
    pub margin: f64,
    /// This metric's part of the evidence.
    pub evidence: f64,
    /// It is shown, but can neither roll back nor hold.
    pub is_dry_run: bool,
}

/// Hits among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What was counted.
    pub hits: u64,
    /// Of how many.
    pub trials: u64,
}

/// The trial of stable against itself: the shadow A/A.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// How often stable was found worse than itself since the process started.
    pub alarms: u64,
    /// The evidence now.
    pub evidence: f64,
    /// How much evidence is an alarm.
    pub threshold: f64,
    /// Judged requests of the part that stands in for a canary.
    pub requests: u64,
}

/// One version's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// `stable` or `canary`.
    pub role: String,
    /// Its name.
    pub version: String,
    /// Judged requests.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Requests a second over the last seconds.
    pub rate: f64,
    /// Different users that were assigned to it; `null`: users are not told apart.
    #[serde(default)]
    pub users: Option<u64>,
    /// Long-lived streams that are open now.
    #[serde(default)]
    pub streams: u64,
    /// Latency over the last minute.
    pub latency_ms: Option<Latency>,
    /// The same as a curve: quantile (0 to 1) and milliseconds, ascending.
    #[serde(default)]
    pub curve: Vec<[f64; 2]>,
    /// Failed attempts since the rollout began, the most frequent first.
    #[serde(default)]
    pub errors: Vec<Errors>,
    /// Requests that clients saw fail since the rollout began.
    #[serde(default)]
    pub answers_failed: u64,
    /// Requests whose failed attempt stable has made good since the rollout began.
    #[serde(default)]
    pub rescued: u64,
}

/// Latency in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half are faster.
    pub p50: f64,
    /// Nine in ten are faster.
    pub p90: f64,
    /// 99 in a hundred are faster.
    pub p99: f64,
    /// 999 in a thousand are faster.
    pub p99_9: f64,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: String,
    /// `started`, `stepped`, `rolled_back`, ...
    pub what: String,
    /// The canary's share then in force.
    pub weight: String,
    /// `judge`, `absolute`, `config`, or the operator.
    pub by: String,
    /// In words, with the numbers.
    pub why: String,
}

/// `GET /v1/upstreams`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstreams {
    /// In the order of the file.
    pub upstreams: Vec<Upstream>,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Endpoints that may be chosen.
    pub usable_endpoints: usize,
    /// All endpoints.
    pub endpoints: usize,
    /// Since the source last answered well.
    pub discovery_age_seconds: Option<f64>,
    /// What is wrong with the source.
    pub problem: Option<String>,
    /// How many endpoints there are in each state.
    #[serde(default)]
    pub states: States,
    /// Requests under way.
    #[serde(default)]
    pub in_flight: u64,
}

/// `GET /v1/config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Of the text in force.
    pub hash: String,
    /// When it came into force.
    pub loaded_at: String,
    /// Good reloads since the start.
    pub reloads_succeeded: u64,
    /// Bad reloads since the start.
    pub reloads_failed: u64,
    /// The last bad file, with line, column and caret; `null`: the last read was good.
    pub problem: Option<String>,
}

/// A frame of the event stream, four times a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// When it was made.
    pub at: String,
    /// The plan in force.
    pub generation: u64,
    /// Whether `/readyz` says 200.
    pub is_ready: bool,
    /// Whether the process is going down.
    pub is_draining: bool,
    /// The same as `GET /v1/splits`.
    pub splits: Vec<Split>,
    /// The same as `GET /v1/upstreams`.
    pub upstreams: Vec<Upstream>,
    /// The same as `GET /v1/config`.
    pub config: Config,
    /// How busy each worker is, 0 to 1.
    #[serde(default)]
    pub workers: Vec<f64>,
}

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// When.
    pub at: String,
    /// `config_loaded`, `stepped`, `rolled_back`, ...
    pub event: String,
    /// On which split.
    pub split: Option<String>,
    /// Its epoch then.
    pub epoch: Option<u64>,
    /// The canary's share then in force.
    pub weight: Option<String>,
    /// Who or what.
    pub by: String,
    /// One sentence.
    pub text: String,
    /// A person should look at it.
    pub is_warning: bool,
}

/// Every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is the matter.
    pub error: Trouble,
}

/// What is the matter and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// A stable word for machines.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub help: String,
}
