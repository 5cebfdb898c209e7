//! One sum of all evidence, against one threshold.
//!
//! The average of test martingales under any dependence is one, so metrics, thresholds,
//! alternatives and change points share one alpha: the canary fails when the weighted sum reaches
//! `1 / alpha`, and by Ville's inequality a healthy one ever does with probability `alpha` at
//! most. A test that has not begun adds nothing, which is on the safe side.

use std::time::Duration;

use super::{
    criteria::RuleAction,
    evidence::{Evidence, Tick},
    latency::NAMES,
    rules::Floor,
};
use crate::model::{Moment, Stage};

/// The cause of a rollback by the fast test.
const CRITICAL: &str = "critical:error_rate";
/// The cause of a rollback by the promised error rate.
const SLO: &str = "slo:error_rate";
/// The cause of a rollback by the error margin.
const ERRORS: &str = "error_rate";
/// A tick longer than this means that the judge stood still.
const STALL: Duration = Duration::from_secs(2);
/// Stable is silent if it answered nothing for this long while the canary did.
const SILENCE: Duration = Duration::from_secs(10);
/// Canary requests meanwhile.
const SILENCE_REQUESTS: u64 = 20;

/// A decision to roll back.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// At the end of which tick.
    pub at: Moment,
    /// The metric (and rule) with the largest share of the evidence.
    pub cause: String,
    /// One sentence for people.
    pub why: String,
    /// The evidence then.
    pub evidence: f64,
    /// Judged canary requests until then.
    pub canary_requests: u64,
}

/// One test's part of the evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    /// The cause it stands for.
    pub cause: &'static str,
    /// Its weight times its capital.
    pub evidence: f64,
    /// Hits of the canary.
    pub hits: u64,
}

/// What the ticks so far have come to.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    failure: Option<Failure>,
    is_worse: bool,
    canary_requests: u64,
    stage_requests: u64,
    first_canary: Option<Moment>,
    fitted: Option<Stage>,
    last_stable: Moment,
    canary_since_stable: u64,
    now: Moment,
    is_stalled: bool,
}

impl Weighed {
    /// Nothing yet.
    pub(super) const fn new(at: Moment) -> Self {
        Self {
            failure: None,
            is_worse: false,
            canary_requests: 0,
            stage_requests: 0,
            first_canary: None,
            fitted: None,
            last_stable: at,
            canary_since_stable: 0,
            now: at,
            is_stalled: false,
        }
    }

    /// A stage begins.
    pub(super) const fn begin_stage(&mut self) {
        self.stage_requests = 0;
    }

    /// Counts a tick's judged requests.
    pub(super) fn count(&mut self, tick: &Tick<'_>, canary: u64, stable: u64) {
        self.canary_requests += canary;
        self.stage_requests += canary;
        let is_used = tick
            .strata
            .iter()
            .any(|stratum| stratum.canary.cell.assigned > 0);
        if self.first_canary.is_none() && (is_used || canary > 0) {
            self.first_canary = Some(tick.from);
        }
        self.is_stalled = tick.to.since(self.now) > STALL;
        self.now = tick.to;
        if stable > 0 {
            self.last_stable = tick.to;
            self.canary_since_stable = 0;
        } else {
            self.canary_since_stable += canary;
        }
    }

    /// Keeps a failure for ever.
    pub(super) fn settle(&mut self, failure: Option<Failure>, is_worse: bool) {
        if self.failure.is_none() {
            self.failure = failure;
        }
        self.is_worse |= is_worse;
    }

    /// The failure.
    pub(super) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether the canary was ever proven to be worse at all.
    pub(super) const fn is_worse(&self) -> bool {
        self.is_worse
    }

    /// Judged canary requests in this rollout, and in this stage.
    pub(super) const fn requests(&self) -> (u64, u64) {
        (self.canary_requests, self.stage_requests)
    }

    /// When the canary was first used.
    pub(super) const fn first_canary(&self) -> Option<Moment> {
        self.first_canary
    }

    /// The stage for which stakes were last chosen.
    pub(super) const fn fitted(&self) -> Option<Stage> {
        self.fitted
    }

    /// Stakes were chosen for a stage.
    pub(super) const fn fit(&mut self, stage: Stage) {
        self.fitted = Some(stage);
    }

    /// Whether the last tick was far too long.
    pub(super) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Whether the canary answers and stable does not.
    pub(super) fn is_stable_silent(&self) -> bool {
        self.now.since(self.last_stable) >= SILENCE && self.canary_since_stable >= SILENCE_REQUESTS
    }
}

impl Evidence {
    /// Every test's part of the evidence.
    pub(super) fn parts(&self) -> Vec<Part> {
        let weights = &self.criteria.weights;
        let errors = self.errors.errors();
        let critical = self.errors.critical();
        let mut parts = vec![
            part(ERRORS, weights.errors, (errors.value(), errors.hits())),
            part(
                CRITICAL,
                weights.critical,
                (critical.value(), critical.hits()),
            ),
        ];
        parts.extend(self.errors.slo().map(|slo| part(SLO, weights.slo, slo)));
        for ((name, test), weight) in self.latency.tests().zip(weights.latency) {
            parts.push(part(name, weight, (test.value(), test.hits())));
        }
        parts
    }

    /// Whether this tick makes the canary fail.
    pub(super) fn accuse(&self, at: Moment) -> Option<Failure> {
        if self.weighed.failure().is_some() {
            return None;
        }
        self.accuse_by_test(at).or_else(|| self.accuse_by_rule(at))
    }

    fn accuse_by_test(&self, at: Moment) -> Option<Failure> {
        let parts = self.parts();
        let evidence = sum(&parts);
        let first = parts
            .iter()
            .max_by(|a, b| a.evidence.total_cmp(&b.evidence))?;
        let users = self.errors.totals().units.canary.hits;
        let is_of_errors = !NAMES.contains(&first.cause);
        let is_backed = first.hits >= self.criteria.min_hits
            && !(self.criteria.is_sticky && is_of_errors && users < self.criteria.min_hits);
        (evidence >= self.criteria.threshold() && is_backed).then(|| Failure {
            at,
            cause: first.cause.to_owned(),
            why: self.words(first.cause),
            evidence,
            canary_requests: self.weighed.requests().0,
        })
    }

    fn accuse_by_rule(&self, at: Moment) -> Option<Failure> {
        let is_fatal = |floor: &&Floor| floor.action() == RuleAction::Rollback && floor.is_broken();
        let floor = self.floors.iter().find(is_fatal)?;
        Some(Failure {
            at,
            cause: floor.cause(),
            why: floor.why(),
            evidence: sum(&self.parts()),
            canary_requests: self.weighed.requests().0,
        })
    }
}

/// The sum of all parts.
pub(super) fn sum(parts: &[Part]) -> f64 {
    parts.iter().map(|part| part.evidence).sum()
}

fn part(cause: &'static str, weight: f64, (capital, hits): (f64, u64)) -> Part {
    Part {
        cause,
        evidence: weight * capital,
        hits,
    }
}
