//! Streams that live long: those of WebSocket, server-sent events, calls of gRPC. They are counted
//! by version, and a version that gets no traffic any more must not keep its own for hours: each is
//! ended at a moment of its own, so that clients do not all come back at once.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{timer::Slot, worker::Worker};
use crate::{
    measure::StreamKey,
    model::{Moment, Role, Share, SplitKey, number::micros},
    plan::{self, Plan},
};

/// How long a stream may take to end by itself where nothing else is said.
const CLOSING: Duration = Duration::from_secs(5);

/// What belongs to one stream.
#[derive(Debug)]
struct Exposed {
    key: StreamKey,
    slot: Slot,
    /// When it must be gone, once it was told to end.
    until: Cell<Option<Moment>>,
}

/// The long-lived streams of one worker.
#[derive(Debug, Default)]
pub(crate) struct Streams(RefCell<Slab<Rc<Exposed>>>);

/// A long-lived stream for as long as it lives.
#[derive(Debug)]
pub(crate) struct LongLived {
    worker: Rc<Worker>,
    exposed: Rc<Exposed>,
    id: usize,
    is_ending: Cell<bool>,
}

impl LongLived {
    /// A stream of a version begins.
    pub(crate) fn begin(worker: &Rc<Worker>, key: StreamKey) -> Self {
        let exposed = Rc::new(Exposed {
            key,
            slot: worker.wheel.slot(),
            until: Cell::new(None),
        });
        let id = worker.streams.0.borrow_mut().insert(Rc::clone(&exposed));
        Self {
            worker: Rc::clone(worker),
            exposed,
            id,
            is_ending: Cell::new(false),
        }
    }

    /// Ready once the stream must end: the first time in good order, then at once.
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        self.exposed.slot.poll_expired(cx).map(drop)
    }

    /// Whether it has begun to end.
    pub(crate) fn was_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// The stream has begun to end; the next time is the last.
    pub(crate) fn is_ending(&self) {
        self.is_ending.set(true);
        let until = self.exposed.until.get();
        let left = until.map_or(CLOSING, |until| until.since(self.worker.now()));
        self.exposed.slot.arm(left);
    }

    /// The stream was told to close and may take a moment for it; the next time is the last.
    pub(crate) fn is_closing(&self) {
        self.exposed.slot.arm(CLOSING);
    }
}

impl Drop for LongLived {
    fn drop(&mut self) {
        let _gone = self.worker.streams.0.borrow_mut().try_remove(self.id);
    }
}

impl Streams {
    /// How many there are, by what they belong to.
    pub(crate) fn counts(&self) -> Vec<(StreamKey, u64)> {
        let mut counts = FxHashMap::default();
        for (_, stream) in self.0.borrow().iter() {
            *counts.entry(stream.key).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// Tells the streams of versions that get no traffic any more to end, each at its own time.
    pub(crate) fn follow(&self, plan: &Plan, random: &RefCell<fastrand::Rng>, now: Moment) {
        let Some(settings) = plan.long_lived else {
            return;
        };
        let mut known: FxHashMap<(SplitKey, Role), bool> = FxHashMap::default();
        for (_, stream) in self.0.borrow().iter() {
            let StreamKey { split, role, .. } = stream.key;
            let gets_traffic = || gets_traffic(plan, split, role);
            if stream.until.get().is_none()
                && !*known.entry((split, role)).or_insert_with(gets_traffic)
            {
                stream.end(settings, random, now);
            }
        }
    }

    /// Tells all streams to end, so early that they can before `until`.
    pub(crate) fn end_all(
        &self,
        settings: plan::LongLived,
        random: &RefCell<fastrand::Rng>,
        (now, until): (Moment, Moment),
    ) {
        let left = until.since(now);
        let settings = plan::LongLived {
            deadline: settings.deadline.min(left),
            spread: settings.spread.min(left / 2),
        };
        for (_, stream) in self.0.borrow().iter() {
            stream.end(settings, random, now);
        }
    }
}

impl Exposed {
    fn end(&self, settings: plan::LongLived, random: &RefCell<fastrand::Rng>, now: Moment) {
        let spread = micros(settings.spread.min(settings.deadline)).max(1);
        let after = Duration::from_micros(random.borrow_mut().u64(..spread));
        self.until.set(Some(now + settings.deadline));
        self.slot.arm(after);
    }
}

/// Whether any new request may go to a version.
fn gets_traffic(plan: &Plan, split: SplitKey, role: Role) -> bool {
    let Some(split) = plan.splits.iter().find(|known| known.key == split) else {
        return false;
    };
    role != Role::Canary || (split.canary.is_some() && split.share > Share::ZERO)
}
