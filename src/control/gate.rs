//! Gates that wait for a webhook: what those who ask need to know, and what was answered.
//!
//! Control asks nobody: it says in its status that a gate waits, and hears what came of it. An
//! answer that opens is an act like a person's; any other is told once.

use super::{Control, News, course::Course, turn::Turn};
use crate::{
    model::{Epoch, Moment, SplitName},
    rollout::Rollout,
};

/// A gate that waits for a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Its step, from 0.
    pub step: usize,
    /// Whom to ask; an `http://` or `https://` address.
    pub url: String,
    /// What to ask for: `confirm_traffic_increase`, ...
    pub kind: &'static str,
    /// The time from an answer to the next question.
    pub interval: std::time::Duration,
    /// How long an answer may take.
    pub timeout: std::time::Duration,
}

/// What a webhook has answered, if that keeps its gate shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateAnswer {
    /// Of which split.
    pub split: SplitName,
    /// The rollout that was asked for.
    pub epoch: Epoch,
    /// The gate's step, from 0.
    pub step: usize,
    /// Who has answered.
    pub by: String,
    /// What was answered, in words.
    pub text: String,
}

impl Gate {
    /// The gate that a rollout waits at, if a webhook is to be asked.
    pub(super) fn of(rollout: &Rollout) -> Option<Self> {
        let hook = rollout.waits_at()?.webhook.as_ref()?;
        Some(Self {
            step: rollout.state().position.step,
            url: hook.url.clone(),
            kind: hook.kind.as_str(),
            interval: hook.interval,
            timeout: hook.timeout,
        })
    }
}

impl Control {
    /// A webhook keeps a gate shut. What is no news is not told.
    pub(super) fn answered(&mut self, answer: GateAnswer, now: Moment, turn: &mut Turn) {
        let Some(course) = self.courses.get_mut(&answer.split) else {
            return;
        };
        if !is_of(&answer, &course.rollout) || course.answer.as_ref() == Some(&answer) {
            return;
        }
        turn.news.push(News {
            at: now,
            what: "gate_shut",
            split: Some(answer.split.clone()),
            epoch: Some(answer.epoch),
            share: Some(course.rollout.share()),
            by: answer.by.clone(),
            text: format!("the gate stays shut: {}", answer.text),
            is_warning: false,
        });
        course.answer = Some(answer);
    }
}

/// Why a rollout stands where it stands, with what a webhook said last.
pub(super) fn reason(course: &Course) -> String {
    let reason = course.rollout.phase_reason();
    match &course.answer {
        Some(answer) if is_of(answer, &course.rollout) => format!("{reason}: {}", answer.text),
        Some(_) | None => reason.to_owned(),
    }
}

fn is_of(answer: &GateAnswer, rollout: &Rollout) -> bool {
    let gate = Gate::of(rollout);
    rollout.epoch() == answer.epoch && gate.is_some_and(|gate| gate.step == answer.step)
}
