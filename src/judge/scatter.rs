//! How clumped stable's slow requests are, measured while the rollout goes on.
//!
//! A pause of one process (garbage collection, a noisy neighbour) makes all its requests slow at
//! once. They share a fate, and the coin does not help: two healthy processes that pause for 20 ms
//! once in five seconds look different at p99 to a test that takes requests as independent. So the
//! scatter of stable's slow requests between neighbouring windows of time is compared with that of
//! independent ones; windows are compared with their neighbours only, so a drift does not count,
//! and an outage counts little. The evidence of the latency tests is divided by what follows from
//! it for the canary: its clumps are as much smaller as its traffic is.

use std::time::Duration;

use super::{bet::Trials, estimate::Decay};
use crate::model::{Moment, number::real};

/// The length of a window.
const WINDOW: Duration = Duration::from_millis(500);
/// How much scatter independence is worth before anything is seen.
const PRIOR: f64 = 5.0;
/// What the measure may exceed 1 by chance.
const CHANCE: f64 = 0.3;
/// Clumps differ in size, and few have been seen: the measure is doubled.
const CAUTION: f64 = 2.0;
/// The most that evidence is divided by.
const DIVISOR_MAX: f64 = 50.0;

/// The scatter at one threshold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scatter {
    since: Option<Moment>,
    current: Trials,
    before: Trials,
    seen: f64,
    expected: f64,
}

impl Scatter {
    /// Learns from a tick, after the tick was judged.
    pub(super) fn learn(&mut self, (from, to): (Moment, Moment), stable: Trials, decay: Decay) {
        self.seen *= decay.0;
        self.expected *= decay.0;
        self.current.add(stable);
        let since = *self.since.get_or_insert(from);
        if to.since(since) < WINDOW {
            return;
        }
        let (now, before) = (self.current, self.before);
        if now.trials > 0 && before.trials > 0 {
            let mut both = now;
            both.add(before);
            let times = real(now.trials) / real(before.trials);
            let difference = real(now.hits) - times * real(before.hits);
            self.seen += difference.powi(2) / (1.0 + times);
            self.expected += real(now.trials) * both.rate() * (1.0 - both.rate());
        }
        self.before = now;
        self.current = Trials::default();
        self.since = Some(to);
    }

    /// The threshold is new: its windows are not those of the one before.
    pub(super) fn cut(&mut self) {
        (self.since, self.current, self.before) = (None, Trials::default(), Trials::default());
    }

    /// What evidence is divided by, when clumps of the canary are `size` times those of stable.
    pub(super) fn divisor(&self, size: f64) -> f64 {
        let index = (self.seen + PRIOR) / (self.expected + PRIOR);
        let clump = (index - 1.0 - CHANCE).max(0.0);
        size.mul_add(CAUTION * clump, 1.0).min(DIVISOR_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The divisor after windows with these numbers of slow requests of a thousand.
    fn after(slow: impl Iterator<Item = u64>) -> f64 {
        let mut scatter = Scatter::default();
        for (window, hits) in (0..).zip(slow) {
            let at = |window: u64| Moment::from_millis(500 * window);
            let ends = (at(window), at(window + 1));
            scatter.learn(ends, Trials::new(1_000, hits), Decay(0.99));
        }
        scatter.divisor(1.0)
    }

    #[test]
    fn clumps_count_and_independence_and_drift_do_not() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut independent = |rate: f64| {
            let hits = (0..1_000).filter(|_| random.f64() < rate).count();
            u64::try_from(hits).unwrap()
        };
        let steady = after((0..200).map(|_| independent(0.01)));
        let drifting = after((0..200_u32).map(|now| independent(0.01 + f64::from(now) * 0.002)));
        assert!(steady < 1.2 && drifting < 1.2, "{steady} {drifting}");
        let mut random = fastrand::Rng::with_seed(4);
        let clumped = after((0..200).map(|_| 20 * u64::from(random.u8(0..4) == 0)));
        assert!((20.0..50.0).contains(&clumped), "{clumped}");
    }
}
