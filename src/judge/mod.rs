//! Is the canary worse? Pure mathematics on counts.
//!
//! *Owns:* evidence, tests that stay valid however often one looks, verdicts and their numbers.
//! *Does not know:* time (it is brought), traffic, plans, rollouts, proxies.
//! *Invariants:* I2, I4; the same ticks give the same judgement, bit for bit; a `Fail` is final.
//! *Read next:* `bet.rs` (the one primitive), `mixture.rs`, `evidence.rs`, then `crate::rollout`.
//! The method with its formulas is docs/judge.md.

mod bet;
mod counted;
mod criteria;
mod culprit;
mod dispersion;
mod errors;
mod estimate;
mod evidence;
mod exposure;
mod forecast;
mod latency;
mod marks;
mod mixture;
mod outlook;
mod pace;
mod restarts;
mod routes;
mod rules;
mod safety;
mod scatter;
mod stages;
mod stats;
mod strand;
mod suspect;
mod told;
mod units;
mod verdict;
mod weigh;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use bet::{Counts, Factors, Margin, Trials, factors};
pub use criteria::{
    Block, Criteria, CriticalLatency, DryRun, Promise, QUANTILES, Rule, RuleAction, RuleMetric,
    Weights,
};
pub use dispersion::Dispersion;
pub use evidence::Evidence;
pub use exposure::Exposure;
pub use forecast::{Effect, Forecast, Need, requests_to_fail, requests_to_pass};
pub use outlook::Situation;
pub use suspect::{is_excused, suspect};
pub use told::{Arm, Baseline, RouteBaseline, Stratum, Tick};
pub use verdict::judge;
pub use weigh::Failure;

use crate::model::RouteName;

/// What the judge says of a rollout so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Verdict {
    /// The canary is proven to be no worse than the margins allow: go on.
    Pass,
    /// The canary is worse: roll back.
    Fail,
    /// Not enough is known either way.
    Inconclusive,
    /// Nothing is known: the canary has seen no traffic in this stage.
    #[default]
    NoData,
}

/// A verdict with the numbers that justify it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judgement {
    /// What the judge says.
    pub verdict: Verdict,
    /// The metric (and rule) with the largest share of the evidence: `error_rate`, `latency_p99`,
    /// `critical:error_rate` (the fast test), `slo:error_rate`, `absolute:latency_p99`; empty if
    /// there is none.
    pub cause: String,
    /// One sentence for people, with the numbers.
    pub why: String,
    /// The evidence against the canary; `threshold` is a rollback.
    pub evidence: f64,
    /// 1 / alpha.
    pub threshold: f64,
    /// One line a metric.
    pub metrics: Vec<MetricJudgement>,
    /// The canary is proven to fail more often than stable, be it within the margin or not.
    pub is_worse: bool,
    /// Why nothing may be promoted for now, whatever the evidence.
    pub invalid: Option<Invalid>,
    /// Judged canary requests since the rollout began.
    pub canary_requests: u64,
    /// Canary requests still needed for a pass in this stage if the canary is as good as stable;
    /// `None`: cannot be said.
    pub canary_requests_needed: Option<u64>,
    /// The route that the cause was found on, or that alone has the harm; `None`: all together.
    pub route: Option<RouteName>,
    /// Every test's part of the evidence, the largest first.
    pub parts: Vec<Part>,
    /// Canary requests that failed beyond what the error margin tolerates, since the rollout began.
    pub harm: f64,
    /// Judged canary requests a second, lately.
    pub pace: f64,
    /// Ids of the canary's first failed requests, a few.
    pub first_failed: Vec<u64>,
    /// The one endpoint of several that makes the canary look bad; the caller knows endpoints.
    pub suspect: Option<Suspect>,
}

/// One test's part of the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The cause it stands for, as in [`Judgement::cause`].
    pub cause: String,
    /// On this route; `None`: on all together.
    pub route: Option<RouteName>,
    /// Its weight times its capital.
    pub evidence: f64,
    /// Hits of the canary.
    pub hits: u64,
}

/// One endpoint that is bad among good ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// Which.
    pub address: SocketAddr,
    /// Its failures and judged requests.
    pub counts: (u64, u64),
    /// Those of the canary's other endpoints together.
    pub others: (u64, u64),
}

/// Why evidence cannot be trusted for now. A rollback stays possible, a promotion does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// The canary's share of requests is not the configured one.
    RatioMismatch,
    /// The canary answers and stable does not: there is nothing to compare with.
    StableSilent,
    /// The last tick was far too long: the judge stood still.
    Stalled,
    /// Stable itself breaks what the service promises.
    StableOutsideSlo,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RatioMismatch => "the canary's share of requests is not the configured one",
            Self::StableSilent => "stable is silent, so there is nothing to compare with",
            Self::Stalled => "the judge stood still for over two seconds",
            Self::StableOutsideSlo => "stable itself breaks what the service promises",
        })
    }
}

/// What is known of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricJudgement {
    /// `error_rate`, `latency_p50`, ...
    pub metric: String,
    /// For this metric alone.
    pub verdict: Verdict,
    /// Canary and stable: hits and trials.
    pub canary: (u64, u64),
    /// Stable: hits and trials.
    pub stable: (u64, u64),
    /// Canary minus stable, in the metric's unit (a ratio).
    pub estimate: f64,
    /// An interval for it that stays valid at every look.
    pub interval: (f64, f64),
    /// What is tolerated.
    pub margin: f64,
    /// This metric's part of the evidence.
    pub evidence: f64,
    /// It is shown and told, but can neither roll back nor hold.
    pub is_dry_run: bool,
}
