//! Does the canary fail more often? Four tests on the same counts.
//!
//! *Errors*: more than the margin tolerates. *Critical*: badly broken, ten points more than
//! stable; it is fast, and it is on duty from the first request. *Worse*: more than stable at all.
//! *SLO*: more than the service promises; it counts only together with *worse*, since the smaller
//! of two test martingales tests "either null is true". All but the fixed SLO test compare with
//! stable at the same moment, so an outage of both cancels exactly.

use super::{
    bet::{Counts, Margin},
    criteria::Criteria,
    estimate::{Decay, Guess},
    evidence::Baseline,
    mixture::{Alignment, Mixture, Null},
};
use crate::model::{Moment, number::real};

/// How many requests the history is worth at most, and the same in users.
const HISTORY_MAX: f64 = 2_000.0;
const HISTORY_STICKY: f64 = 500.0;
/// Without a history: one failure in a hundred is guessed, on the strength of 20 requests.
const NO_HISTORY: f64 = 20.0;

/// Counts of a tick in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ErrorCounts {
    /// Every request, and failures.
    pub requests: Counts,
    /// In sticky splits users that had not failed before, and first failures; else the same.
    pub units: Counts,
}

/// The tests with what they need.
#[derive(Debug, Clone)]
pub(super) struct ErrorTests {
    errors: Mixture,
    critical: Mixture,
    worse: Mixture,
    slo: Option<Mixture>,
    requests_guess: Guess,
    units_guess: Guess,
    totals: ErrorCounts,
}

impl ErrorTests {
    /// The critical test begins at once.
    pub(super) fn new(criteria: &Criteria, baseline: &Baseline, at: Moment) -> Self {
        let slow = |null| {
            Mixture::new(null, criteria.block, Alignment::Steady, at).dispersed(criteria.dispersion)
        };
        let no_worse = Margin {
            ratio: 1.0,
            absolute: 0.0,
        };
        let not_broken = Margin {
            ratio: 1.0,
            absolute: criteria.critical_absolute,
        };
        let mut critical = Mixture::new(
            Null::Relative(not_broken),
            criteria.critical_block,
            Alignment::FirstHit,
            at,
        );
        critical.start();
        let guess = first_guess(baseline, criteria.is_sticky);
        Self {
            errors: slow(Null::Relative(criteria.errors)),
            critical,
            worse: slow(Null::Relative(no_worse)),
            slo: criteria.slo_errors.map(|limit| slow(Null::Fixed(limit))),
            requests_guess: guess,
            units_guess: guess,
            totals: ErrorCounts::default(),
        }
    }

    /// Begins the slow tests.
    pub(super) fn start(&mut self) {
        self.errors.start();
        self.worse.start();
        if let Some(slo) = &mut self.slo {
            slo.start();
        }
    }

    /// Chooses the stakes of a slot. Without a coin (the canary has everything) the critical and
    /// SLO tests go on alone, against stable's last rate.
    pub(super) fn refit(&mut self, slot: usize, share: Option<f64>) {
        let (requests, units) = (self.requests_guess.rate(), self.units_guess.rate());
        if let Some(share) = share {
            self.errors.refit(slot, share, units);
            self.critical.refit(slot, share, requests);
            self.worse.refit(slot, share, units);
        } else {
            self.errors.rest(slot);
            self.critical.refit_alone(slot, requests);
            self.worse.refit_alone(slot, units);
        }
        if let Some(slo) = &mut self.slo {
            slo.refit(slot, share.unwrap_or(1.0), units);
        }
    }

    /// Takes a tick, by slot: the fast test.
    pub(super) fn absorb_critical(
        &mut self,
        from: Moment,
        fresh: f64,
        ticks: &[(usize, ErrorCounts)],
    ) {
        let requests: Vec<_> = ticks
            .iter()
            .map(|(slot, counts)| (*slot, counts.requests))
            .collect();
        self.critical.absorb(from, fresh, &requests);
    }

    /// Takes a tick, by slot: the slow tests.
    pub(super) fn absorb(&mut self, from: Moment, fresh: f64, ticks: &[(usize, ErrorCounts)]) {
        let units: Vec<_> = ticks
            .iter()
            .map(|(slot, counts)| (*slot, counts.units))
            .collect();
        self.errors.absorb(from, fresh, &units);
        self.worse.absorb(from, fresh, &units);
        if let Some(slo) = &mut self.slo {
            slo.absorb(from, fresh, &units);
        }
        for (_, counts) in ticks {
            self.totals.requests.add(counts.requests);
            self.totals.units.add(counts.units);
        }
    }

    /// Learns from a tick, after the tick was judged.
    pub(super) fn learn(&mut self, ticks: &[(usize, ErrorCounts)], decay: Decay) {
        let mut sum = ErrorCounts::default();
        for (_, counts) in ticks {
            sum.requests.add(counts.requests);
            sum.units.add(counts.units);
        }
        self.requests_guess.learn(sum.requests.stable, decay);
        self.units_guess.learn(sum.units.stable, decay);
    }

    /// The guess of stable's error rate.
    pub(super) const fn guess(&self) -> &Guess {
        &self.units_guess
    }

    /// Counts since the rollout began.
    pub(super) const fn totals(&self) -> &ErrorCounts {
        &self.totals
    }

    /// Against the margin.
    pub(super) const fn errors(&self) -> &Mixture {
        &self.errors
    }

    /// Against ten points more.
    pub(super) const fn critical(&self) -> &Mixture {
        &self.critical
    }

    /// Against any difference.
    pub(super) const fn worse(&self) -> &Mixture {
        &self.worse
    }

    /// Against the promise and any difference: the evidence, and the canary's failures.
    pub(super) fn slo(&self) -> Option<(f64, u64)> {
        let slo = self.slo.as_ref()?;
        Some((slo.value().min(self.worse.value()), slo.hits()))
    }
}

fn first_guess(baseline: &Baseline, is_sticky: bool) -> Guess {
    let requests = real(baseline.requests);
    if requests < 1.0 {
        return Guess::new(0.0, NO_HISTORY);
    }
    let most = if is_sticky {
        HISTORY_STICKY
    } else {
        HISTORY_MAX
    };
    let worth = if is_sticky { most } else { requests.min(most) };
    Guess::new(real(baseline.failures) / requests, worth.max(NO_HISTORY))
}
