//! Endpoints that are new and must warm up: they get copies of requests before they get requests.
//!
//! How far each has come is known to all workers and the same in every plan. It is written for the
//! copies only, of which there are as many as the file says, two at a time: requests that go to
//! users read it, and write nothing (I6).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Target, Upstream};
use crate::{
    config::{SafeMethod, WarmUp},
    model::{Moment, number::index},
};

/// Copies that an endpoint has under way at a time.
const AT_ONCE: u32 = 2;
/// How long an endpoint is left alone after a copy that was not answered well: it may be broken.
const REST: Duration = Duration::from_millis(100);
/// So many endpoints are asked whether they take a copy.
const TRIES: usize = 8;

/// How far an endpoint has come. Two are equal if they are the same.
#[derive(Debug, Default)]
pub struct Warmth {
    /// Copies that were answered.
    answered: AtomicU32,
    /// Copies under way.
    under_way: AtomicU32,
    /// When it had enough of them, in microseconds; 0: not yet.
    done: AtomicU64,
    /// Until when it is left alone, in microseconds.
    rests: AtomicU64,
}

impl PartialEq for Warmth {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Warmth {}

/// A copy under way.
#[derive(Debug)]
pub struct Copied {
    warmth: Arc<Warmth>,
    needed: u32,
}

impl Copied {
    /// It was answered well.
    pub fn answered(&self, now: Moment) {
        let before = self.warmth.answered.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) == self.needed {
            self.warmth.done.store(now.micros(), Ordering::Relaxed);
        }
    }

    /// It was not answered, or badly.
    pub fn failed(&self, now: Moment) {
        let until = now + REST;
        self.warmth.rests.store(until.micros(), Ordering::Relaxed);
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.warmth.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Warmth {
    /// Takes one more copy, if there is room and need.
    fn take(warmth: &Arc<Self>, needed: u32, now: Moment) -> Option<Copied> {
        let rests = warmth.rests.load(Ordering::Relaxed) > now.micros();
        let under_way = warmth.under_way.load(Ordering::Relaxed);
        let answered = warmth.answered.load(Ordering::Relaxed);
        if rests || under_way >= AT_ONCE || answered.saturating_add(under_way) >= needed {
            return None;
        }
        let before = warmth.under_way.fetch_add(1, Ordering::Relaxed);
        let copied = Copied {
            warmth: Arc::clone(warmth),
            needed,
        };
        // Another worker may have been faster.
        (before < AT_ONCE).then_some(copied)
    }
}

impl Target {
    /// From when on it is used; what is not new was used from the start.
    pub(super) fn ready(&self, warm_up: Option<&WarmUp>) -> Moment {
        let (Some(warmth), Some(warm_up)) = (&self.warmth, warm_up) else {
            return self.since;
        };
        let latest = self.since + warm_up.age;
        match warmth.done.load(Ordering::Relaxed) {
            0 => latest,
            done => latest.min(Moment::from_micros(done)),
        }
    }
}

impl Upstream {
    /// Whether an endpoint gets no requests yet because it is new.
    pub fn is_warming(&self, target: &Target, now: Moment) -> bool {
        now < self.new_until && now < target.ready(self.warm_up.as_ref())
    }

    /// When all endpoints that are warming now will be used at the latest.
    pub(super) fn warming_until(&self) -> Moment {
        let age = self.warm_up.as_ref().map_or(Duration::ZERO, |it| it.age);
        let warming = self.warming.iter();
        let targets = warming.filter_map(|place| self.endpoints.get(index(*place)));
        let until = targets.map(|target| target.since + age).max();
        until.unwrap_or(Moment::ZERO)
    }

    /// An endpoint that wants a copy of a request with this method.
    pub fn copy_to(&self, method: &[u8], random: u64, now: Moment) -> Option<(&Target, Copied)> {
        let warm_up = self.warm_up.as_ref()?;
        let is_copied = |known: &SafeMethod| known.as_bytes() == method;
        if self.warming.is_empty() || !warm_up.methods.iter().any(is_copied) {
            return None;
        }
        let count = u64::try_from(self.warming.len()).ok()?;
        let start = usize::try_from(random % count).ok()?;
        let places = self.warming.iter().cycle().skip(start);
        let places = places.take(self.warming.len().min(TRIES));
        let mut targets = places.filter_map(|place| self.endpoints.get(index(*place)));
        targets.find_map(|target| {
            let warmth = target.warmth.as_ref()?;
            let is_wanted = self.is_warming(target, now) && !target.vitals.is_ejected(now);
            let copied = is_wanted.then(|| Warmth::take(warmth, warm_up.mirror, now))??;
            Some((target, copied))
        })
    }
}

/// Which endpoints are warming up, by their places.
pub(super) fn warming(
    targets: &[Target],
    warm_up: Option<&WarmUp>,
    (new_until, now): (Moment, Moment),
) -> Box<[u32]> {
    let is_warming = |target: &&Target| {
        let is_new = target.warmth.is_some() && now < new_until;
        is_new && now < target.ready(warm_up)
    };
    let warming = targets.iter().filter(is_warming);
    warming.map(|target| target.place).collect()
}
