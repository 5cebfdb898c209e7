//! The recent past of one version, as control shows it: rates and latencies of the last minute.

use std::{collections::VecDeque, time::Duration};

use super::{Cell, Latencies};
use crate::model::{Moment, number::real};

/// How long one slot lasts.
const SLOT: Duration = Duration::from_secs(5);
/// How many slots make the past: one minute.
const SLOTS: usize = 12;
/// How far back the past reaches.
const REACH: Duration = Duration::from_mins(1);
/// Over how much of the past a rate is taken.
const RATE_OVER: Duration = Duration::from_secs(10);

/// A minute of one version's requests, in slots that fall out as they get old.
#[derive(Debug, Clone, Default)]
pub struct Window {
    slots: VecDeque<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    since: Moment,
    assigned: u64,
    trials: u64,
    failures: u64,
    latency: Latencies,
}

/// All of a window together.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// Judged requests whose outcome became known.
    pub trials: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: Latencies,
}

impl Window {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was counted.
    pub fn add(&mut self, now: Moment, cell: &Cell) {
        if cell.is_empty() {
            return;
        }
        self.forget(now);
        let is_open = self
            .slots
            .back()
            .is_some_and(|slot| now.since(slot.since) < SLOT);
        if !is_open {
            let latency = Latencies::new();
            self.slots.push_back(Slot {
                since: now,
                assigned: 0,
                trials: 0,
                failures: 0,
                latency,
            });
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.assigned += cell.assigned;
            slot.trials += cell.trials;
            slot.failures += cell.failures;
            slot.latency.merge(&cell.latency);
        }
    }

    /// Drops what is over a minute old.
    pub fn forget(&mut self, now: Moment) {
        let is_old = |slot: &Slot| now.since(slot.since) >= REACH;
        while self.slots.len() > SLOTS || self.slots.front().is_some_and(is_old) {
            self.slots.pop_front();
        }
    }

    /// Requests a second over the last ten seconds.
    pub fn rate(&self, now: Moment) -> f64 {
        let recent = |slot: &&Slot| now.since(slot.since) < RATE_OVER;
        let requests: u64 = self
            .slots
            .iter()
            .filter(recent)
            .map(|slot| slot.assigned)
            .sum();
        let first = self
            .slots
            .iter()
            .find(recent)
            .map_or(now, |slot| slot.since);
        real(requests) / now.since(first).max(Duration::from_secs(1)).as_secs_f64()
    }

    /// All of it together.
    pub fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for slot in &self.slots {
            sum.trials += slot.trials;
            sum.failures += slot.failures;
            sum.latency.merge(&slot.latency);
        }
        sum
    }
}

impl Sum {
    /// p50, p90, p99 and p99.9; `None` of nothing.
    pub fn quantiles(&self) -> Option<[Duration; 4]> {
        let at = |quantile| self.latency.quantile(quantile);
        Some([at(0.5)?, at(0.9)?, at(0.99)?, at(0.999)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_counts_and_what_is_older_does_not() {
        let mut window = Window::new();
        assert_eq!(window.sum().quantiles(), None);
        let mut cell = Cell {
            assigned: 100,
            trials: 100,
            failures: 1,
            ..Cell::default()
        };
        cell.latency.record_n(Duration::from_millis(10), 100);
        for second in 0..100_u64 {
            window.add(Moment::from_millis(second * 1_000), &cell);
        }
        let now = Moment::from_millis(99_500);
        let rate = window.rate(now);
        assert!((80.0..=120.0).contains(&rate), "{rate}");
        let [p50, ..] = window.sum().quantiles().unwrap();
        assert!((9..=11).contains(&p50.as_millis()), "{p50:?}");
        let later = Moment::from_millis(200_000);
        window.forget(later);
        assert_eq!(window.sum().quantiles(), None);
        assert!(window.rate(later) < 0.1);
    }
}
