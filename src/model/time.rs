//! A moment, as the pure rooms know it: brought by the caller, never read from a clock.

use std::{ops::Add, time::Duration};

/// Microseconds since the Unix epoch, made to never go backwards by `clock.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Moment(u64);

impl Moment {
    /// The Unix epoch.
    pub const ZERO: Self = Self(0);

    /// A moment from microseconds since the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A moment from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Its year, month and day in UTC (Howard Hinnant's `civil_from_days`).
    pub const fn date(self) -> (u64, u64, u64) {
        let shifted = self.0 / 86_400_000_000 + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let (year, month) = if shifted_month < 10 {
            (year_of_era + era * 400, shifted_month + 3)
        } else {
            (year_of_era + era * 400, shifted_month - 9)
        };
        (if month <= 2 { year + 1 } else { year }, month, day)
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(super::number::micros(duration)))
    }
}
