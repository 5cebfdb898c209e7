//! How many repeats may be made, so that they never make an outage worse (one budget a split and
//! worker).
//!
//! A repeat at the same version draws on a share of the requests. Stable rescues a canary beyond it
//! for as long as stable itself is well: a canary that fails costs nobody anything, and where both
//! fail, rescuing is asking twice for nothing.

use rustc_hash::FxHashMap;

use crate::model::{Share, SplitKey};

/// What a repeat takes, in basis points of a request.
const PRICE: u32 = 10_000;
/// What may be saved up, and what a split starts with: three repeats, so that a total failure
/// makes hardly more attempts than the share says.
const SAVED_MAX: u32 = 3 * PRICE;
/// What stable may take back before it has answered anything, and at once: ten requests.
const ROOM_MAX: u32 = 10 * PRICE;
/// A stable version of which all attempts fail.
const ALL: u32 = 1 << 16;
/// The share of failures from which on stable is not well.
const UNWELL: u32 = ALL / 2;
/// Over about so many attempts.
const MEMORY: u32 = 16;

/// The budgets of one worker.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    accounts: FxHashMap<SplitKey, Account>,
    /// Whether any stable version has failed lately: mostly none has, and nothing is looked up.
    is_troubled: bool,
}

#[derive(Debug)]
struct Account {
    saved: u32,
    /// What rescues have cost that were free because stable was well: it is paid for if it turns
    /// out that stable was not.
    owed: u32,
    /// What stable may still take back, in basis points of a request.
    room: u32,
    /// The share of stable's attempts that have failed lately, of [`ALL`].
    failing: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            saved: SAVED_MAX,
            owed: 0,
            room: ROOM_MAX,
            failing: 0,
        }
    }
}

impl Budget {
    /// A request has come; repeats may be this share of all.
    pub(crate) fn deposit(&mut self, split: SplitKey, share: Share) {
        let account = self.accounts.entry(split).or_default();
        account.saved = (account.saved + u32::from(share.basis_points())).min(SAVED_MAX);
    }

    /// Whether a repeat may be made; it is paid for then.
    pub(crate) fn withdraw(&mut self, split: SplitKey) -> bool {
        let account = self.accounts.entry(split).or_default();
        let is_affordable = account.saved >= PRICE;
        if is_affordable {
            account.saved -= PRICE;
        }
        is_affordable
    }

    /// Stable has answered a request of its own well; it can take back this share of one.
    pub(crate) fn make_room(&mut self, split: SplitKey, share: Share) {
        let account = self.accounts.entry(split).or_default();
        account.room = (account.room + u32::from(share.basis_points())).min(ROOM_MAX);
    }

    /// Whether stable has room for one more of the canary's requests; it is taken then.
    pub(crate) fn take_room(&mut self, split: SplitKey) -> bool {
        let account = self.accounts.entry(split).or_default();
        let has_room = account.room >= PRICE;
        if has_room {
            account.room -= PRICE;
        }
        has_room
    }

    /// Whether stable may rescue a canary; what it costs is paid then.
    pub(crate) fn rescue(&mut self, split: SplitKey) -> bool {
        let account = self.accounts.entry(split).or_default();
        if account.failing < UNWELL {
            account.owed = (account.owed + PRICE).min(ROOM_MAX);
            return true;
        }
        let paid = account.owed.min(account.saved);
        account.owed -= paid;
        account.saved -= paid;
        self.withdraw(split)
    }

    /// An attempt at stable has failed, or has not.
    pub(crate) fn saw_stable(&mut self, split: SplitKey, has_failed: bool) {
        if !has_failed && !self.is_troubled {
            return;
        }
        let account = self.accounts.entry(split).or_default();
        if has_failed {
            account.failing += (ALL - account.failing) / MEMORY;
        } else {
            account.failing -= account.failing.div_ceil(MEMORY);
            account.owed = 0;
        }
        let mut accounts = self.accounts.values();
        self.is_troubled = accounts.any(|account| account.failing > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(percent: u16) -> Share {
        Share::from_basis_points(percent * 100).unwrap()
    }

    #[test]
    fn repeats_are_a_share_of_the_requests_once_the_savings_are_spent() {
        for percent in [0, 10, 20, 100] {
            let (mut budget, split) = (Budget::default(), SplitKey(0));
            let repeats = (0..1_000).filter(|_| {
                budget.deposit(split, share(percent));
                budget.withdraw(split)
            });
            let expected = (3 + 10 * usize::from(percent)).min(1_000);
            let repeats = repeats.count();
            assert!(repeats.abs_diff(expected) <= 1, "{percent} %: {repeats}");
        }
    }

    #[test]
    fn a_canary_is_rescued_as_long_as_stable_is_well() {
        let (mut budget, split) = (Budget::default(), SplitKey(0));
        let mut rescues = |stable_fails: bool| {
            let rescues = (0..1_000).filter(|_| {
                budget.deposit(split, share(20));
                let is_rescued = budget.rescue(split);
                budget.saw_stable(split, stable_fails);
                is_rescued
            });
            rescues.count()
        };
        assert_eq!(rescues(false), 1_000);
        let in_vain = rescues(true);
        assert!((190..=205).contains(&in_vain), "{in_vain}");
        let again = rescues(false);
        assert!((980..1_000).contains(&again), "{again}");
    }
}
