//! The tests of one set of requests: of all together, or of one route.
//!
//! All requests of a split share one coin, so every set of them that does not depend on the coin
//! can be tested by itself: the whole finds what is bad everywhere, a route finds what the whole
//! would dilute. Each set has thresholds of its own, since routes differ in latency.

use std::time::Duration;

use super::{
    bet::{Counts, Trials},
    counted::{Counted, ErrorCounts, Extent, Tested},
    criteria::Criteria,
    errors::ErrorTests,
    estimate::Decay,
    latency::LatencyTests,
    marks::{Ageing, MARKS},
    mixture::Mixture,
    restarts::Restarts,
    stages::{SLOTS, Stages},
    told::Tick,
    units::FailedUsers,
};
use crate::{
    measure::Latencies,
    model::{Moment, Stage},
};

/// How often stakes are chosen anew.
const REFIT: Duration = Duration::from_secs(5);
/// Requests of stable whose latencies must be known before the fast test of latency begins.
const HISTORY_CRITICAL: u64 = 30;
/// Below this many requests a guess is young: stakes follow whenever it has doubled.
const YOUNG: f64 = 2_000.0;
/// How many failed users are remembered of all routes together, and of one.
const USERS_MAX: usize = 65_536;
const USERS_OF_ROUTE_MAX: usize = 2_048;

/// Stable's recent past of one set of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past<'a> {
    /// Judged requests.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: &'a Latencies,
}

/// Requests in flight that were counted as slow, by slot: the canary's and stable's.
type Ages = (Ageing<MARKS>, Ageing<MARKS>);

/// The tests of one set of requests.
#[derive(Debug, Clone)]
pub(super) struct Strand {
    pub errors: ErrorTests,
    pub latency: LatencyTests,
    users: FailedUsers,
    ages: [Ages; SLOTS],
    /// Latencies of stable, until they suffice for thresholds.
    history: Latencies,
    restarts: Restarts,
    critical_restarts: Restarts,
    fitted: Option<Fit>,
    sum: f64,
    largest: Option<Tested>,
}

/// When, for which stage and on how many trials stakes were chosen.
#[derive(Debug, Clone, Copy)]
struct Fit {
    at: Moment,
    stage: Stage,
    trials: f64,
}

impl Strand {
    /// Nothing seen yet but stable's past.
    pub(super) fn new(extent: Extent, criteria: &Criteria, past: Past<'_>, at: Moment) -> Self {
        let times = criteria.restart.as_secs_f64() / criteria.critical_restart.as_secs_f64();
        let horizon = criteria.restart_horizon;
        let users_max = match extent {
            Extent::Whole => USERS_MAX,
            Extent::Route => USERS_OF_ROUTE_MAX,
        };
        let mut strand = Self {
            errors: ErrorTests::new(extent, criteria, (past.requests, past.failures), at),
            latency: LatencyTests::new(extent, criteria, at),
            users: FailedUsers::new(users_max),
            ages: Default::default(),
            history: Latencies::new(),
            restarts: Restarts::new(criteria.restart, horizon, at),
            critical_restarts: Restarts::new(criteria.critical_restart, horizon * times, at),
            fitted: None,
            sum: 0.0,
            largest: None,
        };
        strand.remember(past.latency, criteria);
        strand
    }

    /// A stage opens: what was the newest is the one before.
    pub(super) fn shift(&mut self) {
        self.ages.rotate_right(1);
        let [newest, ..] = &mut self.ages;
        *newest = Ages::default();
        self.errors.each(Mixture::shift);
        self.latency.each(Mixture::shift);
        self.fitted = None;
    }

    /// Thresholds follow stable's recent past if there is enough of it, and harm may begin now.
    pub(super) fn begin_stage(&mut self, past: &Latencies, criteria: &Criteria, at: Moment) {
        if past.count() >= criteria.latency_history {
            self.history = Latencies::new();
            self.remember(past, criteria);
        }
        self.restarts.force(at);
        self.critical_restarts.force(at);
        self.fitted = None;
    }

    /// Begins the slow tests.
    pub(super) fn start(&mut self) {
        self.errors.start();
        self.latency.start();
    }

    /// What a tick brings, by slot.
    pub(super) fn count(
        &mut self,
        tick: &Tick<'_>,
        stages: &Stages,
        criteria: &Criteria,
    ) -> Vec<Counted> {
        let mut counted = Vec::with_capacity(tick.strata.len());
        let mut is_named = [false; SLOTS];
        for stratum in tick.strata {
            let (canary, stable) = (stratum.canary.cell, stratum.stable.cell);
            let Some(slot) = stages.slot(stratum.stage) else {
                continue;
            };
            let requests = Counts {
                canary: Trials::new(canary.trials, canary.failures),
                stable: Trials::new(stable.trials, stable.failures),
            };
            let units = if criteria.is_sticky {
                Counts {
                    canary: self.users.count(canary),
                    stable: self.users.count(stable),
                }
            } else {
                requests
            };
            let errors = ErrorCounts { requests, units };
            let ages = self.ages.get_mut(slot);
            let latency = self.latency.thresholds().zip(ages).map(|(marks, ages)| {
                let of_canary = ages.0.count(stratum.canary, &marks.canary);
                let of_stable = ages.1.count(stratum.stable, &marks.stable);
                let mut counts = [Counts::default(); MARKS];
                for (counts, (canary, stable)) in
                    counts.iter_mut().zip(of_canary.into_iter().zip(of_stable))
                {
                    *counts = Counts { canary, stable };
                }
                self.latency.confine(&mut counts);
                counts
            });
            if let Some(is_named) = is_named.get_mut(slot) {
                *is_named = true;
            }
            counted.push(Counted {
                slot,
                errors,
                latency,
            });
        }
        // Nothing is in flight in the stages that a tick does not name.
        let silent = self
            .ages
            .iter_mut()
            .zip(is_named)
            .filter(|(_, named)| !named);
        for ((canary, stable), _) in silent {
            canary.rest();
            stable.rest();
        }
        counted
    }

    /// Chooses stakes if it is time; true if it was. `share` is the canary's as realised; `None`:
    /// it has everything, and there is no coin.
    pub(super) fn refit_if_due(
        &mut self,
        now: Moment,
        (stage, share): (Stage, Option<f64>),
    ) -> bool {
        let trials = self.errors.guess().trials();
        let is_due = self.fitted.is_none_or(|before| {
            let has_doubled = before.trials < YOUNG && trials >= 2.0 * before.trials;
            now.since(before.at) >= REFIT || before.stage != stage || has_doubled
        });
        if is_due {
            self.fitted = Some(Fit {
                at: now,
                stage,
                trials,
            });
            self.errors.refit(share);
            self.latency.refit(share);
        }
        is_due
    }

    /// Weighs a tick. The slow tests leave it alone when `is_resting`.
    pub(super) fn absorb(&mut self, from: Moment, counted: &[Counted], is_resting: bool) {
        let critical = self.critical_restarts.due(from);
        self.errors.absorb_critical(from, critical, counted);
        self.latency.absorb_critical(from, critical, counted);
        let fresh = self.restarts.due(from);
        let counted = if is_resting { &[] } else { counted };
        self.errors.absorb(from, fresh, counted);
        self.latency.absorb(from, fresh, counted);
    }

    /// Takes stock after a tick.
    pub(super) fn settle(&mut self, criteria: &Criteria) {
        let parts = self.parts(criteria);
        let counting = parts.iter().filter(|part| !part.is_dry_run);
        self.sum = counting.clone().map(|part| part.evidence).sum();
        self.largest = counting
            .max_by(|a, b| a.evidence.total_cmp(&b.evidence))
            .copied();
    }

    /// Learns from a tick, after it was judged.
    pub(super) fn learn(
        &mut self,
        tick: &Tick<'_>,
        counted: &[Counted],
        (criteria, decay): (&Criteria, Decay),
    ) {
        self.errors.learn(counted, decay);
        self.latency.learn((tick.from, tick.to), counted, decay);
        if !self.latency.is_settled() {
            for stratum in tick.strata {
                self.remember(&stratum.stable.cell.latency, criteria);
            }
        }
    }

    /// Every test's part of the evidence.
    pub(super) fn parts(&self, criteria: &Criteria) -> Vec<Tested> {
        let mut parts = self.errors.parts(criteria);
        parts.extend(self.latency.parts(criteria));
        parts
    }

    /// Counts of a test since the rollout began (latency: since thresholds were frozen), and the
    /// latency above which the canary's requests are slow.
    pub(super) fn seen(&self, cause: &str, criteria: &Criteria) -> (Counts, Option<Duration>) {
        if !cause.contains("latency_") {
            return (self.errors.totals().of(criteria.is_sticky), None);
        }
        match self.latency.seen(cause) {
            Some((limit, counts)) => (counts, Some(limit)),
            None => (Counts::default(), None),
        }
    }

    /// All parts that count, at the last tick.
    pub(super) const fn sum(&self) -> f64 {
        self.sum
    }

    /// The largest part that counts, at the last tick.
    pub(super) const fn largest(&self) -> Option<&Tested> {
        self.largest.as_ref()
    }

    fn remember(&mut self, latency: &Latencies, criteria: &Criteria) {
        self.history.merge(latency);
        let known = self.history.count();
        let is_enough = known >= criteria.latency_history.max(1);
        // The fast test asks for less: a canary that hangs from the first request is not to be
        // borne until stable is well known.
        let is_first = self.latency.thresholds().is_none() && criteria.critical_latency.is_some();
        let is_enough_for_one = is_first && known >= HISTORY_CRITICAL;
        if (is_enough || is_enough_for_one) && self.latency.freeze(&self.history, criteria) {
            if is_enough {
                self.history = Latencies::new();
            }
            for (canary, stable) in &mut self.ages {
                canary.forget();
                stable.forget();
            }
            self.fitted = None;
        }
    }
}
