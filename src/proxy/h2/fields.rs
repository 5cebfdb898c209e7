//! Fields of HTTP/2 as the lines of an HTTP/1.1 head, and back. Nothing is carried over that one of
//! the two would read in another way (RFC 9113, sections 8.2 and 8.3).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE,
    },
    request, response, uri,
};

use sha1::{Digest as _, Sha1};

use crate::proxy::{grpc, h1::Framing};

/// Why a head cannot be carried over.
pub(super) type Malformed = &'static str;

/// Appends a request's head as HTTP/1.1. Whatever it says is then judged by who reads HTTP/1.1;
/// here is refused only what could not be told apart any more.
pub(super) fn write_request(
    parts: &request::Parts,
    has_body: bool,
    key: u128,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let protocol = parts.extensions.get::<h2::ext::Protocol>();
    let is_websocket = protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", uri::PathAndQuery::as_str);
    let method = if is_websocket {
        "GET"
    } else {
        parts.method.as_str()
    };
    for part in [method, " ", path, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    write_host(parts, out)?;
    write_cookies(&parts.headers, out);
    for (name, value) in &parts.headers {
        if *name == HOST || *name == COOKIE || *name == TE {
            continue;
        }
        line(name, value.as_bytes(), out)?;
    }
    if is_websocket {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        write_websocket_key(key, out);
    } else if has_body && !parts.headers.contains_key(CONTENT_LENGTH) {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// HTTP/2 needs no key, but HTTP/1.1 does (RFC 8441, section 5; RFC 6455, section 4.1).
fn write_websocket_key(key: u128, out: &mut Vec<u8>) {
    let key = STANDARD.encode(key.to_be_bytes());
    out.extend_from_slice(b"sec-websocket-key: ");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What proves that a WebSocket was understood (RFC 6455, section 4.2.2).
fn websocket_accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// The host that is asked for: `:authority` and Host must not differ (RFC 9113, section 8.3.1).
fn write_host(parts: &request::Parts, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let differ = |authority: &[u8], host: &[u8]| !authority.eq_ignore_ascii_case(host);
    if hosts.next().is_some() {
        return Err("more than one Host");
    }
    let host = match (authority, host) {
        (Some(authority), Some(host)) if differ(authority, host) => {
            return Err("Host differs from :authority");
        }
        (Some(authority), _) => authority,
        (None, Some(host)) => host,
        (None, None) => return Err("no Host"),
    };
    line(&HOST, host, out)
}

/// Cookies may come in crumbs; they go on as one field (RFC 9113, section 8.2.3).
fn write_cookies(headers: &HeaderMap, out: &mut Vec<u8>) {
    let crumbs = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut crumbs = crumbs.filter(|crumb| !crumb.is_empty());
    let Some(first) = crumbs.next() else { return };
    out.extend_from_slice(b"cookie: ");
    out.extend_from_slice(first);
    for crumb in crumbs {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(crumb);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an answer, final or interim, as HTTP/1.1; with `accept`, a 200 is the
/// switch to a WebSocket. `has_end`: the end of the body has come with it.
pub(super) fn write_response(
    parts: &response::Parts,
    has_end: bool,
    accept: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    out.extend_from_slice(b"HTTP/1.1 ");
    let accept = accept.filter(|_| parts.status == StatusCode::OK);
    match accept {
        Some(_) => out.extend_from_slice(b"101"),
        None => out.extend_from_slice(parts.status.as_str().as_bytes()),
    }
    out.extend_from_slice(b" \r\n");
    if let Some(accept) = accept {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        line(&SEC_WEBSOCKET_ACCEPT, accept.as_bytes(), out)?;
    }
    for (name, value) in &parts.headers {
        line(name, value.as_bytes(), out)?;
    }
    let status = parts.status;
    let has_none = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    if has_end && !has_none && accept.is_none() && !parts.headers.contains_key(CONTENT_LENGTH) {
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Trailers as lines.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Malformed> {
    trailers
        .iter()
        .try_for_each(|(name, value)| line(name, value.as_bytes(), out))
}

fn line(name: &HeaderName, value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
        return Err("a field's value begins or ends with a blank");
    }
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// A head of HTTP/1.1 that the proxy has written, read back: it is well-formed.
#[derive(Debug)]
pub(super) struct Read<T> {
    /// The head for HTTP/2.
    pub(super) head: T,
    /// How the end of the body that follows is known.
    pub(super) framing: Framing,
    /// The protocol is switched: a WebSocket.
    pub(super) is_tunnel: bool,
    /// What a switch is answered with in HTTP/1.1.
    pub(super) accept: Option<String>,
}

/// Reads a request's head; `scheme` is `http` or `https`.
pub(super) fn read_request(head: &[u8], scheme: &str) -> Option<Read<Request<()>>> {
    let (first, mut lines) = Lines::of(head)?;
    let mut words = first.split(|b| *b == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let is_websocket = lines.has_upgrade();
    let method = if is_websocket {
        Method::CONNECT
    } else {
        Method::from_bytes(method).ok()?
    };
    let mut headers = HeaderMap::with_capacity(lines.count());
    lines.read_into(&mut headers);
    let authority = headers.remove(HOST)?;
    let key = is_websocket
        .then(|| headers.remove(SEC_WEBSOCKET_KEY))
        .flatten();
    let accept = key.map(|key| websocket_accept(key.as_bytes()));
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(grpc::is_content_type) {
        // We pass trailers on (RFC 9110, section 10.1.4).
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority.as_bytes())
        .path_and_query(target)
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    if is_websocket {
        let protocol = h2::ext::Protocol::from_static("websocket");
        request.extensions_mut().insert(protocol);
    }
    Some(Read {
        head: request,
        framing: lines.framing,
        is_tunnel: is_websocket,
        accept,
    })
}

/// Reads an answer's head.
pub(super) fn read_response(head: &[u8], is_to_head: bool) -> Option<Read<Response<()>>> {
    let (first, mut lines) = Lines::of(head)?;
    let status = StatusCode::from_bytes(first.get(9..12)?).ok()?;
    let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS;
    let mut response = Response::new(());
    response.headers_mut().reserve(lines.count());
    lines.read_into(response.headers_mut());
    if is_tunnel {
        response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    }
    *response.status_mut() = if is_tunnel { StatusCode::OK } else { status };
    let is_bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if is_to_head || is_bodiless || status.is_informational() {
        lines.framing = Framing::None;
    }
    Some(Read {
        head: response,
        framing: lines.framing,
        is_tunnel,
        accept: None,
    })
}

/// Reads trailer lines.
pub(super) fn read_trailers(lines: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    Lines::new(Bytes::copy_from_slice(lines)).read_into(&mut trailers);
    trailers
}

/// The field lines of a head.
struct Lines {
    bytes: Bytes,
    framing: Framing,
}

impl Lines {
    /// The first line of a head, and the others.
    fn of(head: &[u8]) -> Option<(&[u8], Self)> {
        let end = memchr::memchr(b'\r', head)?;
        let (first, rest) = head.split_at_checked(end)?;
        Some((first, Self::new(Bytes::copy_from_slice(rest.get(2..)?))))
    }

    fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            framing: Framing::None,
        }
    }

    fn count(&self) -> usize {
        memchr::memchr_iter(b'\n', &self.bytes).count()
    }

    fn has_upgrade(&self) -> bool {
        memchr::memmem::find(&self.bytes, b"\r\nUpgrade: websocket\r\n").is_some()
    }

    /// Reads what is for both ends; what is for one hop only says how the body is framed. Values
    /// share the bytes of the head.
    fn read_into(&mut self, headers: &mut HeaderMap) {
        let bytes = self.bytes.clone();
        let mut at = 0;
        while let Some(len) = memchr::memchr(b'\r', bytes.get(at..).unwrap_or_default()) {
            let line = bytes.get(at..at + len).unwrap_or_default();
            if let Some(colon) = memchr::memchr(b':', line) {
                let name = line.get(..colon).unwrap_or_default();
                let value = line.get(colon + 1..).unwrap_or_default();
                let value = bytes.slice_ref(trim(value));
                self.read_field(name, value, headers);
            }
            at += len + 2;
        }
    }

    fn read_field(&mut self, name: &[u8], value: Bytes, headers: &mut HeaderMap) {
        let Ok(name) = HeaderName::from_bytes(name) else {
            return;
        };
        match name.as_str() {
            "transfer-encoding" => self.framing = Framing::Chunked,
            "connection" | "upgrade" | "keep-alive" | "proxy-connection" => {}
            _ => {
                if name == CONTENT_LENGTH {
                    let length = str::from_utf8(&value)
                        .ok()
                        .and_then(|text| text.parse().ok());
                    self.framing = length.map_or(Framing::None, Framing::Length);
                }
                if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                    // More fields than a map can hold were refused long before.
                    let _had_room = headers.try_append(name, value);
                }
            }
        }
    }
}

/// Without the blanks around a value, which are not part of it (RFC 9110, section 5.5) and must
/// not be there in HTTP/2 (RFC 9113, section 8.2.1).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_begins_or_ends_with_a_blank_in_http2() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nA: \t b c\t \r\nB:\t\r\nC:\r\nD: d\r\n\r\n";
        let read = read_request(head, "http").unwrap().head;
        let value = |name| read.headers().get(name).unwrap().as_bytes();
        assert_eq!(
            [value("a"), value("b"), value("c"), value("d")],
            [&b"b c"[..], b"", b"", b"d"]
        );
    }

    #[test]
    fn crumbs_of_cookies_become_one_field_without_the_empty_ones() {
        for (crumbs, expected) in [
            (&["a=1", "b=2"][..], &b"cookie: a=1; b=2\r\n"[..]),
            (&["", "a=1", ""], b"cookie: a=1\r\n"),
            (&[""], b""),
            (&[], b""),
        ] {
            let crumbs = crumbs.iter();
            let crumbs = crumbs.map(|crumb| (COOKIE, HeaderValue::from_static(crumb)));
            let mut out = Vec::new();
            write_cookies(&crumbs.collect(), &mut out);
            assert_eq!(out, expected);
        }
    }
}
