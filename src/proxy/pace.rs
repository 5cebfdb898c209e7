//! How fast a client sends or takes a body, in the time in which it alone is waited for.

use std::time::Duration;

use crate::model::number::{long, micros};

/// How long a client is given before it is judged, and over how long it is judged each time.
const SPAN: Duration = Duration::from_secs(10);

/// The pace of one body in one direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Bytes a second below which it is too slow; `None`: nothing is.
    min_rate: Option<u64>,
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Of a body that has not begun.
    pub(crate) const fn new(min_rate: Option<u64>) -> Self {
        Self {
            min_rate,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// So many bytes have moved after so long a wait; whether that is too slow.
    pub(crate) fn is_too_slow(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes = self.bytes.saturating_add(long(bytes));
        self.waited = self.waited.saturating_add(waited);
        if self.waited < SPAN {
            return false;
        }
        let due = self
            .min_rate
            .unwrap_or(0)
            .saturating_mul(micros(self.waited))
            / 1_000_000;
        let is_slow = self.bytes < due;
        (self.bytes, self.waited) = (0, Duration::ZERO);
        is_slow
    }
}

/// How much of a long answer is taken from the endpoint at once, by what the client has taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Appetite {
    since_blocked: u64,
    is_known: bool,
}

impl Appetite {
    /// As much as any client's system takes at once.
    const FIRST: u64 = 64 * 1024;
    /// More than the kernels on both sides hold for a client that does not read.
    const PROVEN: u64 = 16 * 1024 * 1024;

    /// So many bytes were taken.
    pub(crate) fn took(&mut self, bytes: usize) {
        self.since_blocked = self.since_blocked.saturating_add(long(bytes));
    }

    /// The client has made us wait: it must prove anew that it reads.
    pub(crate) fn blocked(&mut self) {
        (self.since_blocked, self.is_known) = (0, true);
    }

    /// Whether the next piece must be small, since it may have to be held.
    pub(crate) const fn is_doubtful(self) -> bool {
        let first = if self.is_known { 0 } else { Self::FIRST };
        self.since_blocked >= first && self.since_blocked < Self::PROVEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::number::length;

    #[test]
    fn only_what_is_below_the_rate_over_ten_seconds_is_too_slow() {
        let secs = Duration::from_secs;
        let mut pace = Pace::new(Some(512));
        assert!(!pace.is_too_slow(1, secs(9)), "it is given ten seconds");
        assert!(pace.is_too_slow(1, secs(1)));
        let mut pace = Pace::new(Some(512));
        for _ in 0..100 {
            assert!(!pace.is_too_slow(520, secs(1)));
        }
        assert!(!Pace::new(None).is_too_slow(0, secs(1_000)));
    }

    #[test]
    fn a_client_proves_by_taking_much_that_it_reads() {
        let mut appetite = Appetite::default();
        assert!(!appetite.is_doubtful(), "a usual answer goes at once");
        appetite.took(length(Appetite::FIRST));
        assert!(appetite.is_doubtful());
        appetite.took(length(Appetite::PROVEN));
        assert!(!appetite.is_doubtful());
        appetite.blocked();
        assert!(appetite.is_doubtful());
    }
}
