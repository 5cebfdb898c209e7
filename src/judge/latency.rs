//! Is the canary slower? Six tests of "slower than x", each at a quantile of stable; a fast one of
//! "badly slower", and one of a promised latency.
//!
//! The thresholds (`marks.rs`) are stable's p50 to p99.9 from before the stage, frozen; the
//! canary is compared at `(1 + margin)` times each. All six together say "the canary's latency,
//! divided by `1 + margin`, is not stochastically larger than stable's", whatever the shape of the
//! distribution. A request in flight is a hit as soon as it is older than the threshold: otherwise
//! a hung canary would look like silence until its timeout.

use std::time::Duration;

use super::{
    bet::{Counts, Margin},
    counted::{Counted, Extent, Tested},
    criteria::{Block, Criteria, QUANTILES},
    estimate::{Decay, Guess},
    marks::{CRITICAL, MARKS, PASS_P50, PASS_P99, SLO, TESTS, Thresholds},
    mixture::{Alignment, Mixture, Null},
    scatter::Scatter,
};
use crate::{
    measure::Latencies,
    model::{Moment, number::real},
};

/// What the tests are called.
pub(super) const NAMES: [&str; TESTS] = [
    "latency_p50",
    "latency_p75",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_p99.9",
];
const CRITICAL_NAMES: [&str; TESTS] = [
    "critical:latency_p50",
    "critical:latency_p75",
    "critical:latency_p90",
    "critical:latency_p95",
    "critical:latency_p99",
    "critical:latency_p99.9",
];
const SLO_NAMES: [&str; TESTS] = [
    "slo:latency_p50",
    "slo:latency_p75",
    "slo:latency_p90",
    "slo:latency_p95",
    "slo:latency_p99",
    "slo:latency_p99.9",
];
/// How many requests the history is worth at most.
const HISTORY_MAX: f64 = 2_000.0;

/// The most that a block of the fast test may say, in nats: with it, one block of all tests
/// together stays below a rollback.
pub(super) const CRITICAL_CAP: f64 = 4.2;

/// A promised latency: against the promise, and against any difference there.
#[derive(Debug, Clone)]
struct Slo {
    fixed: Mixture,
    worse: Mixture,
    name: &'static str,
}

/// The tests with what they need.
#[derive(Debug, Clone)]
pub(super) struct LatencyTests {
    tests: [Mixture; TESTS],
    critical: Option<(Mixture, &'static str)>,
    slo: Option<Box<Slo>>,
    guesses: [Guess; MARKS],
    /// Of the whole only: clumps are the endpoints', whatever the route.
    scatters: Option<Box<[Scatter; TESTS]>>,
    divisors: [f64; TESTS],
    totals: [Counts; MARKS],
    thresholds: Option<Thresholds>,
    /// The thresholds rest on enough of stable's latencies for all tests.
    is_settled: bool,
}

impl LatencyTests {
    /// Tests without thresholds: they rest.
    pub(super) fn new(extent: Extent, criteria: &Criteria, at: Moment) -> Self {
        let slow = |null| Mixture::new(null, criteria.block, Alignment::Steady, at);
        let test = slow(Null::Relative(criteria.latency()));
        let critical = criteria.critical_latency.map(|critical| {
            let null = Null::Relative(Margin::plus(critical.share));
            let block = Block {
                cap: criteria.critical_block.cap.min(CRITICAL_CAP),
                ..criteria.critical_block
            };
            let test = Mixture::new(null, block, Alignment::FirstHit, at);
            let name = CRITICAL_NAMES.get(critical.quantile).copied();
            (test, name.unwrap_or_default())
        });
        let promise = criteria.slo_latency.filter(|_| extent == Extent::Whole);
        let slo = promise.map(|promise| {
            let quantile = QUANTILES
                .iter()
                .position(|known| *known >= promise.quantile);
            Box::new(Slo {
                fixed: slow(Null::Fixed(1.0 - promise.quantile)),
                worse: slow(Null::Relative(Margin::NONE)),
                name: quantile
                    .and_then(|at| SLO_NAMES.get(at))
                    .copied()
                    .unwrap_or_default(),
            })
        });
        Self {
            tests: std::array::from_fn(|_| test.clone()),
            critical,
            slo,
            guesses: [Guess::new(0.0, 1.0); MARKS],
            scatters: (extent == Extent::Whole).then(Box::default),
            divisors: [1.0; TESTS],
            totals: [Counts::default(); MARKS],
            thresholds: None,
            is_settled: false,
        }
    }

    /// Freezes thresholds and guesses from stable's history; false if there is too little of it.
    /// Until there is enough only the fast test counts.
    pub(super) fn freeze(&mut self, history: &Latencies, criteria: &Criteria) -> bool {
        let Some(thresholds) = Thresholds::of(history, criteria) else {
            return false;
        };
        let all = real(history.count());
        let above = history.counts_above(&thresholds.stable).map(real);
        for (mark, (guess, above)) in self.guesses.iter_mut().zip(above).enumerate() {
            *guess = if mark == PASS_P50.1 || mark == PASS_P99.1 {
                Guess::new(above.max(0.3) / all, HISTORY_MAX)
            } else {
                Guess::new(above / all, all.min(HISTORY_MAX))
            };
        }
        let scatters = self.scatters.iter_mut().flat_map(|all| all.iter_mut());
        scatters.for_each(Scatter::cut);
        self.totals = [Counts::default(); MARKS];
        self.thresholds = Some(thresholds);
        self.is_settled = history.count() >= criteria.latency_history;
        if let Some((critical, _)) = &mut self.critical {
            critical.start();
        }
        true
    }

    /// The thresholds in force.
    pub(super) const fn thresholds(&self) -> Option<&Thresholds> {
        self.thresholds.as_ref()
    }

    /// Whether all tests have their thresholds.
    pub(super) const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Takes away what tests without their thresholds may not count.
    pub(super) fn confine(&self, counts: &mut [Counts; MARKS]) {
        if !self.is_settled {
            let others = counts.iter_mut().enumerate();
            let others = others.filter(|(mark, _)| *mark != CRITICAL);
            others.for_each(|(_, counts)| *counts = Counts::default());
        }
    }

    /// The guess of stable's share above a mark.
    pub(super) fn guess(&self, mark: usize) -> Option<&Guess> {
        self.guesses.get(mark)
    }

    /// The guess of stable's share above the promise.
    pub(super) fn guess_of_slo(&self) -> Option<&Guess> {
        self.slo.as_ref().and_then(|_| self.guesses.get(SLO))
    }

    /// The marks of a cause: for the canary, with what was counted there since it was frozen.
    pub(super) fn seen(&self, cause: &str) -> Option<(Duration, Counts)> {
        let mark = match cause.split_once(':') {
            None => NAMES.iter().position(|name| *name == cause)?,
            Some(("critical", _)) => CRITICAL,
            Some(_) => SLO,
        };
        let limit = self.thresholds.as_ref()?.canary.get(mark)?;
        Some((*limit, *self.totals.get(mark)?))
    }

    /// All tests.
    pub(super) fn each(&mut self, act: impl Fn(&mut Mixture)) {
        let critical = self.critical.iter_mut().map(|(test, _)| test);
        let slo = self.slo.iter_mut();
        let slo = slo.flat_map(|slo| {
            let Slo { fixed, worse, .. } = &mut **slo;
            [fixed, worse]
        });
        self.tests
            .iter_mut()
            .chain(critical)
            .chain(slo)
            .for_each(act);
    }

    /// Begins the slow tests, once there are thresholds.
    pub(super) fn start(&mut self) {
        if self.is_settled {
            self.tests.iter_mut().for_each(Mixture::start);
            if let Some(slo) = &mut self.slo {
                slo.fixed.start();
                slo.worse.start();
            }
        }
    }

    /// Chooses the stakes of the newest stage; without a coin only the fast test and the promise
    /// stake anything.
    pub(super) fn refit(&mut self, share: Option<f64>) {
        for (test, guess) in self.tests.iter_mut().zip(&self.guesses) {
            match share {
                Some(share) => test.refit(share, guess.rate()),
                None => test.rest(),
            }
        }
        let rate = |mark: usize| self.guesses.get(mark).map_or(0.0, Guess::rate);
        let (critical, slo) = (rate(CRITICAL), rate(SLO));
        let refit = |test: &mut Mixture, rate| match share {
            Some(share) => test.refit(share, rate),
            None => test.refit_alone(rate),
        };
        if let Some((test, _)) = &mut self.critical {
            refit(test, critical);
        }
        if let Some(tests) = &mut self.slo {
            refit(&mut tests.worse, slo);
            tests.fixed.refit(share.unwrap_or(1.0), slo);
        }
    }

    /// What the evidence is to be divided by for stable's clumps, those of the canary being `size`
    /// times as large.
    pub(super) fn clumps(&self, size: f64) -> [f64; TESTS] {
        let scatters = self.scatters.as_ref();
        scatters.map_or([1.0; TESTS], |all| all.map(|scatter| scatter.divisor(size)))
    }

    /// Divides the evidence of each test by this from now on.
    pub(super) fn disperse(&mut self, divisors: [f64; TESTS]) {
        self.divisors = divisors;
        for (test, divisor) in self.tests.iter_mut().zip(divisors) {
            test.disperse(divisor);
        }
    }

    /// What the evidence of each test is divided by.
    pub(super) const fn divisors(&self) -> [f64; TESTS] {
        self.divisors
    }

    /// What the evidence of a test is divided by.
    pub(super) fn divisor(&self, test: usize) -> f64 {
        self.divisors.get(test).copied().unwrap_or(1.0)
    }

    /// Takes a tick: the fast test.
    pub(super) fn absorb_critical(&mut self, from: Moment, fresh: f64, counted: &[Counted]) {
        if let Some((test, _)) = &mut self.critical {
            test.absorb(from, fresh, at_mark(counted, CRITICAL));
        }
        for counts in counted.iter().filter_map(|at| at.latency) {
            let totals = self.totals.iter_mut().zip(counts);
            totals.for_each(|(total, counts)| total.add(counts));
        }
    }

    /// Takes a tick: the slow tests.
    pub(super) fn absorb(&mut self, from: Moment, fresh: f64, counted: &[Counted]) {
        for (mark, test) in self.tests.iter_mut().enumerate() {
            test.absorb(from, fresh, at_mark(counted, mark));
        }
        if let Some(slo) = &mut self.slo {
            slo.fixed.absorb(from, fresh, at_mark(counted, SLO));
            slo.worse.absorb(from, fresh, at_mark(counted, SLO));
        }
    }

    /// Learns from a tick, after the tick was judged.
    pub(super) fn learn(&mut self, ends: (Moment, Moment), counted: &[Counted], decay: Decay) {
        let mut sums = [Counts::default(); MARKS];
        for counts in counted.iter().filter_map(|at| at.latency) {
            let sums = sums.iter_mut().zip(counts);
            sums.for_each(|(sum, counts)| sum.add(counts));
        }
        for (guess, sum) in self.guesses.iter_mut().zip(sums) {
            guess.learn(sum.stable, decay);
        }
        let scatters = self.scatters.iter_mut().flat_map(|all| all.iter_mut());
        for (scatter, sum) in scatters.zip(sums) {
            scatter.learn(ends, sum.stable, decay);
        }
    }

    /// Every test's part of the evidence.
    pub(super) fn parts(&self, criteria: &Criteria) -> impl Iterator<Item = Tested> + '_ {
        let weights = criteria.weights;
        let dry = criteria.dry_run.latency;
        let tests = NAMES.into_iter().zip(&self.tests);
        let tests = tests.zip(weights.latency.into_iter().zip(dry));
        let tests = tests.map(|((cause, test), (weight, is_dry_run))| Tested {
            cause,
            evidence: weight * test.value(),
            hits: test.hits(),
            is_dry_run,
        });
        let critical = self.critical.iter().map(move |(test, cause)| Tested {
            cause,
            evidence: weights.critical_latency * test.value(),
            hits: test.hits(),
            is_dry_run: false,
        });
        let (weight, is_relative) = (criteria.slo_weight(), criteria.slo_is_relative);
        let slo = self.slo.iter().map(move |slo| {
            let (fixed, worse) = (slo.fixed.value(), slo.worse.value());
            Tested {
                cause: slo.name,
                evidence: weight * if is_relative { fixed.min(worse) } else { fixed },
                hits: slo.fixed.hits(),
                is_dry_run: false,
            }
        });
        tests.chain(critical).chain(slo)
    }
}

fn at_mark(counted: &[Counted], mark: usize) -> impl Iterator<Item = (usize, Counts)> + '_ {
    let at = move |counted: &Counted| Some((counted.slot, *counted.latency.as_ref()?.get(mark)?));
    counted.iter().filter_map(at)
}
