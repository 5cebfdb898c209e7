//! The flight recorder: what the judge is told of a rollout goes into a record in the state
//! directory, which `serin replay` judges again.
//!
//! The loop makes the bytes and hands them to a thread over a bounded channel; it never waits. A
//! record with a hole would lie, so a full channel or a refused write ends it, and it says so. One
//! record is one [`crate::judge::Evidence`]: after a restart, or by other criteria, another begins.

mod files;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

pub(super) use self::files::records;
use self::files::{Files, Write};
use crate::{
    config::Split,
    judge::{Baseline, Criteria, Judgement, Tick},
    model::{Epoch, Moment, RouteName, Share, Stage, VersionName},
    record::{Encoder, End, Frame, Header, Watch},
};

/// How many writes may wait.
const QUEUE: usize = 4_096;

/// What may be kept.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes of one record.
    record: usize,
    /// Records, the newest.
    records: usize,
    /// Bytes of all.
    total: u64,
}

const LIMITS: Limits = Limits {
    record: 64 << 20,
    records: 32,
    total: 512 << 20,
};

/// Where records are begun. Clones begin them in the same place; all must be gone before the owner
/// of the thread is.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder {
    writes: Option<SyncSender<Write>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    begun: AtomicU64,
    failures: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            limits: LIMITS,
            begun: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }
}

/// The recorder and its thread. Dropping it waits until everything is written.
#[derive(Debug)]
pub(super) struct Recordings {
    recorder: Recorder,
    thread: Option<JoinHandle<()>>,
}

impl Recordings {
    /// Records go into this state directory; without one nothing is recorded.
    pub(super) fn open(directory: Option<&Path>) -> Self {
        Self::within(directory, LIMITS)
    }

    fn within(directory: Option<&Path>, limits: Limits) -> Self {
        let shared = Arc::new(Shared {
            limits,
            ..Shared::default()
        });
        let Some(directory) = directory else {
            return Self {
                recorder: Recorder {
                    writes: None,
                    shared,
                },
                thread: None,
            };
        };
        let (writes, queue) = sync_channel(QUEUE);
        let files = Files::new(directory.join(files::DIRECTORY), Arc::clone(&shared));
        let named = std::thread::Builder::new().name("records".to_owned());
        let thread = named.spawn(move || files.write_all(&queue));
        let thread = thread.map_err(|error| tracing::error!(%error, "no thread for records"));
        Self {
            recorder: Recorder {
                writes: Some(writes),
                shared,
            },
            thread: thread.ok(),
        }
    }

    /// For those who begin records.
    pub(super) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Records that were ended by a failure since the start.
    pub(super) fn failures(&self) -> u64 {
        self.recorder.shared.failures.load(Ordering::Relaxed)
    }

    /// Waits until everything before is written.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        let writes = self.recorder.writes.as_ref();
        if writes.is_some_and(|writes| writes.send(Write::Flush(done)).is_ok()) {
            // An error means that the thread has ended: nothing more can be written.
            let _ended = written.recv();
        }
    }
}

impl Drop for Recordings {
    fn drop(&mut self) {
        self.recorder.writes = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook already.
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    fn alarm(&self, why: &dyn std::fmt::Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%why, "a record ends early; the rollout goes on without it");
    }
}

impl Recorder {
    /// Begins the record of a rollout that is judged from now on.
    pub(super) fn begin(
        &self,
        split: &Split,
        epoch: Epoch,
        (criteria, baseline): (&Criteria, &Baseline),
        now: Moment,
    ) -> Recording {
        let (Some(writes), Some(canary)) = (&self.writes, &split.canary) else {
            return Recording(None);
        };
        let header = Header {
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            split: split.name.clone(),
            epoch,
            stable: VersionName::from(&split.stable),
            canary: VersionName::from(canary),
            routes: routes(split),
            criteria: criteria.clone(),
            baseline: baseline.clone(),
            began: now,
        };
        let (encoder, bytes) = Encoder::begin(&header);
        let number = self.shared.begun.fetch_add(1, Ordering::Relaxed);
        let mut open = Open {
            writes: writes.clone(),
            shared: Arc::clone(&self.shared),
            number,
            encoder,
            length: bytes.len(),
            stands: Stands::Going,
            watch: Watch::default(),
            endpoints: None,
        };
        open.send(Write::Begin(number, header.split, epoch, bytes));
        Recording(Some(Box::new(open)))
    }
}

fn routes(split: &Split) -> Vec<RouteName> {
    let routes = split.routes.iter();
    routes.map(|route| route.name.clone()).collect()
}

/// The record of one rollout under way: it gets each call that the judge gets. Dropping it ends it.
#[derive(Debug, Default)]
pub(super) struct Recording(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    writes: SyncSender<Write>,
    shared: Arc<Shared>,
    number: u64,
    encoder: Encoder,
    length: usize,
    stands: Stands,
    watch: Watch,
    endpoints: Option<(usize, usize)>,
}

/// Whether more is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Going,
    /// No, which is not yet written.
    Ending(End),
    Ended,
}

impl Recording {
    /// A stage begins.
    pub(super) fn begin_stage(
        &mut self,
        stage: Stage,
        share: Share,
        baseline: &Baseline,
        at: Moment,
    ) {
        if let Some(open) = &mut self.0 {
            open.watch.begin_stage();
            let baseline = baseline.clone();
            self.tell(&Frame::Stage {
                stage,
                share,
                baseline,
                at,
            });
        }
    }

    /// So many endpoints share each version's requests; the same as before is no news.
    pub(super) fn tell_endpoints(&mut self, canary: usize, stable: usize) {
        if let Some(open) = &mut self.0
            && open.endpoints.replace((canary, stable)) != Some((canary, stable))
        {
            open.tell(&Frame::Endpoints { canary, stable });
        }
    }

    /// Anything else that the judge is told.
    pub(super) fn tell(&mut self, frame: &Frame) {
        if let Some(open) = &mut self.0 {
            open.tell(frame);
        }
    }

    /// A tick: of one route, by its place in the baseline, or of all together.
    pub(super) fn absorb(&mut self, route: Option<usize>, tick: &Tick<'_>) {
        if let Some(open) = &mut self.0
            && open.stands == Stands::Going
        {
            let bytes = open.encoder.tick(route, tick);
            open.push(bytes);
        }
    }

    /// The judge has looked, and says this.
    pub(super) fn judged(&mut self, judgement: &Judgement, at: Moment) {
        if let Some(open) = &mut self.0 {
            open.tell(&Frame::Look);
            for decision in open.watch.see(judgement, at) {
                open.tell(&Frame::Decision(decision));
            }
        }
    }
}

impl Open {
    fn tell(&mut self, frame: &Frame) {
        let bytes = self.encoder.frame(frame);
        self.push(bytes);
    }

    fn push(&mut self, bytes: Vec<u8>) {
        if self.stands != Stands::Going {
            self.end();
            return;
        }
        self.length += bytes.len();
        if self.length > self.shared.limits.record {
            self.stands = Stands::Ending(End::Full);
            self.end();
        } else {
            self.send(Write::More(self.number, bytes));
        }
    }

    fn send(&mut self, write: Write) {
        match self.writes.try_send(write) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.alarm(&End::Lost.as_str());
                self.stands = Stands::Ending(End::Lost);
            }
            // The thread has told why it is gone.
            Err(TrySendError::Disconnected(_)) => self.stands = Stands::Ended,
        }
    }

    /// Says why it ends, as soon as there is room to say so.
    fn end(&mut self) {
        let Stands::Ending(end) = self.stands else {
            return;
        };
        let last = Write::End(self.number, Encoder::end(end));
        if !matches!(self.writes.try_send(last), Err(TrySendError::Full(_))) {
            self.stands = Stands::Ended;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.stands == Stands::Going {
            self.stands = Stands::Ending(End::Finished);
        }
        self.end();
    }
}

#[cfg(test)]
mod tests;
