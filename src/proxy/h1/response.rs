//! The head of a response: parsed in place, judged as strictly as a request's, because what an
//! origin sends reaches every client behind us.

use super::{
    fields::{Field, FieldKind},
    framing::Framing,
    head::{Flaw, HeadLimits, Parsed, Version, read_fields},
    notes::Notes,
    reject::Malformed,
    scan::text_len,
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
        let Some(line) = StatusLine::read(buf)? else {
            return self.partial(buf, limits);
        };
        self.clear();
        let mut fields = std::mem::take(&mut self.fields);
        let end = read_fields(buf, line.len, limits, &mut fields);
        self.fields = fields;
        let Some(end) = end.map_err(flawed)? else {
            return self.partial(buf, limits);
        };
        if end > limits.max_bytes {
            return Err(malformed("head is too large"));
        }
        (self.len, self.line_end) = (end, line.len);
        (self.status, self.version) = (line.status, line.version);
        self.reason = Span::new(line.reason, line.len.saturating_sub(2));
        self.read_fields(buf, asked)?;
        Ok(Parsed::Complete(end))
    }

    /// Has a field stay behind; the name is lower case.
    pub fn drop_field(&mut self, buf: &[u8], name: &[u8]) {
        let named = |field: &&mut Field| field.name.of(buf).eq_ignore_ascii_case(name);
        for field in self.fields.iter_mut().filter(named) {
            field.dropped = true;
        }
    }

    fn partial(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parsed, Malformed> {
        if buf.len() >= limits.max_bytes {
            return Err(malformed("head is too large"));
        }
        self.seen = buf.len();
        Ok(Parsed::Partial)
    }

    fn read_fields(&mut self, buf: &[u8], asked: Asked) -> Result<(), Malformed> {
        let mut notes = Notes::default();
        for field in self.fields.iter().filter(|it| it.kind != FieldKind::Other) {
            self.has_date |= field.kind == FieldKind::Date;
            let read = notes.note(field.kind, field.value.of(buf));
            read.map_err(malformed)?;
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

fn flawed(flaw: Flaw) -> Malformed {
    malformed(match flaw {
        Flaw::LineEnd => "line does not end in CRLF",
        Flaw::LongLine => "header field is too long",
        Flaw::TooMany => "too many header fields",
        Flaw::Name => "header field name is not a token",
        Flaw::Control => "header field value holds a control character",
    })
}

/// The first line of a response.
#[derive(Debug)]
struct StatusLine {
    version: Version,
    status: u16,
    /// Where the reason begins.
    reason: usize,
    /// Its bytes, CRLF included.
    len: usize,
}

impl StatusLine {
    /// Reads the line that `buf` begins with: a version, one blank, three digits, and nothing or
    /// one blank and a reason, then CRLF. `None`: it is not all there.
    fn read(buf: &[u8]) -> Result<Option<Self>, Malformed> {
        const START: &[u8] = b"HTTP/1.";
        const MALFORMED: Malformed = malformed("status line is malformed");
        const OTHER_VERSION: Malformed = malformed("HTTP version is neither 1.0 nor 1.1");
        let known = buf.len().min(START.len());
        if buf.get(..known) != START.get(..known) {
            return Err(OTHER_VERSION);
        }
        let (line, rest) = buf.split_at_checked(text_len(buf)).ok_or(MALFORMED)?;
        match rest {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Ok(None),
            [b'\r' | b'\n', ..] => return Err(flawed(Flaw::LineEnd)),
            _ => return Err(MALFORMED),
        }
        let (name, rest) = line.split_at_checked(8).ok_or(MALFORMED)?;
        let version = Version::named(name).ok_or(OTHER_VERSION)?;
        let ([b' ', a, b, c] | [b' ', a, b, c, b' ', ..]) = rest else {
            return Err(MALFORMED);
        };
        if ![a, b, c].iter().all(|digit| digit.is_ascii_digit()) {
            return Err(MALFORMED);
        }
        let digit = |b: &u8| u16::from(b - b'0');
        let status = digit(a) * 100 + digit(b) * 10 + digit(c);
        if !(100..=599).contains(&status) {
            return Err(malformed("status is not between 100 and 599"));
        }
        Ok(Some(Self {
            version,
            status,
            // `HTTP/1.1 200` is twelve bytes; then a blank and the reason, or nothing.
            reason: line.len().min(13),
            len: line.len() + 2,
        }))
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

    /// The answer came by HTTP/2.
    pub(crate) fn came_by_h2(&mut self) {
        self.version = Version::Http2;
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

    /// Whether the origin has said when it answered.
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
