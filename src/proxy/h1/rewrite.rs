//! Heads as they are forwarded: whole field lines are copied from the buffer with holes where a
//! field stays behind, then what the proxy says itself is appended.

use super::{
    fields::{Field, FieldKind, is},
    framing::{Framing, Outgoing},
    head::Version,
    request::RequestHead,
    response::ResponseHead,
    span::Span,
};
use crate::plan::RequestStart;

/// What the proxy says to the origin about a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestEdits<'a> {
    /// The address of the peer, as text.
    pub client: &'a [u8],
    /// `http` or `https`.
    pub proto: &'a [u8],
    /// The subject of the certificate that the peer has proven to own.
    pub subject: Option<&'a [u8]>,
    /// The peer is a proxy whose word on the client is believed and added to; anybody else's is
    /// replaced.
    pub trusted: bool,
    /// The id of the request, used if the client sent no sane one.
    pub request_id: &'a [u8],
    /// When the request came, in microseconds since 1970, and how that is told.
    pub request_start: (u64, RequestStart),
    /// The `traceparent` that takes the place of what the client says of its trace, and whether
    /// the client's `tracestate` still belongs to it; `None`: both pass as they came.
    pub trace: Option<(&'a [u8; 55], bool)>,
    /// The version that the request is sent to.
    pub version_name: &'a [u8],
    /// The Host of an HTTP/1.0 request that came without one; the endpoint's address, say.
    pub default_host: &'a [u8],
    /// Ask for the WebSocket that the client asks for.
    pub upgrade: bool,
}

/// Appends the head of the request as the origin is to see it.
pub fn request(head: &RequestHead, buf: &[u8], edits: &RequestEdits<'_>, out: &mut Vec<u8>) {
    out.reserve(head.len + 320);
    let mut run = request_line(head, buf, out);
    for field in &head.fields {
        if !keeps(field, (head, buf), edits) {
            copy(buf, run, field.name.start(), out);
            run = field.end;
        }
    }
    copy(buf, run, head.len.saturating_sub(2), out);
    if head.host.is_none() {
        line(out, b"Host: ", edits.default_host);
    } else if head.target.authority.is_some() {
        line(out, b"Host: ", head.authority(buf).unwrap_or_default());
    }
    if edits.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n");
    }
    push_framing(head.framing(), None, out);
    if let Some(left) = head.max_forwards() {
        number(out, b"Max-Forwards: ", left.saturating_sub(1));
    }
    push_forwarded(head, buf, edits, out);
    if let Some(subject) = edits.subject {
        line(out, b"X-Client-Cert-Subject: ", subject);
    }
    if head.request_id(buf).is_none() {
        line(out, b"X-Request-Id: ", edits.request_id);
    }
    if !(edits.trusted && has(head, FieldKind::RequestStart)) {
        push_start(edits.request_start, out);
    }
    if let Some((traceparent, _)) = edits.trace {
        // It is changed where it stands, for each attempt.
        line(out, b"traceparent: ", traceparent);
    }
    line(out, b"X-Serin-Version: ", edits.version_name);
    out.extend_from_slice(via(head.version()));
}

/// Writes what of the request line is not copied with the fields; answers where copying begins.
fn request_line(head: &RequestHead, buf: &[u8], out: &mut Vec<u8>) -> usize {
    if head.target.authority.is_none() && head.version() != Version::Http10 {
        return head.start;
    }
    let [path, query] = head.target(buf);
    for part in [head.method(buf), b" ", path, query, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    head.line_end
}

/// Whether a field leaves as it came.
fn keeps(field: &Field, (head, buf): (&RequestHead, &[u8]), edits: &RequestEdits<'_>) -> bool {
    let kind = field.kind;
    let is_plain = matches!(
        kind,
        FieldKind::Other | FieldKind::Ambiguous | FieldKind::TraceParent
    );
    if is_plain || field.dropped {
        return !field.dropped
            && edits
                .trace
                .is_none_or(|(_, keeps)| passes(field, buf, keeps));
    }
    if kind == FieldKind::RequestId {
        return head.has_request_id();
    }
    let claim = matches!(
        kind,
        FieldKind::ForwardedProto
            | FieldKind::ForwardedHost
            | FieldKind::Forwarded
            | FieldKind::RequestStart
            | FieldKind::SerinWarmUp
    );
    if kind == FieldKind::ClientSubject {
        edits.trusted && edits.subject.is_none()
    } else if claim {
        edits.trusted
    } else {
        !matches!(kind, FieldKind::ForwardedFor | FieldKind::SerinVersion)
    }
}

/// Whether a field says nothing of a trace that is told anew.
fn passes(field: &Field, buf: &[u8], keeps_state: bool) -> bool {
    let is_state = || is(field.name.of(buf), b"tracestate");
    !(field.kind == FieldKind::TraceParent || !keeps_state && is_state())
}

/// Writes where the request came from, as far as no trusted peer has said so already.
fn push_forwarded(head: &RequestHead, buf: &[u8], edits: &RequestEdits<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    if edits.trusted {
        let said = head
            .fields
            .iter()
            .filter(|f| f.kind == FieldKind::ForwardedFor);
        for field in said.filter(|f| !f.value.is_empty()) {
            out.extend_from_slice(field.value.of(buf));
            out.extend_from_slice(b", ");
        }
    }
    out.extend_from_slice(edits.client);
    out.extend_from_slice(b"\r\n");
    if !(edits.trusted && has(head, FieldKind::ForwardedProto)) {
        line(out, b"X-Forwarded-Proto: ", edits.proto);
    }
    if let Some(host) = head.authority(buf)
        && !(edits.trusted && has(head, FieldKind::ForwardedHost))
    {
        line(out, b"X-Forwarded-Host: ", host);
    }
}

/// Writes when the request came.
fn push_start((micros, unit): (u64, RequestStart), out: &mut Vec<u8>) {
    const NAME: &[u8; 19] = b"X-Request-Start: t=";
    match unit {
        RequestStart::Disabled => {}
        RequestStart::Micros => number(out, NAME, micros),
        RequestStart::Millis => number(out, NAME, micros / 1_000),
        RequestStart::Seconds => {
            out.extend_from_slice(NAME);
            out.extend_from_slice(itoa::Buffer::new().format(micros / 1_000_000).as_bytes());
            // Three digits, whatever the number.
            let thousands = 1_000 + micros / 1_000 % 1_000;
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(thousands).as_bytes();
            out.push(b'.');
            out.extend_from_slice(digits.get(1..).unwrap_or_default());
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn has(head: &RequestHead, kind: FieldKind) -> bool {
    head.fields
        .iter()
        .any(|field| field.kind == kind && !field.dropped)
}

/// What the proxy says to the client about a response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseEdits<'a> {
    /// The client's version.
    pub client: Version,
    /// How the body leaves, from [`Framing::towards`].
    pub outgoing: Outgoing,
    /// Whole lines to add, each ended by CRLF: `Set-Cookie`.
    pub lines: &'a [u8],
    /// The `Date` of an answer that came without one (RFC 9110, section 6.6.1).
    pub date: &'a [u8],
}

/// Appends the head of the final response (or of 101) as the client is to see it.
pub fn response(head: &ResponseHead, buf: &[u8], edits: &ResponseEdits<'_>, out: &mut Vec<u8>) {
    status_and_fields(head, buf, out);
    push_framing(edits.outgoing.framing, head.content_length(), out);
    let connection: &[u8] = match (head.status(), edits.outgoing.keep_alive, edits.client) {
        (101, _, _) => b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        (_, false, _) => b"Connection: close\r\n",
        (_, true, Version::Http10) => b"Connection: keep-alive\r\n",
        (_, true, Version::Http11 | Version::Http2) => b"",
    };
    out.extend_from_slice(connection);
    out.extend_from_slice(edits.lines);
    if !head.has_date() {
        line(out, b"Date: ", edits.date);
    }
    out.extend_from_slice(via(head.version()));
}

/// Appends the head of an interim response (100, 102, 103).
pub fn interim(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    status_and_fields(head, buf, out);
    out.extend_from_slice(b"\r\n");
}

/// The bytes of `HTTP/1.1` and the blank behind it.
const VERSION_LEN: usize = 9;

/// The status line in our version, and the fields that pass.
fn status_and_fields(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    out.reserve(head.len + 160);
    out.extend_from_slice(b"HTTP/1.1 ");
    let mut run = VERSION_LEN;
    if head.reason(buf).is_empty() {
        // The blank behind the status is not optional (RFC 9112, section 4).
        copy(buf, run, run + 3, out);
        out.extend_from_slice(b" \r\n");
        run = head.line_end;
    }
    for field in head.fields.iter().filter(|field| field.dropped) {
        copy(buf, run, field.name.start(), out);
        run = field.end;
    }
    copy(buf, run, head.len.saturating_sub(2), out);
}

/// The one field that frames the body. `described` is the length of a body that does not follow
/// (HEAD, 304).
fn push_framing(framing: Framing, described: Option<u64>, out: &mut Vec<u8>) {
    match (framing, described) {
        (Framing::Length(length), _) | (Framing::None, Some(length)) => {
            number(out, b"Content-Length: ", length);
        }
        (Framing::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        (Framing::None, None) | (Framing::UntilClose, _) => {}
    }
}

/// The last line of a head, and its end: the protocol that the message came by (RFC 9110, 7.6.3).
const fn via(version: Version) -> &'static [u8; 18] {
    match version {
        Version::Http10 => b"Via: 1.0 serin\r\n\r\n",
        Version::Http11 => b"Via: 1.1 serin\r\n\r\n",
        Version::Http2 => b"Via: 2.0 serin\r\n\r\n",
    }
}

fn copy(buf: &[u8], start: usize, end: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(Span::new(start, end).of(buf));
}

/// The name's length is known where this is called, so that it is copied in a few moves.
#[inline]
fn line<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn number<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: u64) {
    line(out, name, itoa::Buffer::new().format(value).as_bytes());
}
