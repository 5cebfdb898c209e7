//! What a person's act leads to, and how it is answered.

use super::{
    Ask, Audit, Control, Done, Moved, Refusal, RefusalKind, Subject,
    open::nonce,
    turn::{Answer, Before, Turn},
};
use crate::{
    model::{Epoch, Moment, Share, SplitName, UpstreamName},
    rollout::{Act, Command, Event as RolloutEvent, Phase, Rollout, step_text},
};

impl Control {
    /// A person asks. The answer goes out when the act is in force.
    pub(super) fn asked(&mut self, ask: Ask, now: Moment, turn: &mut Turn) {
        let before = self.stands(&ask.split);
        let result = self.act(&ask, now, turn);
        // What it has led to is told in one line, which says who has asked.
        turn.audits.clear();
        let moved = before.zip(self.stands(&ask.split));
        let moved = moved.map(|((_, before), (epoch, after))| Moved {
            epoch,
            before,
            after,
        });
        let Ask {
            split,
            command,
            reason,
            actor,
            answer: to,
            ..
        } = ask;
        let audit = Audit {
            at: now,
            of: Subject::Split(split),
            actor,
            command: command_text(command),
            reason,
            result: match &result {
                Ok(done) => format!("done: {}", done.message),
                Err(refusal) => format!("refused: {refusal}"),
            },
            moved,
        };
        turn.answer = Some(Answer { to, result, audit });
    }

    fn act(&mut self, ask: &Ask, now: Moment, turn: &mut Turn) -> Result<Done, Refusal> {
        self.may_act()?;
        let gone = self.gone_stable(&ask.split);
        let Some(course) = self.courses.get_mut(&ask.split) else {
            return Err(self.unknown(&ask.split));
        };
        let rollout = &mut course.rollout;
        let epoch = rollout.epoch();
        if let Some(wanted) = ask.if_epoch.filter(|wanted| *wanted != epoch) {
            return Err(Refusal {
                kind: RefusalKind::Stale,
                message: format!("the epoch of {} is {epoch} now, not {wanted}", ask.split),
                help: format!(
                    "look at it with `serin status {}`, then ask again",
                    ask.split
                ),
            });
        }
        let before = Before {
            phase: rollout.phase(),
            epoch,
            share: rollout.share(),
        };
        if let Some(stable) = gone
            && ask.command == Command::Undo
            && before.phase == Phase::Promoted
        {
            return Err(Refusal {
                kind: RefusalKind::Conflict,
                message: format!("the old version is gone: {stable} has no usable endpoint"),
                help: "bring it back first; `serin abort` takes the canary to 0 in any case"
                    .to_owned(),
            });
        }
        let by = ask.actor.clone();
        let act = Act {
            command: ask.command,
            by,
            reason: ask.reason.clone(),
        };
        let mut decisions = rollout.on(RolloutEvent::Asked(&act, nonce()), now);
        if let Some((message, help)) = decisions.refused.take() {
            let has_canary = rollout.record().canary.is_some();
            let kind = if has_canary {
                RefusalKind::Conflict
            } else {
                RefusalKind::Invalid
            };
            let message = format!("split {}: {message}", ask.split);
            return Err(Refusal {
                kind,
                message,
                help,
            });
        }
        let done = done(rollout);
        self.decided(&ask.split, &before, decisions, turn);
        Ok(done)
    }

    /// Nothing is decided by a process that goes down, or that another one takes the place of.
    fn may_act(&self) -> Result<(), Refusal> {
        let message = match (self.journal.is_lent(), self.is_draining) {
            (true, _) => "the process is being upgraded",
            (false, true) => "the process is going down",
            (false, false) => return Ok(()),
        };
        Err(Refusal {
            kind: RefusalKind::Conflict,
            message: message.to_owned(),
            help: "ask again when it is back".to_owned(),
        })
    }

    /// The epoch of a split, and its canary's share.
    fn stands(&self, split: &SplitName) -> Option<(Epoch, Share)> {
        let rollout = &self.courses.get(split)?.rollout;
        Some((rollout.epoch(), rollout.share()))
    }

    /// The stable version of a split, if nobody answers for it any more.
    fn gone_stable(&self, split: &SplitName) -> Option<UpstreamName> {
        let mut splits = self.in_force.config.splits.iter();
        let stable = &splits.find(|known| known.name == *split)?.stable;
        let (usable, _) = self.in_force.endpoints.counts(stable);
        (usable == 0).then(|| stable.clone())
    }

    fn unknown(&self, split: &SplitName) -> Refusal {
        let names: Vec<_> = self
            .in_force
            .config
            .splits
            .iter()
            .map(|split| split.name.as_str())
            .collect();
        Refusal {
            kind: RefusalKind::NotFound,
            message: format!("there is no split {split}"),
            help: format!("the file has: {}", names.join(", ")),
        }
    }
}

fn done(rollout: &Rollout) -> Done {
    let share = rollout.share();
    let canary = rollout.record().canary.as_ref();
    let canary = canary.map_or_else(|| "the canary".to_owned(), ToString::to_string);
    let next = match (rollout.phase(), rollout.step()) {
        (Phase::Progressing { step, .. }, Some(under_way)) => {
            format!(", step {}: {}", step + 1, step_text(under_way))
        }
        (Phase::Paused { .. }, _) => ", held until a person says more".to_owned(),
        _ => String::new(),
    };
    let phase = rollout.phase().as_str();
    Done {
        epoch: rollout.epoch(),
        share,
        message: format!("{canary} has {share} ({phase}{next})"),
    }
}

fn command_text(command: Command) -> String {
    match command {
        Command::SetWeight(share) => format!("set-weight {share}"),
        Command::Promote { full: true } => "promote --full".to_owned(),
        Command::Promote { full: false } => "promote".to_owned(),
        Command::Pause => "pause".to_owned(),
        Command::Resume => "resume".to_owned(),
        Command::Abort => "abort".to_owned(),
        Command::Retry => "retry".to_owned(),
        Command::Undo => "undo".to_owned(),
        Command::OpenGate { .. } => "gate open".to_owned(),
        Command::CloseGate => "gate close".to_owned(),
    }
}
