//! How fast an endpoint answers, as one worker sees it: the peak EWMA of Finagle.
//!
//! A slow answer counts at once, a fast one by and by: after a stall an endpoint gets fewer
//! requests from the next one on, and has to earn its part again. What is not confirmed fades, so
//! that nobody is avoided for ever: half of it in [`FADES`], and straight lines between.

use std::time::Duration;

use crate::model::{Moment, number::micros};

/// The time in which half of what is known fades, in microseconds.
const FADES: u64 = 1_000_000;
/// Nothing is slower.
const SLOWEST: u64 = 60_000_000;

/// How fast an endpoint answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// In microseconds; 0: nothing is known.
    latency: u32,
    measured: Moment,
}

impl Pace {
    /// In microseconds, as far as it still counts; 0: nothing is known.
    pub(super) fn at(self, now: Moment) -> u32 {
        let age = micros(now.since(self.measured));
        let halves = u32::try_from(age / FADES).unwrap_or(u32::MAX);
        let from = self.latency.checked_shr(halves).unwrap_or(0);
        let lost = u64::from(from) * (age % FADES) / (2 * FADES);
        from.saturating_sub(u32::try_from(lost).unwrap_or(u32::MAX))
    }

    /// An answer has begun after this time. A failure is no answer: however fast it is, it makes
    /// the endpoint look twice as slow, or it would attract all requests.
    pub(super) fn learn(&mut self, took: Duration, failed: bool, now: Moment) {
        let known = u64::from(self.at(now));
        let seen = micros(took).clamp(1, SLOWEST);
        let seen = if failed { seen.max(known * 2) } else { seen };
        let age = micros(now.since(self.measured)).min(SLOWEST);
        let latency = if seen >= known {
            seen
        } else {
            (u64::from(self.latency) * FADES + seen * age) / (FADES + age)
        };
        self.latency = u32::try_from(latency.min(SLOWEST)).unwrap_or(u32::MAX);
        self.measured = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    /// What is known, in milliseconds, after answers at these moments.
    fn after(answers: &[(u64, u64, bool)], now: u64) -> u32 {
        let mut pace = Pace::default();
        for (when, took, failed) in answers {
            pace.learn(Duration::from_millis(*took), *failed, at(*when));
        }
        pace.at(at(now)) / 1_000
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_a_fast_one_by_and_by() {
        assert_eq!(after(&[], 0), 0);
        assert_eq!(after(&[(0, 10, false)], 0), 10);
        assert_eq!(after(&[(0, 10, false), (1, 500, false)], 1), 500);
        assert_eq!(after(&[(0, 500, false), (100, 10, false)], 100), 455);
        let many: Vec<_> = (0..600).map(|n| (n * 100, 10, false)).collect();
        let stalled = [&[(0, 500, false)][..], &many].concat();
        assert!((9..20).contains(&after(&stalled, 60_000)));
    }

    #[test]
    fn what_is_not_confirmed_fades() {
        assert_eq!(after(&[(0, 100, false)], 1_000), 50);
        assert_eq!(after(&[(0, 100, false)], 1_500), 37);
        assert_eq!(after(&[(0, 60_000, false)], 12_000), 14);
    }

    #[test]
    fn a_fast_failure_attracts_nobody() {
        assert_eq!(after(&[(0, 10, false), (1, 0, true)], 1), 19);
        let failures = (1..99).map(|n| (n, 0, true));
        let failures: Vec<_> = std::iter::once((0, 10, false)).chain(failures).collect();
        assert_eq!(after(&failures, 98), 60_000, "and has an end");
    }
}
