//! A worker's timer wheel: coarse, without a system call or an allocation to arm it.
//!
//! One slot a connection. Arming writes a deadline; the wheel looks at a slot when the earliest
//! deadline it was queued for has come, and queues it again if the deadline moved meanwhile. So a
//! connection that re-arms with each request costs the wheel about one look in a timeout.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use rustc_hash::FxHashSet;
use slab::Slab;

use crate::model::{
    SplitKey,
    number::{index, length, millis},
};

/// How coarse the wheel is: a deadline is met up to two ticks late, never early.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// How many ticks one turn has (82 s); later deadlines take another turn.
const TURN: u64 = 4_096;
const NEVER: u64 = u64::MAX;

/// The time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired;

#[derive(Debug)]
struct Entry {
    deadline: u64,
    queued: u64,
    is_expired: bool,
    is_idle: bool,
    /// Whose canary is waited for, if stable could take over.
    canary_of: Option<SplitKey>,
    waker: Option<Waker>,
}

/// The wheel of one worker.
#[derive(Debug)]
pub(crate) struct Wheel {
    tick: Cell<u64>,
    entries: RefCell<Slab<Entry>>,
    buckets: RefCell<Vec<Vec<u32>>>,
}

/// A connection's place in the wheel.
#[derive(Debug)]
pub(crate) struct Slot {
    wheel: Rc<Wheel>,
    id: u32,
}

impl Wheel {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            tick: Cell::new(0),
            entries: RefCell::default(),
            buckets: RefCell::new((0..TURN).map(|_| Vec::new()).collect()),
        })
    }

    /// A slot without a deadline.
    pub(crate) fn slot(self: &Rc<Self>) -> Slot {
        let entry = Entry {
            deadline: NEVER,
            queued: NEVER,
            is_expired: false,
            is_idle: false,
            canary_of: None,
            waker: None,
        };
        let id = self.entries.borrow_mut().insert(entry);
        Slot {
            wheel: Rc::clone(self),
            id: u32::try_from(id).unwrap_or(u32::MAX),
        }
    }

    /// Moves the wheel to `tick` (counted in [`TICK`]s) and wakes what is due.
    pub(crate) fn advance(&self, tick: u64) {
        let mut due = Vec::new();
        let from = self.tick.get() + 1;
        self.tick.set(tick.max(self.tick.get()));
        for now in from.max(tick.saturating_sub(TURN))..=tick {
            if let Some(bucket) = self.buckets.borrow_mut().get_mut(length(now % TURN)) {
                std::mem::swap(bucket, &mut due);
            }
            for id in due.drain(..) {
                self.look_at(id, now);
            }
        }
    }

    /// Ends the wait of every connection that is between two requests.
    pub(crate) fn expire_idle(&self) {
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            if entry.is_idle {
                expire(entry);
            }
        }
    }

    /// Whoever waits for a canary of these splits waits for `limit` more at most.
    pub(crate) fn hurry(&self, splits: &FxHashSet<SplitKey>, limit: Duration) {
        let until = self.after(limit);
        for (id, entry) in self.entries.borrow_mut().iter_mut() {
            let is_meant = entry.canary_of.is_some_and(|split| splits.contains(&split));
            if is_meant && entry.deadline > until {
                entry.deadline = until;
                if entry.deadline < entry.queued {
                    self.queue(entry, u32::try_from(id).unwrap_or(u32::MAX));
                }
            }
        }
    }

    /// The tick at which a time from now is over.
    fn after(&self, limit: Duration) -> u64 {
        let ticks = millis(limit).div_ceil(millis(TICK));
        self.tick.get().saturating_add(ticks).saturating_add(1)
    }

    fn look_at(&self, id: u32, now: u64) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(index(id)) else {
            return;
        };
        if entry.queued > now {
            return;
        }
        entry.queued = NEVER;
        if entry.deadline <= now {
            expire(entry);
        } else if entry.deadline != NEVER {
            self.queue(entry, id);
        }
    }

    fn queue(&self, entry: &mut Entry, id: u32) {
        entry.queued = entry.deadline.min(self.tick.get() + TURN - 1);
        if let Some(bucket) = self
            .buckets
            .borrow_mut()
            .get_mut(length(entry.queued % TURN))
        {
            bucket.push(id);
        }
    }
}

fn expire(entry: &mut Entry) {
    entry.deadline = NEVER;
    entry.is_expired = true;
    if let Some(waker) = entry.waker.take() {
        waker.wake();
    }
}

impl Slot {
    /// Sets the deadline; what was set before is forgotten.
    pub(crate) fn arm(&self, limit: Duration) {
        self.set(limit, (false, None));
    }

    /// Sets the deadline of an attempt that waits for an answer; with the split whose canary it is
    /// at, if stable can take over.
    pub(crate) fn arm_waiting(&self, limit: Duration, canary_of: Option<SplitKey>) {
        self.set(limit, (false, canary_of));
    }

    /// Sets the deadline of a connection between two requests, which a drain ends early.
    pub(crate) fn arm_idle(&self, limit: Duration) {
        self.set(limit, (true, None));
    }

    /// Takes the deadline away.
    pub(crate) fn disarm(&self) {
        if let Some(entry) = self.wheel.entries.borrow_mut().get_mut(index(self.id)) {
            entry.deadline = NEVER;
            entry.is_expired = false;
            entry.is_idle = false;
            entry.canary_of = None;
        }
    }

    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub(crate) fn poll_expired(&self, cx: &Context<'_>) -> Poll<Expired> {
        let mut entries = self.wheel.entries.borrow_mut();
        let Some(entry) = entries.get_mut(index(self.id)) else {
            return Poll::Ready(Expired);
        };
        if entry.is_expired {
            return Poll::Ready(Expired);
        }
        if !entry
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits for `work`, at most until the deadline (which `work` may move).
    pub(crate) async fn guard<F: Future>(&self, work: F) -> Result<F::Output, Expired> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_expired(cx).map(Err)
        })
        .await
    }

    fn set(&self, limit: Duration, (is_idle, canary_of): (bool, Option<SplitKey>)) {
        let mut entries = self.wheel.entries.borrow_mut();
        let Some(entry) = entries.get_mut(index(self.id)) else {
            return;
        };
        entry.deadline = self.wheel.after(limit);
        entry.is_expired = false;
        entry.is_idle = is_idle;
        entry.canary_of = canary_of;
        if entry.deadline < entry.queued {
            self.wheel.queue(entry, self.id);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _left = self.wheel.entries.borrow_mut().try_remove(index(self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(slot: &Slot) -> bool {
        slot.poll_expired(&Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_deadline_is_met_late_by_two_ticks_at_most_and_never_early() {
        for limit_ms in [1, 19, 20, 21, 1_000, 100_000, 300_000] {
            let wheel = Wheel::new();
            let slot = wheel.slot();
            wheel.advance(7);
            slot.arm(Duration::from_millis(limit_ms));
            let ticks = limit_ms.div_ceil(20);
            for tick in 8..8 + ticks {
                wheel.advance(tick);
                assert!(!expired(&slot), "{limit_ms} ms, early at tick {tick}");
            }
            wheel.advance(8 + ticks);
            assert!(expired(&slot), "{limit_ms} ms, late");
        }
    }

    #[test]
    fn arming_again_moves_the_deadline_both_ways() {
        let wheel = Wheel::new();
        let slot = wheel.slot();
        slot.arm(Duration::from_millis(100));
        slot.arm(Duration::from_millis(400));
        wheel.advance(10);
        assert!(!expired(&slot));
        slot.arm(Duration::from_millis(40));
        wheel.advance(13);
        assert!(expired(&slot));
        slot.disarm();
        wheel.advance(10_000);
        assert!(!expired(&slot));
    }

    #[test]
    fn a_wheel_that_was_stalled_catches_up() {
        let wheel = Wheel::new();
        let slot = wheel.slot();
        slot.arm(Duration::from_secs(1));
        wheel.advance(1_000_000);
        assert!(expired(&slot));
    }

    #[test]
    fn waits_for_a_canary_that_is_out_are_shortened_and_others_are_not() {
        let wheel = Wheel::new();
        let slots = [Some(SplitKey(1)), Some(SplitKey(2)), None].map(|split| {
            let slot = wheel.slot();
            slot.arm_waiting(Duration::from_secs(30), split);
            slot
        });
        let [out, other, stable] = &slots;
        let soon = wheel.slot();
        soon.arm_waiting(Duration::from_millis(20), Some(SplitKey(1)));
        wheel.advance(5);
        assert!(expired(&soon));
        wheel.hurry(&FxHashSet::from_iter([SplitKey(1)]), Duration::from_secs(1));
        wheel.advance(55);
        assert!(!expired(out));
        wheel.advance(57);
        assert!(expired(out) && !expired(other) && !expired(stable));
        other.arm(Duration::from_secs(30));
        wheel.hurry(&FxHashSet::from_iter([SplitKey(2)]), Duration::ZERO);
        wheel.advance(99);
        assert!(!expired(other), "it has begun to answer");
    }

    #[test]
    fn a_drain_ends_idle_waits_only() {
        let wheel = Wheel::new();
        let (idle, busy) = (wheel.slot(), wheel.slot());
        idle.arm_idle(Duration::from_mins(1));
        busy.arm(Duration::from_mins(1));
        wheel.expire_idle();
        assert!(expired(&idle) && !expired(&busy));
    }
}
