//! Does the canary fail more often? Four tests on the same counts.
//!
//! *Errors*: more than the margin tolerates. *Critical*: badly broken, ten points more than
//! stable; it is fast, and it is on duty from the first request. *Worse*: more than stable at all.
//! *SLO*: more than the service promises; it counts only together with *worse*, since the smaller
//! of two test martingales tests "either null is true". All but the fixed SLO test compare with
//! stable at the same moment, so an outage of both cancels exactly.

use super::{
    bet::Margin,
    counted::{Counted, ErrorCounts, Extent, Tested},
    criteria::Criteria,
    estimate::{Decay, Guess},
    mixture::{Alignment, Mixture, Null},
};
use crate::model::{Moment, number::real};

/// The cause of a rollback by the error margin.
pub(super) const ERRORS: &str = "error_rate";
/// The cause of a rollback by the fast test.
const CRITICAL: &str = "critical:error_rate";
/// The cause of a rollback by the promised error rate.
const SLO: &str = "slo:error_rate";
/// How many requests the history is worth at most, and the same in users.
const HISTORY_MAX: f64 = 2_000.0;
const HISTORY_STICKY: f64 = 500.0;
/// Without a history: one failure in a hundred is guessed, on the strength of 20 requests.
const NO_HISTORY: f64 = 20.0;

/// The tests with what they need.
#[derive(Debug, Clone)]
pub(super) struct ErrorTests {
    errors: Mixture,
    critical: Mixture,
    /// Of the whole only.
    worse: Option<Box<Mixture>>,
    slo: Option<Box<Mixture>>,
    requests_guess: Guess,
    units_guess: Guess,
    totals: ErrorCounts,
}

impl ErrorTests {
    /// The critical test begins at once. `past`: stable's requests and failures.
    pub(super) fn new(extent: Extent, criteria: &Criteria, past: (u64, u64), at: Moment) -> Self {
        let slow = |null| {
            Mixture::new(null, criteria.block, Alignment::Steady, at).dispersed(criteria.dispersion)
        };
        let is_whole = extent == Extent::Whole;
        let mut critical = Mixture::new(
            Null::Relative(Margin::plus(criteria.critical_absolute)),
            criteria.critical_block,
            Alignment::FirstHit,
            at,
        )
        .dispersed(criteria.dispersion);
        critical.start();
        let guess = first_guess(past, criteria.is_sticky);
        Self {
            errors: slow(Null::Relative(criteria.errors)),
            critical,
            worse: is_whole.then(|| Box::new(slow(Null::Relative(Margin::NONE)))),
            slo: criteria
                .slo_errors
                .filter(|_| is_whole)
                .map(|limit| Box::new(slow(Null::Fixed(limit)))),
            requests_guess: guess,
            units_guess: guess,
            totals: ErrorCounts::default(),
        }
    }

    /// All tests.
    pub(super) fn each(&mut self, act: impl Fn(&mut Mixture)) {
        let more = self.worse.iter_mut().chain(&mut self.slo);
        [&mut self.errors, &mut self.critical]
            .into_iter()
            .chain(more.map(|test| &mut **test))
            .for_each(act);
    }

    /// Begins the slow tests.
    pub(super) fn start(&mut self) {
        self.errors.start();
        let more = self.worse.iter_mut().chain(&mut self.slo);
        more.for_each(|test| test.start());
    }

    /// From now on the evidence is divided by this.
    pub(super) fn disperse(&mut self, divisor: f64) {
        self.each(|test| test.disperse(divisor));
    }

    /// Chooses the stakes of the newest stage. Without a coin (the canary has everything) the
    /// critical and SLO tests go on alone, against stable's last rate.
    pub(super) fn refit(&mut self, share: Option<f64>) {
        let (requests, units) = (self.requests_guess.rate(), self.units_guess.rate());
        if let Some(share) = share {
            self.errors.refit(share, units);
            self.critical.refit(share, requests);
        } else {
            self.errors.rest();
            self.critical.refit_alone(requests);
        }
        if let Some(worse) = &mut self.worse {
            match share {
                Some(share) => worse.refit(share, units),
                None => worse.refit_alone(units),
            }
        }
        if let Some(slo) = &mut self.slo {
            slo.refit(share.unwrap_or(1.0), units);
        }
    }

    /// Takes a tick: the fast test.
    pub(super) fn absorb_critical(&mut self, from: Moment, fresh: f64, counted: &[Counted]) {
        let requests = counted.iter().map(|at| (at.slot, at.errors.requests));
        self.critical.absorb(from, fresh, requests);
        for at in counted {
            self.totals.requests.add(at.errors.requests);
            self.totals.units.add(at.errors.units);
        }
    }

    /// Takes a tick: the slow tests.
    pub(super) fn absorb(&mut self, from: Moment, fresh: f64, counted: &[Counted]) {
        let units = counted.iter().map(|at| (at.slot, at.errors.units));
        self.errors.absorb(from, fresh, units.clone());
        let more = self.worse.iter_mut().chain(&mut self.slo);
        more.for_each(|test| test.absorb(from, fresh, units.clone()));
    }

    /// Learns from a tick, after the tick was judged.
    pub(super) fn learn(&mut self, counted: &[Counted], decay: Decay) {
        let mut sum = ErrorCounts::default();
        for at in counted {
            sum.requests.add(at.errors.requests);
            sum.units.add(at.errors.units);
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

    /// The evidence against any difference.
    pub(super) fn worse(&self) -> f64 {
        self.worse.as_ref().map_or(0.0, |test| test.value())
    }

    /// Every test's part of the evidence.
    pub(super) fn parts(&self, criteria: &Criteria) -> Vec<Tested> {
        let weights = &criteria.weights;
        let part = |cause, evidence, hits| Tested {
            cause,
            evidence,
            hits,
            is_dry_run: criteria.dry_run.errors,
        };
        let errors = weights.errors * self.errors.value();
        let critical = weights.critical * self.critical.value();
        // Room for those of latency, too.
        let mut parts = Vec::with_capacity(11);
        parts.push(part(ERRORS, errors, self.errors.hits()));
        parts.push(part(CRITICAL, critical, self.critical.hits()));
        parts.extend(self.slo.as_ref().map(|slo| {
            let value = if criteria.slo_is_relative {
                slo.value().min(self.worse())
            } else {
                slo.value()
            };
            part(SLO, criteria.slo_weight() * value, slo.hits())
        }));
        parts
    }
}

fn first_guess((requests, failures): (u64, u64), is_sticky: bool) -> Guess {
    let requests = real(requests);
    if requests < 1.0 {
        return Guess::new(0.0, NO_HISTORY);
    }
    let most = if is_sticky {
        HISTORY_STICKY
    } else {
        HISTORY_MAX
    };
    let worth = if is_sticky { most } else { requests.min(most) };
    Guess::new(real(failures) / requests, worth.max(NO_HISTORY))
}
