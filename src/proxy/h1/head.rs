//! What the heads of requests and responses have in common: limits, versions, and field lines,
//! found and judged in one pass.

use super::{
    fields::{Field, FieldKind, classify, trim},
    scan::{Name, text_len},
    span::{Span, offset_in},
};

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
    /// HTTP/2; heads are read and written as HTTP/1.1 all the same.
    Http2,
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
/// Every line is a token, a colon, a value without control characters but tabs, and CRLF: no bare
/// LF (RFC 9112, section 2.2 allows one), no blank before the colon, no folded line.
pub(super) fn read_fields(
    buf: &[u8],
    first: usize,
    limits: &HeadLimits,
    fields: &mut Vec<Field>,
) -> Result<Option<usize>, Flaw> {
    fields.clear();
    let max_fields = limits.max_fields.min(MAX_FIELDS);
    let mut at = first;
    loop {
        let line = buf.get(at..).unwrap_or_default();
        if line.starts_with(b"\r\n") {
            return Ok(Some(at + 2));
        }
        let name = Name::read(line);
        let Some((bytes, rest)) = line.split_at_checked(name.len) else {
            return Ok(None);
        };
        let value = match rest {
            [b':', value @ ..] if name.len > 0 => value,
            [] => return Ok(None),
            [b'\r'] if name.len == 0 => return Ok(None),
            [b'\r' | b'\n', ..] if name.len == 0 => return Err(Flaw::LineEnd),
            _ => return Err(Flaw::Name),
        };
        let value_len = text_len(value);
        let (value, rest) = value.split_at_checked(value_len).unwrap_or_default();
        match rest {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Ok(None),
            [b'\r' | b'\n', ..] => return Err(Flaw::LineEnd),
            _ => return Err(Flaw::Control),
        }
        let line_len = name.len + value_len + 3;
        if line_len > limits.max_line {
            return Err(Flaw::LongLine);
        }
        if fields.len() >= max_fields {
            return Err(Flaw::TooMany);
        }
        let kind = if name.is_plain {
            classify(bytes)
        } else if bytes.contains(&b'_') {
            FieldKind::Ambiguous
        } else {
            FieldKind::Other
        };
        fields.push(Field {
            name: Span::new(at, at + name.len),
            value: trimmed(value, at + name.len + 1),
            end: at + line_len,
            kind,
            dropped: drops(kind),
        });
        at += line_len;
    }
}

/// The place of a value without the blanks around it, when it begins at `start`.
fn trimmed(value: &[u8], start: usize) -> Span {
    // What nearly everybody sends is one blank and no more.
    if let [b' ', first, .., last] = value
        && !matches!((first, last), (b' ' | b'\t', _) | (_, b' ' | b'\t'))
    {
        return Span::new(start + 1, start + value.len());
    }
    let inner = trim(value);
    if inner.is_empty() {
        return Span::new(start, start);
    }
    let start = start + offset_in(value, inner);
    Span::new(start, start + inner.len())
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
