//! How endpoints fare, as all workers see it: who is ejected, and until when.
//!
//! The one thing that workers tell each other about requests. An endpoint's vitals are the same in
//! every plan, so what one worker has found out holds for all of them at once, with no plan
//! published in between. They are read freely and written on a failure, or on the first success
//! after one: while all is well nobody writes to these cache lines (I6). What is read may be a
//! moment old; then one request more goes where it should not.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use super::{Target, Upstream};
use crate::{
    config::OutlierDetection,
    model::{Moment, UpstreamKey, number::long},
};

/// One repeat of an ejection is forgotten in each such time without one.
const FORGETS: Duration = Duration::from_mins(1);
/// An ejection that a person ends, not time.
const FOR_GOOD: u64 = u64::MAX;
/// Who counts sees every ejection before.
const ORDER: Ordering = Ordering::SeqCst;

/// How one endpoint fares. Two are equal if they are the same.
#[derive(Debug, Default)]
pub struct Vitals {
    /// Failures in a row, of all workers.
    failures: AtomicU32,
    /// When its ejection ends or has ended, in microseconds; 0: it was never ejected.
    until: AtomicU64,
    /// How often it was ejected, as far as that is remembered.
    times: AtomicU32,
}

/// What the endpoints of one upstream have in common. Two are equal if they are the same.
#[derive(Debug)]
pub struct Ward {
    key: UpstreamKey,
    /// The latest end of any ejection: a request that begins later need not look at endpoints.
    until: AtomicU64,
    /// Somebody counts who is ejected, to eject one more. Nobody waits for it.
    is_counting: AtomicBool,
}

/// An endpoint was ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejected {
    /// Until when.
    pub until: Moment,
    /// How often by now.
    pub times: u32,
}

impl PartialEq for Vitals {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Vitals {}

impl PartialEq for Ward {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Vitals {
    /// Whether no request should go there.
    pub fn is_ejected(&self, now: Moment) -> bool {
        self.until.load(Ordering::Relaxed) > now.micros()
    }

    /// When its last ejection ends or has ended; `None`: it never was ejected.
    pub fn until(&self) -> Option<Moment> {
        let until = self.until.load(Ordering::Relaxed);
        (until > 0).then(|| Moment::from_micros(until))
    }

    /// Whether only a person ends its ejection.
    pub fn is_ejected_for_good(&self) -> bool {
        self.until.load(Ordering::Relaxed) == FOR_GOOD
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// It has answered well.
    pub fn succeeded(&self) {
        if self.failures() > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Ends an ejection.
    fn readmit(&self, now: Moment) {
        self.failures.store(0, Ordering::Relaxed);
        self.times.store(0, Ordering::Relaxed);
        if self.is_ejected(now) {
            self.until.store(now.micros(), Ordering::Relaxed);
        }
    }

    /// How often it is ejected with this time: what was long ago is forgotten.
    fn next_times(&self, now: Moment) -> u32 {
        let times = self.times.load(Ordering::Relaxed);
        let healthy = self
            .until()
            .map_or(Duration::ZERO, |until| now.since(until));
        let forgotten = healthy.as_secs() / FORGETS.as_secs();
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX);
        times.saturating_sub(forgotten).saturating_add(1)
    }
}

impl Ward {
    /// Of a new upstream.
    pub(super) const fn new(key: UpstreamKey) -> Self {
        Self {
            key,
            until: AtomicU64::new(0),
            is_counting: AtomicBool::new(false),
        }
    }

    /// The upstream, the same in every plan.
    pub const fn key(&self) -> UpstreamKey {
        self.key
    }

    /// Whether no endpoint is ejected, nor was so lately that it is still let in slowly.
    pub fn is_calm(&self, now: Moment, slow_start: Duration) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until == 0 || now >= Moment::from_micros(until) + slow_start
    }

    fn note(&self, until: u64) {
        self.until.fetch_max(until, Ordering::Relaxed);
    }
}

impl Upstream {
    /// An attempt at an endpoint has failed, and that is the version's fault. The endpoint is
    /// ejected if it is one failure too many and enough others are left: a bad version must not
    /// hide behind its endpoints.
    ///
    /// After its return one failure is enough.
    pub fn failed(&self, target: &Target, now: Moment) -> Option<Ejected> {
        let rule = self.outlier_detection.as_ref()?;
        let vitals = &*target.vitals;
        if vitals.is_ejected(now) {
            return None;
        }
        let failures = vitals.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < rule.consecutive_failures || self.ward.is_counting.swap(true, ORDER) {
            // If another worker ejects right now, the next failure does here.
            return None;
        }
        let ejected = self.eject_one_more(rule, target, now);
        self.ward.is_counting.store(false, ORDER);
        ejected
    }

    fn eject_one_more(
        &self,
        rule: &OutlierDetection,
        target: &Target,
        now: Moment,
    ) -> Option<Ejected> {
        let vitals = &*target.vitals;
        let ejected = self.endpoints.iter();
        let ejected = ejected.filter(|target| target.vitals.is_ejected(now));
        let is_already = vitals.is_ejected(now);
        if is_already || long(ejected.count()) >= self.ejected_max(rule) {
            return None;
        }
        let times = vitals.next_times(now);
        let length = rule.base_ejection_time.saturating_mul(times);
        let until = now + length.min(rule.max_ejection_time);
        vitals.until.store(until.micros(), Ordering::Relaxed);
        self.ward.note(until.micros());
        vitals.times.store(times, Ordering::Relaxed);
        let on_probation = rule.consecutive_failures.saturating_sub(1);
        vitals.failures.store(on_probation, Ordering::Relaxed);
        Some(Ejected { until, times })
    }

    /// Ejects an endpoint, however many others are; `None`: until a person takes it back.
    pub fn eject(&self, target: &Target, until: Option<Moment>) {
        let until = until.map_or(FOR_GOOD, Moment::micros);
        target.vitals.until.fetch_max(until, Ordering::Relaxed);
        self.ward.note(until);
    }

    /// Takes an endpoint back; from now on it is let in slowly.
    pub fn readmit(&self, target: &Target, now: Moment) {
        target.vitals.readmit(now);
        if self.ward.is_counting.swap(true, ORDER) {
            // The latest end stays too late, which costs a look at endpoints and no more.
            return;
        }
        let ends = self.endpoints.iter().map(|one| &one.vitals.until);
        let last = ends.map(|until| until.load(Ordering::Relaxed)).max();
        self.ward.until.store(last.unwrap_or(0), Ordering::Relaxed);
        self.ward.is_counting.store(false, ORDER);
    }

    /// How many endpoints may be ejected at once: a part of them, one at least of two or more, and
    /// never so many that those left were too few to be trusted.
    fn ejected_max(&self, rule: &OutlierDetection) -> u64 {
        let count = long(self.endpoints.len());
        if count < 2 {
            return 0;
        }
        let of = |points: u16| count * u64::from(points) / 10_000;
        let part = of(rule.max_ejection.basis_points()).max(1);
        let needed =
            (count * u64::from(self.balance.panic_threshold.basis_points())).div_ceil(10_000);
        part.min(count.saturating_sub(needed.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::ward;

    const FIRST: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    /// So many failures of an endpoint at a second; for how long it is ejected, if it is.
    fn fail(upstream: &Upstream, endpoint: usize, times: u32, seconds: u64) -> Option<Duration> {
        let target = &upstream.endpoints[endpoint];
        let ejected = (0..times).filter_map(|_| upstream.failed(target, at(seconds)));
        let ejected: Vec<_> = ejected.collect();
        assert!(ejected.len() < 2, "told once");
        ejected.first().map(|it| it.until.since(at(seconds)))
    }

    #[test]
    fn the_third_failure_in_a_row_ejects_and_a_success_begins_anew() {
        let upstream = ward(8, 3_000);
        assert_eq!(fail(&upstream, 0, 2, 100), None);
        upstream.endpoints[0].vitals.succeeded();
        assert_eq!(fail(&upstream, 0, 2, 100), None);
        assert!(upstream.ward.is_calm(at(100), FIRST));
        assert_eq!(fail(&upstream, 0, 1, 100), Some(FIRST));
        assert_eq!(fail(&upstream, 0, 9, 101), None, "it is ejected already");
        let vitals = &upstream.endpoints[0].vitals;
        assert!(vitals.is_ejected(at(109)) && !vitals.is_ejected(at(110)));
        assert!(!upstream.ward.is_calm(at(119), FIRST) && upstream.ward.is_calm(at(120), FIRST));
    }

    #[test]
    fn each_repeat_is_longer_one_failure_is_enough_then_and_time_forgets() {
        let upstream = ward(8, 3_000);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(fail(&upstream, 0, 3, 0), seconds(10));
        assert_eq!(fail(&upstream, 0, 1, 10), seconds(20), "on probation");
        assert_eq!(fail(&upstream, 0, 1, 30), seconds(30));
        assert_eq!(fail(&upstream, 0, 1, 60 + 61), seconds(30), "one forgotten");
        assert_eq!(fail(&upstream, 0, 1, 9_999), seconds(10));
        let vitals = &upstream.endpoints[0].vitals;
        vitals.succeeded();
        assert_eq!(fail(&upstream, 0, 2, 20_000), None);
        for _ in 0..99 {
            let now = vitals.until().unwrap();
            upstream.failed(&upstream.endpoints[0], now);
        }
        let (last, until) = (vitals.until().unwrap(), at(50_000));
        vitals.times.store(99, Ordering::Relaxed);
        vitals.until.store(until.micros(), Ordering::Relaxed);
        assert!(last < until);
        assert_eq!(fail(&upstream, 0, 1, 50_000), seconds(300), "never longer");
    }

    #[test]
    fn a_version_cannot_hide_behind_its_endpoints() {
        for (endpoints, part, expected) in [
            (8, 3_000, 2),
            (10, 3_000, 3),
            (10, 10_000, 5),
            (3, 3_000, 1),
            (2, 3_000, 1),
            (1, 3_000, 0),
            (1, 10_000, 0),
            (5, 0, 1),
        ] {
            let upstream = ward(endpoints, part);
            let all = 0..usize::from(endpoints);
            let ejected = all.filter(|endpoint| fail(&upstream, *endpoint, 5, 7).is_some());
            assert_eq!(ejected.count(), expected, "{endpoints} at {part}");
        }
    }

    #[test]
    fn workers_that_fail_at_once_eject_no_more_than_they_may() {
        let upstream = ward(10, 3_000);
        let ejected: usize = std::thread::scope(|scope| {
            let worker = |first: usize| {
                let upstream = &upstream;
                move || {
                    let mine = (0..10).map(|step| (first + step) % 10);
                    mine.filter(|endpoint| fail(upstream, *endpoint, 3, 7).is_some())
                        .count()
                }
            };
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(worker(n * 3))).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        let more = (0..10).filter(|endpoint| fail(&upstream, *endpoint, 3, 7).is_some());
        assert_eq!(ejected + more.count(), 3);
    }

    #[test]
    fn a_person_ejects_beyond_the_cap_and_takes_back() {
        let upstream = ward(2, 3_000);
        for target in &upstream.endpoints {
            upstream.eject(target, None);
            assert!(target.vitals.is_ejected(at(1 << 40)) && target.vitals.is_ejected_for_good());
            upstream.readmit(target, at(9));
            assert!(!target.vitals.is_ejected(at(9)));
            assert_eq!(target.vitals.until(), Some(at(9)), "from here on slowly");
        }
        assert!(
            upstream.ward.is_calm(at(19), FIRST),
            "nobody need look any more"
        );
    }
}
