//! How a canary is tried and judged.

use std::time::Duration;

use crate::model::Share;

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
    /// Raises the share by itself, as the evidence allows.
    Auto(Auto),
    /// Waits for somebody's word.
    Gate(Gate),
    /// Waits, watched, before the rollout ends well.
    Bake(Duration),
}

/// A step that raises the share by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auto {
    /// The share it begins with, unless the canary has more already.
    pub from: Share,
    /// The share it ends at, with a pass.
    pub to: Share,
    /// Requests that may fail beyond what the margin tolerates.
    pub failed_requests: u64,
    /// The shortest time between two raises.
    pub min_step: Duration,
    /// The longest time.
    pub max: Option<Duration>,
}

/// A step that waits for somebody's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Who is asked; `None`: a person opens it.
    pub webhook: Option<Webhook>,
    /// The longest wait.
    pub max: Option<Duration>,
}

/// A service that is asked whether a gate may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where; an `http://` or `https://` address.
    pub url: String,
    /// What is asked for.
    pub kind: GateKind,
    /// The time from an answer to the next question.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What a gate asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateKind {
    /// To begin.
    ConfirmRollout,
    /// To give the canary more.
    ConfirmTrafficIncrease,
    /// To give the canary everything.
    ConfirmPromotion,
}

impl GateKind {
    /// The word of the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm_rollout",
            Self::ConfirmTrafficIncrease => "confirm_traffic_increase",
            Self::ConfirmPromotion => "confirm_promotion",
        }
    }
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
    /// How much slower the canary may be at p50, p75, p90, p95, p99 and p99.9, as a ratio: 0.10 is
    /// 10 %.
    pub latency_margins: [f64; 6],
    /// How many more errors are badly broken, as a ratio of requests, if written.
    pub critical_errors: Option<f64>,
    /// How much slower is badly broken, if written: the index of the quantile, and times stable's.
    pub critical_latency: Option<(usize, f64)>,
    /// Metrics that are shown and told only.
    pub dry_run: DryRun,
    /// What the service promises, if written.
    pub slo: Option<Slo>,
    /// Length of one block of evidence whose weight is capped.
    pub burst_tolerance: Duration,
    /// Plain thresholds: floors that hold even if stable is bad too, and rules that stop the ramp.
    pub absolute: Vec<AbsoluteRule>,
}

/// Metrics that are shown and told, and can neither roll back nor hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DryRun {
    /// The error rate.
    pub errors: bool,
    /// Latency, by quantile.
    pub latency: [bool; 6],
}

/// What the service promises; at least one of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    /// Failures over requests are at most this.
    pub error_rate: Option<f64>,
    /// A share of requests, 0 to 1, is not slower than this.
    pub latency: Option<(f64, Duration)>,
    /// A broken promise counts only if the canary is also worse than stable.
    pub is_relative: bool,
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
    /// The window.
    pub window: Duration,
    /// So many of the last so many windows must be broken; `(1, 1)`: one that slides.
    pub breaches: (u32, u32),
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
