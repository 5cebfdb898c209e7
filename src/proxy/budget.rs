//! How many retries may be made: a tenth of the requests, so that retries never make an outage
//! worse (one budget a split and worker).

use rustc_hash::FxHashMap;

use crate::model::SplitKey;

/// What a request adds, in hundredths of a retry.
const DEPOSIT: u32 = 10;
/// What a retry takes.
const PRICE: u32 = 100;
/// What may be saved up, and what a split starts with.
const SAVED_MAX: u32 = 1_000;

/// The budgets of one worker.
#[derive(Debug, Default)]
pub(crate) struct Budget(FxHashMap<SplitKey, u32>);

impl Budget {
    /// A request has come.
    pub(crate) fn deposit(&mut self, split: SplitKey) {
        let saved = self.0.entry(split).or_insert(SAVED_MAX);
        *saved = (*saved + DEPOSIT).min(SAVED_MAX);
    }

    /// Whether a retry may be made; it is paid for then.
    pub(crate) fn withdraw(&mut self, split: SplitKey) -> bool {
        let saved = self.0.entry(split).or_insert(SAVED_MAX);
        let is_affordable = *saved >= PRICE;
        if is_affordable {
            *saved -= PRICE;
        }
        is_affordable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_the_requests_once_the_savings_are_spent() {
        let (mut budget, split) = (Budget::default(), SplitKey(0));
        let retries = (0..1_000).filter(|_| {
            budget.deposit(split);
            budget.withdraw(split)
        });
        assert_eq!(retries.count(), 100 + 9);
    }
}
