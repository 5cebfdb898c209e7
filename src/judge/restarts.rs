//! When fresh capital comes in for harm that begins now.
//!
//! Half of a test's capital is staked at once; the other half comes in parts, one at each restart
//! for ever. The first `j` parts sum to `0.5 j / (horizon + j)`: late parts get small so slowly
//! that harm after an hour costs a few nats more than harm after a minute.

use std::time::Duration;

use crate::model::{Moment, number::real_len};

/// The restarts of one kind of test.
#[derive(Debug, Clone)]
pub(super) struct Restarts {
    every: Duration,
    horizon: f64,
    done: usize,
    next: Moment,
}

impl Restarts {
    /// The first one is at `at`; after `horizon` of them half of the parts are spent.
    pub(super) const fn new(every: Duration, horizon: f64, at: Moment) -> Self {
        Self {
            every,
            horizon,
            done: 0,
            next: at,
        }
    }

    /// One is due at `at`, whatever the schedule.
    pub(super) const fn force(&mut self, at: Moment) {
        self.next = at;
    }

    /// The capital that comes in with a tick that begins at `from`.
    pub(super) fn due(&mut self, from: Moment) -> f64 {
        let mut count = 0;
        let mut next = self.next;
        // At most a tick's worth of steps: the schedule begins anew from here.
        while next <= from && count < 64 {
            next = next + self.every;
            count += 1;
        }
        if count == 0 {
            return 0.0;
        }
        self.next = from + self.every;
        let spent = |parts: usize| real_len(parts) / (self.horizon + real_len(parts));
        let before = spent(self.done);
        self.done += count;
        0.5 * (spent(self.done) - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_never_more_than_half() {
        for tick in [10, 50, 250, 1_000, 5_000] {
            let mut restarts = Restarts::new(Duration::from_millis(250), 10.0, Moment::ZERO);
            let moments = (0..200_000).map(|n| Moment::from_millis(n * tick));
            let sum: f64 = moments.map(|at| restarts.due(at)).sum();
            assert!((0.49..=0.5).contains(&sum), "{tick} {sum}");
        }
    }
}
