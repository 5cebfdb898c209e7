//! A worker's users by split and version: whom control does not know of yet is told once.

use rustc_hash::FxHashMap;

use super::{Seen, StreamKey, Users};
use crate::model::{Role, SplitKey, Stage};

/// Whom a version has met in the stage under way.
#[derive(Debug)]
struct Met {
    stage: Stage,
    users: Users,
    /// What control has not heard yet.
    fresh: Vec<Seen>,
}

/// The users of all splits, as far as this worker sees them.
#[derive(Debug, Default)]
pub(super) struct Exposed {
    met: FxHashMap<(SplitKey, Role), Met>,
    /// What control has not heard of stages that are over.
    over: Vec<(StreamKey, Vec<Seen>)>,
}

impl Exposed {
    /// A user was assigned.
    pub(super) fn see(&mut self, key: StreamKey, user: u64) {
        let met = self.met.entry((key.split, key.role));
        let met = met.or_insert_with(|| Met {
            stage: key.stage,
            users: Users::default(),
            fresh: Vec::new(),
        });
        if met.stage != key.stage {
            // It may be another rollout: control is to hear of everybody again.
            let before = StreamKey {
                stage: met.stage,
                ..key
            };
            if !met.fresh.is_empty() {
                self.over.push((before, std::mem::take(&mut met.fresh)));
            }
            (met.stage, met.users) = (key.stage, Users::default());
        }
        met.fresh.extend(met.users.see(user));
    }

    /// What control has not heard yet.
    pub(super) fn take(&mut self) -> Vec<(StreamKey, Vec<Seen>)> {
        let mut taken = std::mem::take(&mut self.over);
        for ((split, role), met) in &mut self.met {
            if !met.fresh.is_empty() {
                let key = StreamKey {
                    split: *split,
                    stage: met.stage,
                    role: *role,
                };
                taken.push((key, std::mem::take(&mut met.fresh)));
            }
        }
        taken
    }

    /// Control could not be told.
    pub(super) fn put_back(&mut self, told: &[(StreamKey, Vec<Seen>)]) {
        self.over.extend_from_slice(told);
    }

    /// Forgets whom a split has met before this stage; what control is to hear of it stays.
    pub(super) fn forget(&mut self, split: SplitKey, oldest: Stage) {
        let over = &mut self.over;
        self.met.retain(|(known, role), met| {
            let stays = *known != split || met.stage >= oldest;
            if !stays && !met.fresh.is_empty() {
                let key = StreamKey {
                    split,
                    stage: met.stage,
                    role: *role,
                };
                over.push((key, std::mem::take(&mut met.fresh)));
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(stage: u64, role: Role) -> StreamKey {
        StreamKey {
            split: SplitKey(3),
            stage: Stage(stage),
            role,
        }
    }

    fn told(exposed: &mut Exposed) -> Vec<(StreamKey, usize)> {
        let told = exposed.take();
        let mut told: Vec<_> = told.iter().map(|(key, seen)| (*key, seen.len())).collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn whoever_comes_again_is_told_once_in_a_stage() {
        let mut exposed = Exposed::default();
        for user in [1 << 60, 2 << 60, 1 << 60] {
            exposed.see(key(1, Role::Canary), user);
        }
        exposed.see(key(1, Role::Stable), 5 << 60);
        let expected = [(key(1, Role::Stable), 1), (key(1, Role::Canary), 2)];
        assert_eq!(told(&mut exposed), expected);
        exposed.see(key(1, Role::Canary), 1 << 60);
        assert_eq!(told(&mut exposed), []);
        exposed.see(key(2, Role::Canary), 1 << 60);
        exposed.see(key(3, Role::Canary), 1 << 60);
        let expected = [(key(2, Role::Canary), 1), (key(3, Role::Canary), 1)];
        assert_eq!(
            told(&mut exposed),
            expected,
            "nobody is lost between stages"
        );
    }

    #[test]
    fn what_was_not_told_is_told_later() {
        let mut exposed = Exposed::default();
        exposed.see(key(1, Role::Canary), 1 << 60);
        let sample = exposed.take();
        exposed.put_back(&sample);
        exposed.see(key(1, Role::Stable), 1 << 60);
        exposed.forget(SplitKey(3), Stage(2));
        let expected = [(key(1, Role::Stable), 1), (key(1, Role::Canary), 1)];
        assert_eq!(told(&mut exposed), expected);
        assert!(exposed.met.is_empty());
    }
}
