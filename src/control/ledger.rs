//! What control remembers of the rollout under way, for those who will ask about it: when it
//! began, how its numbers moved, what ended it and what that rested on.
//!
//! It is filled after publication (I10) and nothing is decided by it.

use std::sync::Arc;

use super::{
    Control, Dossier, Findings, Summary, Trail,
    course::Course,
    journal::{Decision, Note},
    turn::{Before, Turn},
};
use crate::{
    judge::{Judgement, Verdict},
    model::{Moment, Role, SplitName, VersionName},
    rollout::{Entry, Phase, Position, Rollout},
};

/// Of one split's rollout.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What it is; `None`: the split has no canary.
    pub(super) summary: Option<Summary>,
    trail: Trail,
    /// Of the decision that ended it.
    findings: Option<Arc<Findings>>,
}

impl Ledger {
    /// Another rollout has begun: its numbers start anew.
    pub(super) fn clear(&mut self) {
        self.trail = Trail::default();
        self.findings = None;
    }

    /// Whether it is about this rollout.
    fn is_of(&self, rollout: &Rollout) -> bool {
        let state = rollout.state();
        let mut known = self.summary.iter();
        known.any(|summary| (summary.epoch, summary.nonce) == (state.epoch, state.nonce))
    }
}

impl Course {
    /// Takes a point of the trail, while the rollout is judged.
    pub(super) fn mark(&mut self, now: Moment) {
        if let Some(judgement) = self.judgement.as_ref().filter(|_| self.rollout.is_judged()) {
            self.ledger.trail.add(judgement, now);
        }
    }

    /// What is known now.
    pub(super) fn findings(&self, now: Moment) -> Findings {
        let mut trail = self.ledger.trail.clone();
        if let Some(judgement) = &self.judgement {
            trail.add(judgement, now);
        }
        Findings {
            at: now,
            judgement: self.judgement.clone(),
            versions: [
                super::Measured::of(Role::Stable, &self.stable),
                super::Measured::of(Role::Canary, &self.canary),
            ],
            trail,
        }
    }

    /// All that is known of the rollout; `None`: there is none.
    pub(super) fn dossier(&self, now: Moment) -> Option<Dossier> {
        let rollout = self.ledger.summary.clone()?;
        let is_over = rollout.ended.is_some();
        let findings = if is_over {
            self.ledger.findings.clone()
        } else {
            Some(Arc::new(self.findings(now)))
        };
        let history = self.rollout.history().iter();
        let decisions = history.filter(|entry| entry.at >= rollout.started);
        Some(Dossier {
            findings,
            decisions: decisions.cloned().collect(),
            rollout,
            records: Vec::new(),
        })
    }
}

impl Control {
    /// Writes down that a rollout has begun, or what has become of it.
    pub(super) fn note(
        &mut self,
        split: &SplitName,
        before: &Before,
        entries: &[Entry],
        turn: &mut Turn,
    ) {
        let Some(course) = self.courses.get_mut(split) else {
            return;
        };
        if !course.ledger.is_of(&course.rollout) {
            // Looked for only here: of a thousand splits, each has a turn many times a second.
            let mut splits = self.in_force.config.splits.iter();
            let Some(written) = splits.find(|written| written.name == *split) else {
                return;
            };
            let stable = VersionName::from(&written.stable);
            // What became of the one before may not have been written then.
            let before = course.ledger.summary.take();
            let ended = before.filter(|summary| summary.ended.is_some());
            turn.notes
                .extend(ended.map(|summary| Note::Changed(Box::new(summary))));
            course.ledger.summary = summary(split, stable, &course.rollout);
            turn.notes.push(Note::Begun {
                split: split.clone(),
                at: course.rollout.record().since,
                summary: course.ledger.summary.clone().map(Box::new),
            });
        }
        let judgement = course.judgement.as_ref();
        let Some(summary) = &mut course.ledger.summary else {
            return;
        };
        let was_over = before.epoch == summary.epoch && summary.ended.is_some();
        let mut is_changed = false;
        for entry in entries {
            if let Some(result) = Summary::result_of(entry.what) {
                summary.result = result;
                summary.ended = Some(entry.at);
                summary.cause = cause(entry, judgement);
                summary.why.clone_from(&entry.why);
                is_changed = true;
            }
        }
        let is_open = !matches!(
            course.rollout.phase(),
            Phase::RolledBack { .. } | Phase::Promoted
        );
        if was_over && is_open && !is_changed {
            summary.result = Summary::RUNNING;
            summary.ended = None;
            summary.cause.clear();
            summary.why.clear();
            is_changed = true;
        }
        if summary.ended.is_none() && !is_open {
            // Its end could not be written then.
            summary.end_as(&course.rollout);
            is_changed = true;
        }
        if is_changed {
            turn.notes.push(Note::Changed(Box::new(summary.clone())));
        }
    }

    /// Adds to a decision what it rests on. After publication: it takes its time.
    pub(super) fn found(&mut self, decision: &mut Decision) {
        let is_end = Summary::result_of(decision.entry.what).is_some();
        let is_judged = matches!(decision.entry.by.as_str(), "judge" | "absolute");
        let Some(course) = self.courses.get_mut(&decision.split) else {
            return;
        };
        if !(is_end || is_judged) {
            return;
        }
        let mut findings = course.findings(decision.entry.at);
        if is_end {
            let findings = Arc::new(findings);
            course.ledger.findings = Some(Arc::clone(&findings));
            decision.findings = Some(findings);
        } else {
            // How it went is told at the end, once.
            findings.trail = Trail::default();
            decision.findings = Some(Arc::new(findings));
        }
    }
}

impl Summary {
    /// Over, if the rollout is; why is told by the rollout itself.
    fn end_as(&mut self, rollout: &Rollout) {
        self.result = match rollout.phase() {
            Phase::RolledBack { .. } => "rolled_back",
            Phase::Promoted => "promoted",
            Phase::Idle | Phase::Progressing { .. } | Phase::Paused { .. } => return,
        };
        let record = rollout.record();
        self.ended = Some(record.since);
        self.why.clone_from(&record.why);
    }
}

/// Of a rollout as it stands; `None` without a canary, or of a version that was barred from the
/// start.
fn summary(split: &SplitName, stable: VersionName, rollout: &Rollout) -> Option<Summary> {
    let record = rollout.record();
    let state = &record.state;
    if state.aborted && state.position == Position::START {
        return None;
    }
    let mut summary = Summary {
        split: split.clone(),
        epoch: state.epoch,
        nonce: state.nonce,
        stable,
        canary: record.canary.clone()?,
        started: record.since,
        ended: None,
        result: Summary::RUNNING,
        cause: String::new(),
        why: String::new(),
    };
    summary.end_as(rollout);
    Some(summary)
}

/// What ended a rollout.
fn cause(entry: &Entry, judgement: Option<&Judgement>) -> String {
    match (entry.by.as_str(), judgement) {
        ("judge" | "absolute", Some(judgement)) => judgement.cause.clone(),
        ("schedule", _) if entry.what == "promoted" => String::new(),
        ("schedule", Some(judgement)) if judgement.verdict == Verdict::Inconclusive => {
            "inconclusive".to_owned()
        }
        ("schedule", _) => "no_data".to_owned(),
        ("judge" | "absolute" | "config" | "fleet", _) => entry.by.clone(),
        _ => "operator".to_owned(),
    }
}
