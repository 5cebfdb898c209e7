//! What survives a restart: rollout state, decisions with their evidence, the audit of people's
//! acts. `SQLite` in the state directory, on a thread of its own behind a bounded channel.
//!
//! Writes follow the publication (I10). A failed write is an alarm, never a stop: it is counted,
//! logged, and tried again with the next state. `synchronous=FULL`: decisions are rare, and one
//! that was told to people must survive a power cut; nobody waits for the disk but this thread.

mod acts;
mod archive;
mod findings;
mod judged;
mod store;
mod tables;
mod wire;
mod witness;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use tokio::sync::oneshot;

pub use self::wire::read_record;
pub(super) use self::{archive::Archive, wire::shown_record};
use self::{
    store::{JournalError, Store},
    witness::Witness,
};
use super::{Audit, Done, Findings, Refusal, Summary};
use crate::{
    model::{Epoch, Moment, SplitName},
    rollout::{Entry, Record},
};

/// How many writes may wait. State that finds no room is sent again a second later.
const QUEUE: usize = 1_024;
/// A decision with what it rests on.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) split: SplitName,
    pub(super) epoch: Epoch,
    pub(super) entry: Entry,
    /// `None`: it rests on no numbers.
    pub(super) findings: Option<Arc<Findings>>,
}

/// What has become of a rollout.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// Another one begins. Those of the split that were not over are superseded.
    Begun {
        split: SplitName,
        at: Moment,
        /// `None`: there is no canary now.
        summary: Option<Box<Summary>>,
    },
    /// It is over, or goes on after all.
    Changed(Box<Summary>),
}

/// What a person is told.
type Answer = Result<Done, Refusal>;

/// What is written, and who waits for it.
#[derive(Debug)]
enum Write {
    State(SplitName, Moment, Box<Record>),
    Note(Note),
    Decision(Box<Decision>),
    Audit(Box<Audit>),
    Answer(oneshot::Sender<Answer>, Answer),
    Flush(SyncSender<()>),
    /// Somebody wants to read what was written before.
    Told(oneshot::Sender<()>),
    /// Let the file go, say so, and write no more until a word comes; none will: end.
    Lend(oneshot::Sender<()>, Receiver<()>),
}

/// The journal in the hands of another process.
#[derive(Debug)]
struct Lent {
    back: SyncSender<()>,
    /// Something came up that must not be lost, and is not written.
    is_owed: bool,
}

/// What was kept of an earlier life.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By split.
    pub(super) records: HashMap<SplitName, Record>,
    /// Decisions by split, newest last.
    pub(super) history: HashMap<SplitName, Vec<Entry>>,
    /// The newest rollout of each split.
    pub(super) rollouts: HashMap<SplitName, Summary>,
    /// By split, if nothing is known: what the file beside the configuration says is out.
    pub(super) rolled_back: HashMap<SplitName, Record>,
    /// Nothing was ever kept here, or it could not be read: a split that is not in `records` may
    /// be new, or its state is lost.
    pub(super) is_unknown: bool,
}

/// The writer's end. Dropping it waits until everything is written.
#[derive(Debug)]
pub(super) struct Journal {
    writes: Option<SyncSender<Write>>,
    failures: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    lent: Option<Lent>,
}

impl Journal {
    /// Opens the journal and reads what was kept; without a directory nothing is kept. If nothing
    /// is known, the file beside the configuration may still know what was rolled back.
    pub(super) fn open(directory: Option<&Path>, config: Option<&Path>) -> (Self, Kept) {
        let failures = Arc::new(AtomicU64::new(0));
        let unknown = Kept {
            is_unknown: true,
            ..Kept::default()
        };
        let Some(directory) = directory else {
            return (
                Self {
                    writes: None,
                    failures,
                    thread: None,
                    lent: None,
                },
                unknown,
            );
        };
        let mut store = Store::new(directory);
        let mut kept = store.read().unwrap_or_else(|error| {
            alarm(&failures, &store.path, &error);
            unknown
        });
        let mut witness = Witness::beside(config);
        if kept.is_unknown {
            kept.rolled_back = witness.records();
        }
        let (writes, queue) = sync_channel(QUEUE);
        let count = Arc::clone(&failures);
        let named = std::thread::Builder::new().name("journal".to_owned());
        let thread = named.spawn(move || write_all((&mut store, &mut witness), &queue, &count));
        let thread = thread.map_err(|error| tracing::error!(%error, "no thread for the journal"));
        (
            Self {
                writes: Some(writes),
                failures,
                thread: thread.ok(),
                lent: None,
            },
            kept,
        )
    }

    /// Writes that failed since the start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Keeps a rollout's state.
    pub(super) fn keep(&self, split: &SplitName, at: Moment, record: &Record) {
        self.send(Write::State(split.clone(), at, Box::new(record.clone())));
    }

    /// Keeps what has become of a rollout.
    pub(super) fn noted(&mut self, note: Note) {
        self.owe();
        self.send(Write::Note(note));
    }

    /// Keeps a decision.
    pub(super) fn decided(&mut self, decision: Decision) {
        self.owe();
        self.send(Write::Decision(Box::new(decision)));
    }

    /// Keeps a person's act.
    pub(super) fn asked(&self, audit: Audit) {
        self.send(Write::Audit(Box::new(audit)));
    }

    /// Tells a person what came of an act, when it is written: what was answered outlives a kill.
    pub(super) fn answer(&self, to: oneshot::Sender<Answer>, answer: Answer) {
        let write = Write::Answer(to, answer);
        let unsent = match self.writes.as_ref().filter(|_| self.lent.is_none()) {
            Some(writes) => writes.try_send(write).err(),
            None => Some(TrySendError::Disconnected(write)),
        };
        if let Some(TrySendError::Full(write) | TrySendError::Disconnected(write)) = unsent {
            write.release();
        }
    }

    /// Says when everything before is written; at once if that cannot be waited for.
    pub(super) fn tell(&self, done: oneshot::Sender<()>) {
        let writes = self.writes.as_ref().filter(|_| self.lent.is_none());
        // If there is no room, `done` is dropped, and who waits reads what is there.
        let _no_room = writes.map(|writes| writes.try_send(Write::Told(done)));
    }

    /// Lets another process have the file; `done` is told when it may open it. What comes up
    /// meanwhile waits.
    pub(super) fn lend(&mut self, done: oneshot::Sender<()>) {
        let Some(writes) = &self.writes else {
            // Nothing is kept. Whoever asked may be gone.
            let _gone = done.send(());
            return;
        };
        let (back, returned) = sync_channel(1);
        // If there is no room, `done` is dropped, and the other process gets nothing.
        if writes.try_send(Write::Lend(done, returned)).is_ok() {
            self.lent = Some(Lent {
                back,
                is_owed: false,
            });
        }
    }

    /// Has the file again, and writes what came up meanwhile.
    pub(super) fn take_back(&mut self) {
        if let Some(lent) = self.lent.take() {
            // An error means that the thread has ended: nothing more can be written.
            let _ended = lent.back.try_send(());
        }
    }

    /// Whether something that must not be lost waits for the file to come back.
    pub(super) fn is_owed(&self) -> bool {
        self.lent.as_ref().is_some_and(|lent| lent.is_owed)
    }

    /// Whether another process has the file.
    pub(super) const fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    fn owe(&mut self) {
        if let Some(lent) = &mut self.lent {
            lent.is_owed = true;
        }
    }

    /// Waits until everything before is written; nothing is if another process has the file.
    pub(super) fn flush(&self) {
        if self.is_lent() {
            return;
        }
        let (done, written) = sync_channel(1);
        if self
            .writes
            .as_ref()
            .is_some_and(|writes| writes.send(Write::Flush(done)).is_ok())
        {
            // An error means that the thread has ended: nothing more can be written.
            let _ended = written.recv();
        }
    }

    fn send(&self, write: Write) {
        let Some(writes) = &self.writes else { return };
        if writes.try_send(write).is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!("the journal does not keep up; state is kept in memory only for now");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.writes.take());
        drop(self.lent.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook already.
            let _panicked = thread.join();
        }
    }
}

impl Write {
    /// Whether it is for the disk.
    const fn is_kept(&self) -> bool {
        matches!(
            self,
            Self::State(..) | Self::Note(_) | Self::Decision(_) | Self::Audit(_)
        )
    }

    const fn is_lending(&self) -> bool {
        matches!(self, Self::Lend(..))
    }

    /// Lets go who waits for what was written before.
    fn release(self) {
        match self {
            // Whoever waited may be gone.
            Self::Answer(to, answer) => drop(to.send(answer)),
            Self::Flush(done) => drop(done.send(())),
            Self::Told(done) => drop(done.send(())),
            Self::Lend(..)
            | Self::State(..)
            | Self::Note(_)
            | Self::Decision(_)
            | Self::Audit(_) => {}
        }
    }
}

/// Writes what has come together: one wait for the disk, however much it is.
fn write_all(
    (store, witness): (&mut Store, &mut Witness),
    queue: &Receiver<Write>,
    failures: &AtomicU64,
) {
    while let Ok(first) = queue.recv() {
        let mut batch = together(first, queue);
        if batch.iter().any(Write::is_kept) && check(store.begin(), store, failures) {
            for write in &batch {
                let written = write_one(store, write);
                check(written, store, failures);
            }
            check(store.commit(), store, failures);
        }
        for write in &batch {
            if let Write::State(split, _, record) = write {
                witness.note(split, record);
            }
        }
        let lending = batch.pop_if(|last| last.is_lending());
        batch.into_iter().for_each(Write::release);
        if let Some(Write::Lend(done, back)) = lending {
            store.close();
            // Whoever asked may be gone.
            let _gone = done.send(());
            if back.recv().is_err() {
                return;
            }
        }
    }
}

/// What waits behind the first write; nothing that waits behind a lending.
fn together(first: Write, queue: &Receiver<Write>) -> Vec<Write> {
    let mut batch = vec![first];
    while !batch.last().is_some_and(Write::is_lending)
        && let Ok(next) = queue.try_recv()
    {
        batch.push(next);
    }
    batch
}

fn write_one(store: &mut Store, write: &Write) -> Result<(), JournalError> {
    match write {
        Write::State(split, at, record) => store.keep(split, *at, record),
        Write::Note(note) => store.noted(note),
        Write::Decision(decision) => store.decided(decision),
        Write::Audit(audit) => store.asked(audit),
        Write::Answer(..) | Write::Flush(_) | Write::Told(_) | Write::Lend(..) => Ok(()),
    }
}

/// Whether it went well; if not, that is told, and the file is opened anew.
fn check(written: Result<(), JournalError>, store: &mut Store, failures: &AtomicU64) -> bool {
    let error = written.err();
    if let Some(error) = &error {
        alarm(failures, &store.path, error);
        store.forget(error);
    }
    error.is_none()
}

fn alarm(failures: &AtomicU64, path: &Path, error: &dyn std::error::Error) {
    failures.fetch_add(1, Ordering::Relaxed);
    let cause = error.source().map(tracing::field::display);
    tracing::error!(path = %path.display(), %error, cause, "rollout state cannot be kept");
}

#[cfg(test)]
mod tests;
