//! When a request gets a second attempt beside its first (`hedge`): how long its version takes to
//! begin an answer, as this worker has seen it lately, and how many second attempts are left.
//!
//! The times are counted in buckets an eighth of a doubling wide, in two generations: the younger
//! one takes the place of the elder when it is full, so that what is known is never older than
//! twice [`FULL`] answers. The quantile is looked up anew every [`EVERY`] answers only.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::{
    model::{
        Share, SplitKey, UpstreamKey,
        number::{index, micros},
    },
    plan::HedgeAfter,
};

/// What a second attempt takes, in basis points of a request.
const PRICE: u32 = 10_000;
/// What may be saved up, and what a split starts with: five second attempts.
const SAVED_MAX: u32 = 5 * PRICE;
/// Answers that must be known before a quantile means anything.
const KNOWN: u32 = 100;
/// How often the quantile is looked up.
const EVERY: u32 = 50;
/// Answers of one generation.
const FULL: u32 = 2_000;
/// Times below this many microseconds, a power of two, are not told apart.
const LOWEST: u32 = 8;
const HIGHEST: u32 = (1 << 26) - 1;
/// Buckets of one doubling, and of all.
const PARTS: u32 = 8;
const BUCKETS: u32 = 23 * PARTS;

/// What one worker knows for hedging.
#[derive(Debug, Default)]
pub(crate) struct Hedges {
    saved: FxHashMap<SplitKey, u32>,
    starts: FxHashMap<(SplitKey, UpstreamKey), Starts>,
}

/// How long a version took to begin its answers.
#[derive(Debug, Default)]
struct Starts {
    younger: Vec<u32>,
    elder: Vec<u32>,
    /// In the younger generation.
    count: u32,
    of_elder: u32,
    quantile: Option<Duration>,
}

impl Hedges {
    /// A request has come; second attempts may be this share of all.
    pub(crate) fn deposit(&mut self, split: SplitKey, share: Share) {
        let saved = self.saved.entry(split).or_insert(SAVED_MAX);
        *saved = (*saved + u32::from(share.basis_points())).min(SAVED_MAX);
    }

    /// Whether a second attempt may be made; it is paid for then.
    pub(crate) fn withdraw(&mut self, split: SplitKey) -> bool {
        let saved = self.saved.entry(split).or_insert(SAVED_MAX);
        let is_affordable = *saved >= PRICE;
        if is_affordable {
            *saved -= PRICE;
        }
        is_affordable
    }

    /// How long the first attempt is waited for; `None`: too little is known.
    pub(crate) fn patience(
        &self,
        version: (SplitKey, UpstreamKey),
        after: HedgeAfter,
    ) -> Option<Duration> {
        match after {
            HedgeAfter::Time(time) => Some(time),
            HedgeAfter::Quantile(_) => self.starts.get(&version)?.quantile,
        }
    }

    /// An answer of a version has begun after this time.
    pub(crate) fn learn(
        &mut self,
        version: (SplitKey, UpstreamKey),
        after: HedgeAfter,
        took: Duration,
    ) {
        match after {
            HedgeAfter::Time(_) => {}
            HedgeAfter::Quantile(of_thousand) => {
                let starts = self.starts.entry(version).or_default();
                starts.learn(took, of_thousand);
            }
        }
    }
}

impl Starts {
    fn learn(&mut self, took: Duration, of_thousand: u16) {
        self.younger.resize(index(BUCKETS), 0);
        if let Some(count) = self.younger.get_mut(bucket_of(took)) {
            *count += 1;
        }
        self.count += 1;
        if self.count.is_multiple_of(EVERY) && self.count + self.of_elder >= KNOWN {
            self.quantile = self.find(of_thousand);
        }
        if self.count == FULL {
            std::mem::swap(&mut self.younger, &mut self.elder);
            self.younger.clear();
            (self.of_elder, self.count) = (self.count, 0);
        }
    }

    /// The upper end of the bucket in which the quantile lies.
    fn find(&self, of_thousand: u16) -> Option<Duration> {
        let all = u64::from(self.count + self.of_elder);
        let below = (all * u64::from(of_thousand)).div_ceil(1_000);
        let mut seen = 0;
        let elder = self.elder.iter().chain(std::iter::repeat(&0));
        for (bucket, (younger, elder)) in (0..).zip(self.younger.iter().zip(elder)) {
            seen += u64::from(younger + elder);
            if seen >= below {
                return Some(end_of(bucket));
            }
        }
        None
    }
}

/// The bucket of a time.
fn bucket_of(took: Duration) -> usize {
    let value = u32::try_from(micros(took)).unwrap_or(u32::MAX);
    let value = value.clamp(LOWEST, HIGHEST);
    let doublings = (value / LOWEST).ilog2();
    index(PARTS * doublings + (value >> doublings) - PARTS)
}

/// Where a bucket ends.
fn end_of(bucket: u32) -> Duration {
    let end = (PARTS + bucket % PARTS + 1) << (bucket / PARTS);
    Duration::from_micros(u64::from(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: (SplitKey, UpstreamKey) = (SplitKey(0), UpstreamKey(0));
    const P99: HedgeAfter = HedgeAfter::Quantile(990);

    /// Answers that begin after 1 to 100 ms, over and over.
    fn ramp(hedges: &mut Hedges, after: HedgeAfter, count: u32, scale: u64) {
        for n in 0..count {
            let took = Duration::from_millis(scale * (1 + u64::from(n % 100)));
            hedges.learn(VERSION, after, took);
        }
    }

    #[test]
    fn every_time_lies_below_the_end_of_its_bucket_and_near_it() {
        let mut value = 8_u64;
        while value < u64::from(HIGHEST) {
            let bucket = bucket_of(Duration::from_micros(value));
            let end = micros(end_of(u32::try_from(bucket).unwrap()));
            assert!(
                value < end && end <= value + value / 8 + 1,
                "{value}: {end}"
            );
            assert!(bucket < index(BUCKETS));
            value += 1 + value / 57;
        }
        for odd in [Duration::ZERO, Duration::MAX] {
            assert!(bucket_of(odd) < index(BUCKETS));
        }
    }

    #[test]
    fn a_quantile_is_known_after_a_hundred_answers_and_follows_the_last_thousands() {
        let mut hedges = Hedges::default();
        ramp(&mut hedges, P99, 99, 1);
        assert_eq!(hedges.patience(VERSION, P99), None);
        ramp(&mut hedges, P99, 1_901, 1);
        let known = hedges.patience(VERSION, P99).unwrap().as_millis();
        assert!((99..112).contains(&known), "{known}");
        ramp(&mut hedges, P99, 2 * FULL, 10);
        let known = hedges.patience(VERSION, P99).unwrap().as_millis();
        assert!((990..1_120).contains(&known), "{known}");
    }

    #[test]
    fn each_quantile_is_found_and_a_time_needs_no_answers() {
        for (of_thousand, lowest) in [(500, 50), (900, 90), (999, 100)] {
            let (mut hedges, after) = (Hedges::default(), HedgeAfter::Quantile(of_thousand));
            ramp(&mut hedges, after, 1_000, 1);
            let known = hedges.patience(VERSION, after).unwrap().as_millis();
            assert!(
                (lowest..lowest + lowest / 8 + 1).contains(&known),
                "{known}"
            );
        }
        let time = Duration::from_millis(50);
        let patience = Hedges::default().patience(VERSION, HedgeAfter::Time(time));
        assert_eq!(patience, Some(time));
    }

    #[test]
    fn second_attempts_are_a_share_of_the_requests_once_the_savings_are_spent() {
        for percent in [1, 2, 10, 100] {
            let (mut hedges, split) = (Hedges::default(), SplitKey(0));
            let share = Share::from_basis_points(percent * 100).unwrap();
            let made = (0..1_000).filter(|_| {
                hedges.deposit(split, share);
                hedges.withdraw(split)
            });
            let expected = (5 + 10 * usize::from(percent)).min(1_000);
            let made = made.count();
            assert!(made.abs_diff(expected) <= 1, "{percent} %: {made}");
        }
    }
}
