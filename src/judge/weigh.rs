//! One sum of all evidence, against one threshold.
//!
//! The average of test martingales under any dependence is one, so metrics, thresholds,
//! alternatives and change points share one alpha: the canary fails when the weighted sum reaches
//! `1 / alpha`, and by Ville's inequality a healthy one ever does with probability `alpha` at
//! most. A test that has not begun adds nothing, which is on the safe side.

use std::time::Duration;

use super::{
    Part, counted::Tested, criteria::RuleAction, estimate::Decay, evidence::Evidence, rules::Floor,
    stages::Stages, told::Tick,
};
use crate::model::{Moment, RouteName, number::real};

/// A tick longer than this means that the judge stood still.
const STALL: Duration = Duration::from_secs(2);
/// Stable is silent if it answered nothing for this long while the canary did.
const SILENCE: Duration = Duration::from_secs(10);
/// Over how long a pace is taken: the half-life.
const PACE: Duration = Duration::from_secs(10);
/// How many failed requests are kept by name.
const FIRST_FAILED_MAX: usize = 8;
/// How many parts of the evidence are told.
const PARTS_MAX: usize = 16;
/// Canary requests meanwhile.
const SILENCE_REQUESTS: u64 = 20;

/// A decision to roll back.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// At the end of which tick.
    pub at: Moment,
    /// The metric (and rule) with the largest share of the evidence.
    pub cause: String,
    /// The route that it was found on; `None`: on all together.
    pub route: Option<RouteName>,
    /// One sentence for people.
    pub why: String,
    /// The evidence then.
    pub evidence: f64,
    /// Judged canary requests until then.
    pub canary_requests: u64,
}

/// What the ticks so far have come to.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    failure: Option<Failure>,
    is_worse: bool,
    canary_requests: u64,
    stage_requests: u64,
    first_canary: Option<Moment>,
    first_failed: Vec<u64>,
    /// Canary requests and seconds, old ones fading.
    pace: (f64, f64),
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
            first_failed: Vec::new(),
            pace: (0.0, 0.0),
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

    /// Counts a tick's judged requests, and keeps the first failed ones by name.
    pub(super) fn count(&mut self, tick: &Tick<'_>, stages: &Stages) {
        let (mut canary, mut stable) = (0, 0);
        for stratum in tick.strata {
            stable += stratum.stable.cell.trials;
            if stages.slot(stratum.stage).is_some() {
                canary += stratum.canary.cell.trials;
                let room = FIRST_FAILED_MAX.saturating_sub(self.first_failed.len());
                let failed = stratum.canary.cell.failed_requests.iter().take(room);
                self.first_failed.extend(failed);
            }
        }
        let elapsed = tick.to.since(tick.from);
        let keep = Decay::after(elapsed, PACE).0;
        self.pace.0 = self.pace.0.mul_add(keep, real(canary));
        self.pace.1 = self.pace.1.mul_add(keep, elapsed.as_secs_f64());
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

    /// The failure is of this route alone.
    pub(super) fn blame(&mut self, route: RouteName, why: String) {
        if let Some(failure) = &mut self.failure {
            (failure.route, failure.why) = (Some(route), why);
        }
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

    /// Ids of the canary's first failed requests.
    pub(super) fn first_failed(&self) -> &[u64] {
        &self.first_failed
    }

    /// Judged canary requests a second, lately.
    pub(super) fn pace(&self) -> f64 {
        if self.pace.1 > 0.0 {
            self.pace.0 / self.pace.1
        } else {
            0.0
        }
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
    /// The weighted sum of all evidence.
    pub(super) fn sum(&self) -> f64 {
        let (weight, of_routes) = self.routes.stock();
        weight.mul_add(self.whole.sum(), of_routes)
    }

    /// The largest part of the evidence, and on which route.
    pub(super) fn largest(&self) -> Option<(Option<&RouteName>, Tested)> {
        let (weight, _) = self.routes.stock();
        let of_whole = self.whole.largest().map(|part| Tested {
            evidence: weight * part.evidence,
            ..*part
        });
        let of_routes = self.routes.largest();
        let of_routes = of_routes.map(|(route, part)| (Some(&route.name), part));
        let both = of_routes
            .into_iter()
            .chain(of_whole.map(|part| (None, part)));
        both.max_by(|a, b| a.1.evidence.total_cmp(&b.1.evidence))
    }

    /// The parts of the evidence, the largest first.
    pub(super) fn parts(&self) -> Vec<Part> {
        let (weight, _) = self.routes.stock();
        let part = |route: Option<&RouteName>, weight: f64, part: Tested| Part {
            cause: part.cause.to_owned(),
            route: route.cloned(),
            evidence: weight * part.evidence,
            hits: part.hits,
        };
        let whole = self.whole.parts(&self.criteria).into_iter();
        let mut parts: Vec<Part> = whole.map(|at| part(None, weight, at)).collect();
        for route in self.routes.iter() {
            let largest = route.strand.largest().filter(|at| at.evidence > 0.0);
            parts.extend(largest.map(|at| part(Some(&route.name), route.weight, *at)));
        }
        parts.sort_by(|a, b| b.evidence.total_cmp(&a.evidence));
        parts.truncate(PARTS_MAX);
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
        let evidence = self.sum();
        if evidence < self.criteria.threshold() {
            return None;
        }
        let (route, first) = self.largest()?;
        let users = self.whole.errors.totals().units.canary.hits;
        let is_of_errors = first.cause.ends_with("error_rate");
        let is_backed = first.hits >= self.criteria.min_hits
            && !(self.criteria.is_sticky && is_of_errors && users < self.criteria.min_hits);
        is_backed.then(|| Failure {
            at,
            cause: first.cause.to_owned(),
            route: route.cloned(),
            why: self.words(first.cause, route),
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
            route: None,
            why: floor.why(),
            evidence: self.sum(),
            canary_requests: self.weighed.requests().0,
        })
    }
}
