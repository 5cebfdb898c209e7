//! Is the canary worse? Pure mathematics on counts.
//!
//! *Owns:* evidence, tests that stay valid however often one looks, verdicts and their numbers.
//! *Does not know:* time (it is brought), traffic, plans, rollouts, proxies.
//! *Invariants:* I2, I4; the same ticks give the same judgement, bit for bit; a `Fail` is final.
//! *Read next:* `bet.rs` (the one primitive), `evidence.rs`, then `crate::rollout`.

/// What the judge says of a rollout so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The canary is proven to be no worse than the margins allow: go on.
    Pass,
    /// The canary is worse: roll back.
    Fail,
    /// Not enough is known either way.
    Inconclusive,
    /// Nothing is known: the canary has seen no traffic in this stage.
    NoData,
}

/// A verdict with the numbers that justify it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What the judge says.
    pub verdict: Verdict,
    /// The metric (and rule) with the largest share of the evidence, e.g. `error_rate`,
    /// `latency_p99`, `absolute:latency_p99`; empty if there is none.
    pub cause: String,
    /// One sentence for people, with the numbers.
    pub why: String,
    /// The evidence against the canary; `threshold` is a rollback.
    pub evidence: f64,
    /// 1 / alpha.
    pub threshold: f64,
    /// One line a metric.
    pub metrics: Vec<MetricJudgement>,
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
}
