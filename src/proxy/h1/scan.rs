//! How far a run of bytes of one kind goes, told eight bytes at a time.

use super::fields::is_token_byte;
use crate::model::number::index;

/// The highest bit of each byte of a word.
const HIGH: u64 = each(0x80);

/// A word of eight such bytes.
const fn each(b: u8) -> u64 {
    u64::from_le_bytes([b; 8])
}

/// How many bytes come before the first that `marks`, which answers with the highest bit of each
/// such byte; only the first needs to be right. `None`: there is none in whole words; the answer is
/// how many bytes those have.
#[inline]
fn skip(bytes: &[u8], marks: impl Fn(u64) -> u64) -> (usize, bool) {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return (at + index(found.trailing_zeros() / 8), true);
        }
        at += 8;
        rest = tail;
    }
    (at, false)
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
        if is_found && bytes.get(len) == Some(&b':') {
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

/// Marks the bytes that are not [`is_plain`].
fn unplain(word: u64) -> u64 {
    // Seven bits a byte: what is added below carries into the eighth and no further.
    let low = word & !HIGH;
    let from = |bytes: u64, least: u8| bytes + each(0x80 - least);
    let lower = low | each(0x20);
    let letter = from(lower, b'a') & !from(lower, b'z' + 1);
    let digit = from(low, b'0') & !from(low, b'9' + 1);
    let hyphen = !((low ^ each(b'-')) + each(0x7f));
    (word | !(letter | digit | hyphen)) & HIGH
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

/// Marks the first control character of a word, and perhaps others behind it.
fn controls(word: u64) -> u64 {
    // The borrow of a byte that is less goes to later bytes only.
    let del = word ^ each(0x7f);
    (word.wrapping_sub(each(0x20)) & !word | del.wrapping_sub(each(1)) & !del) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut bytes = *b"aZ09-zA-bcdefghijklmnop";
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
