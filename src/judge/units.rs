//! A user counts once: at the first failure.
//!
//! In a sticky split the errors of one user share one toss of the coin, so counting each would
//! break the promise (10 to 13 % false rollbacks, measured). A request is a trial only while its
//! user has not failed, and a hit is a user's first failure: the anytime-valid log-rank test.

use rustc_hash::FxHashSet;

use super::bet::Trials;
use crate::measure::Cell;

/// The users that have failed in this rollout, on either version.
#[derive(Debug, Clone)]
pub(super) struct FailedUsers {
    known: FxHashSet<u64>,
    most: usize,
}

impl FailedUsers {
    /// None yet; `most` are remembered, and beyond it no new one counts, on either side.
    pub(super) fn new(most: usize) -> Self {
        Self {
            known: FxHashSet::default(),
            most,
        }
    }

    /// Counts a cell's users at risk, and first failures.
    pub(super) fn count(&mut self, cell: &Cell) -> Trials {
        let mut trials = Trials::new(cell.at_risk, 0);
        for user in &cell.failed_users {
            let is_full = self.known.len() >= self.most;
            if !is_full && self.known.insert(*user) {
                trials.hits += 1;
            } else {
                // Its worker could not know that this user had failed before.
                trials.trials = trials.trials.saturating_sub(1);
            }
        }
        trials.hits = trials.hits.min(trials.trials);
        trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_failure_of_a_user_counts() {
        let mut users = FailedUsers::new(3);
        let cell = Cell {
            at_risk: 10,
            failed_users: vec![1, 2, 1],
            ..Cell::default()
        };
        assert_eq!(users.count(&cell), Trials::new(9, 2));
        assert_eq!(users.count(&cell), Trials::new(7, 0));
        let more = Cell {
            at_risk: 10,
            failed_users: vec![3, 4],
            ..Cell::default()
        };
        // The fourth is one too many to remember.
        assert_eq!(users.count(&more), Trials::new(9, 1));
    }
}
