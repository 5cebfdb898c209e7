//! A piece of the read buffer, by offsets: it stays true when the buffer moves or grows.

use crate::model::number::index;

/// A piece of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to, not including, `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start: offset(start),
            end: offset(end),
        }
    }

    /// The bytes themselves; empty if the buffer is shorter than the one that was parsed.
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(index(self.start)..index(self.end))
            .unwrap_or_default()
    }

    /// The offset of its first byte.
    pub fn start(self) -> usize {
        index(self.start)
    }

    /// The offset behind its last byte.
    pub fn end(self) -> usize {
        index(self.end)
    }

    /// How many bytes it has.
    pub fn len(self) -> usize {
        index(self.end.saturating_sub(self.start))
    }

    /// Whether it has no byte.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// Where `part`, a piece of `buf`, begins in it.
pub(super) fn offset_in(buf: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(buf.as_ptr().addr())
}

/// An offset in a head. Heads are limited to far less than 4 GiB, so none is ever cut off.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "no head has 4 GiB; every request makes a hundred of them"
)]
const fn offset(n: usize) -> u32 {
    n as u32
}
