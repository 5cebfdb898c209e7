//! A latency distribution: an HDR histogram of microseconds, two significant digits.
//!
//! Two digits (0.8 % error) cost 24 KiB; three would cost 144 KiB and the judge's margins start at
//! 5 %. Nothing is allocated until the first value.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;

use crate::model::number::{micros, real};

const LOWEST: u64 = 1;
const HIGHEST: u64 = 600_000_000;
const DIGITS: u8 = 2;

/// Latencies from 1 microsecond to 10 minutes; what lies outside is counted at the edge.
#[derive(Clone, Default)]
pub struct Latencies(Option<Box<Histogram<u64>>>);

impl fmt::Debug for Latencies {
    /// The count and a few quantiles: the buckets would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantiles = [0.5, 0.99, 1.0].map(|quantile| self.quantile(quantile));
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("p50_p99_max", &quantiles)
            .finish()
    }
}

impl Latencies {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Nothing yet, with three significant digits: six times the memory, for recorded traces.
    pub fn fine() -> Self {
        Self(
            Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS + 1)
                .ok()
                .map(Box::new),
        )
    }

    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        self.record_n(latency, 1);
    }

    /// Counts one latency `count` times.
    pub fn record_n(&mut self, latency: Duration, count: u64) {
        let value = micros(latency).clamp(LOWEST, HIGHEST);
        if let Some(histogram) = self.allocated() {
            histogram.saturating_record_n(value, count);
        }
    }

    /// Adds another distribution.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = &other.0 else { return };
        if let Some(ours) = self.allocated() {
            // Both have the same bounds, so this cannot fail.
            let _same_bounds = ours.add(&**theirs);
        }
    }

    /// How many latencies were counted.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// How many latencies were counted whose bucket lies wholly above `threshold`.
    pub fn count_above(&self, threshold: Duration) -> u64 {
        let Some(histogram) = &self.0 else { return 0 };
        let at_most = histogram.count_between(0, micros(threshold).min(HIGHEST));
        histogram.len().saturating_sub(at_most)
    }

    /// [`Self::count_above`] for several thresholds, in one pass.
    pub fn counts_above<const N: usize>(&self, thresholds: &[Duration; N]) -> [u64; N] {
        let mut counts = [0; N];
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return counts;
        };
        let mut marks = thresholds.each_ref().map(|threshold| (*threshold, 0));
        marks
            .iter_mut()
            .zip(0..)
            .for_each(|((_, place), index)| *place = index);
        marks.sort_unstable();
        // The first value that is not yet looked at, and how many lie below it. There is nothing
        // below the least value and above the largest.
        let (mut next, mut below) = (histogram.min(), 0);
        let most = histogram.max();
        for (threshold, place) in marks {
            let edge = histogram.highest_equivalent(micros(threshold).min(most));
            if edge >= next {
                below += histogram.count_between(next, edge);
                next = edge + 1;
            }
            if let Some(count) = counts.get_mut::<usize>(place) {
                *count = histogram.len().saturating_sub(below);
            }
        }
        counts
    }

    /// The latency that a share `quantile` (0 to 1) of all is not above; `None` of nothing.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_micros(histogram.value_at_quantile(quantile)))
    }

    /// The sum of all latencies in seconds, as exact as the buckets are.
    pub fn sum_seconds(&self) -> f64 {
        self.buckets()
            .map(|(latency, count)| latency.as_secs_f64() * real(count))
            .sum()
    }

    /// The non-empty buckets, ascending: inclusive upper edge and count.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.0.iter().flat_map(|histogram| {
            histogram.iter_recorded().map(|bucket| {
                (
                    Duration::from_micros(bucket.value_iterated_to()),
                    bucket.count_at_value(),
                )
            })
        })
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn allocated(&mut self) -> Option<&mut Histogram<u64>> {
        if self.0.is_none() {
            let fresh = Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS);
            self.0 = fresh.ok().map(Box::new);
        }
        self.0.as_deref_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Latencies {
        let mut latencies = Latencies::new();
        for value in values {
            latencies.record(Duration::from_millis(*value));
        }
        latencies
    }

    #[test]
    fn values_beyond_the_bounds_are_counted_at_the_edge() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::from_hours(24));
        assert_eq!(latencies.count(), 2);
        assert!(latencies.quantile(1.0).unwrap() >= Duration::from_mins(10));
    }

    #[test]
    fn merging_adds_counts_whatever_the_order() {
        let (mut left, mut right) = (of(&[1, 5, 9]), of(&[7, 100]));
        let (only_left, only_right) = (left.clone(), right.clone());
        left.merge(&only_right);
        right.merge(&only_left);
        assert_eq!(
            left.buckets().collect::<Vec<_>>(),
            right.buckets().collect::<Vec<_>>()
        );
        assert_eq!(left.count(), 5);
        assert_eq!(left.count_above(Duration::from_millis(8)), 2);
        assert_eq!(Latencies::new().count_above(Duration::ZERO), 0);
        let marks = [4, 7, 8, 100, 5, 0].map(Duration::from_millis);
        let each = marks.map(|mark| left.count_above(mark));
        assert_eq!(left.counts_above(&marks), each);
        assert_eq!(each, [4, 2, 2, 0, 3, 5]);
    }
}
