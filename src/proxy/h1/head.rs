//! What the heads of requests and responses have in common: limits, versions, and the checks on
//! bytes that httparse leaves out.

use httparse::Header;

use super::{
    fields::{Field, FieldKind, classify},
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
}

impl Version {
    /// The version of this minor number, as httparse tells it.
    pub(super) fn from_minor(minor: Option<u8>) -> Self {
        if minor == Some(0) {
            Self::Http10
        } else {
            Self::Http11
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
    /// A line does not end in CRLF, or does not begin where the one before ended.
    LineEnd,
    /// A field line is longer than the limit.
    LongLine,
}

/// Turns httparse's fields into ours.
///
/// httparse takes a bare LF as the end of a line (RFC 9112, section 2.2 allows it), which other
/// parsers do not; so each line must be seen to end in CRLF, right before the next one begins.
pub(super) fn collect(
    buf: &[u8],
    headers: &[Header<'_>],
    (first, last): (usize, usize),
    max_line: usize,
    fields: &mut Vec<Field>,
) -> Result<(), Flaw> {
    fields.clear();
    let begins = headers
        .first()
        .map_or(last, |field| offset_in(buf, field.name.as_bytes()));
    if begins != first || !ends_line(buf, first) {
        return Err(Flaw::LineEnd);
    }
    let mut start = first;
    let mut rest = headers.iter();
    let mut next = rest.next();
    while let Some(header) = next {
        next = rest.next();
        let name = Span::new(start, start + header.name.len());
        let value = Span::locate(buf, header.value);
        let end = next.map_or(last, |next| offset_in(buf, next.name.as_bytes()));
        if !ends_line(buf, end) {
            return Err(Flaw::LineEnd);
        }
        if end - start > max_line {
            return Err(Flaw::LongLine);
        }
        let kind = classify(header.name.as_bytes());
        fields.push(Field {
            name,
            value,
            end,
            kind,
            dropped: drops(kind),
        });
        start = end;
    }
    if ends_line(buf, last + 2) {
        Ok(())
    } else {
        Err(Flaw::LineEnd)
    }
}

/// Whether the two bytes before this offset are CRLF.
fn ends_line(buf: &[u8], offset: usize) -> bool {
    buf.get(..offset)
        .is_some_and(|line| line.ends_with(b"\r\n"))
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
