//! What a person's act leads to. Every act that is not refused raises the revision.

use super::{Act, Command, Entry, Rollout, Standing, Step, advance::Word};
use crate::model::{Moment, Nonce, Share};

impl Rollout {
    pub(super) fn act(
        &mut self,
        act: &Act,
        nonce: Nonce,
        now: Moment,
    ) -> Result<Vec<Entry>, (String, String)> {
        if self.record.canary.is_none() {
            let help = "write `canary:` into the split first";
            return Err(("the split has no canary".to_owned(), help.to_owned()));
        }
        let allowed = self.phase().allows(act.command);
        allowed.map_err(|(what, help)| (what.to_owned(), help.to_owned()))?;
        self.allows_at_gate(act.command)?;
        if !matches!(act.command, Command::Abort | Command::Retry | Command::Undo) {
            self.record.state.position.revision += 1;
        }
        let why = act
            .reason
            .clone()
            .unwrap_or_else(|| "no reason given".to_owned());
        Ok(match act.command {
            Command::SetWeight(share) => vec![self.set_weight(share, &why, &act.by, now)],
            Command::Promote { full: true } => vec![self.promote(&why, &act.by, now)],
            Command::Promote { full: false } => self.promote_step(&why, &act.by, now),
            Command::Pause => vec![self.hold(&why, &act.by, now)],
            Command::Resume => self.resume(&why, &act.by, now),
            Command::Abort if self.record.state.aborted => Vec::new(),
            Command::Abort => vec![self.take_out(&why, "aborted", &act.by, now)],
            Command::Retry => self.retry(act, nonce, now),
            Command::Undo => vec![self.take_out(&why, "undone", &act.by, now)],
            Command::OpenGate { .. } => self.open_gate(&why, &act.by, now),
            Command::CloseGate if self.is_gate_closed() => Vec::new(),
            Command::CloseGate => vec![self.close_gate(&why, &act.by, now)],
        })
    }

    /// With steps the weight is held: they would take it back at once.
    pub(super) fn set_weight(&mut self, share: Share, why: &str, by: &str, now: Moment) -> Entry {
        self.record.state.position.share = share;
        self.record.state.position.standing = if self.strategy.is_automatic() {
            Standing::Held
        } else {
            Standing::Going
        };
        self.record.since = now;
        self.record.why = if self.strategy.is_automatic() {
            format!("{by} set the weight to {share}: {why}")
        } else {
            String::new()
        };
        Entry {
            why: why.to_owned(),
            ..self.entry(now, "weight_set", by)
        }
    }

    /// By a person: the rollout's line says who and why, its history has each apart.
    fn take_out(&mut self, why: &str, what: &'static str, by: &str, now: Moment) -> Entry {
        let told = format!("{what} by {by}: {why}");
        Entry {
            why: why.to_owned(),
            ..self.abort(&told, what, by, now)
        }
    }

    fn promote(&mut self, why: &str, by: &str, now: Moment) -> Entry {
        let position = &mut self.record.state.position;
        position.share = Share::FULL;
        position.standing = Standing::Finished;
        position.step = self.strategy.steps.len();
        self.record.since = now;
        why.clone_into(&mut self.record.why);
        self.entry(now, "promoted", by)
    }

    fn promote_step(&mut self, why: &str, by: &str, now: Moment) -> Vec<Entry> {
        let standing = self.record.state.position.standing;
        if !self.strategy.is_automatic() || self.step().is_none() {
            return vec![self.promote(why, by, now)];
        }
        if standing == Standing::Waiting {
            return self.start(why, by, now);
        }
        self.next_step(now);
        self.go_on(why, by, now)
    }

    fn resume(&mut self, why: &str, by: &str, now: Moment) -> Vec<Entry> {
        if self.record.state.position.standing == Standing::Waiting {
            return self.start(why, by, now);
        }
        if self.step() == Some(&Step::Pause(None)) {
            self.next_step(now);
        }
        self.go_on(why, by, now)
    }

    fn go_on(&mut self, why: &str, by: &str, now: Moment) -> Vec<Entry> {
        self.record.state.position.standing = Standing::Going;
        self.record.since = now;
        self.record.why.clear();
        let first = Entry {
            why: why.to_owned(),
            ..self.entry(now, "resumed", by)
        };
        let mut entries = vec![first];
        entries.extend(self.advance(Word::NOTHING, now));
        entries
    }

    /// Begins the steps, or the file's weight if there are none.
    pub(super) fn start(&mut self, why: &str, by: &str, now: Moment) -> Vec<Entry> {
        let position = &mut self.record.state.position;
        position.standing = Standing::Going;
        position.step = 0;
        if !self.strategy.is_automatic() {
            position.share = self.strategy.weight.unwrap_or_default();
        }
        self.record.since = now;
        self.record.why.clear();
        let first = Entry {
            why: why.to_owned(),
            ..self.entry(now, "started", by)
        };
        let mut entries = vec![first];
        entries.extend(self.advance(Word::NOTHING, now));
        entries
    }

    fn retry(&mut self, act: &Act, nonce: Nonce, now: Moment) -> Vec<Entry> {
        let why = act.reason.as_deref().unwrap_or("retried");
        if let Some(canary) = &self.record.canary {
            self.record.state.barred.remove(canary);
        }
        self.new_epoch(nonce);
        self.start(why, &act.by, now)
    }
}
