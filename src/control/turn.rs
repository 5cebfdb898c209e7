//! One turn of the loop: what an event has led to is put in force, then kept, then told (I10).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{
    Audit, Control, Done, News, Refusal,
    journal::{Decision, Note},
};
use crate::{
    judge::Judgement,
    model::{Epoch, Moment, Share, SplitName},
    rollout::{Decisions, Entry, Phase},
};

/// What one event has led to so far.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The plan in force is not what it should be.
    pub(super) is_plan_stale: bool,
    /// The snapshot is not what it should be.
    pub(super) is_status_stale: bool,
    /// Splits whose state is to be kept.
    pub(super) changed: BTreeSet<SplitName>,
    pub(super) decisions: Vec<Decision>,
    /// What has become of rollouts.
    pub(super) notes: Vec<Note>,
    /// Splits whose canary was taken back.
    pub(super) rolled_back: Vec<SplitName>,
    pub(super) news: Vec<News>,
    /// What has moved traffic.
    pub(super) audits: Vec<Audit>,
    pub(super) answer: Option<Answer>,
}

/// What a person is told, and what is kept of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) to: oneshot::Sender<Result<Done, Refusal>>,
    pub(super) result: Result<Done, Refusal>,
    pub(super) audit: Audit,
}

/// Where a rollout stood before an event.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) phase: Phase,
    pub(super) epoch: Epoch,
    pub(super) share: Share,
}

impl Control {
    /// Takes up what a rollout has decided.
    pub(super) fn decided(
        &mut self,
        split: &SplitName,
        before: &Before,
        decisions: Decisions,
        turn: &mut Turn,
    ) {
        self.note(split, before, &decisions.entries, turn);
        let Some(course) = self.courses.get_mut(split) else {
            return;
        };
        if decisions.is_changed {
            turn.changed.insert(split.clone());
        }
        let epoch = course.rollout.epoch();
        Self::audit_moves(split, (before, epoch), &decisions.entries, turn);
        let was_open = matches!(
            before.phase,
            Phase::Progressing { .. } | Phase::Paused { .. }
        );
        if epoch != before.epoch && was_open {
            self.book.ended(split, "superseded");
        }
        for entry in decisions.entries {
            match entry.what {
                "rolled_back" | "aborted" | "undone" => {
                    let judgement = course.judgement.as_ref();
                    let cause = cause(&entry, judgement);
                    course.roll_back(&entry, cause);
                    turn.rolled_back.push(split.clone());
                    self.book.rolled_back(split, cause);
                    self.book.ended(split, "rolled_back");
                }
                "promoted" => self.book.ended(split, "promoted"),
                _ => {}
            }
            turn.news.push(news(split, epoch, &entry));
            turn.decisions.push(Decision {
                split: split.clone(),
                epoch,
                entry,
                findings: None,
            });
        }
    }

    /// Publish first, tell later.
    pub(super) fn close(&mut self, turn: Turn, now: Moment) {
        self.put_in_force(&turn, now);
        self.applied(&turn, now);
        for split in &turn.changed {
            if let Some(course) = self.courses.get(split) {
                self.journal.keep(split, now, course.rollout.record());
            }
        }
        for note in turn.notes {
            self.journal.noted(note);
        }
        let mut findings = BTreeMap::new();
        for mut decision in turn.decisions {
            self.found(&mut decision);
            if let Some(found) = &decision.findings {
                findings.insert(decision.split.clone(), Arc::clone(found));
            }
            self.journal.decided(decision);
        }
        for audit in turn.audits {
            self.audit(audit);
        }
        if let Some(answer) = turn.answer {
            self.audit(answer.audit);
            self.journal.answer(answer.to, answer.result);
        }
        let is_news = !turn.news.is_empty();
        for news in turn.news {
            let split = news.split.as_ref();
            let found = split.and_then(|split| findings.get(split)).map(Arc::clone);
            self.announcer.tell(news, found.as_deref());
        }
        if is_news || turn.is_plan_stale || turn.is_status_stale || !turn.changed.is_empty() {
            self.report(now);
        }
    }

    fn put_in_force(&mut self, turn: &Turn, now: Moment) {
        let mut is_stale = turn.is_plan_stale;
        let config = &self.in_force.config;
        for split in &config.splits {
            if !turn.is_plan_stale && !turn.changed.contains(&split.name) {
                continue;
            }
            let Some(course) = self.courses.get_mut(&split.name) else {
                continue;
            };
            let shift = course.align(split, now);
            let old = self.in_force.shifts.insert(split.name.clone(), shift);
            is_stale |= old != Some(shift);
        }
        if is_stale && !self.is_draining {
            self.in_force.publish(now);
        }
    }
}

/// The `cause` label of metrics.
fn cause(entry: &Entry, judgement: Option<&Judgement>) -> &'static str {
    let is_critical = judgement.is_some_and(|word| word.cause.starts_with("critical:"));
    match (entry.what, entry.by.as_str()) {
        ("aborted" | "undone", _) => "operator",
        (_, "absolute") => "absolute",
        (_, "judge") if is_critical => "critical",
        _ => "verdict",
    }
}

fn news(split: &SplitName, epoch: Epoch, entry: &Entry) -> News {
    // A pause that nobody has asked for waits for a person.
    let is_own_pause =
        entry.what == "paused" && matches!(entry.by.as_str(), "judge" | "absolute" | "schedule");
    News {
        at: entry.at,
        what: entry.what,
        split: Some(split.clone()),
        epoch: Some(epoch),
        share: Some(entry.share),
        by: entry.by.clone(),
        text: entry.why.clone(),
        is_warning: is_own_pause
            || matches!(entry.what, "rolled_back" | "failed" | "waiting" | "barred"),
    }
}
