//! What the heads of requests and responses have in common: limits, versions, and field lines, found
//! and judged in one pass.

use super::{
    fields::{Field, FieldKind, classify, is_token_byte, trim},
    span::{Span, offset_in},
};
use crate::model::number::index;

/// No head has more fields than this, whatever the limits say.
pub const MAX_FIELDS: usize = 256;

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, its last empty line included.
    pub max_bytes: usize,
    /// Fields; at most [`MAX_FIELDS`].
    pub max_fields: usize,
    /// Bytes of one field line, its CRLF included.
    pub max_line: usize,
    /// Bytes of a request's target.
    pub max_target: usize,
}

impl HeadLimits {
    /// What an origin may send: 64 KiB, 200 fields.
    pub const RESPONSE: Self = Self {
        max_bytes: 64 << 10,
        max_fields: 200,
        max_line: 64 << 10,
        max_target: 64 << 10,
    };
}

/// The version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

impl Version {
    /// The version of this name.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"HTTP/1.1" => Some(Self::Http11),
            b"HTTP/1.0" => Some(Self::Http10),
            _ => None,
        }
    }
}

/// How far a head has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// It is all there; it has this many bytes, and the body follows.
    Complete(usize),
    /// More bytes are needed.
    Partial,
}

/// What is wrong with the lines of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A line does not end in CRLF.
    LineEnd,
    /// A field line is longer than the limit.
    LongLine,
    /// There are more fields than the limit.
    TooMany,
    /// A line does not begin with a token and a colon.
    Name,
    /// There is a control character.
    Control,
}

/// Reads the field lines that begin at `first`, which is behind the first line of a head. Answers
/// where the head ends, or `None` if it is not all there.
///
/// Every line ends in CRLF and has a token, a colon and a value: no bare LF (RFC 9112, section 2.2
/// allows one), no blank before the colon, no folded line. [`is_clean`] judges the values' bytes.
pub(super) fn read_fields(
    buf: &[u8],
    first: usize,
    limits: &HeadLimits,
    fields: &mut Vec<Field>,
) -> Result<Option<usize>, Flaw> {
    fields.clear();
    let mut at = first;
    loop {
        let rest = buf.get(at..).unwrap_or_default();
        if rest.starts_with(b"\r\n") {
            return Ok(Some(at + 2));
        }
        let Some(line_len) = memchr::memchr(b'\n', rest) else {
            return Ok(None);
        };
        if fields.len() >= limits.max_fields.min(MAX_FIELDS) {
            return Err(Flaw::TooMany);
        }
        if line_len >= limits.max_line {
            return Err(Flaw::LongLine);
        }
        let name = Name::read(rest);
        let Some(value) = rest.get(name.len..line_len) else {
            return Err(Flaw::LineEnd);
        };
        let [b':', value @ .., b'\r'] = value else {
            return Err(if value.starts_with(b":") {
                Flaw::LineEnd
            } else {
                Flaw::Name
            });
        };
        if name.len == 0 {
            return Err(Flaw::Name);
        }
        let kind = match rest.get(..name.len) {
            Some(bytes) if name.is_plain => classify(bytes),
            Some(bytes) if memchr::memchr(b'_', bytes).is_some() => FieldKind::Ambiguous,
            _ => FieldKind::Other,
        };
        let start = at + name.len + 1;
        fields.push(Field {
            name: Span::new(at, at + name.len),
            value: trimmed(value, start),
            end: at + line_len + 1,
            kind,
            dropped: drops(kind),
        });
        at += line_len + 1;
    }
}

/// The name that a field line begins with.
struct Name {
    len: usize,
    /// It has letters, digits and hyphens only, as have all names that mean something to us.
    is_plain: bool,
}

impl Name {
    /// Reads as many bytes as can be in a token; `line` may go on behind its end.
    fn read(line: &[u8]) -> Self {
        let mut len = 0;
        let mut rest = line;
        while let Some((word, tail)) = rest.split_first_chunk() {
            let odd = unplain(u64::from_le_bytes(*word));
            if odd != 0 {
                len += index(odd.trailing_zeros() / 8);
                break;
            }
            len += 8;
            rest = tail;
        }
        let rest = line.get(len..).unwrap_or_default();
        let odd = rest.iter().position(|b| !is_token_byte(*b));
        let more = odd.unwrap_or(rest.len());
        let is_plain = more == 0 || rest.iter().take(more).all(|b| is_plain(*b));
        Self {
            len: len + more,
            is_plain,
        }
    }
}

/// Whether a byte is a letter, a digit or a hyphen.
fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

/// The highest bit of each byte of a word that is not [`is_plain`], told eight at a time.
fn unplain(word: u64) -> u64 {
    const fn each(b: u8) -> u64 {
        u64::from_le_bytes([b; 8])
    }
    const HIGH: u64 = each(0x80);
    // Seven bits a byte: what is added below carries into the eighth and no further.
    let low = word & !HIGH;
    let from = |bytes: u64, least: u8| bytes + each(0x80 - least);
    let lower = low | each(0x20);
    let letter = from(lower, b'a') & !from(lower, b'z' + 1);
    let digit = from(low, b'0') & !from(low, b'9' + 1);
    let hyphen = !((low ^ each(b'-')) + each(0x7f));
    (word | !(letter | digit | hyphen)) & HIGH
}

/// The place of a value without the blanks around it, when it begins at `start`.
fn trimmed(value: &[u8], start: usize) -> Span {
    let inner = trim(value);
    if inner.is_empty() {
        return Span::new(start, start);
    }
    let start = start + offset_in(value, inner);
    Span::new(start, start + inner.len())
}

/// Whether a head has no control character but tabs and CRLF, none of the two without the other.
/// Its first byte is judged elsewhere. One pass without a branch, so that it takes many bytes at a
/// time.
pub(super) fn is_clean(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    pairs.fold(0, |unclean, (before, byte)| {
        unclean | u8::from(is_control(*byte)) | u8::from((*before == b'\r') != (*byte == b'\n'))
    }) == 0
}

/// Whether no head may hold this byte.
pub(super) fn is_control(b: u8) -> bool {
    (b < 0x20) & (b != b'\t') & (b != b'\r') & (b != b'\n') | (b == 0x7f)
}

/// Whether fields of this kind never leave as they came.
fn drops(kind: FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Connection
            | FieldKind::ContentLength
            | FieldKind::TransferEncoding
            | FieldKind::Upgrade
            | FieldKind::Hop
    )
}

/// Whether the last, unfinished line of a partial head is already longer than allowed.
pub(super) fn tail_len(buf: &[u8]) -> usize {
    memchr::memrchr(b'\n', buf).map_or(buf.len(), |at| buf.len() - at - 1)
}
