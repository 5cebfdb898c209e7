//! The last few stages of a rollout: late outcomes belong to the coin of their assignment.

use super::{
    estimate::Decay,
    latency::{Ageing, MARKS},
    stats::{exp, ln_beta},
};
use crate::model::{Share, Stage, number::real};

/// How many stages are remembered; outcomes of older ones are left out.
pub(super) const SLOTS: usize = 3;
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
    /// The canary's and stable's requests in flight that were old at the last tick.
    pub ageing: (Ageing<MARKS>, Ageing<MARKS>),
}

impl Slot {
    fn new(stage: Stage, share: Share) -> Self {
        Self {
            stage,
            share,
            seen: (0.0, 0.0),
            assigned: (0, 0),
            ageing: (Ageing::default(), Ageing::default()),
        }
    }

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

/// The stages that outcomes may still belong to.
#[derive(Debug, Clone, Default)]
pub(super) struct Stages {
    slots: Vec<Slot>,
    newest: usize,
}

impl Stages {
    /// The slot of a stage, opened if the stage is new; `None` if it is too old.
    pub(super) fn slot(&mut self, stage: Stage, share: Share) -> Option<usize> {
        if let Some(slot) = self.slots.iter().position(|slot| slot.stage == stage) {
            return Some(slot);
        }
        if self.newest().is_some_and(|newest| stage < newest.stage) {
            return None;
        }
        let fresh = Slot::new(stage, share);
        let oldest = self
            .slots
            .iter()
            .enumerate()
            .min_by_key(|(_, slot)| slot.stage);
        match oldest.map(|(index, _)| index) {
            Some(index) if self.slots.len() == SLOTS => {
                if let Some(slot) = self.slots.get_mut(index) {
                    *slot = fresh;
                }
                self.newest = index;
            }
            Some(_) | None => {
                self.newest = self.slots.len();
                self.slots.push(fresh);
            }
        }
        Some(self.newest)
    }

    /// The stage under way.
    pub(super) fn newest(&self) -> Option<&Slot> {
        self.slots.get(self.newest)
    }

    /// The index of the stage under way.
    pub(super) const fn newest_index(&self) -> usize {
        self.newest
    }

    /// A slot.
    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Slot> {
        self.slots.get_mut(slot)
    }

    /// Nothing is in flight in the stages that a tick does not name.
    pub(super) fn rest(&mut self, is_named: impl Fn(Stage) -> bool) {
        for slot in self.slots.iter_mut().filter(|slot| !is_named(slot.stage)) {
            slot.ageing.0.rest();
            slot.ageing.1.rest();
        }
    }

    /// Forgets what was in flight, since the thresholds are new.
    pub(super) fn forget_ages(&mut self) {
        for slot in &mut self.slots {
            slot.ageing.0.forget();
            slot.ageing.1.forget();
        }
    }
}
