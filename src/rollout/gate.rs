//! The step `gate`: the share is held and judged until somebody says that it may go on.
//!
//! Who opens a gate, a person or a service that was asked, makes no difference here: it is an act
//! like any other and raises the revision. A fail acts at a gate as everywhere.

use super::{
    Command, Entry, Gate, Rollout, Standing, Step,
    advance::Word,
    step_text,
    strategy::{place, waited_text},
};
use crate::model::Moment;

impl Rollout {
    /// The gate that the rollout waits at; `None`: it is at none, or held there.
    pub fn waits_at(&self) -> Option<&Gate> {
        let is_going = self.record.state.position.standing == Standing::Going;
        let Step::Gate(gate) = self.step()? else {
            return None;
        };
        (is_going && self.is_judged()).then_some(gate)
    }

    /// Waits at a gate; after its longest wait, that is told.
    pub(super) fn stand_at_gate(&mut self, gate: &Gate, step: &Step, now: Moment) -> Option<Entry> {
        self.waits = match &gate.webhook {
            None => "waits for `serin gate open`".to_owned(),
            Some(hook) => format!("waits for {} by {}", hook.kind.as_str(), place(&hook.url)),
        };
        let waited = now.since(self.record.since);
        gate.max.filter(|max| waited >= *max)?;
        let why = format!(
            "{}: nobody has opened it in {}",
            step_text(step),
            waited_text(waited)
        );
        Some(self.give_up(self.strategy.on_inconclusive, &why, now))
    }

    /// Whether an act on a gate finds one.
    pub(super) fn allows_at_gate(&self, command: Command) -> Result<(), (String, String)> {
        let asked_at = match command {
            Command::OpenGate { step } => step,
            Command::CloseGate => None,
            Command::SetWeight(_)
            | Command::Promote { .. }
            | Command::Pause
            | Command::Resume
            | Command::Abort
            | Command::Retry
            | Command::Undo => return Ok(()),
        };
        let here = self.record.state.position.step;
        let help = "`serin status` shows the step under way".to_owned();
        if !matches!(self.step(), Some(Step::Gate(_))) {
            return Err(("the rollout is at no gate".to_owned(), help));
        }
        let is_asked_here = asked_at.is_none_or(|step| step == here && self.waits_at().is_some());
        if is_asked_here {
            Ok(())
        } else {
            Err((
                "the gate is not the one that was asked for".to_owned(),
                help,
            ))
        }
    }

    pub(super) fn open_gate(&mut self, why: &str, by: &str, now: Moment) -> Vec<Entry> {
        self.record.state.position.standing = Standing::Going;
        self.next_step(now);
        let first = Entry {
            why: why.to_owned(),
            ..self.entry(now, "gate_opened", by)
        };
        let mut entries = vec![first];
        entries.extend(self.advance(Word::NOTHING, now));
        entries
    }

    /// A person has closed it already.
    pub(super) fn is_gate_closed(&self) -> bool {
        let is_held = self.record.state.position.standing == Standing::Held;
        is_held && matches!(self.step(), Some(Step::Gate(_)))
    }

    pub(super) fn close_gate(&mut self, why: &str, by: &str, now: Moment) -> Entry {
        let told = format!("the gate is closed by {by}: {why}; `serin gate open` goes on");
        Entry {
            what: "gate_closed",
            why: why.to_owned(),
            ..self.hold(&told, by, now)
        }
    }
}
