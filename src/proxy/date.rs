//! The time as answers tell it (RFC 9110, section 5.6.7): written once a second, copied for each
//! answer that came without.

use std::{
    cell::Cell,
    io::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use httpdate::HttpDate;

use crate::model::Moment;

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) type Date = [u8; 29];

/// A worker's date.
#[derive(Debug)]
pub(crate) struct Dates(Cell<(u64, Date)>);

impl Dates {
    /// The date of a moment.
    pub(crate) fn new(now: Moment) -> Self {
        let second = second(now);
        Self(Cell::new((second, write(second))))
    }

    /// The date of a moment, which is mostly that of the call before.
    pub(crate) fn at(&self, now: Moment) -> Date {
        let second = second(now);
        let (known, date) = self.0.get();
        if known == second {
            return date;
        }
        let date = write(second);
        self.0.set((second, date));
        date
    }
}

fn second(moment: Moment) -> u64 {
    moment.micros() / 1_000_000
}

fn write(second: u64) -> Date {
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let time = HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    // It has this length in every year of four digits.
    let _fits = write!(date.as_mut_slice(), "{time}");
    date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_moves_with_the_second() {
        let at = |micros| Moment::from_micros(micros);
        let dates = Dates::new(at(784_111_777_000_000));
        let first = *b"Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(dates.at(at(784_111_777_999_999)), first);
        let next = *b"Sun, 06 Nov 1994 08:49:38 GMT";
        assert_eq!(dates.at(at(784_111_778_000_000)), next);
        assert_eq!(dates.at(at(784_111_778_000_001)), next);
    }
}
