//! The state of a rollout that is joined, kept and sent: a semilattice.
//!
//! Any order, loss or doubling of words converges, and a rollback can never be undone by a late
//! word: inside one epoch `aborted` is OR-ed and the position only rises; a higher
//! (epoch, nonce) wins whole. The join is tested to be commutative, associative and idempotent.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeSet,
};

use crate::model::{Epoch, Nonce, Share, VersionName};

/// Whether the steps go by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing has begun: a person must say so.
    Waiting,
    /// The schedule and the judge move it.
    Going,
    /// The weight is held until a person says more; analysis goes on.
    Held,
    /// The canary has everything; nothing moves any more by itself.
    Finished,
}

/// Where a rollout stands inside its epoch. It only rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Raised by each act of a person, on the command line or in the file.
    pub revision: u64,
    /// The step under way, from 0; the number of steps when they are over.
    pub step: usize,
    /// Raised by each raise of the share inside a step.
    pub rung: u32,
    /// Whether the steps go by themselves.
    pub standing: Standing,
    /// The canary's share, were it not aborted.
    pub share: Share,
}

impl Position {
    /// Where an epoch begins.
    pub const START: Self = Self {
        revision: 0,
        step: 0,
        rung: 0,
        standing: Standing::Waiting,
        share: Share::ZERO,
    };

    // Of two shares at the same place the lower one wins: when in doubt, fewer users.
    fn rank(&self) -> (u64, usize, u32, Standing, Reverse<Share>) {
        let Self {
            revision,
            step,
            rung,
            standing,
            share,
        } = *self;
        (revision, step, rung, standing, Reverse(share))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What survives restarts and is the same on every proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The number of the rollout; it only rises.
    pub epoch: Epoch,
    /// Tells rollouts with the same epoch apart.
    pub nonce: Nonce,
    /// The canary is at 0 for the rest of this epoch. Absorbing.
    pub aborted: bool,
    /// Where it stands otherwise.
    pub position: Position,
    /// Versions that were rolled back and not retried since.
    pub barred: BTreeSet<VersionName>,
}

impl State {
    /// The least state: anything joined with it wins.
    pub const fn new() -> Self {
        Self {
            epoch: Epoch(0),
            nonce: Nonce(0),
            aborted: false,
            position: Position::START,
            barred: BTreeSet::new(),
        }
    }

    /// The canary's share in force.
    pub const fn share(&self) -> Share {
        if self.aborted {
            Share::ZERO
        } else {
            self.position.share
        }
    }

    /// What two words about the same split say together.
    #[must_use]
    pub fn join(self, other: &Self) -> Self {
        match (self.epoch, self.nonce).cmp(&(other.epoch, other.nonce)) {
            Ordering::Less => other.clone(),
            Ordering::Greater => self,
            Ordering::Equal => Self {
                aborted: self.aborted || other.aborted,
                position: self.position.max(other.position),
                barred: self.barred.union(&other.barred).cloned().collect(),
                ..self
            },
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position() -> impl Strategy<Value = Position> {
        let standing = prop::sample::select(vec![
            Standing::Waiting,
            Standing::Going,
            Standing::Held,
            Standing::Finished,
        ]);
        let place = (0_u64..3, 0_usize..3, 0_u32..3);
        (place, standing, 0_u16..4).prop_map(|((revision, step, rung), standing, share)| {
            let share = Share::from_basis_points(share * 2_500).unwrap();
            Position {
                revision,
                step,
                rung,
                standing,
                share,
            }
        })
    }

    fn state() -> impl Strategy<Value = State> {
        let names = prop::collection::btree_set("v[1-3]", 0..3);
        (0_u64..3, 0_u128..2, any::<bool>(), position(), names).prop_map(
            |(epoch, nonce, aborted, position, names)| State {
                epoch: Epoch(epoch),
                nonce: Nonce(nonce),
                aborted,
                position,
                barred: names
                    .iter()
                    .map(|name| VersionName::new(name).unwrap())
                    .collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn join_is_commutative(a in state(), b in state()) {
            prop_assert_eq!(a.clone().join(&b), b.join(&a));
        }

        #[test]
        fn join_is_associative(a in state(), b in state(), c in state()) {
            prop_assert_eq!(a.clone().join(&b).join(&c), a.join(&b.join(&c)));
        }

        #[test]
        fn join_is_idempotent(a in state()) {
            prop_assert_eq!(a.clone().join(&a), a);
        }

        #[test]
        fn no_word_of_the_same_epoch_undoes_an_abort(a in state(), b in state()) {
            let b = State { epoch: a.epoch, nonce: a.nonce, ..b };
            let aborted = State { aborted: true, ..a };
            prop_assert_eq!(aborted.join(&b).share(), Share::ZERO);
        }

        #[test]
        fn the_least_state_changes_nothing(a in state()) {
            let a = State { epoch: a.epoch.next(), ..a };
            prop_assert_eq!(State::new().join(&a), a);
        }
    }
}
