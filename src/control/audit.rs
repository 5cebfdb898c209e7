//! The audit log: who has moved traffic, or has tried to, and what came of it.
//!
//! People, the judge, the schedule, the file, webhooks and workers stand in it alike: whatever
//! moved a split's share or put out an endpoint is one line. It lies in the journal; without one
//! the newest lines are kept in memory.

use std::{collections::VecDeque, net::SocketAddr};

use super::{
    Control, Event, Handle, Recall, Refusal,
    recall::unreadable,
    turn::{Before, Turn},
};
use crate::{
    model::{Epoch, Moment, Share, SplitName, UpstreamName},
    rollout::Entry,
};

/// Lines that are kept in memory.
const LINES_MAX: usize = 256;

/// What somebody acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A split.
    Split(SplitName),
    /// An endpoint of this upstream, or of all that have it.
    Endpoint(Option<UpstreamName>, SocketAddr),
    /// The process.
    Process,
}

/// An act and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When.
    pub at: Moment,
    /// On what.
    pub of: Subject,
    /// Who: a person with how that is known, `judge`, `schedule`, `config`, `proxy`, a webhook.
    pub actor: String,
    /// What was done, or was to be done.
    pub command: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// `done` or `refused`, and more in words.
    pub result: String,
    /// How the canary's share was moved.
    pub moved: Option<Moved>,
}

/// A canary's share before and after an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The epoch then.
    pub epoch: Epoch,
    /// Before.
    pub before: Share,
    /// After.
    pub after: Share,
}

/// The newest lines.
#[derive(Debug, Default)]
pub(super) struct Lines(VecDeque<Audit>);

impl Lines {
    fn add(&mut self, audit: Audit) {
        if self.0.len() >= LINES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(audit);
    }

    /// Those of one split or of all, the newest first.
    pub(super) fn newest(&self, split: Option<&SplitName>, limit: usize) -> Vec<Audit> {
        let wanted = |audit: &&Audit| match (&audit.of, split) {
            (_, None) => true,
            (Subject::Split(name), Some(split)) => name == split,
            (Subject::Endpoint(..) | Subject::Process, Some(_)) => false,
        };
        let newest = self.0.iter().rev().filter(wanted);
        newest.take(limit).cloned().collect()
    }
}

impl Control {
    /// Writes a line.
    pub(super) fn audit(&mut self, audit: Audit) {
        self.journal.asked(audit.clone());
        self.audited.add(audit);
    }

    /// Each decision that moved a split's share is a line.
    pub(super) fn audit_moves(
        split: &SplitName,
        (before, epoch): (&Before, Epoch),
        entries: &[Entry],
        turn: &mut Turn,
    ) {
        let mut share = before.share;
        for entry in entries {
            let moved = Moved {
                epoch,
                before: std::mem::replace(&mut share, entry.share),
                after: entry.share,
            };
            if moved.before == moved.after {
                continue;
            }
            turn.audits.push(Audit {
                at: entry.at,
                of: Subject::Split(split.clone()),
                actor: entry.by.clone(),
                command: entry.what.to_owned(),
                reason: Some(entry.why.clone()).filter(|why| !why.is_empty()),
                result: "done".to_owned(),
                moved: Some(moved),
            });
        }
    }
}

impl Handle {
    /// Writes a line about an act that control does not see: one on the process, or one that was
    /// refused before it got there.
    pub async fn note(&self, audit: Audit) {
        // An error means that control has ended.
        let _ended = self.events().send(Event::Noted(Box::new(audit))).await;
    }

    /// The audit log of one split or of everything, the newest first.
    pub async fn audit(
        &self,
        split: Option<&SplitName>,
        limit: usize,
    ) -> Result<Vec<Audit>, Refusal> {
        let split = split.cloned();
        if let Some(archive) = self.archive.clone() {
            // Without an answer it cannot be waited for: what is there is told.
            let _written = self.recall(Recall::Written).await;
            let read = move || archive.audit(split.as_ref(), limit);
            let read = tokio::task::spawn_blocking(read).await;
            return read.map_err(unreadable)?.map_err(unreadable);
        }
        let question = |answer| Recall::Audit(split, limit, answer);
        Ok(self.recall(question).await.unwrap_or_default())
    }
}
