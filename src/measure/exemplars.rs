//! One request of each bucket of a latency histogram, named by its trace.

use std::time::Duration;

use crate::model::{Moment, TraceId, number::micros};

/// Upper edges of the classic buckets, in microseconds; the last bucket has none.
pub const BUCKETS: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// A request that stands for those of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace that it is a part of.
    pub trace: TraceId,
    /// When it ended.
    pub at: Moment,
    /// How long it took.
    pub took: Duration,
}

impl Exemplar {
    /// Its bucket's place in [`BUCKETS`]; their number is that of the last one.
    pub fn bucket(&self) -> usize {
        let took = micros(self.took);
        BUCKETS.partition_point(|edge| *edge < took)
    }
}

/// The exemplars of one histogram.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    /// Keeps one if its bucket has none: of the requests of one sample the first.
    pub(super) fn offer(&mut self, exemplar: Exemplar) {
        let bucket = exemplar.bucket();
        if self.of(bucket).is_none() {
            self.0.push(exemplar);
        }
    }

    /// Takes over those of other samples: the newest of each bucket.
    pub fn merge(&mut self, other: &Self) {
        for exemplar in &other.0 {
            let bucket = exemplar.bucket();
            match self.0.iter_mut().find(|known| known.bucket() == bucket) {
                Some(known) if known.at >= exemplar.at => {}
                Some(known) => *known = *exemplar,
                None => self.0.push(*exemplar),
            }
        }
    }

    /// That of a bucket.
    pub fn of(&self, bucket: usize) -> Option<&Exemplar> {
        self.0.iter().find(|known| known.bucket() == bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(millis: u64, second: u64) -> Exemplar {
        Exemplar {
            trace: TraceId::new([7; 16]).unwrap(),
            at: Moment::from_millis(1_000 * second),
            took: Duration::from_millis(millis),
        }
    }

    #[test]
    fn each_bucket_has_one_the_first_of_a_sample_and_the_newest_of_all() {
        let mut sample = Exemplars::default();
        for (millis, second) in [(3, 1), (4, 2), (5, 3), (6, 4), (60_000, 5)] {
            sample.offer(exemplar(millis, second));
        }
        assert_eq!(sample.0.len(), 3);
        assert_eq!(sample.of(2), Some(&exemplar(3, 1)), "5 ms are at most 5 ms");
        assert_eq!(sample.of(BUCKETS.len()), Some(&exemplar(60_000, 5)));
        let mut all = Exemplars::default();
        all.offer(exemplar(4, 9));
        all.offer(exemplar(7, 3));
        all.merge(&sample);
        assert_eq!(all.of(2), Some(&exemplar(4, 9)));
        assert_eq!(all.of(3), Some(&exemplar(6, 4)));
        assert_eq!(all.of(0), None);
    }
}
