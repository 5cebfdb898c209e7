//! What each endpoint has answered: a few small counts, so that one bad endpoint can be told from
//! a bad version, and clumps of failures be seen.
//!
//! There may be thousands of endpoints, so an endpoint has no histogram: its latencies are counted
//! in 24 buckets, each twice as wide as the one before.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::model::{
    EndpointKey, Moment, Role, SplitKey,
    number::{index, micros},
};

/// How many buckets of latency there are; the last begins at four seconds.
pub const LATENCY_BUCKETS: usize = 24;
/// How many endpoints one worker counts; attempts at others are counted by version only.
const ENDPOINTS_MAX: usize = 4_096;
/// For how long the place of an endpoint without requests is kept.
const KEPT: Duration = Duration::from_mins(1);

/// What counts by endpoint belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointLabel {
    /// The split.
    pub split: SplitKey,
    /// The part of the version in it.
    pub role: Role,
    /// The endpoint.
    pub endpoint: EndpointKey,
}

/// Judged requests of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointCounts {
    /// Those whose outcome became known.
    pub trials: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Trials by the number of binary digits that their microseconds have.
    latency: [u32; LATENCY_BUCKETS],
}

impl EndpointCounts {
    /// Counts one trial.
    pub fn record(&mut self, is_failure: bool, latency: Duration) {
        self.trials += 1;
        self.failures += u64::from(is_failure);
        let digits = u64::BITS - micros(latency).leading_zeros();
        let bucket = index(digits).min(LATENCY_BUCKETS - 1);
        if let Some(count) = self.latency.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: &Self) {
        self.trials += other.trials;
        self.failures += other.failures;
        for (count, more) in self.latency.iter_mut().zip(&other.latency) {
            *count = count.saturating_add(*more);
        }
    }

    /// How many trials lie in buckets from this one on.
    pub fn slower(&self, bucket: usize) -> u64 {
        let counts = self.latency.iter().skip(bucket);
        counts.map(|count| u64::from(*count)).sum()
    }

    /// Whether nothing was counted.
    pub const fn is_empty(&self) -> bool {
        self.trials == 0
    }
}

/// A worker's counts by endpoint since its last sample.
#[derive(Debug, Default)]
pub(super) struct Endpoints(FxHashMap<EndpointLabel, Held>);

/// The counts of an endpoint, and when it last had some.
#[derive(Debug, Default)]
struct Held {
    counts: EndpointCounts,
    used: Moment,
}

impl Endpoints {
    /// Counts one trial, if there is room for its endpoint.
    pub(super) fn record(&mut self, label: EndpointLabel, is_failure: bool, latency: Duration) {
        if let Some(counts) = self.counts(label) {
            counts.record(is_failure, latency);
        }
    }

    /// What was counted. Places are kept for the next time, so that counting allocates nothing.
    pub(super) fn take(&mut self, now: Moment) -> FxHashMap<EndpointLabel, EndpointCounts> {
        let mut taken = FxHashMap::default();
        for (label, held) in &mut self.0 {
            if !held.counts.is_empty() {
                taken.insert(*label, std::mem::take(&mut held.counts));
                held.used = now;
            }
        }
        self.0.retain(|_, held| now.since(held.used) < KEPT);
        taken
    }

    /// Puts back what could not be handed over.
    pub(super) fn put_back(&mut self, taken: &FxHashMap<EndpointLabel, EndpointCounts>) {
        for (label, more) in taken {
            if let Some(counts) = self.counts(*label) {
                counts.merge(more);
            }
        }
    }

    fn counts(&mut self, label: EndpointLabel) -> Option<&mut EndpointCounts> {
        let is_full = self.0.len() >= ENDPOINTS_MAX;
        if is_full && !self.0.contains_key(&label) {
            return None;
        }
        Some(&mut self.0.entry(label).or_default().counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(endpoint: u32) -> EndpointLabel {
        EndpointLabel {
            split: SplitKey(0),
            role: Role::Canary,
            endpoint: EndpointKey(endpoint),
        }
    }

    #[test]
    fn latencies_fall_into_buckets_that_double() {
        let cases = [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 2),
            (4_095, 12),
            (4_096, 13),
            (4_194_303, 22),
            (4_194_304, 23),
            (u64::MAX, 23),
        ];
        for (latency, bucket) in cases {
            let mut counts = EndpointCounts::default();
            counts.record(false, Duration::from_micros(latency));
            assert_eq!(counts.slower(bucket), 1, "{latency}");
            assert_eq!(counts.slower(bucket + 1), 0, "{latency}");
        }
    }

    #[test]
    fn counts_are_taken_once_and_can_be_put_back() {
        let mut endpoints = Endpoints::default();
        endpoints.record(label(1), true, Duration::from_millis(5));
        endpoints.record(label(1), false, Duration::from_millis(5));
        let taken = endpoints.take(Moment::ZERO);
        assert_eq!((taken[&label(1)].trials, taken[&label(1)].failures), (2, 1));
        assert!(endpoints.take(Moment::ZERO).is_empty());
        endpoints.record(label(1), true, Duration::from_millis(5));
        endpoints.put_back(&taken);
        assert_eq!(endpoints.take(Moment::ZERO)[&label(1)].failures, 2);
    }

    #[test]
    fn places_are_bounded_and_those_without_requests_are_given_up() {
        let mut endpoints = Endpoints::default();
        for endpoint in 0..5_000 {
            endpoints.record(label(endpoint), false, Duration::ZERO);
        }
        let taken = endpoints.take(Moment::ZERO);
        assert_eq!(taken.len(), ENDPOINTS_MAX);
        assert!(
            !taken.contains_key(&label(4_999)),
            "those with a place keep it"
        );
        endpoints.record(label(0), false, Duration::ZERO);
        assert_eq!(endpoints.take(Moment::ZERO + KEPT).len(), 1);
        endpoints.record(label(4_999), false, Duration::ZERO);
        assert_eq!(
            endpoints.take(Moment::ZERO + KEPT).len(),
            1,
            "there is room"
        );
    }
}
