//! When an API is asked again.

use std::time::Duration;

/// The longest that is added to the usual time, however often AWS has said that it is too much.
const LONGEST: Duration = Duration::from_secs(30);
/// The part of the usual time by which questions are spread.
const SPREAD: f64 = 0.1;

/// The times between questions of one source.
#[derive(Debug)]
pub(in crate::discover) struct Pace {
    interval: Duration,
    throttled: u32,
}

impl Pace {
    /// Nothing was asked yet.
    pub(in crate::discover) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            throttled: 0,
        }
    }

    /// How long to wait before the next question. After an answer, or an error: the usual time, so
    /// that what is mended is seen at once, and never all proxies at the same time. After "too
    /// much": longer by a random part (full jitter) of a time that doubles.
    pub(in crate::discover) fn next(&mut self, is_throttled: bool) -> Duration {
        if is_throttled {
            self.throttled = self.throttled.saturating_add(1);
            let doubled = 2_u32.saturating_pow(self.throttled.saturating_sub(1));
            let most = self.interval.saturating_mul(doubled).min(LONGEST);
            return self.interval + most.mul_f64(fastrand::f64());
        }
        self.throttled = 0;
        self.interval
            .mul_f64(1.0 - SPREAD + 2.0 * SPREAD * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_asked_ever_more_slowly_and_nothing_else_is() {
        let mut pace = Pace::new(Duration::from_secs(5));
        let mut spread = |is_throttled, (least, most): (f64, f64)| {
            let wait = pace.next(is_throttled).as_secs_f64();
            assert!((least..=most).contains(&wait), "{wait}");
            wait
        };
        for _ in 0..20 {
            spread(false, (4.5, 5.5));
        }
        for most in [10.0, 15.0, 25.0, 35.0, 35.0] {
            spread(true, (5.0, most));
        }
        let mut waits: Vec<f64> = (0..50).map(|_| spread(true, (5.0, 35.0))).collect();
        waits.sort_by(f64::total_cmp);
        assert!(
            waits[0] < 12.0 && waits[49] > 28.0,
            "full jitter: {waits:?}"
        );
        spread(false, (4.5, 5.5));
    }
}
