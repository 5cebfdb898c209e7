//! From evidence to words: the verdict, and the numbers that justify it.

use std::time::Duration;

use super::{
    Invalid, Judgement, MetricJudgement, Verdict,
    bet::{Counts, Margin},
    criteria::{Criteria, RuleAction},
    estimate::Guess,
    evidence::Evidence,
    latency::NAMES,
    stages::Slot,
    stats::rate_interval,
};
use crate::model::{
    RouteName,
    number::{real, whole},
};

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
    let largest = evidence.largest().filter(|(_, part)| part.evidence >= 1.0);
    let (cause, route, why) = match (failure, held) {
        (Some(failure), _) => (
            failure.cause.clone(),
            failure.route.clone(),
            failure.why.clone(),
        ),
        (None, Some((cause, why))) => (cause, None, why),
        (None, None) => {
            let (route, cause) = largest.map_or((None, ""), |(route, part)| (route, part.cause));
            let why = evidence.state_in_words(verdict, invalid, needed);
            (cause.to_owned(), route.cloned(), why)
        }
    };
    Judgement {
        verdict,
        cause,
        why,
        evidence: failure.map_or_else(|| evidence.sum(), |failure| failure.evidence),
        threshold: criteria.threshold(),
        metrics: evidence.metrics(criteria),
        is_worse: evidence.weighed.is_worse(),
        invalid,
        canary_requests,
        canary_requests_needed: needed,
        route,
        parts: evidence.parts(),
        harm: evidence.harm(),
        pace: evidence.weighed.pace(),
        first_failed: evidence.weighed.first_failed().to_vec(),
        suspect: None,
    }
}

impl Evidence {
    /// Counts of a test since the rollout began (latency: since thresholds were frozen), and the
    /// latency above which the canary's requests are slow.
    fn counts(&self, cause: &str, route: Option<&RouteName>) -> (Counts, Option<Duration>) {
        let route = route.and_then(|name| self.routes.get(name));
        let strand = route.map_or(&self.whole, |route| &route.strand);
        strand.seen(cause, &self.criteria)
    }

    /// Why a test accuses the canary.
    pub(super) fn words(&self, cause: &str, route: Option<&RouteName>) -> String {
        let (counts, limit) = self.counts(cause, route);
        let what = match limit {
            Some(limit) => format!("took over {:.1} ms", limit.as_secs_f64() * 1_000.0),
            None => "failed".to_owned(),
        };
        let place = route.map_or_else(String::new, |route| format!(" of route {route}"));
        let (canary, stable) = (counts.canary.rate(), counts.stable.rate());
        let tolerated = self.margin_of(cause).edge(stable);
        // Harm that has begun lately is diluted by what was well before.
        let lately = if canary > tolerated {
            ""
        } else {
            ", lately more than that"
        };
        format!(
            "{} of {} canary requests{place} {what} ({:.2}%); stable has {:.2}%, tolerated are \
             {:.2}%{lately}",
            counts.canary.hits,
            counts.canary.trials,
            canary * 100.0,
            stable * 100.0,
            tolerated * 100.0,
        )
    }

    /// Canary requests that failed beyond what is tolerated.
    fn harm(&self) -> f64 {
        let Counts { canary, stable } = self.whole.errors.totals().requests;
        let tolerated = self.criteria.errors.edge(stable.rate()) * real(canary.trials);
        (real(canary.hits) - tolerated).max(0.0)
    }

    fn margin_of(&self, cause: &str) -> Margin {
        let criteria = &self.criteria;
        let promise = |absolute| Margin {
            ratio: 0.0,
            absolute,
        };
        let is_of_errors = cause.ends_with("error_rate");
        match (cause.split_once(':').map(|(kind, _)| kind), is_of_errors) {
            (None, true) => criteria.errors,
            (None, false) => criteria.latency(),
            (Some("critical"), true) => Margin::plus(criteria.critical_absolute),
            (Some("critical"), false) => Margin::plus(
                criteria
                    .critical_latency
                    .map_or(1.0, |critical| critical.share),
            ),
            (Some(_), true) => promise(criteria.slo_errors.unwrap_or(1.0)),
            (Some(_), false) => promise(criteria.slo_latency.map_or(1.0, |slo| 1.0 - slo.quantile)),
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
        } else if self.criteria.slo_freezes && self.is_stable_outside() {
            Some(Invalid::StableOutsideSlo)
        } else {
            None
        }
    }

    /// Whether stable itself is proven to break a promise, lately.
    fn is_stable_outside(&self) -> bool {
        let is_over = |guess: Option<&Guess>, limit: f64| guess.is_some_and(|it| it.is_over(limit));
        let errors = self.criteria.slo_errors;
        let latency = self.criteria.slo_latency;
        errors.is_some_and(|limit| is_over(Some(self.whole.errors.guess()), limit))
            || latency
                .is_some_and(|slo| is_over(self.whole.latency.guess_of_slo(), 1.0 - slo.quantile))
    }

    /// Canary requests that are still needed for a pass if the canary is as good as stable; 0: all
    /// guards have their proof. `None`: cannot be said.
    fn needed(&self, criteria: &Criteria) -> Option<u64> {
        let threshold = 1.0 / criteria.alpha_pass;
        let least = criteria
            .min_requests
            .saturating_sub(self.weighed.requests().1);
        let mut most = least;
        for guard in self.guards.iter().filter(|guard| !self.is_dry(guard.name)) {
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

    /// Whether a metric is shown and told only.
    fn is_dry(&self, metric: &str) -> bool {
        let dry = &self.criteria.dry_run;
        let latency = NAMES.iter().position(|name| *name == metric);
        match latency {
            Some(test) => dry.latency.get(test).copied().unwrap_or_default(),
            None => dry.errors,
        }
    }

    fn metrics(&self, criteria: &Criteria) -> Vec<MetricJudgement> {
        let mut metrics = Vec::with_capacity(1 + NAMES.len());
        let (weight, _) = self.routes.stock();
        let parts = self.whole.parts(&self.criteria);
        let latency = NAMES.iter().filter(|_| self.whole.latency.is_settled());
        for name in std::iter::once(&"error_rate").chain(latency) {
            let is_named = |cause: &str| cause.rsplit(':').next() == Some(name);
            let of_metric = parts.iter().filter(|part| is_named(part.cause));
            let evidence = of_metric.map(|part| weight * part.evidence).sum::<f64>();
            let (counts, _) = self.counts(name, None);
            let (stable, canary) = (counts.stable.rate(), counts.canary.rate());
            let is_dry_run = self.is_dry(name);
            let is_accused = match self.failure() {
                _ if is_dry_run => evidence >= criteria.threshold(),
                Some(failure) => is_named(&failure.cause),
                None => false,
            };
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
                evidence,
                is_dry_run,
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
