//! The last stages of a rollout: late outcomes belong to the coin of their assignment.
//!
//! The newest stage is slot 0, the one before it slot 1; outcomes of older ones are left out. What
//! the tests keep by slot moves along when a stage opens.

use std::{collections::VecDeque, time::Duration};

use super::{
    estimate::Decay,
    stats::{exp, ln_beta},
};
use crate::model::{Moment, Share, Stage, number::real};

/// How many stages are remembered.
pub(super) const SLOTS: usize = 2;
/// How long an earlier stage is kept after its last outcome.
const LINGER: Duration = Duration::from_mins(1);
/// How many assignments the configured share is worth, and the same in users.
const SHRINK: f64 = 1_000.0;
const SHRINK_STICKY: f64 = 50.0;
/// How firmly the configured share is believed by the test for a sample ratio mismatch.
const RATIO_PRIOR: f64 = 1_000.0;

/// One stage: its coin as configured and as seen.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Which stage it is.
    pub stage: Stage,
    /// The canary's share as configured.
    pub share: Share,
    /// Assignments to the canary and to both, old ones fading.
    seen: (f64, f64),
    /// Assignments to the canary and to stable since the stage began.
    assigned: (u64, u64),
    /// The end of the last tick that named it.
    named: Moment,
}

impl Slot {
    /// Whether the canary has the whole traffic: there is no coin.
    pub(super) fn is_full(&self) -> bool {
        self.share == Share::FULL
    }

    /// Counts assignments.
    pub(super) fn see(&mut self, canary: u64, stable: u64, decay: Decay) {
        self.seen.0 = self.seen.0.mul_add(decay.0, real(canary));
        self.seen.1 = self.seen.1.mul_add(decay.0, real(canary) + real(stable));
        self.assigned.0 += canary;
        self.assigned.1 += stable;
    }

    /// The realised share, shrunk to the configured one.
    pub(super) fn realised(&self, is_sticky: bool) -> f64 {
        let shrink = if is_sticky { SHRINK_STICKY } else { SHRINK };
        let share = (self.seen.0 + shrink * self.share.ratio()) / (self.seen.1 + shrink);
        share.clamp(1e-6, 1.0 - 1e-6)
    }

    /// The evidence that assignments do not follow the configured share (Lindon and Malek).
    pub(super) fn ratio_mismatch(&self) -> f64 {
        let share = self.share.ratio();
        if share <= 0.0 || share >= 1.0 {
            return 1.0;
        }
        let (canary, stable) = (real(self.assigned.0), real(self.assigned.1));
        let (a, b) = (RATIO_PRIOR * share, RATIO_PRIOR * (1.0 - share));
        let mixed = ln_beta(a + canary, b + stable) - ln_beta(a, b);
        exp(mixed - canary * share.ln() - stable * (1.0 - share).ln())
    }
}

/// The stages that outcomes may still belong to, the newest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Stages(VecDeque<Slot>);

impl Stages {
    /// Opens a stage; false if it is known or older than the newest.
    pub(super) fn open(&mut self, stage: Stage, share: Share, at: Moment) -> bool {
        if self.newest().is_some_and(|newest| stage <= newest.stage) {
            return false;
        }
        self.0.truncate(SLOTS - 1);
        self.0.push_front(Slot {
            stage,
            share,
            seen: (0.0, 0.0),
            assigned: (0, 0),
            named: at,
        });
        true
    }

    /// The slot of a stage; `None` if it is too old.
    pub(super) fn slot(&self, stage: Stage) -> Option<usize> {
        self.0.iter().position(|slot| slot.stage == stage)
    }

    /// The stage under way.
    pub(super) fn newest(&self) -> Option<&Slot> {
        self.0.front()
    }

    /// The stage under way.
    pub(super) fn newest_mut(&mut self) -> Option<&mut Slot> {
        self.0.front_mut()
    }

    /// Forgets earlier stages from which nothing has come for long; true if there were any.
    pub(super) fn close(&mut self, is_named: impl Fn(Stage) -> bool, now: Moment) -> bool {
        let before = self.0.len();
        for slot in self.0.iter_mut().filter(|slot| is_named(slot.stage)) {
            slot.named = now;
        }
        let newest = self.newest().map(|slot| slot.stage);
        self.0
            .retain(|slot| Some(slot.stage) == newest || now.since(slot.named) < LINGER);
        self.0.len() < before
    }
}
