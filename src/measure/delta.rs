//! A worker's latencies since its last sample, in the buckets of [`Latencies`].
//!
//! Recording is an addition to one of 3,072 counts, of which there are as many as latencies have
//! needed; taking looks only at those that were touched.

use std::time::Duration;

use super::latencies::{HIGHEST, LOWEST, Latencies};
use crate::model::number::{index, micros};

/// Up to here each microsecond has a bucket of its own; further up, half as many for each doubling.
const SINGLE: u32 = 256;
const HALF: u32 = SINGLE / 2;
/// Counts come in such pieces.
const PIECE: usize = 256;

/// Latencies on their way into a sample.
#[derive(Debug, Default)]
pub(super) struct Delta {
    counts: Vec<u32>,
    touched: Vec<u32>,
}

impl Delta {
    /// Counts one latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let bucket = bucket_of(micros(latency).clamp(LOWEST, HIGHEST));
        if index(bucket) >= self.counts.len() {
            let needed = index(bucket) + 1;
            self.counts.resize(needed.next_multiple_of(PIECE), 0);
        }
        if let Some(count) = self.counts.get_mut(index(bucket)) {
            if *count == 0 {
                self.touched.push(bucket);
            }
            *count = count.saturating_add(1);
        }
    }

    /// What was counted; from now on it is counted anew.
    pub(super) fn take(&mut self) -> Latencies {
        self.touched.sort_unstable();
        let counts = &mut self.counts;
        let buckets = self.touched.drain(..).map(|bucket| {
            let count = counts.get_mut(index(bucket)).map_or(0, std::mem::take);
            (edge(bucket), u64::from(count))
        });
        Latencies::few(buckets.collect())
    }
}

/// The largest value in the bucket of `value`; what is over [`HIGHEST`] is in its bucket.
pub(super) fn edge_of(value: u64) -> u32 {
    edge(bucket_of(value.min(HIGHEST)))
}

/// The bucket of a value that is at most [`HIGHEST`].
fn bucket_of(value: u64) -> u32 {
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    let shift = (value | (SINGLE - 1)).ilog2() - (SINGLE - 1).ilog2();
    HALF * shift + (value >> shift)
}

/// The largest value in a bucket.
fn edge(bucket: u32) -> u32 {
    let shift = (bucket / HALF).saturating_sub(1);
    ((bucket - HALF * shift + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;

    #[test]
    fn buckets_are_those_of_the_histogram() {
        let histogram = Histogram::<u64>::new_with_bounds(1, HIGHEST, 2).unwrap();
        let mut value = 0;
        while value <= HIGHEST {
            for near in [value.saturating_sub(1), value, (value + 1).min(HIGHEST)] {
                let edge = u64::from(edge_of(near));
                assert_eq!(edge, histogram.highest_equivalent(near), "{near}");
                assert!(bucket_of(near) < 3_072);
            }
            value += 1 + value / 97;
        }
    }

    #[test]
    fn what_was_taken_is_counted_no_more() {
        let mut delta = Delta::default();
        delta.record(Duration::from_millis(5));
        assert_eq!(delta.take().count(), 1);
        assert!(delta.take().is_empty());
        delta.record(Duration::from_millis(5));
        assert_eq!(delta.take().count(), 1);
    }
}
