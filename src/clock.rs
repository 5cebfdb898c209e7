//! The only reading of the clock.
//!
//! The wall clock is read once, at the first call; from then on a monotonic clock is added to it.
//! So a [`Moment`] never goes backwards, whatever is done to the wall clock while we run.

use std::{sync::OnceLock, time::Duration};

use tokio::time::Instant;

use crate::model::{Moment, number::micros};

/// The moment of the first call, and what the monotonic clock said then.
static ORIGIN: OnceLock<(Moment, Instant)> = OnceLock::new();

/// Now.
pub fn now() -> Moment {
    let (wall, monotonic) = ORIGIN.get_or_init(|| (wall_clock(), Instant::now()));
    *wall + monotonic.elapsed()
}

/// What the wall clock says now, which is what others compare theirs with: for signatures, and for
/// what ends at a time of day. It may jump.
#[expect(clippy::disallowed_methods, reason = "the one legal place")]
pub fn wall_clock() -> Moment {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Moment::from_micros(micros(since_epoch.unwrap_or(Duration::ZERO)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_microseconds_since_the_epoch_and_never_backwards() {
        let (first, second) = (now(), now());
        assert!(first.millis() > 1_600_000_000_000, "{first:?}");
        assert!(second >= first);
    }
}
