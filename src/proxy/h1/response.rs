//! The head of a response: parsed in place, judged as strictly as a request's, because what an
//! origin sends reaches every client behind us.

use std::mem::MaybeUninit;

use super::{
    fields::{Field, FieldKind, is},
    framing::Framing,
    head::{HeadLimits, MAX_FIELDS, Parsed, Version, collect},
    notes::Notes,
    reject::Malformed,
    span::Span,
};

/// What was asked, as far as it changes how the answer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// The method was HEAD: no body follows, whatever the fields say.
    pub head: bool,
    /// A WebSocket was asked for: 101 is a possible answer.
    pub websocket: bool,
}

/// The head of a response. It holds no bytes: every accessor that returns some takes the buffer
/// that was parsed.
#[derive(Debug, Default)]
pub struct ResponseHead {
    pub(super) len: usize,
    status: u16,
    reason: Span,
    pub(super) line_end: usize,
    version: Version,
    framing: Framing,
    length: Option<u64>,
    keep_alive: bool,
    has_date: bool,
    pub(super) fields: Vec<Field>,
    seen: usize,
}

impl ResponseHead {
    /// An empty head.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was parsed; call it before the buffer holds another connection's bytes.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self {
            fields,
            ..Self::default()
        };
    }

    /// Reads the head that `buf` begins with. While the answer is [`Parsed::Partial`], call again
    /// with the same bytes and more.
    pub fn parse(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        asked: Asked,
    ) -> Result<Parsed, Malformed> {
        let known = std::mem::take(&mut self.seen);
        // No empty line may come first: it would be the end of a body that was longer than it said.
        if matches!(buf, [b'\r' | b'\n', ..]) {
            return Err(malformed("no status line"));
        }
        let news = buf.get(known..).unwrap_or_default();
        if known > 0 && memchr::memchr(b'\n', news).is_none() {
            return self.partial(buf, limits);
        }
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let slots = slots
            .get_mut(..limits.max_fields.min(MAX_FIELDS))
            .unwrap_or_default();
        let mut raw = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut raw, buf, slots) {
            Ok(httparse::Status::Complete(len)) => {
                self.clear();
                self.len = len;
                self.read(buf, &raw, limits)?;
                self.read_fields(buf, asked)?;
                Ok(Parsed::Complete(len))
            }
            Ok(httparse::Status::Partial) => self.partial(buf, limits),
            Err(error) => Err(malformed(reason(error))),
        }
    }

    fn partial(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parsed, Malformed> {
        if buf.len() >= limits.max_bytes {
            return Err(malformed("head is too large"));
        }
        self.seen = buf.len();
        Ok(Parsed::Partial)
    }

    fn read(
        &mut self,
        buf: &[u8],
        raw: &httparse::Response<'_, '_>,
        limits: &HeadLimits,
    ) -> Result<(), Malformed> {
        const NO_CRLF: Malformed = malformed("line does not end in CRLF");
        if self.len > limits.max_bytes {
            return Err(malformed("head is too large"));
        }
        self.version = Version::from_minor(raw.version);
        self.status = raw.code.unwrap_or_default();
        if !(100..=599).contains(&self.status) {
            return Err(malformed("status is not between 100 and 599"));
        }
        let head = buf.get(..self.len).unwrap_or_default();
        let line_len = memchr::memchr(b'\n', head).ok_or(NO_CRLF)?;
        // `HTTP/1.1 200` is twelve bytes; then a blank and the reason, or nothing.
        self.reason = Span::new(line_len.min(13), line_len.saturating_sub(1));
        self.line_end = line_len + 1;
        if !head
            .get(..self.line_end)
            .is_some_and(|line| line.ends_with(b"\r\n"))
        {
            return Err(NO_CRLF);
        }
        let ends = (self.line_end, self.len.saturating_sub(2));
        collect(buf, raw.headers, ends, limits.max_line, &mut self.fields).map_err(|_| NO_CRLF)
    }

    fn read_fields(&mut self, buf: &[u8], asked: Asked) -> Result<(), Malformed> {
        let mut notes = Notes::default();
        for field in &self.fields {
            if field.kind == FieldKind::Other {
                self.has_date |= is(field.name.of(buf), b"date");
            } else {
                notes
                    .note(field.kind, field.value.of(buf))
                    .map_err(malformed)?;
            }
        }
        notes.close_head(self.version).map_err(malformed)?;
        notes.drop_nominated(buf, &mut self.fields);
        self.settle(&notes, asked)
    }

    /// Draws the conclusions once every field is read (RFC 9112, section 6.3).
    fn settle(&mut self, notes: &Notes, asked: Asked) -> Result<(), Malformed> {
        if self.status == 101 {
            let agreed = notes.upgrade && notes.websocket == Some(true);
            if !(asked.websocket && agreed) {
                return Err(malformed("101 that was not asked for"));
            }
        }
        let bodiless = self.status < 200 || self.status == 204;
        let no_body = bodiless || self.status == 304 || asked.head;
        self.framing = match notes.length {
            _ if no_body => Framing::None,
            _ if notes.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        // A length where there can be no body is a lie that another parser might believe.
        self.length = notes.length.filter(|_| !bodiless);
        let lies = bodiless && (notes.chunked || notes.length.is_some_and(|n| n > 0));
        self.keep_alive =
            notes.persists(self.version) && self.framing != Framing::UntilClose && !lies;
        Ok(())
    }
}

const fn malformed(reason: &'static str) -> Malformed {
    Malformed { reason }
}

fn reason(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "header field name is not a token",
        httparse::Error::HeaderValue => "header field value holds a control character",
        httparse::Error::NewLine => "line does not end in CRLF",
        httparse::Error::TooManyHeaders => "too many header fields",
        httparse::Error::Version => "HTTP version is neither 1.0 nor 1.1",
        httparse::Error::Status | httparse::Error::Token => "status line is malformed",
    }
}

// === What others may ask ===

impl ResponseHead {
    /// How many bytes the head has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was parsed yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The status, 100 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether another head follows: 1xx but 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The reason phrase, as sent; it may be empty.
    pub fn reason<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.reason.of(buf)
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body's end is known.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The Content-Length, also where no body follows (HEAD, 304).
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the origin lets the connection be used again after the body.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the origin sent a Date.
    pub fn has_date(&self) -> bool {
        self.has_date
    }

    /// All fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The first value of a field; the name is lower case.
    pub fn field<'b>(&self, buf: &'b [u8], name: &str) -> Option<&'b [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.of(buf).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value.of(buf))
    }
}
