//! What the fields of a head say about framing and the connection, gathered field by field, the
//! same way for requests and responses.

use super::{
    fields::{Field, FieldKind, is, list, may_be_nominated},
    head::Version,
};

/// No Connection field names more fields than this.
const MAX_NOMINATED: u32 = 32;

/// What was read so far.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, read from the head"
)]
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The one Content-Length.
    pub(super) length: Option<u64>,
    /// The one Transfer-Encoding is there, and is `chunked`.
    pub(super) chunked: bool,
    /// `Connection: close`.
    pub(super) close: bool,
    /// `Connection: keep-alive`.
    pub(super) keep_alive: bool,
    /// `Connection: upgrade`.
    pub(super) upgrade: bool,
    /// The value of the one Upgrade field is `websocket`; `Some(false)`: anything else.
    pub(super) websocket: Option<bool>,
    nominated: u32,
}

impl Notes {
    /// Reads one field; the error says what is wrong with it.
    pub(super) fn note(&mut self, kind: FieldKind, value: &[u8]) -> Result<(), &'static str> {
        if kind == FieldKind::ContentLength {
            return self.note_length(value);
        }
        if kind == FieldKind::TransferEncoding {
            return self.note_coding(value);
        }
        if kind == FieldKind::Connection {
            return self.note_connection(value);
        }
        if kind == FieldKind::Upgrade {
            let once = self.websocket.is_none();
            self.websocket = Some(once && is(value, b"websocket"));
        }
        Ok(())
    }

    /// Judges the fields together.
    pub(super) fn close_head(&self, version: Version) -> Result<(), &'static str> {
        if self.chunked && self.length.is_some() {
            return Err("both Content-Length and Transfer-Encoding");
        }
        if self.chunked && version == Version::Http10 {
            return Err("Transfer-Encoding in HTTP/1.0");
        }
        Ok(())
    }

    /// Whether the sender keeps the connection open after this message (RFC 9112, section 9.3).
    pub(super) fn persists(&self, version: Version) -> bool {
        match version {
            Version::Http11 | Version::Http2 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// Marks the fields that Connection names as being for this hop only.
    pub(super) fn drop_nominated(&self, buf: &[u8], fields: &mut [Field]) {
        if self.nominated == 0 {
            return;
        }
        let connections: Vec<_> = fields
            .iter()
            .filter(|field| field.kind == FieldKind::Connection)
            .map(|field| field.value)
            .collect();
        for field in fields {
            let name = field.name.of(buf);
            let mut options = connections.iter().flat_map(|value| list(value.of(buf)));
            if options.any(|option| option.eq_ignore_ascii_case(name)) {
                field.dropped |= may_be_nominated(field.kind, name);
            }
        }
    }

    // Two equal lengths would be harmless to us, but not to a parser that joins them with a comma.
    fn note_length(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if self.length.is_some() {
            return Err("more than one Content-Length");
        }
        self.length = Some(decimal(value).ok_or("Content-Length is not a number")?);
        Ok(())
    }

    fn note_coding(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if self.chunked {
            return Err("more than one Transfer-Encoding");
        }
        if !is(value, b"chunked") {
            return Err("Transfer-Encoding is not exactly `chunked`");
        }
        self.chunked = true;
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) -> Result<(), &'static str> {
        // What nearly everybody sends needs no taking apart.
        if is(value, b"keep-alive") {
            self.keep_alive = true;
            return Ok(());
        }
        for option in list(value) {
            if is(option, b"close") {
                self.close = true;
            } else if is(option, b"keep-alive") {
                self.keep_alive = true;
            } else if is(option, b"upgrade") {
                self.upgrade = true;
            } else {
                self.nominated += 1;
            }
        }
        if self.nominated > MAX_NOMINATED {
            return Err("Connection names too many fields");
        }
        Ok(())
    }
}

/// Digits only, at most 2^63 - 1: larger lengths are negative numbers to some parsers.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut sum = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum = sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (sum <= i64::MAX.unsigned_abs()).then_some(sum)
}
