//! The few number conversions that `From` does not have, each exact or saturating, in one place.

use std::time::Duration;

/// A `u32` as an index; every platform that we run on has at least 32 bits.
#[expect(
    clippy::as_conversions,
    reason = "usize has at least 32 bits on every tokio platform"
)]
pub const fn index(n: u32) -> usize {
    n as usize
}

/// A count as a real number; exact up to 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts stay below 2^53"
)]
pub const fn real(n: u64) -> f64 {
    n as f64
}

/// A real number in single precision, never higher than it was.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the precision that is lost is what is wanted"
)]
pub fn single_down(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x {
        near.next_down()
    } else {
        near
    }
}

/// A length as a real number; exact up to 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "lengths stay below 2^53"
)]
pub const fn real_len(n: usize) -> f64 {
    n as f64
}

/// A real number as a count: the fraction is cut off, NaN and negatives become 0, and what is too
/// large becomes the largest count.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
pub const fn whole(x: f64) -> u64 {
    x as u64
}

/// A length as a `u64`.
#[expect(
    clippy::as_conversions,
    reason = "usize has at most 64 bits on every tokio platform"
)]
pub const fn long(n: usize) -> u64 {
    n as u64
}

/// A `u64` as a length; what does not fit becomes the largest length.
pub fn length(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Whole microseconds, at most `u64::MAX`.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Whole milliseconds, at most `u64::MAX`.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
