//! The head of a request: parsed in place, judged strictly, kept as offsets.

mod facts;

use super::{
    fields::{Field, FieldKind, is},
    framing::Framing,
    head::{HeadLimits, Parsed, Version, read_fields, tail_len},
    notes::Notes,
    opening::{RequestLine, check_request_line, empty_lines, flaw},
    reject::Reject,
    span::Span,
    target::{self, Target},
};

/// No request id from outside is longer than this.
const MAX_REQUEST_ID: usize = 128;

/// The head of a request. It holds no bytes: every accessor that returns some takes the buffer
/// that was parsed. One value serves all requests of a connection; it allocates only when a head
/// has more fields than any before.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, read from the head"
)]
#[derive(Debug, Default)]
pub struct RequestHead {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) line_end: usize,
    method: Span,
    pub(super) raw_target: Span,
    pub(super) target: Target,
    pub(super) host: Option<Span>,
    host_name: Span,
    version: Version,
    framing: Framing,
    keep_alive: bool,
    upgrade: bool,
    expect_continue: bool,
    options: bool,
    head: bool,
    max_forwards: Option<u64>,
    request_id: Option<Span>,
    trace_parent: Option<Span>,
    pub(super) fields: Vec<Field>,
    /// Bytes that were looked at in vain, so that a head that trickles in is not parsed again for
    /// every byte.
    seen: usize,
}

impl RequestHead {
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
    /// with the same bytes and more. After a [`Reject`] only [`Self::is_head`] can be asked.
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parsed, Reject> {
        let parsed = self.advance(buf, limits);
        if parsed.is_err() {
            // Whatever is wrong with it, the answer to HEAD has no body (RFC 9110, section 9.3.2).
            self.head = buf.trim_ascii_start().starts_with(b"HEAD ");
        }
        parsed
    }

    fn advance(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parsed, Reject> {
        let known = std::mem::take(&mut self.seen);
        let start = empty_lines(buf)?;
        let head = buf.get(start..).unwrap_or_default();
        // Only a finished line can change what is known of a head that is not all there.
        let news = buf.get(known..).unwrap_or_default();
        if known > 0 && memchr::memchr(b'\n', news).is_none() {
            return self.partial(buf, head, limits);
        }
        let Some(line) = RequestLine::read(head, limits)? else {
            return self.partial(buf, head, limits);
        };
        self.clear();
        let first = start + line.len;
        let mut fields = std::mem::take(&mut self.fields);
        let end = read_fields(buf, first, limits, &mut fields);
        self.fields = fields;
        let Some(end) = end.map_err(flaw)? else {
            return self.partial(buf, head, limits);
        };
        if end > limits.max_bytes {
            return Err(Reject::with(431, "head is too large"));
        }
        (self.start, self.len, self.line_end) = (start, end, first);
        self.read_line(buf, &line)?;
        self.read_fields(buf)?;
        Ok(Parsed::Complete(end))
    }

    /// Judges the size of a head that is not all there.
    fn partial(&mut self, buf: &[u8], head: &[u8], limits: &HeadLimits) -> Result<Parsed, Reject> {
        check_request_line(head, limits)?;
        if buf.len() >= limits.max_bytes {
            return Err(Reject::with(431, "head is too large"));
        }
        if tail_len(head) > limits.max_line && memchr::memchr(b'\n', head).is_some() {
            return Err(Reject::with(431, "header field is too long"));
        }
        self.seen = buf.len();
        Ok(Parsed::Partial)
    }

    /// Reads what the first line of the head says.
    fn read_line(&mut self, buf: &[u8], line: &RequestLine) -> Result<(), Reject> {
        self.version = line.version;
        let target_start = self.start + line.method_len + 1;
        self.method = Span::new(self.start, self.start + line.method_len);
        self.raw_target = Span::new(target_start, target_start + line.target_len);
        match self.method.of(buf) {
            b"CONNECT" => return Err(Reject::with(501, "CONNECT is not offered")),
            b"TRACE" => return Err(Reject::with(405, "TRACE is not allowed")),
            b"OPTIONS" => self.options = true,
            b"HEAD" => self.head = true,
            _ => {}
        }
        self.target = target::split(buf, self.raw_target, self.options)?;
        Ok(())
    }

    fn read_fields(&mut self, buf: &[u8]) -> Result<(), Reject> {
        let mut notes = Notes::default();
        let mut fields = std::mem::take(&mut self.fields);
        let mut ids = 0_u32;
        for field in fields.iter_mut().filter(|it| it.kind != FieldKind::Other) {
            let value = field.value.of(buf);
            match field.kind {
                // Most origins cannot tell `a_b` from `a-b` (CGI), so such a name could stand in
                // for a field that we checked or set.
                FieldKind::Ambiguous if frames_for_some(field.name.of(buf)) => {
                    return Err(Reject::bad("framing field with an underscore"));
                }
                FieldKind::Ambiguous => field.dropped = true,
                // To some it is an octal number, and nobody means it.
                FieldKind::ContentLength if matches!(value, [b'0', _, ..]) => {
                    return Err(Reject::bad("Content-Length begins with a zero"));
                }
                FieldKind::Host => self.read_host(field.value, value)?,
                FieldKind::Expect => field.dropped = self.read_expect(value)?,
                FieldKind::MaxForwards if self.options => {
                    self.max_forwards = std::str::from_utf8(value).unwrap_or("").parse().ok();
                    field.dropped = true;
                }
                FieldKind::RequestId => {
                    ids += 1;
                    self.request_id = is_sane_id(value).then_some(field.value);
                }
                FieldKind::TraceParent => self.trace_parent = Some(field.value),
                kind @ (FieldKind::Connection
                | FieldKind::ContentLength
                | FieldKind::TransferEncoding
                | FieldKind::Upgrade) => notes.note(kind, value).map_err(Reject::bad)?,
                FieldKind::Other
                | FieldKind::Hop
                | FieldKind::MaxForwards
                | FieldKind::Cookie
                | FieldKind::Date
                | FieldKind::ForwardedFor
                | FieldKind::ForwardedProto
                | FieldKind::ForwardedHost
                | FieldKind::Forwarded
                | FieldKind::RequestStart
                | FieldKind::ClientSubject
                | FieldKind::SerinVersion
                | FieldKind::SerinWarmUp => {}
            }
        }
        if ids > 1 {
            self.request_id = None;
        }
        notes.close_head(self.version).map_err(Reject::bad)?;
        notes.drop_nominated(buf, &mut fields);
        self.fields = fields;
        self.settle(buf, &notes)
    }

    fn read_host(&mut self, span: Span, value: &[u8]) -> Result<(), Reject> {
        if self.host.is_some() {
            return Err(Reject::bad("more than one Host"));
        }
        let name_len = target::check_authority(value)?;
        self.host = Some(span);
        self.host_name = Span::new(span.start(), span.start() + name_len);
        Ok(())
    }

    /// Whether the field stays behind.
    fn read_expect(&mut self, value: &[u8]) -> Result<bool, Reject> {
        if self.expect_continue || !is(value, b"100-continue") {
            return Err(Reject::with(
                417,
                "only `Expect: 100-continue` is understood",
            ));
        }
        // A client of HTTP/1.0 cannot have meant it (RFC 9110, section 10.1.1).
        self.expect_continue = self.version == Version::Http11;
        Ok(!self.expect_continue)
    }

    /// Draws the conclusions once every field is read.
    fn settle(&mut self, buf: &[u8], notes: &Notes) -> Result<(), Reject> {
        if self.host.is_none() && self.version == Version::Http11 {
            return Err(Reject::bad("no Host"));
        }
        if let Some(authority) = self.target.authority {
            // The target wins over the field (RFC 9112, section 3.2.2).
            let name_len = target::check_authority(authority.of(buf))?;
            self.host_name = Span::new(authority.start(), authority.start() + name_len);
            self.host = Some(authority);
            for field in self.fields.iter_mut().filter(|f| f.kind == FieldKind::Host) {
                field.dropped = true;
            }
        }
        self.framing = match notes.length {
            _ if notes.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::None,
        };
        self.keep_alive = notes.persists(self.version);
        self.upgrade = notes.upgrade
            && notes.websocket == Some(true)
            && self.version == Version::Http11
            && self.framing.is_empty()
            && self.method.of(buf) == b"GET";
        Ok(())
    }
}

/// Whether a name with underscores frames the body for those who read them as hyphens.
fn frames_for_some(name: &[u8]) -> bool {
    let is = |word: &[u8]| {
        let alike = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-');
        name.len() == word.len() && name.iter().zip(word).all(alike)
    };
    is(b"content-length") || is(b"transfer-encoding")
}

/// Whether an id from outside may go into logs and to the origin as it is.
fn is_sane_id(value: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:+/=@".contains(b);
    !value.is_empty() && value.len() <= MAX_REQUEST_ID && value.iter().all(plain)
}
