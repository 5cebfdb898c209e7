//! The course of a rollout: a state machine.
//!
//! *Owns:* phases and their legal moves, steps, what a verdict leads to, what survives a restart.
//! *Does not know:* requests, plans, files, the clock (moments are brought).
//! *Invariants:* I2, I4, I7 (the canary's share rises only after a `Pass`, by a schedule, inside
//! `auto` as far as its budget allows, or by a person; any `Fail` takes it to zero; a finished
//! rollout never moves by itself).
//! *Read next:* `state.rs` (what is joined and kept), `phase.rs`, `advance.rs`, `auto.rs`,
//! `gate.rs`, then `crate::control`.

mod act;
mod advance;
mod auto;
mod command;
mod configure;
mod criteria;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
mod history;
mod phase;
mod state;
mod strategy;
#[cfg(test)]
mod tests;

use self::auto::Rung;
pub use self::{
    auto::time_to_climb,
    command::Command,
    criteria::criteria,
    history::{Entry, History},
    phase::Phase,
    state::{Position, Standing, State},
    strategy::{Gate, Step, Strategy, step_text},
};
use crate::{
    config,
    judge::Judgement,
    model::{Epoch, Moment, Nonce, Share, VersionName},
};

/// What can happen to a rollout.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The file says this of the split now. The nonce is for a new epoch, if one begins.
    Configured(&'a config::Split, Nonce),
    /// Time has passed, and the judge says this of the stage now; `None`: it was not asked.
    Judged(Option<&'a Judgement>),
    /// The judge's `fail` was for endpoints that get no requests any more: what is left of the
    /// canary is judged anew. In words.
    Excused(&'a str),
    /// A person asks. The nonce is for a new epoch, if one begins.
    Asked(&'a Act, Nonce),
    /// Another proxy or an earlier life says this.
    Heard(&'a State),
}

/// What a person asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What to do.
    pub command: Command,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "decisions are to be put in force, kept and told"]
pub struct Decisions {
    /// What was decided, in order; also in the history.
    pub entries: Vec<Entry>,
    /// What must be kept has changed.
    pub is_changed: bool,
    /// Why a person's act was refused: what is the matter, and what to do instead.
    pub refused: Option<(String, String)>,
}

/// What is known of a split when it is first seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// It is known to be new: nothing was ever decided for it.
    New,
    /// This was kept.
    Kept(Box<Record>),
}

/// What is kept of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What is joined.
    pub state: State,
    /// The version on trial.
    pub canary: Option<VersionName>,
    /// The file's weight when last seen.
    pub configured: Option<Share>,
    /// The file's steps when last seen, in words.
    pub steps: Vec<String>,
    /// When the step began.
    pub since: Moment,
    /// Why it stands where it stands.
    pub why: String,
    /// A `fail` was told in this epoch and did not roll back.
    pub fail_told: bool,
}

/// One split's rollout.
#[derive(Debug, Clone)]
pub struct Rollout {
    strategy: Strategy,
    record: Record,
    history: History,
    /// What the step under way waits for, in words.
    waits: String,
    /// Since when the share inside an `auto` step is what it is; not kept, so that a restart
    /// waits for fresh evidence.
    rung: Option<Rung>,
}

impl Rollout {
    /// Begins, or goes on with what was kept, as the file has it now.
    pub fn new(
        split: &config::Split,
        origin: Origin,
        nonce: Nonce,
        now: Moment,
    ) -> (Self, Decisions) {
        let strategy = Strategy::from(split);
        let record = match origin {
            Origin::Kept(record) => *record,
            Origin::New => Record::empty(now),
        };
        let mut rollout = Self {
            strategy,
            record,
            history: History::default(),
            waits: String::new(),
            rung: None,
        };
        let entries = if rollout.record.state.epoch > Epoch::default() {
            rollout.configure(split, nonce, now)
        } else {
            rollout.begin_first(split, nonce, now)
        };
        let decisions = rollout.settled(entries, true);
        (rollout, decisions)
    }

    /// What follows from an event.
    pub fn on(&mut self, event: Event<'_>, now: Moment) -> Decisions {
        let before = self.record.clone();
        let (entries, refused) = match event {
            Event::Configured(split, nonce) => (self.configure(split, nonce, now), None),
            Event::Judged(judgement) => (self.judged(judgement, now), None),
            Event::Excused(why) => (self.excused(why, now), None),
            Event::Asked(act, nonce) => match self.act(act, nonce, now) {
                Ok(entries) => (entries, None),
                Err((what, help)) => (Vec::new(), Some((what, help))),
            },
            Event::Heard(state) => (self.hear(state, now), None),
        };
        let is_changed = before != self.record;
        Decisions {
            refused,
            ..self.settled(entries, is_changed)
        }
    }

    /// The canary's share in force.
    pub fn share(&self) -> Share {
        self.record.state.share()
    }

    /// The number of this rollout.
    pub fn epoch(&self) -> Epoch {
        self.record.state.epoch
    }

    /// What is joined.
    pub fn state(&self) -> &State {
        &self.record.state
    }

    /// What must be kept to go on after a restart.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What was decided, newest last.
    pub fn history(&self) -> &[Entry] {
        self.history.entries()
    }

    /// Takes up lines of an earlier life, before those of this one.
    pub fn recall(&mut self, earlier: &[Entry]) {
        let mut history = History::default();
        for entry in earlier.iter().chain(self.history.entries()) {
            history.add(entry.clone());
        }
        self.history = history;
    }

    /// The shape of it.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        let Record {
            state, since, why, ..
        } = &self.record;
        let Position {
            step,
            standing,
            share,
            ..
        } = state.position;
        if state.aborted {
            return Phase::RolledBack {
                reason: why.clone(),
            };
        }
        let is_plain = !self.strategy.is_automatic();
        match standing {
            Standing::Waiting => Phase::Idle,
            Standing::Going if is_plain && share == Share::ZERO => Phase::Idle,
            Standing::Going => Phase::Progressing {
                step,
                since: *since,
            },
            Standing::Held => Phase::Paused { step },
            Standing::Finished => Phase::Promoted,
        }
    }

    /// Why it stands where it stands, or what the step under way waits for, in words; empty if
    /// there is nothing to say.
    pub fn phase_reason(&self) -> &str {
        let is_going = matches!(self.phase(), Phase::Progressing { .. });
        if is_going && self.record.why.is_empty() {
            &self.waits
        } else {
            &self.record.why
        }
    }

    /// The step under way; `None` without steps or after the last.
    pub fn step(&self) -> Option<&Step> {
        self.strategy.steps.get(self.record.state.position.step)
    }

    /// When the step under way ends by itself at the latest.
    pub fn step_ends(&self) -> Option<Moment> {
        let Phase::Progressing { since, .. } = self.phase() else {
            return None;
        };
        match self.step()? {
            Step::Pause(time) | Step::Analysis { max: time, .. } => time.map(|time| since + time),
            Step::Bake(time) => Some(since + *time),
            Step::Auto(auto) => auto.max.map(|time| since + time),
            Step::Gate(gate) => gate.max.map(|time| since + time),
            Step::SetWeight(_) => None,
        }
    }

    /// Whether the judge's word can move anything: there is a canary, and it is not over.
    pub fn is_judged(&self) -> bool {
        let state = &self.record.state;
        let is_open = matches!(state.position.standing, Standing::Going | Standing::Held);
        self.record.canary.is_some() && !state.aborted && is_open
    }

    fn settled(&mut self, entries: Vec<Entry>, is_changed: bool) -> Decisions {
        for entry in &entries {
            self.history.add(entry.clone());
        }
        Decisions {
            entries,
            is_changed,
            refused: None,
        }
    }

    /// Takes what another life says. If the canary is aborted by it, that is told.
    fn hear(&mut self, state: &State, now: Moment) -> Vec<Entry> {
        let was_aborted = self.record.state.aborted;
        self.record.state = std::mem::take(&mut self.record.state).join(state);
        if was_aborted || !self.record.state.aborted {
            return Vec::new();
        }
        self.record.since = now;
        "another proxy rolled the canary back".clone_into(&mut self.record.why);
        vec![self.entry(now, "rolled_back", "fleet")]
    }

    /// A line about what is so now, for the reason that is written now.
    fn entry(&self, at: Moment, what: &'static str, by: &str) -> Entry {
        let why = self.record.why.clone();
        Entry {
            at,
            what,
            share: self.share(),
            by: by.to_owned(),
            why,
        }
    }
}

impl Record {
    /// Nothing was decided yet.
    pub fn empty(now: Moment) -> Self {
        Self {
            state: State::new(),
            canary: None,
            configured: None,
            steps: Vec::new(),
            since: now,
            why: String::new(),
            fail_told: false,
        }
    }
}
