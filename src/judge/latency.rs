//! Is the canary slower? Six tests of "slower than x", each at a quantile of stable.
//!
//! The thresholds are stable's p50 to p99.9 from before the stage, frozen for its length; the
//! canary is compared at `(1 + margin)` times each. All six together say "the canary's latency,
//! divided by `1 + margin`, is not stochastically larger than stable's", whatever the shape of the
//! distribution. A request in flight is a hit as soon as it is older than the threshold: otherwise
//! a hung canary would look like silence until its timeout.

use std::time::Duration;

use super::{
    bet::{Counts, Trials},
    criteria::{Criteria, QUANTILES},
    estimate::{Decay, Guess},
    evidence::Arm,
    mixture::{Alignment, Mixture, Null},
    scatter::Scatter,
};
use crate::{
    measure::Latencies,
    model::{Moment, number::real},
};

/// Tests: one a quantile.
pub(super) const TESTS: usize = QUANTILES.len();
/// Marks at which latencies are counted: those of the tests, then two for a pass.
pub(super) const MARKS: usize = TESTS + 2;
/// The marks of a pass: of which test, and where.
pub(super) const PASS_P50: (usize, usize) = (0, TESTS);
/// The marks of a pass at p99.
pub(super) const PASS_P99: (usize, usize) = (4, TESTS + 1);
/// What the tests are called.
pub(super) const NAMES: [&str; TESTS] = [
    "latency_p50",
    "latency_p75",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_p99.9",
];
/// How many requests the history is worth at most.
const HISTORY_MAX: f64 = 2_000.0;

/// Latencies at which each version's requests are counted as slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thresholds {
    /// For the canary.
    pub canary: [Duration; MARKS],
    /// For stable.
    pub stable: [Duration; MARKS],
}

impl Thresholds {
    /// From stable's history; `None` of nothing.
    pub(super) fn of(history: &Latencies, criteria: &Criteria) -> Option<Self> {
        let mut thresholds = Self {
            canary: [Duration::ZERO; MARKS],
            stable: [Duration::ZERO; MARKS],
        };
        let arms = thresholds.stable.iter_mut().zip(&mut thresholds.canary);
        for ((stable, canary), quantile) in arms.zip(QUANTILES) {
            *stable = history.quantile(quantile)?;
            let floor = *stable + criteria.latency_floor;
            *canary = stable.mul_f64(1.0 + criteria.latency_margin).max(floor);
        }
        for (test, mark) in [PASS_P50, PASS_P99] {
            let from = *thresholds.stable.get(test)?;
            let floor = from + 2 * criteria.latency_floor;
            let at = from.mul_f64(1.0 + criteria.pass_latency_margin).max(floor);
            *thresholds.stable.get_mut(mark)? = at;
            *thresholds.canary.get_mut(mark)? = at;
        }
        Some(thresholds)
    }
}

/// Requests in flight that were counted as slow before they ended, at `N` marks.
#[derive(Debug, Clone)]
pub(super) struct Ageing<const N: usize> {
    /// Older than the mark at the last tick; `None`: unknown, so nothing can be said of a change.
    before: Option<[u64; N]>,
    /// Ends that came back as not slow, by rounding: taken off the next hits.
    debt: [u64; N],
}

impl<const N: usize> Default for Ageing<N> {
    fn default() -> Self {
        Self {
            before: Some([0; N]),
            debt: [0; N],
        }
    }
}

impl<const N: usize> Ageing<N> {
    /// Forgets: the marks are new.
    pub(super) const fn forget(&mut self) {
        self.before = None;
        self.debt = [0; N];
    }

    /// Nothing was counted and nothing is in flight: what was has gone without an outcome.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }

    /// Counts hits at each mark: ended above it, plus the change of those in flight beyond it. An
    /// attempt that the client left was slow if it was beyond the mark by then; else it is nothing.
    pub(super) fn count(&mut self, arm: Arm<'_>, marks: &[Duration; N]) -> [Trials; N] {
        let all = arm.cell.latency.count();
        let above = arm.cell.latency.counts_above(marks);
        let left = arm.cell.abandoned.counts_above(marks);
        let older = arm
            .in_flight
            .map_or([0; N], |ages| ages.counts_above(marks));
        let before = self.before.unwrap_or(older);
        let mut trials = [Trials::default(); N];
        let gains = above
            .iter()
            .zip(left)
            .zip(older)
            .map(|((above, left), older)| {
                let misses = all.saturating_sub(*above);
                (misses, above + left + older)
            });
        let losses = before.iter().zip(&mut self.debt);
        for ((trials, (misses, gained)), (before, debt)) in trials.iter_mut().zip(gains).zip(losses)
        {
            let lost = before + *debt;
            let hits = gained.saturating_sub(lost);
            *debt = lost.saturating_sub(gained);
            *trials = Trials::new(misses + hits, hits);
        }
        self.before = Some(older);
        trials
    }
}

/// The tests with what they need.
#[derive(Debug, Clone)]
pub(super) struct LatencyTests {
    tests: [Mixture; TESTS],
    guesses: [Guess; TESTS],
    beyond: [Guess; 2],
    scatters: [Scatter; TESTS],
    divisors: [f64; TESTS],
    totals: [Counts; TESTS],
    thresholds: Option<Thresholds>,
}

impl LatencyTests {
    /// Tests without thresholds: they rest.
    pub(super) fn new(criteria: &Criteria, at: Moment) -> Self {
        let null = Null::Relative(criteria.latency());
        let test = Mixture::new(null, criteria.block, Alignment::Steady, at);
        Self {
            tests: std::array::from_fn(|_| test.clone()),
            guesses: [Guess::new(0.0, 1.0); TESTS],
            beyond: [Guess::new(0.0, 1.0); 2],
            scatters: [Scatter::default(); TESTS],
            divisors: [1.0; TESTS],
            totals: [Counts::default(); TESTS],
            thresholds: None,
        }
    }

    /// Freezes thresholds and guesses from stable's history; false if there is too little of it.
    pub(super) fn freeze(&mut self, history: &Latencies, criteria: &Criteria) -> bool {
        let Some(thresholds) = Thresholds::of(history, criteria) else {
            return false;
        };
        let all = real(history.count());
        let above = history.counts_above(&thresholds.stable).map(real);
        let (tests, pass) = above.split_at(TESTS);
        for (guess, above) in self.guesses.iter_mut().zip(tests) {
            *guess = Guess::new(above / all, all.min(HISTORY_MAX));
        }
        for (guess, above) in self.beyond.iter_mut().zip(pass) {
            *guess = Guess::new(above.max(0.3) / all, HISTORY_MAX);
        }
        self.scatters.iter_mut().for_each(Scatter::cut);
        self.totals = [Counts::default(); TESTS];
        self.thresholds = Some(thresholds);
        true
    }

    /// The thresholds in force.
    pub(super) const fn thresholds(&self) -> Option<&Thresholds> {
        self.thresholds.as_ref()
    }

    /// The guess of stable's share above a test's threshold.
    pub(super) fn guess(&self, test: usize) -> Option<&Guess> {
        self.guesses.get(test)
    }

    /// The guess of stable's share above the mark of a pass.
    pub(super) fn beyond(&self, mark: usize) -> Option<&Guess> {
        self.beyond.get(mark.checked_sub(TESTS)?)
    }

    /// Counts of a test since its thresholds were frozen.
    pub(super) fn totals(&self, test: usize) -> Option<Counts> {
        self.totals.get(test).copied()
    }

    /// Begins, once there are thresholds.
    pub(super) fn start(&mut self) {
        if self.thresholds.is_some() {
            self.tests.iter_mut().for_each(Mixture::start);
        }
    }

    /// Chooses the stakes of a slot; without a coin they are nothing.
    pub(super) fn refit(&mut self, slot: usize, share: Option<f64>) {
        for (test, guess) in self.tests.iter_mut().zip(&self.guesses) {
            match share {
                Some(share) => test.refit(slot, share, guess.rate()),
                None => test.rest(slot),
            }
        }
    }

    /// Divides the evidence from now on by stable's clumps, those of the canary being `size` times
    /// as large.
    pub(super) fn temper(&mut self, size: f64) {
        let each = self.tests.iter_mut().zip(&self.scatters);
        for ((test, scatter), divisor) in each.zip(&mut self.divisors) {
            *divisor = scatter.divisor(size);
            test.disperse(*divisor);
        }
    }

    /// What the evidence of a test is divided by.
    pub(super) fn divisor(&self, test: usize) -> f64 {
        self.divisors.get(test).copied().unwrap_or(1.0)
    }

    /// Takes a tick, by slot.
    pub(super) fn absorb(&mut self, from: Moment, fresh: f64, ticks: &[(usize, [Counts; MARKS])]) {
        let mut counts = Vec::with_capacity(ticks.len());
        for (index, test) in self.tests.iter_mut().enumerate() {
            counts.clear();
            counts.extend(
                ticks
                    .iter()
                    .filter_map(|(slot, at)| Some((*slot, *at.get(index)?))),
            );
            test.absorb(from, fresh, &counts);
        }
        for (_, at) in ticks {
            self.totals
                .iter_mut()
                .zip(at)
                .for_each(|(total, counts)| total.add(*counts));
        }
    }

    /// Learns from a tick, after the tick was judged.
    pub(super) fn learn(
        &mut self,
        ends: (Moment, Moment),
        ticks: &[(usize, [Counts; MARKS])],
        decay: Decay,
    ) {
        let mut sums = [Counts::default(); MARKS];
        for (_, counts) in ticks {
            sums.iter_mut()
                .zip(counts)
                .for_each(|(sum, counts)| sum.add(*counts));
        }
        let (tests, pass) = sums.split_at(TESTS);
        let guesses = self.guesses.iter_mut().zip(&mut self.scatters);
        for ((guess, scatter), sum) in guesses.zip(tests) {
            guess.learn(sum.stable, decay);
            scatter.learn(ends, sum.stable, decay);
        }
        for (guess, sum) in self.beyond.iter_mut().zip(pass) {
            guess.learn(sum.stable, decay);
        }
    }

    /// The tests by name.
    pub(super) fn tests(&self) -> impl Iterator<Item = (&'static str, &Mixture)> + '_ {
        NAMES.into_iter().zip(&self.tests)
    }
}
