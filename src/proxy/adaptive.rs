//! A limit of requests under way that finds itself: the gradient of latency, as in Envoy's
//! adaptive concurrency and Netflix's concurrency-limits.
//!
//! Now and then only a few requests are let in for a moment: how long those take is what the
//! upstream takes when nothing queues up there. As long as latency stays near that, the limit grows
//! by its own root; where it rises beyond what is tolerated, the limit shrinks in proportion. A
//! window is averaged, so that one slow request changes nothing.

use std::time::Duration;

use crate::model::{
    Moment,
    number::{real, whole},
};

/// What a worker begins with, after the first measurement.
const FIRST: f64 = 10.0;
/// It is never lower.
const LOWEST: f64 = 1.0;
/// How many requests are let in while latency is measured without a queue...
const FEW: f64 = 3.0;
/// ...and how often that is done.
const MEASURED_EVERY: Duration = Duration::from_mins(1);
/// What is averaged, and how many answers there must be in it.
const WINDOW: Duration = Duration::from_millis(250);
const ANSWERS: u32 = 8;
/// Latency may rise to so many times that without a queue.
const TOLERANCE: f64 = 1.5;
/// What failures in a window leave of the limit.
const BACK_OFF: f64 = 0.9;

/// The limit, and what it is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adaptive {
    limit: f64,
    highest: f64,
    /// In seconds, without a queue.
    latency: f64,
    /// When that was measured; `None`: it is being measured.
    measured: Option<Moment>,
    window: Window,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Moment,
    sum: f64,
    answers: u32,
    most: u32,
    has_failed: bool,
}

impl Adaptive {
    /// Never higher than this.
    pub(super) fn new(highest: u32) -> Self {
        let highest = f64::from(highest).max(LOWEST);
        Self {
            limit: FIRST.min(highest),
            highest,
            latency: 0.0,
            measured: None,
            window: Window::default(),
        }
    }

    /// How many requests may be under way.
    pub(super) fn limit(&self) -> u32 {
        let limit = match self.measured {
            Some(_) => self.limit,
            None => self.limit.min(FEW),
        };
        u32::try_from(whole(limit)).unwrap_or(u32::MAX)
    }

    /// An answer has begun after this time, or has failed, while so many requests were under way.
    pub(super) fn learn(&mut self, took: Duration, failed: bool, under_way: u32, now: Moment) {
        let is_few = f64::from(under_way) <= FEW;
        if self.measured.is_none() && !is_few {
            // It was let in before the measurement began.
            return;
        }
        let window = &mut self.window;
        window.sum += took.as_secs_f64();
        window.answers += 1;
        window.most = window.most.max(under_way);
        window.has_failed |= failed;
        if window.answers >= ANSWERS && now.since(window.began) >= WINDOW {
            let ended = std::mem::take(window);
            window.began = now;
            self.adjust(&ended, now);
        }
    }

    fn adjust(&mut self, window: &Window, now: Moment) {
        let latency = (window.sum / real(window.answers.into())).max(1e-6);
        let Some(measured) = self.measured else {
            (self.latency, self.measured) = (latency, Some(now));
            return;
        };
        if now.since(measured) >= MEASURED_EVERY {
            self.measured = None;
        }
        if window.has_failed {
            self.limit = (self.limit * BACK_OFF).max(LOWEST);
            return;
        }
        // Where half of it is enough nothing is learnt of the limit.
        if f64::from(window.most) < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE * self.latency / latency).clamp(0.5, 1.0);
        let next = self.limit * gradient + self.limit.sqrt();
        self.limit = next.clamp(LOWEST, self.highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upstream that takes 10 ms for up to `capacity` requests at a time, and as much longer as
    /// more are under way; the limit after so many seconds under full load.
    fn limit_of(capacity: u32, highest: u32, seconds: u32) -> u32 {
        let mut adaptive = Adaptive::new(highest);
        let mut now = Moment::from_millis(1);
        for _ in 0..seconds * 50 {
            now = now + Duration::from_millis(20);
            let under_way = adaptive.limit();
            let queued = f64::from(under_way.max(capacity)) / f64::from(capacity);
            let took = Duration::from_secs_f64(0.01 * queued);
            for _ in 0..under_way {
                adaptive.learn(took, false, under_way, now);
            }
        }
        adaptive.limit()
    }

    #[test]
    fn the_limit_follows_what_the_upstream_can_do() {
        for capacity in [4, 20, 80] {
            let found = limit_of(capacity, 1_000, 50);
            let (least, most) = (capacity, 2 * capacity + 12);
            assert!((least..=most).contains(&found), "{found} for {capacity}");
        }
        assert_eq!(limit_of(80, 15, 50), 15, "never higher than it may be");
    }

    #[test]
    fn failures_shrink_it_and_an_idle_upstream_teaches_nothing() {
        let mut adaptive = Adaptive::new(100);
        let mut now = Moment::from_millis(1);
        let mut answer = |adaptive: &mut Adaptive, failed, under_way, windows: u64| {
            for _ in 0..windows * 10 {
                now = now + Duration::from_millis(30);
                adaptive.learn(Duration::from_millis(10), failed, under_way, now);
            }
        };
        answer(&mut adaptive, false, 1, 1);
        assert_eq!(adaptive.limit(), 10, "measured");
        answer(&mut adaptive, false, 1, 50);
        assert_eq!(adaptive.limit(), 10, "nothing was learnt");
        answer(&mut adaptive, true, 10, 50);
        assert_eq!(adaptive.limit(), 1);
    }

    #[test]
    fn every_minute_a_few_requests_tell_what_latency_is_without_a_queue() {
        let mut adaptive = Adaptive::new(100);
        let mut limits = Vec::new();
        for tick in 0..12_000 {
            let now = Moment::from_millis(1 + tick * 10);
            let under_way = adaptive.limit();
            // After half of the time the upstream is twice as slow for a good reason.
            let took = Duration::from_millis(if tick < 5_500 { 10 } else { 20 });
            adaptive.learn(took, false, under_way, now);
            limits.push(under_way);
        }
        assert_eq!(limits[0], 3);
        let few = limits.iter().filter(|limit| **limit == 3).count();
        assert!((30..150).contains(&few), "{few} of 12,000");
        assert!(adaptive.limit() >= 20, "{}", adaptive.limit());
    }
}
