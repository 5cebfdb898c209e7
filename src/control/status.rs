//! What others may read of control: one immutable snapshot, replaced on change and four times a
//! second, and the totals that metrics are made of.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{gate::Gate, toll::Rollback};
pub use crate::rollout::Entry;
use crate::{
    judge::{Forecast, Judgement},
    measure::{Cell, Gauges, Latencies, ListenerGauges, RepeatLabel, RequestLabel, Tally},
    model::{
        CodeClass, EndpointState, Epoch, Generation, ListenerName, Moment, Reason, Rejection, Role,
        RouteName, Share, SplitName, UpstreamName, VersionKey, VersionName, Zone,
    },
};

/// The snapshot.
#[derive(Debug, Clone)]
pub struct Status {
    /// When it was made.
    pub as_of: Moment,
    /// The plan in force.
    pub generation: Generation,
    /// Listeners are open and every upstream has answered once.
    pub is_ready: bool,
    /// The process is going down.
    pub is_draining: bool,
    /// Of the file.
    pub config: ConfigStatus,
    /// In the order of the file.
    pub splits: Vec<SplitStatus>,
    /// In the order of the file.
    pub upstreams: Vec<UpstreamStatus>,
    /// When the first certificate of each listener ends.
    pub certificates: Vec<(ListenerName, Moment)>,
    /// How busy each worker is, 0 to 1.
    pub workers: Vec<f64>,
}

/// Of the file.
#[derive(Debug, Clone)]
pub struct ConfigStatus {
    /// Of the text in force.
    pub hash: u64,
    /// When it came into force.
    pub loaded_at: Moment,
    /// Good and bad reloads since the start.
    pub reloads: (u64, u64),
    /// The last bad file, as shown to people; `None`: the last read was good.
    pub problem: Option<Arc<str>>,
}

/// Of one split.
#[derive(Debug, Clone)]
pub struct SplitStatus {
    /// Its name.
    pub name: SplitName,
    /// The version users have today.
    pub stable: VersionName,
    /// The version being tried.
    pub canary: Option<VersionName>,
    /// Of its rollout.
    pub epoch: Epoch,
    /// Raised by each operator's act inside an epoch.
    pub revision: u64,
    /// `idle`, `progressing`, `paused`, `promoted`, `rolled_back`.
    pub phase: &'static str,
    /// Why it is in this phase, in words; empty if it goes by itself.
    pub phase_reason: String,
    /// Step under way, from 1, and how many there are; `None` without steps.
    pub step: Option<(usize, usize)>,
    /// The step in words (`set_weight 5%`, `pause 10m`).
    pub step_text: String,
    /// When the step ends by itself at the latest.
    pub step_ends: Option<Moment>,
    /// The webhook that the step waits for.
    pub gate: Option<Gate>,
    /// The share written in the file, if one is.
    pub configured: Option<Share>,
    /// The canary's share in force.
    pub share: Share,
    /// The share seen in this stage, 0 to 1; `None` of nothing.
    pub observed: Option<f64>,
    /// What the judge said last.
    pub judgement: Option<Judgement>,
    /// Canary requests that failed beyond what is tolerated, and how many may, in a step `auto`.
    pub harm_budget: Option<(f64, u64)>,
    /// How long verdicts will take at the present traffic; `None`: nothing is on trial.
    pub forecast: Option<Forecast>,
    /// What is planned and cannot be, in words.
    pub warnings: Vec<String>,
    /// How the canary was taken back, if it was.
    pub rollback: Option<Rollback>,
    /// Since the rollout began.
    pub arms: [ArmStatus; 2],
    /// How clumped failures of single stable endpoints are: 1, not at all; `None` while too little
    /// is known.
    pub dispersion: Option<f64>,
    /// Of the trial of stable against itself; `None` while it had no traffic.
    pub shadow: Option<ShadowStatus>,
    /// What was decided, newest last, bounded.
    pub history: Vec<Entry>,
}

/// How the trial of stable against itself goes: the shadow A/A.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowStatus {
    /// How often stable was found worse than itself since the process started.
    pub alarms: u64,
    /// The evidence now; `threshold` is an alarm.
    pub evidence: f64,
    /// 1 / alpha.
    pub threshold: f64,
    /// Judged requests of the part that stands in for a canary.
    pub requests: u64,
}

/// One version's numbers since the rollout began, and now.
#[derive(Debug, Clone)]
pub struct ArmStatus {
    /// Its part.
    pub role: Role,
    /// Judged requests.
    pub trials: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Requests a second over the last seconds.
    pub rate: f64,
    /// Different users that were assigned to it; `None`: users are not told apart.
    pub users: Option<u64>,
    /// Long-lived streams that are open now.
    pub streams: u64,
    /// p50, p90, p99, p99.9 of latency over the last minute; `None` of nothing.
    pub quantiles: Option<[Duration; 4]>,
    /// Latency over the last minute.
    pub latency: Arc<Latencies>,
    /// Failed attempts since the rollout began, by what came and why; the most frequent first.
    pub errors: Vec<(CodeClass, Reason, u64)>,
    /// Requests that clients saw fail, since the rollout began.
    pub answers_failed: u64,
    /// Requests whose failed attempt stable has made good, since the rollout began.
    pub rescued: u64,
}

/// Of one upstream.
#[derive(Debug, Clone)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: UpstreamName,
    /// Endpoints that may be chosen, and all.
    pub endpoints: (usize, usize),
    /// Since the source last answered well; `None`: it never did.
    pub age: Option<Duration>,
    /// What is wrong with the source, in words.
    pub problem: Option<Arc<str>>,
    /// How many endpoints there are in each state, in the order of [`EndpointState::ALL`].
    pub states: [usize; 5],
    /// Requests under way, seen once a second.
    pub in_flight: u64,
    /// Connections that wait for one, seen once a second.
    pub idle: u64,
}

/// Of one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointStatus {
    /// Whose.
    pub upstream: UpstreamName,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it runs, if its source says so.
    pub zone: Option<Zone>,
    /// What runs there, if its source says so.
    pub version: Option<VersionKey>,
    /// Its relative weight.
    pub weight: u32,
    /// What is known of it.
    pub state: EndpointState,
    /// The part of its weight that it has now, of 256.
    pub warmth: u64,
    /// Since it came; `None`: it was there from the start, or gets no requests.
    pub age: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
    /// Why it is out or unhealthy, in words.
    pub why: Option<String>,
    /// For how long it is out still; `None`: it is not, or until a person takes it back.
    pub out_for: Option<Duration>,
    /// Requests under way.
    pub in_flight: u32,
    /// How long until it begins to answer, as the most sceptical worker sees it.
    pub latency: Option<Duration>,
}

/// What metrics are made of: cumulative since the process started.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// By split, version, part and route.
    pub series: Vec<(SeriesKey, Cell)>,
    /// Attempts beyond the first one of a request.
    pub repeats: Vec<(RepeatKey, u64)>,
    /// Requests refused before they reached any split.
    pub refused: Tally<RequestLabel>,
    /// By worker.
    pub workers: Vec<Gauges>,
    /// By listener, over all workers; no counter falls when a worker begins anew.
    pub listeners: Vec<ListenerGauges>,
    /// What clients sent or did that was refused or cut off; every cause, 0 included.
    pub rejections: Vec<(Rejection, u64)>,
    /// Long-lived streams by split and version; every version of every split, 0 included.
    pub streams: Vec<((SplitName, VersionName), u64)>,
    /// Rollbacks by split and cause (`verdict`, `critical`, `absolute`, `operator`).
    pub rollbacks: Vec<(SplitName, &'static str, u64)>,
    /// Rollouts that ended, by split and result (`promoted`, `rolled_back`, `superseded`).
    pub rollouts: Vec<(SplitName, &'static str, u64)>,
    /// How long the stages of rollbacks took (`detect`, `apply`, `complete`), by split.
    pub rollback_times: Vec<(SplitName, &'static str, Latencies)>,
    /// Discovery answers by upstream and result (`ok`, `unchanged`, `error`, `suspicious`).
    pub discoveries: Vec<(UpstreamName, &'static str, u64)>,
    /// Endpoints that were ejected, by upstream.
    pub ejections: Vec<(UpstreamName, u64)>,
    /// Good and bad answers to health checks, by upstream.
    pub checks: Vec<(UpstreamName, u64, u64)>,
    /// Writes of state that failed.
    pub journal_failures: u64,
    /// Records of rollouts that a failure ended.
    pub record_failures: u64,
}

/// What repeats are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepeatKey {
    /// The split.
    pub split: SplitName,
    /// The version that was asked first.
    pub from: VersionName,
    /// The version that was asked then.
    pub to: VersionName,
    /// What was done, and why.
    pub label: RepeatLabel,
}

/// What a series belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The split.
    pub split: SplitName,
    /// The version.
    pub version: VersionName,
    /// Its part then.
    pub role: Role,
    /// The route.
    pub route: RouteName,
}

impl SplitStatus {
    /// The numbers of one version.
    pub fn arm(&self, role: Role) -> Option<&ArmStatus> {
        self.arms.iter().find(|arm| arm.role == role)
    }
}
