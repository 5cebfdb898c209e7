//! Spans as the JSON of OTLP has them, written by hand (pure, but for the room it writes to).
//!
//! Names are those of OpenTelemetry's conventions for HTTP, and `serin.*` for what they do not
//! know. A query is left out: it may hold what is nobody else's business.

use std::{fmt::Display, io::Write as _, net::SocketAddr};

use super::Trace;
use crate::{
    model::{Moment, Outcome, Reason, Role, Share, SpanId, number::micros},
    plan::Version,
    proxy::{
        access_log::Line,
        h1,
        story::Tried,
        text::{escaped, hex, number, quoted},
    },
};

/// OTLP's numbers of the kinds of span.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// OTLP's number of a span's status that is an error.
const ERROR: &[u8] = b",\"status\":{\"code\":2}";
/// Methods that have a name in the conventions; any other is `_OTHER`.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// The spans of a request that has ended.
#[derive(Debug)]
pub(crate) struct Spans<'a> {
    /// Its place in its trace.
    pub(crate) trace: Trace,
    /// Its attempts.
    pub(crate) attempts: &'a [Tried],
    /// Stable and the canary, each with whether TLS is spoken to it.
    pub(crate) versions: Option<[(&'a Version, bool); 2]>,
    /// The canary's share in force.
    pub(crate) share: Share,
}

impl Spans<'_> {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        1 + crate::model::number::long(self.attempts.iter().filter(|it| it.counts()).count())
    }

    /// Appends each of them, with a comma behind it.
    pub(super) fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        self.write_request(line, out);
        let attempts = self.attempts.iter().filter(|tried| tried.counts());
        for (nth, tried) in (0..).zip(attempts) {
            self.write_attempt(line, (nth, tried), out);
        }
    }

    fn write_request(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        let ends = line.at + line.duration;
        let ids = (self.trace.span, self.trace.parent);
        self.begin((SERVER, ids), line.method, (line.at, ends), out);
        let mut attributes = Attributes::begin(out);
        attributes.method(line.method);
        attributes.text("url.scheme", line.scheme.as_bytes());
        let [path, _] = line.target;
        attributes.text("url.path", path);
        attributes.text("server.address", line.host);
        attributes.text("client.address", line.client);
        attributes.text("network.protocol.version", version(line.protocol));
        attributes.text("user_agent.original", line.user_agent);
        if let Some(routed) = &line.routed {
            attributes.text("serin.split", routed.split.as_str().as_bytes());
            attributes.text("serin.route", routed.route.as_str().as_bytes());
            attributes.text("serin.version", routed.version.as_str().as_bytes());
            attributes.text("serin.role", routed.role.as_str().as_bytes());
            attributes.real("serin.weight", self.share.ratio());
            attributes.flag("serin.rescued", routed.is_rescued);
        }
        attributes.number("serin.attempts", line.attempts.into());
        attributes.text("serin.request_id", line.request_id);
        let is_bad = line.status >= 500 || line.outcome == Outcome::Failure;
        attributes.result((line.status, line.outcome, line.cause), is_bad);
        out.extend_from_slice(b"},");
    }

    fn write_attempt(&self, line: &Line<'_>, (nth, tried): (u64, &Tried), out: &mut Vec<u8>) {
        let span = tried.span.unwrap_or(self.trace.span);
        let times = (tried.began, tried.ended);
        self.begin(
            (CLIENT, (span, Some(self.trace.span))),
            line.method,
            times,
            out,
        );
        let mut attributes = Attributes::begin(out);
        attributes.method(line.method);
        if let Some(endpoint) = tried.endpoint {
            self.write_endpoint(line, (tried.role, endpoint), &mut attributes);
        }
        if nth > 0 {
            attributes.number("http.request.resend_count", nth);
            attributes.text("serin.why", tried.why.as_str().as_bytes());
        }
        if let Some(routed) = &line.routed {
            attributes.text("serin.split", routed.split.as_str().as_bytes());
            attributes.text("serin.route", routed.route.as_str().as_bytes());
        }
        if let Some([stable, canary]) = &self.versions {
            let (version, _) = if tried.role == Role::Canary {
                canary
            } else {
                stable
            };
            attributes.text("serin.version", version.name.as_str().as_bytes());
        }
        attributes.text("serin.role", tried.role.as_str().as_bytes());
        if let Some(first_byte) = tried.first_byte {
            let waited = micros(first_byte.since(tried.began));
            attributes.number("serin.first_byte_us", waited);
        }
        let cause = if tried.fault == Reason::None {
            ""
        } else {
            tried.fault.as_str()
        };
        let is_bad = tried.status >= 400 || tried.outcome == Outcome::Failure;
        attributes.result((tried.status, tried.outcome, cause), is_bad);
        out.extend_from_slice(b"},");
    }

    fn write_endpoint(
        &self,
        line: &Line<'_>,
        (role, endpoint): (Role, SocketAddr),
        attributes: &mut Attributes<'_>,
    ) {
        let is_secure = self.versions.is_some_and(|[stable, canary]| {
            let (_, is_secure) = if role == Role::Canary { canary } else { stable };
            is_secure
        });
        let address = endpoint.ip().to_canonical();
        let [path, _] = line.target;
        attributes.shown("server.address", address);
        attributes.number("server.port", endpoint.port().into());
        attributes.key("url.full");
        let scheme: &[u8] = if is_secure { b"https://" } else { b"http://" };
        attributes.out.extend_from_slice(b"{\"stringValue\":\"");
        attributes.out.extend_from_slice(scheme);
        for part in [line.host, path] {
            escaped(part, attributes.out);
        }
        attributes.out.extend_from_slice(b"\"}}");
    }

    /// What every span begins with.
    fn begin(
        &self,
        (kind, (span, parent)): (u64, (SpanId, Option<SpanId>)),
        method: &[u8],
        (from, to): (Moment, Moment),
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"{\"traceId\":\"");
        hex(&self.trace.id.bytes(), out);
        out.extend_from_slice(b"\",\"spanId\":\"");
        hex(&span.bytes(), out);
        if let Some(parent) = parent {
            out.extend_from_slice(b"\",\"parentSpanId\":\"");
            hex(&parent.bytes(), out);
        }
        // Bit 8: it is known whether the parent is another program's, bit 9: it is.
        let is_remote = kind == SERVER && parent.is_some();
        let flags = u64::from(self.trace.is_sampled) | 0x100 | u64::from(is_remote) << 9;
        out.extend_from_slice(b"\",\"flags\":");
        number(flags, out);
        out.extend_from_slice(b",\"name\":");
        quoted(if is_known(method) { method } else { b"HTTP" }, out);
        out.extend_from_slice(b",\"kind\":");
        number(kind, out);
        for (name, moment) in [("start", from), ("end", to)] {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"TimeUnixNano\":\"");
            number(moment.micros().saturating_mul(1_000), out);
            out.push(b'"');
        }
    }
}

fn is_known(method: &[u8]) -> bool {
    METHODS.contains(&method)
}

fn version(protocol: Option<h1::Version>) -> &'static [u8] {
    match protocol {
        None => b"",
        Some(h1::Version::Http10) => b"1.0",
        Some(h1::Version::Http11) => b"1.1",
        Some(h1::Version::Http2) => b"2",
    }
}

/// Attributes of a span that are being written.
struct Attributes<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Attributes<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.extend_from_slice(b",\"attributes\":[");
        Self {
            out,
            is_first: true,
        }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"key\":\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\",\"value\":");
    }

    /// A text that is left out if it is empty.
    fn text(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            self.key(key);
            self.out.extend_from_slice(b"{\"stringValue\":");
            quoted(value, self.out);
            self.out.extend_from_slice(b"}}");
        }
    }

    fn shown(&mut self, key: &str, value: impl Display) {
        self.key(key);
        // Writing to a Vec cannot fail.
        let _written = write!(self.out, "{{\"stringValue\":\"{value}\"}}}}");
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(b"{\"intValue\":\"");
        number(value, self.out);
        self.out.extend_from_slice(b"\"}}");
    }

    fn real(&mut self, key: &str, value: f64) {
        self.key(key);
        let _written = write!(self.out, "{{\"doubleValue\":{value}}}}}");
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        let _written = write!(self.out, "{{\"boolValue\":{value}}}}}");
    }

    fn method(&mut self, method: &[u8]) {
        if is_known(method) {
            self.text("http.request.method", method);
        } else if !method.is_empty() {
            self.text("http.request.method", b"_OTHER");
            self.text("http.request.method_original", method);
        }
    }

    /// What came of it, and the end of the attributes.
    fn result(mut self, (status, outcome, cause): (u16, Outcome, &str), is_bad: bool) {
        if status > 0 {
            self.number("http.response.status_code", status.into());
        }
        self.text("serin.outcome", outcome.as_str().as_bytes());
        self.text("serin.reason", cause.as_bytes());
        if is_bad && cause.is_empty() {
            self.shown("error.type", status);
        } else if is_bad {
            self.text("error.type", cause.as_bytes());
        }
        self.out.push(b']');
        if is_bad {
            self.out.extend_from_slice(ERROR);
        }
    }
}
