//! How bad is bad: every number of the judge, under the names of docs/judge.md.

use std::time::Duration;

use super::bet::Margin;

/// Latency quantiles of stable at which the versions are compared.
pub const QUANTILES: [f64; 6] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

/// The numbers that a rollout is judged by.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, under the name of docs/judge.md"
)]
pub struct Criteria {
    /// Probability that a healthy canary is ever rolled back, over the whole rollout.
    pub alpha: f64,
    /// Probability that a canary beyond the margins to prove ever passes a stage.
    pub alpha_pass: f64,
    /// Probability that a canary that is no worse at all is ever called worse.
    pub alpha_warn: f64,
    /// How much worse the canary's error rate may be.
    pub errors: Margin,
    /// How much slower the canary may be, by quantile: 0.10 is 10 %.
    pub latency_margins: [f64; QUANTILES.len()],
    /// How much slower the canary may be in any case: below it a ratio says nothing.
    pub latency_floor: Duration,
    /// Whether the evidence of slow requests is divided by how clumped stable's are.
    pub tempers_latency: bool,
    /// How many more of the canary's requests may be slow, as a ratio of requests.
    pub latency_absolute: f64,
    /// The error margin that a pass proves.
    pub pass_errors: Margin,
    /// The latency margin that a pass proves, at the median and at p99.
    pub pass_latency_margins: [f64; 2],
    /// The ratio of requests that a pass proves for latency.
    pub pass_latency_absolute: f64,
    /// Canary requests of a stage before it may pass.
    pub min_requests: u64,
    /// The error rate that the service promises; `None`: no such test.
    pub slo_errors: Option<f64>,
    /// The latency that the service promises; `None`: no such test.
    pub slo_latency: Option<Promise>,
    /// Whether a broken promise counts only if the canary is also worse than stable.
    pub slo_is_relative: bool,
    /// Whether nothing is promoted while stable itself breaks a promise.
    pub slo_freezes: bool,
    /// How many more errors are "badly broken", as a ratio of requests.
    pub critical_absolute: f64,
    /// How much slower is "badly broken"; `None`: no such test.
    pub critical_latency: Option<CriticalLatency>,
    /// Metrics that are shown and told, and can neither roll back nor hold.
    pub dry_run: DryRun,
    /// Shares of alpha.
    pub weights: Weights,
    /// Blocks of the slow tests.
    pub block: Block,
    /// Blocks of the fast test.
    pub critical_block: Block,
    /// How often "the harm began here" is considered.
    pub restart: Duration,
    /// The same for the fast test, whose capital for harm that has not begun is soon lost.
    pub critical_restart: Duration,
    /// How slowly the prior of late change points falls.
    pub restart_horizon: f64,
    /// How long slow tests leave a canary alone after its first request.
    pub warm_up: Duration,
    /// By what the evidence of clustered errors is divided.
    pub dispersion: f64,
    /// Hits of the canary in the accusing metric before a rollback.
    pub min_hits: u64,
    /// In which time old counts lose half of their say in the guess of stable's rates.
    pub half_life: Duration,
    /// Whether clients keep their version: then a user counts once, at the first failure.
    pub is_sticky: bool,
    /// Requests of stable whose latencies must be known before thresholds are frozen.
    pub latency_history: u64,
    /// Plain floors that hold even if stable is bad too.
    pub rules: Vec<Rule>,
}

/// How alpha is shared between the tests; the sum is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Errors.
    pub errors: f64,
    /// Latency, by quantile.
    pub latency: [f64; QUANTILES.len()],
    /// "Badly broken": errors.
    pub critical: f64,
    /// "Badly broken": hung, or many times slower.
    pub critical_latency: f64,
    /// What the service promises; shared evenly if it promises two things.
    pub slo: f64,
}

/// A latency that the service promises: a share `quantile` of requests is not above `limit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promise {
    /// 0 to 1.
    pub quantile: f64,
    /// The limit.
    pub limit: Duration,
}

/// Badly broken by latency: more than `share` of the canary's requests beyond stable's take over
/// `times` stable's quantile, and at least `at_least`. A request that hangs is one of them as soon
/// as it is older.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CriticalLatency {
    /// The index of stable's quantile in [`QUANTILES`].
    pub quantile: usize,
    /// How many times it.
    pub times: f64,
    /// What is never called slow here.
    pub at_least: Duration,
    /// Of the requests: 0.10 is one in ten.
    pub share: f64,
}

/// Metrics that are shown and told, and can neither roll back nor hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DryRun {
    /// The error rate.
    pub errors: bool,
    /// Latency, by quantile.
    pub latency: [bool; QUANTILES.len()],
}

/// The most that one stretch of time may say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// How long it is.
    pub length: Duration,
    /// Its most, in nats.
    pub cap: f64,
}

/// A plain floor over a sliding window. It lies outside alpha.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What is measured, and its limit.
    pub metric: RuleMetric,
    /// Canary requests in the window before the rule may act.
    pub min_requests: u64,
    /// The sliding window.
    pub window: Duration,
    /// It is broken when this many of the last so many windows are; `(1, 1)`: one sliding window.
    pub breaches: (u32, u32),
    /// What it does when broken.
    pub action: RuleAction,
}

/// What a rule measures, and its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RuleMetric {
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

/// What a broken rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// It is a `Fail`.
    Rollback,
    /// Nothing passes while it is broken.
    Hold,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            alpha_pass: 0.05,
            alpha_warn: 0.05,
            errors: Margin {
                ratio: 1.05,
                absolute: 0.0005,
            },
            latency_margins: [0.10; QUANTILES.len()],
            latency_floor: Duration::from_millis(1),
            tempers_latency: true,
            latency_absolute: 0.0005,
            pass_errors: Margin {
                ratio: 1.5,
                absolute: 0.0025,
            },
            pass_latency_margins: [0.20; 2],
            pass_latency_absolute: 0.001,
            min_requests: 0,
            slo_errors: Some(0.02),
            slo_latency: None,
            slo_is_relative: true,
            slo_freezes: false,
            critical_absolute: 0.10,
            // p95 and not p99: a machine that stutters moves the latter by multiples, and a canary
            // that hangs would go unseen as much longer.
            critical_latency: Some(CriticalLatency {
                quantile: 3,
                times: 10.0,
                at_least: Duration::from_secs(1),
                share: 0.10,
            }),
            dry_run: DryRun::default(),
            weights: Weights::default(),
            block: Block {
                length: Duration::from_millis(500),
                cap: 3.3,
            },
            critical_block: Block {
                length: Duration::from_millis(250),
                cap: 6.6,
            },
            restart: Duration::from_secs(5),
            critical_restart: Duration::from_millis(250),
            restart_horizon: 60.0,
            warm_up: Duration::from_secs(30),
            dispersion: 1.0,
            min_hits: 3,
            half_life: Duration::from_mins(1),
            is_sticky: false,
            latency_history: 200,
            rules: Vec::new(),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            errors: 0.40,
            latency: [0.10, 0.05, 0.05, 0.05, 0.10, 0.05],
            critical: 0.10,
            critical_latency: 0.05,
            slo: 0.05,
        }
    }
}

impl Criteria {
    /// The evidence at which the canary is rolled back.
    pub fn threshold(&self) -> f64 {
        1.0 / self.alpha
    }

    /// Of the latency tests.
    pub fn latency(&self) -> Margin {
        Margin::plus(self.latency_absolute)
    }

    /// Of the latency guards of a pass.
    pub fn pass_latency(&self) -> Margin {
        Margin::plus(self.pass_latency_absolute)
    }

    /// The share of alpha of each promise.
    pub(super) fn slo_weight(&self) -> f64 {
        let are_both = self.slo_errors.is_some() && self.slo_latency.is_some();
        self.weights.slo / if are_both { 2.0 } else { 1.0 }
    }
}
