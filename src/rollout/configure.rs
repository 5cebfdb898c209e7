//! What a save of the file leads to.
//!
//! A save that does not touch a split's own fields never moves its traffic. A save that sets
//! another `weight:` wins with a new revision. Nothing in a file revives a version that was rolled
//! back: that takes `retry`, or another canary version.

use super::{Entry, Position, Rollout, Standing, State, Strategy};
use crate::{
    config::{self, OnStart},
    model::{Moment, Nonce, Share, VersionName},
};

const BY: &str = "config";

impl Rollout {
    /// The split is seen for the first time.
    pub(super) fn begin_first(
        &mut self,
        split: &config::Split,
        nonce: Nonce,
        now: Moment,
    ) -> Vec<Entry> {
        self.record.canary = split.canary.as_ref().map(VersionName::from);
        self.record.configured = self.strategy.weight;
        self.record.steps = self.strategy.texts();
        self.begin(nonce, now)
    }

    pub(super) fn configure(
        &mut self,
        split: &config::Split,
        nonce: Nonce,
        now: Moment,
    ) -> Vec<Entry> {
        let canary = split.canary.as_ref().map(VersionName::from);
        let was_automatic = !self.record.steps.is_empty();
        self.strategy = Strategy::from(split);
        if canary != self.record.canary {
            self.record.canary = canary;
            self.record.configured = self.strategy.weight;
            self.record.steps = self.strategy.texts();
            return self.begin(nonce, now);
        }
        let old_steps = std::mem::replace(&mut self.record.steps, self.strategy.texts());
        let old_weight = std::mem::replace(&mut self.record.configured, self.strategy.weight);
        let mut entries = Vec::new();
        if canary.is_none() {
            return entries;
        }
        if old_steps != self.record.steps {
            entries.extend(self.change_steps(&old_steps, was_automatic, now));
        }
        if old_weight != self.strategy.weight {
            entries.extend(self.change_weight(now));
        }
        entries
    }

    /// A new epoch of the canary that the file names.
    fn begin(&mut self, nonce: Nonce, now: Moment) -> Vec<Entry> {
        self.new_epoch(nonce);
        self.record.since = now;
        let Some(canary) = self.record.canary.clone() else {
            self.record.why.clear();
            return Vec::new();
        };
        if self.record.state.barred.contains(&canary) {
            self.record.state.aborted = true;
            self.record.why = format!(
                "{canary} was rolled back in an earlier epoch; `serin retry` tries it again"
            );
            return vec![self.entry(now, "barred", BY)];
        }
        if self.strategy.is_automatic() && self.strategy.on_start == OnStart::Manual {
            "on_start is manual: `serin resume` begins the steps".clone_into(&mut self.record.why);
            return vec![self.entry(now, "waiting", BY)];
        }
        self.start(&format!("canary {canary}"), BY, now)
    }

    pub(super) fn new_epoch(&mut self, nonce: Nonce) {
        let State { epoch, barred, .. } = std::mem::take(&mut self.record.state);
        self.record.state = State {
            epoch: epoch.next(),
            nonce,
            barred,
            ..State::new()
        };
        self.record.fail_told = false;
    }

    fn change_weight(&mut self, now: Moment) -> Option<Entry> {
        let weight = match self.strategy.weight {
            Some(weight) => weight,
            None if self.strategy.is_automatic() => return None,
            None => Share::ZERO,
        };
        if self.record.state.aborted {
            let why = format!(
                "weight {weight} in the file is not put in force: {}; `serin retry` tries again",
                self.record.why
            );
            return Some(Entry {
                why,
                ..self.entry(now, "refused", BY)
            });
        }
        self.record.state.position.revision += 1;
        Some(self.set_weight(weight, "the file says so", BY, now))
    }

    fn change_steps(&mut self, old: &[String], was_automatic: bool, now: Moment) -> Vec<Entry> {
        let Position { step, standing, .. } = self.record.state.position;
        if self.record.state.aborted || standing == Standing::Finished {
            return Vec::new();
        }
        let is_automatic = self.strategy.is_automatic();
        if was_automatic && is_automatic {
            let is_past = standing == Standing::Waiting || self.strategy.agrees(old, step + 1);
            return if is_past {
                Vec::new()
            } else {
                vec![self.hold_changed(now)]
            };
        }
        self.record.state.position.revision += 1;
        self.record.state.position.step = 0;
        if is_automatic && self.strategy.on_start == OnStart::NewVersion {
            return self.start("the file has steps now", BY, now);
        }
        if is_automatic {
            return vec![self.hold(
                "on_start is manual: `serin resume` begins the steps",
                BY,
                now,
            )];
        }
        let share = self.share();
        vec![self.set_weight(share, "the file has no steps any more", BY, now)]
    }

    /// The steps behind us or under way are others now: nobody knows which one we are at.
    fn hold_changed(&mut self, now: Moment) -> Entry {
        let position = &mut self.record.state.position;
        position.revision += 1;
        position.step = position
            .step
            .min(self.strategy.steps.len().saturating_sub(1));
        let why = format!(
            "the steps under way were changed in the file; `serin resume` goes on at step {}",
            position.step + 1
        );
        self.hold(&why, BY, now)
    }
}
