//! How much of a split's traffic a version gets, and the point that decides for one client.

use std::fmt;

/// Says why a number cannot be a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// More than 100 %.
    #[error("a share is at most 100%")]
    OverOne,
    /// Finer than 0.01 %.
    #[error("a share has steps of 0.01%")]
    TooFine,
}

/// A share of traffic in basis points: 0 to 10,000, steps of 0.01 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Share(u16);

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Everything.
    pub const FULL: Self = Self(10_000);

    /// A share of `points` in 10,000.
    pub const fn from_basis_points(points: u16) -> Result<Self, ShareError> {
        if points > 10_000 {
            Err(ShareError::OverOne)
        } else {
            Ok(Self(points))
        }
    }

    /// 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// 0.0 to 1.0.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// What the other version gets.
    pub const fn rest(self) -> Self {
        Self(10_000 - self.0)
    }

    /// Whether a version that owns the first `self` points owns this one.
    pub const fn covers(self, point: Point) -> bool {
        point.0 < self.0
    }
}

impl fmt::Display for Share {
    /// As written in the file: `5%`, `0.01%`, `12.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", part / 10),
            _ => write!(f, "{whole}.{part:02}%"),
        }
    }
}

/// Where a client or a request falls: 0 to 9,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point(u16);

impl Point {
    /// The point that a hash or a random number falls on.
    #[expect(clippy::as_conversions, reason = "a remainder of 10,000 fits 16 bits")]
    pub const fn from_hash(hash: u64) -> Self {
        Self((hash % 10_000) as u16)
    }

    /// 0 to 9,999; `None` beyond.
    pub const fn new(point: u16) -> Option<Self> {
        if point < 10_000 {
            Some(Self(point))
        } else {
            None
        }
    }

    /// 0 to 9,999.
    pub const fn value(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_shown_as_it_is_written() {
        let cases = [
            (0, "0%"),
            (1, "0.01%"),
            (10, "0.1%"),
            (500, "5%"),
            (1250, "12.5%"),
        ];
        for (points, text) in cases {
            assert_eq!(Share::from_basis_points(points).unwrap().to_string(), text);
        }
        assert_eq!(Share::from_basis_points(10_001), Err(ShareError::OverOne));
    }

    #[test]
    fn a_growing_share_keeps_every_point_it_had() {
        for point in (0..10_000).map(|p| Point::new(p).unwrap()) {
            let mut covered = false;
            for share in (0..=10_000)
                .step_by(500)
                .map(|s| Share::from_basis_points(s).unwrap())
            {
                assert!(!covered || share.covers(point));
                covered = share.covers(point);
            }
            assert!(covered, "100 % covers every point");
        }
    }
}
