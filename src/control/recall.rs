//! Questions about rollouts, past and present.
//!
//! The loop answers for what it has in memory; what is over is read from the journal through a
//! connection of its own, on a thread that may wait. So no question holds up a decision, and a
//! decision that is in force but not yet written is told all the same.

use std::fs::File;

use tokio::sync::oneshot;

use super::{
    Control, Dossier, Event, Handle, Recall, Refusal, RefusalKind, Summary, journal::shown_record,
};
use crate::model::{Epoch, Moment, SplitName};

impl Control {
    /// Answers for each split's newest rollout.
    pub(super) fn recalled(&self, recall: Recall, now: Moment) {
        // Whoever asked may be gone.
        match recall {
            Recall::Summaries(answer) => {
                let courses = self.courses.values();
                let known = courses.filter_map(|course| course.ledger.summary.clone());
                let _gone = answer.send(known.collect());
            }
            Recall::Records(answer) => {
                let courses = self.courses.iter();
                let courses = courses.map(|(name, course)| (name, course.rollout.record()));
                let known = courses.chain(&self.dormant);
                let texts = known.map(|(name, record)| (name.clone(), shown_record(record)));
                let _gone = answer.send(texts.collect());
            }
            Recall::Dossier(split, epoch, answer) => {
                let course = self.courses.get(&split);
                let course = course.filter(|course| course.rollout.epoch() == epoch);
                let dossier = course.and_then(|course| course.dossier(now));
                let _gone = answer.send(dossier.map(Box::new));
            }
            Recall::Written(done) => self.journal.tell(done),
            Recall::Audit(split, limit, answer) => {
                let _gone = answer.send(self.audited.newest(split.as_ref(), limit));
            }
        }
    }
}

impl Handle {
    /// What is kept of each split's rollout, for those who ask what a file would lead to; read
    /// with [`read_record`](super::read_record).
    pub async fn records(&self) -> Vec<(SplitName, String)> {
        let mut records = self.recall(Recall::Records).await.unwrap_or_default();
        records.sort_unstable();
        records
    }

    /// Rollouts of one split or of all, the newest first. Without a state directory only those
    /// that each split had last.
    pub async fn rollouts(&self, split: Option<&SplitName>) -> Result<Vec<Summary>, Refusal> {
        let live = self.recall(Recall::Summaries).await.unwrap_or_default();
        let kept = match self.archive.clone() {
            None => Vec::new(),
            Some(archive) => {
                let split = split.cloned();
                tokio::task::spawn_blocking(move || archive.rollouts(split.as_ref()))
                    .await
                    .map_err(unreadable)?
                    .map_err(unreadable)?
            }
        };
        let live = live
            .into_iter()
            .filter(|summary| split.is_none_or(|split| summary.split == *split));
        Ok(together(live, kept))
    }

    /// All that is known of one rollout; `None`: nothing is.
    pub async fn dossier(
        &self,
        split: &SplitName,
        epoch: Epoch,
    ) -> Result<Option<Dossier>, Refusal> {
        let question = |answer| Recall::Dossier(split.clone(), epoch, answer);
        let live = self.recall(question).await.flatten();
        let (kept, records) = match self.archive.clone() {
            None => (None, Vec::new()),
            Some(archive) => {
                let split = split.clone();
                let read = move || {
                    (
                        archive.dossier(&split, epoch),
                        archive.records(&split, epoch),
                    )
                };
                let read = tokio::task::spawn_blocking(read);
                let (kept, records) = read.await.map_err(unreadable)?;
                (kept.map_err(unreadable)?, records)
            }
        };
        let mut known = match (live, kept) {
            (Some(live), Some(kept)) => Some(joined(*live, kept)),
            (live, kept) => live.map(|live| *live).or(kept),
        };
        if let Some(known) = &mut known {
            known.records.extend(records);
        }
        Ok(known)
    }

    /// The newest record of one rollout, open, and its file's name; `None`: none is kept.
    pub async fn record(
        &self,
        split: &SplitName,
        epoch: Epoch,
    ) -> Result<Option<(String, File)>, Refusal> {
        let Some(archive) = self.archive.clone() else {
            return Ok(None);
        };
        let split = split.clone();
        let newest = move || {
            let path = archive.records(&split, epoch).pop()?;
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some(File::open(path).map(|file| (name, file)))
        };
        let opened = tokio::task::spawn_blocking(newest).await;
        opened.map_err(unreadable)?.transpose().map_err(unreadable)
    }

    /// What the loop answers; `None`: it has ended.
    pub(super) async fn recall<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Recall,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        // An error means that control has ended: the answer channel says so.
        let _ended = self.events().send(Event::Recalled(question(answer))).await;
        answered.await.ok()
    }
}

/// What is in memory and what was written, each rollout once, the newest first.
fn together(live: impl Iterator<Item = Summary>, kept: Vec<Summary>) -> Vec<Summary> {
    let mut all = kept;
    for summary in live {
        let is_same =
            |known: &&mut Summary| (&known.split, known.epoch) == (&summary.split, summary.epoch);
        match all.iter_mut().find(is_same) {
            Some(known) => *known = newer(summary, known.clone()),
            None => all.push(summary),
        }
    }
    all.sort_by(|a, b| (b.started, &a.split, b.epoch).cmp(&(a.started, &b.split, a.epoch)));
    all
}

/// Of a line in memory and the one that was written. Memory is ahead of the disk; but after a
/// restart it knows neither when a rollout began nor what had ended it.
fn newer(live: Summary, kept: Summary) -> Summary {
    if live.nonce == kept.nonce && live.ended.is_some() == kept.ended.is_some() {
        return kept;
    }
    let started = live.started.min(kept.started);
    Summary { started, ..live }
}

/// The same for all that is known of one rollout.
fn joined(live: Dossier, kept: Dossier) -> Dossier {
    let newest = |dossier: &Dossier| dossier.decisions.last().map(|entry| entry.at);
    let decisions = if newest(&live) > newest(&kept) {
        live.decisions
    } else {
        kept.decisions
    };
    Dossier {
        rollout: newer(live.rollout, kept.rollout),
        findings: live.findings.or(kept.findings),
        decisions,
        records: Vec::new(),
    }
}

/// What was kept cannot be read.
pub(super) fn unreadable(error: impl std::error::Error) -> Refusal {
    Refusal {
        kind: RefusalKind::Unreadable,
        message: format!("what was kept of rollouts cannot be read: {error}"),
        help: "look at the state directory's disk and rights; the log tells of it too".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Nonce, Share, VersionName},
        rollout::Entry,
    };

    fn summary(epoch: u64, started: u64, ended: Option<u64>, why: &str) -> Summary {
        Summary {
            split: SplitName::new("shop").unwrap(),
            epoch: Epoch(epoch),
            nonce: Nonce(1),
            stable: VersionName::new("v1").unwrap(),
            canary: VersionName::new("v2").unwrap(),
            started: Moment::from_millis(started),
            ended: ended.map(Moment::from_millis),
            result: if ended.is_some() {
                "rolled_back"
            } else {
                "running"
            },
            cause: String::new(),
            why: why.to_owned(),
        }
    }

    fn entry(at: u64) -> Entry {
        Entry {
            at: Moment::from_millis(at),
            what: "stepped",
            share: Share::ZERO,
            by: "judge".to_owned(),
            why: String::new(),
        }
    }

    #[test]
    fn memory_is_ahead_of_the_disk_but_forgets_at_a_restart() {
        let kept = vec![
            summary(2, 50, None, "kept"),
            summary(1, 10, Some(20), "kept"),
        ];
        // The rollback is in force and not yet written.
        let told = together([summary(2, 60, Some(90), "live")].into_iter(), kept.clone());
        let shown: Vec<_> = told
            .iter()
            .map(|it| (it.epoch.0, it.started.millis(), it.why.as_str()))
            .collect();
        assert_eq!(shown, [(2, 50, "live"), (1, 10, "kept")]);
        // After a restart both say the same; the disk says it better.
        let told = together([summary(2, 60, None, "live")].into_iter(), kept);
        assert_eq!(told[0].why, "kept");
        let told = together([summary(3, 70, None, "live")].into_iter(), Vec::new());
        assert_eq!(told.len(), 1, "not written at all");
    }

    #[test]
    fn of_decisions_the_list_that_knows_more_is_told() {
        let dossier = |decisions: &[u64]| Dossier {
            rollout: summary(2, 50, None, ""),
            findings: None,
            records: Vec::new(),
            decisions: decisions.iter().map(|at| entry(*at)).collect(),
        };
        let times = |dossier: Dossier| -> Vec<u64> {
            let decisions = dossier.decisions.iter();
            decisions.map(|entry| entry.at.millis()).collect()
        };
        assert_eq!(times(joined(dossier(&[9]), dossier(&[1, 9]))), [1, 9]);
        assert_eq!(
            times(joined(dossier(&[1, 9, 12]), dossier(&[1, 9]))),
            [1, 9, 12]
        );
    }
}
