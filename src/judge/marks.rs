//! Where latencies are counted: thresholds, and requests in flight that are older than them.

use std::time::Duration;

use super::{
    bet::Trials,
    criteria::{Criteria, QUANTILES},
    told::Arm,
};
use crate::measure::Latencies;

/// Tests: one a quantile.
pub(super) const TESTS: usize = QUANTILES.len();
/// The marks of a pass: of which test, and where.
pub(super) const PASS_P50: (usize, usize) = (0, TESTS);
/// The marks of a pass at p99.
pub(super) const PASS_P99: (usize, usize) = (4, TESTS + 1);
/// The mark of the fast test.
pub(super) const CRITICAL: usize = TESTS + 2;
/// The mark of the promise.
pub(super) const SLO: usize = TESTS + 3;
/// Marks at which latencies are counted: those of the tests, then these.
pub(super) const MARKS: usize = TESTS + 4;
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
        let tests = QUANTILES.into_iter().zip(criteria.latency_margins);
        for ((stable, canary), (quantile, margin)) in arms.zip(tests) {
            *stable = history.quantile(quantile)?;
            let floor = *stable + criteria.latency_floor;
            *canary = stable.mul_f64(1.0 + margin).max(floor);
        }
        let passes = [PASS_P50, PASS_P99].into_iter();
        for ((test, mark), margin) in passes.zip(criteria.pass_latency_margins) {
            let from = *thresholds.stable.get(test)?;
            let floor = from + 2 * criteria.latency_floor;
            thresholds.set(mark, from.mul_f64(1.0 + margin).max(floor));
        }
        // A mark that nothing tests is where another is: it costs no second look.
        let last = *thresholds.stable.get(TESTS - 1)?;
        thresholds.set(CRITICAL, last);
        if let Some(critical) = criteria.critical_latency {
            let of = *thresholds.stable.get(critical.quantile)?;
            thresholds.set(CRITICAL, of.mul_f64(critical.times).max(critical.at_least));
        }
        thresholds.set(SLO, criteria.slo_latency.map_or(last, |slo| slo.limit));
        Some(thresholds)
    }

    /// The same mark for both versions.
    fn set(&mut self, mark: usize, at: Duration) {
        for marks in [&mut self.stable, &mut self.canary] {
            if let Some(mark) = marks.get_mut(mark) {
                *mark = at;
            }
        }
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
