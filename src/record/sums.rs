//! What a record adds up to, by version: for curves and for errors by reason.

use super::Ticked;
use crate::measure::{AttemptLabel, Cell, Latencies, Tally};

/// What was counted since the record began.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    /// Of stable.
    pub stable: Sum,
    /// Of the canary.
    pub canary: Sum,
}

/// One version's sums.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// Requests assigned to it.
    pub assigned: u64,
    /// Judged requests.
    pub trials: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: Latencies,
    /// Every attempt, by answer, outcome and reason.
    pub attempts: Tally<AttemptLabel>,
}

impl Sums {
    /// Adds a tick of all routes together.
    pub fn add(&mut self, tick: &Ticked) {
        for counted in &tick.strata {
            self.stable.add(&counted.stable.cell);
            self.canary.add(&counted.canary.cell);
        }
    }
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        self.assigned += cell.assigned;
        self.trials += cell.trials;
        self.failures += cell.failures;
        self.latency.merge(&cell.latency);
        self.attempts.merge(&cell.attempts);
    }
}
