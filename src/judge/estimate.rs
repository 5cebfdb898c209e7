//! A guess of stable's rate that old counts leave slowly. It need not be right: a bet with a wrong
//! guess wins less, but never unfairly.

use std::time::Duration;

use super::{bet::Trials, stats::rate_interval};
use crate::model::number::real;

/// The probability that a rate is ever wrongly said to be over a limit.
const OVER_ALPHA: f64 = 0.01;

/// What is left of old counts after a tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decay(pub f64);

impl Decay {
    /// After `elapsed`, given the half-life.
    pub(super) fn after(elapsed: Duration, half_life: Duration) -> Self {
        Self(0.5_f64.powf(elapsed.as_secs_f64() / half_life.as_secs_f64()))
    }
}

/// The guess.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Guess {
    hits: f64,
    trials: f64,
}

impl Guess {
    /// Worth `trials` trials of this rate.
    pub(super) fn new(rate: f64, trials: f64) -> Self {
        Self {
            hits: rate * trials,
            trials,
        }
    }

    /// Learns from a tick, after the tick was judged.
    pub(super) fn learn(&mut self, stable: Trials, decay: Decay) {
        self.hits = self.hits.mul_add(decay.0, real(stable.hits));
        self.trials = self.trials.mul_add(decay.0, real(stable.trials));
    }

    /// The rate, never quite 0: that many trials cannot exclude it.
    pub(super) fn rate(&self) -> f64 {
        (self.hits / self.trials)
            .max(0.2 / self.trials)
            .clamp(1e-5, 0.98)
    }

    /// The rate as counted.
    pub(super) fn plain(&self) -> f64 {
        self.hits / self.trials
    }

    /// Whether the rate is proven to be over a limit.
    pub(super) fn is_over(&self, limit: f64) -> bool {
        rate_interval(self.hits, self.trials, OVER_ALPHA).0 > limit
    }

    /// How many trials it rests on.
    pub(super) const fn trials(&self) -> f64 {
        self.trials
    }
}
