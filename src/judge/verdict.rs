//! From evidence to words: the verdict, and the numbers that justify it.

use super::{
    Invalid, Judgement, MetricJudgement, Verdict,
    bet::{Counts, Margin},
    criteria::{Criteria, RuleAction},
    evidence::Evidence,
    latency::NAMES,
    stages::Slot,
    stats::rate_interval,
    weigh::{Part, sum},
};
use crate::model::number::{real, whole};

/// The evidence at which assignments are said not to follow the configured share.
const RATIO_MISMATCH: f64 = 1_000.0;
/// The probability that a shown interval ever misses the difference.
const INTERVAL_ALPHA: f64 = 0.05;

/// Judges what was seen so far.
///
/// `criteria` are those that the evidence was made with, or new thresholds (`alpha_pass`,
/// `min_requests`) for the same tests. A `Fail` is final whatever comes later.
pub fn judge(evidence: &Evidence, criteria: &Criteria) -> Judgement {
    let failure = evidence.failure();
    let held = evidence.held();
    let invalid = evidence.invalid();
    let needed = evidence.needed(criteria);
    let (canary_requests, stage_requests) = evidence.weighed.requests();
    let verdict = if failure.is_some() {
        Verdict::Fail
    } else if stage_requests == 0 {
        Verdict::NoData
    } else if needed == Some(0) && held.is_none() && invalid.is_none() {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    let parts = evidence.parts();
    let largest = parts
        .iter()
        .max_by(|a, b| a.evidence.total_cmp(&b.evidence));
    let (cause, why) = match (failure, held) {
        (Some(failure), _) => (failure.cause.clone(), failure.why.clone()),
        (None, Some((cause, why))) => (cause, why),
        (None, None) => {
            let cause = largest
                .filter(|part| part.evidence >= 1.0)
                .map_or("", |part| part.cause);
            (
                cause.to_owned(),
                evidence.state_in_words(verdict, invalid, needed),
            )
        }
    };
    Judgement {
        verdict,
        cause,
        why,
        evidence: failure.map_or_else(|| sum(&parts), |failure| failure.evidence),
        threshold: criteria.threshold(),
        metrics: evidence.metrics(&parts, criteria),
        is_worse: evidence.weighed.is_worse(),
        invalid,
        canary_requests,
        canary_requests_needed: needed,
        ..Judgement::default()
    }
}

impl Evidence {
    /// Counts of a test since the rollout began (latency: since thresholds were frozen).
    fn counts(&self, metric: &str) -> Counts {
        let latency = NAMES.iter().position(|name| *name == metric);
        match latency {
            Some(test) => self.latency.totals(test).unwrap_or_default(),
            None if self.criteria.is_sticky => self.errors.totals().units,
            None => self.errors.totals().requests,
        }
    }

    /// Why a test accuses the canary.
    pub(super) fn words(&self, cause: &str) -> String {
        let counts = self.counts(cause);
        let latency = NAMES.iter().position(|name| *name == cause);
        let thresholds = self.latency.thresholds();
        let what = match latency.and_then(|test| thresholds?.canary.get(test)) {
            Some(limit) => format!("took over {:.1} ms", limit.as_secs_f64() * 1_000.0),
            None => "failed".to_owned(),
        };
        let margin = self.margin_of(cause);
        format!(
            "{} of {} canary requests {what} ({:.2}%); stable has {:.2}%, tolerated are {:.2}%",
            counts.canary.hits,
            counts.canary.trials,
            counts.canary.rate() * 100.0,
            counts.stable.rate() * 100.0,
            margin.edge(counts.stable.rate()) * 100.0,
        )
    }

    fn margin_of(&self, cause: &str) -> Margin {
        let criteria = &self.criteria;
        if NAMES.contains(&cause) {
            criteria.latency()
        } else if cause.starts_with("critical:") {
            Margin {
                ratio: 1.0,
                absolute: criteria.critical_absolute,
            }
        } else if cause.starts_with("slo:") {
            Margin {
                ratio: 0.0,
                absolute: criteria.slo_errors.unwrap_or(1.0),
            }
        } else {
            criteria.errors
        }
    }

    /// The rule that holds the rollout, and why.
    fn held(&self) -> Option<(String, String)> {
        let is_holding =
            |action: RuleAction, is_broken: bool| action == RuleAction::Hold && is_broken;
        let mut floors = self.floors.iter();
        let floor = floors.find(|floor| is_holding(floor.action(), floor.is_broken()))?;
        Some((floor.cause(), floor.why()))
    }

    /// Why nothing can be concluded for now.
    fn invalid(&self) -> Option<Invalid> {
        let newest = self.stages.newest();
        let is_off = newest.is_some_and(|slot| slot.ratio_mismatch() >= RATIO_MISMATCH);
        if is_off && !self.criteria.is_sticky {
            Some(Invalid::RatioMismatch)
        } else if self.weighed.is_stable_silent() && !newest.is_some_and(Slot::is_full) {
            Some(Invalid::StableSilent)
        } else if self.weighed.is_stalled() {
            Some(Invalid::Stalled)
        } else {
            None
        }
    }

    /// Canary requests that are still needed for a pass if the canary is as good as stable; 0: all
    /// guards have their proof. `None`: cannot be said.
    fn needed(&self, criteria: &Criteria) -> Option<u64> {
        let threshold = 1.0 / criteria.alpha_pass;
        let least = criteria
            .min_requests
            .saturating_sub(self.weighed.requests().1);
        let mut most = least;
        for guard in &self.guards {
            most = most.max(whole(guard.needs(threshold)?.ceil()));
        }
        Some(most)
    }

    fn state_in_words(
        &self,
        verdict: Verdict,
        invalid: Option<Invalid>,
        needed: Option<u64>,
    ) -> String {
        let (_, requests) = self.weighed.requests();
        match (verdict, invalid, needed) {
            (Verdict::NoData, ..) => "the canary has answered no request in this stage".to_owned(),
            (_, Some(invalid), _) => format!("{invalid}; nothing is promoted meanwhile"),
            (Verdict::Pass, ..) => format!(
                "the canary is proven to be within the margins by {requests} requests in this stage"
            ),
            (_, None, Some(needed)) => format!(
                "{requests} canary requests in this stage; about {needed} more for a pass if it is \
                 as good as stable"
            ),
            (_, None, None) => format!("{requests} canary requests in this stage"),
        }
    }

    fn metrics(&self, parts: &[Part], criteria: &Criteria) -> Vec<MetricJudgement> {
        let mut metrics = Vec::with_capacity(1 + NAMES.len());
        let latency = NAMES.iter().filter(|_| self.latency.thresholds().is_some());
        for name in std::iter::once(&"error_rate").chain(latency) {
            let is_named = |cause: &str| {
                cause
                    .rsplit(':')
                    .next()
                    .is_some_and(|metric| metric == *name)
            };
            let of_metric = parts.iter().filter(|part| is_named(part.cause));
            let counts = self.counts(name);
            let (stable, canary) = (counts.stable.rate(), counts.canary.rate());
            let is_accused = self
                .failure()
                .is_some_and(|failure| is_named(&failure.cause));
            let verdict = if is_accused {
                Verdict::Fail
            } else if counts.canary.trials == 0 {
                Verdict::NoData
            } else if self.is_proven(name, 1.0 / criteria.alpha_pass) {
                Verdict::Pass
            } else {
                Verdict::Inconclusive
            };
            metrics.push(MetricJudgement {
                metric: (*name).to_owned(),
                verdict,
                canary: (counts.canary.hits, counts.canary.trials),
                stable: (counts.stable.hits, counts.stable.trials),
                estimate: canary - stable,
                interval: difference(counts),
                margin: self.margin_of(name).edge(stable) - stable,
                evidence: of_metric.map(|part| part.evidence).sum(),
                is_dry_run: false,
            });
        }
        metrics
    }

    fn is_proven(&self, name: &str, threshold: f64) -> bool {
        let mut guards = self.guards.iter();
        guards.any(|guard| guard.name == name && guard.value() >= threshold)
    }
}

fn difference(counts: Counts) -> (f64, f64) {
    let interval = |trials: super::bet::Trials| {
        rate_interval(real(trials.hits), real(trials.trials), INTERVAL_ALPHA / 2.0)
    };
    let (canary, stable) = (interval(counts.canary), interval(counts.stable));
    (canary.0 - stable.1, canary.1 - stable.0)
}
