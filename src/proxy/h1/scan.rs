//! How far a run of bytes of one kind goes, told many bytes at a time: every byte of every head is
//! looked at here.

use wide::u8x16;

use super::fields::is_token_byte;
use crate::model::number::index;

/// How many bytes come before the first that `marks`, which answers with 255 for each such byte.
/// If there is none in whole blocks: how many bytes those have, and `false`.
#[inline]
fn skip(bytes: &[u8], marks: impl Fn(u8x16) -> u8x16) -> (usize, bool) {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk() {
        let found = marks(u8x16::new(*block)).to_bitmask();
        if found != 0 {
            return (at + index(found.trailing_zeros()), true);
        }
        at += block.len();
        rest = tail;
    }
    (at, false)
}

/// Marks the bytes from one to another, both included.
#[inline]
fn within(block: u8x16, first: u8, last: u8) -> u8x16 {
    let offset = block - u8x16::splat(first);
    offset.min(u8x16::splat(last - first)).simd_eq(offset)
}

/// Marks the bytes that are not [`is_plain`].
#[inline]
fn unplain(block: u8x16) -> u8x16 {
    let letter = within(block | u8x16::splat(0x20), b'a', b'z');
    let digit = within(block, b'0', b'9');
    !(letter | digit | block.simd_eq(u8x16::splat(b'-')))
}

/// Marks control characters.
#[inline]
fn controls(block: u8x16) -> u8x16 {
    within(block, 0, 0x1f) | block.simd_eq(u8x16::splat(0x7f))
}

/// The name that a field line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// Its bytes.
    pub(super) len: usize,
    /// It has letters, digits and hyphens only, as have all names that mean something to us.
    pub(super) is_plain: bool,
}

impl Name {
    /// Reads as many bytes as can be in a token (RFC 9110, section 5.6.2).
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        let (len, is_found) = skip(bytes, unplain);
        // What ends names and methods; no token holds either.
        if is_found && matches!(bytes.get(len), Some(b':' | b' ')) {
            return Self {
                len,
                is_plain: true,
            };
        }
        Self::read_on(bytes, len)
    }

    /// Goes on byte by byte.
    #[cold]
    fn read_on(bytes: &[u8], plain: usize) -> Self {
        let rest = bytes.get(plain..).unwrap_or_default();
        let more = rest.iter().position(|b| !is_token_byte(*b));
        let more = more.unwrap_or(rest.len());
        Self {
            len: plain + more,
            is_plain: rest.iter().take(more).all(|b| is_plain(*b)),
        }
    }
}

/// Whether a byte is a letter, a digit or a hyphen.
fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

/// How many bytes come before the first control character, tabs aside; all if there is none.
#[inline]
pub(super) fn text_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (len, is_found) = skip(rest, controls);
        at += len;
        if !is_found {
            let last = bytes.get(at..).unwrap_or_default();
            let len = last.iter().position(|b| is_control(*b));
            return at + len.unwrap_or(last.len());
        }
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// Whether no value and no target may hold this byte.
pub(super) fn is_control(b: u8) -> bool {
    b.is_ascii_control() && b != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..40 {
                let mut bytes = *b"aZ09-zA-bcdefghijklmnop-rstuvwxyz0123456";
                bytes[place] = byte;
                let token = bytes.iter().position(|b| !is_token_byte(*b));
                let name = Name::read(&bytes);
                assert_eq!(name.len, token.unwrap_or(bytes.len()), "{byte} at {place}");
                let is_all_plain = bytes[..name.len].iter().all(|b| is_plain(*b));
                assert_eq!(name.is_plain, is_all_plain, "{byte} at {place}");
                let control = bytes.iter().position(|b| is_control(*b));
                assert_eq!(text_len(&bytes), control.unwrap_or(bytes.len()), "{byte}");
            }
        }
    }

    #[test]
    fn a_run_goes_on_behind_a_tab_and_to_the_end() {
        let cases: [(&[u8], usize); 6] = [
            (b"", 0),
            (b"\t", 1),
            (b"a\tbcdefghijkl\t\tm\r\n", 16),
            (b"\x80\xff and more\x7f", 11),
            (b"abcdefgh\n", 8),
            (b"\x1f\x80aaaaaa", 0),
        ];
        for (bytes, len) in cases {
            assert_eq!(text_len(bytes), len, "{}", bytes.escape_ascii());
        }
    }
}
