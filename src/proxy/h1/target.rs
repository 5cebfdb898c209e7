//! The request's target and the Host field: which characters, which forms (RFC 9112, section 3.2).

use super::{reject::Reject, span::Span};

/// What the target names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Target {
    /// The authority of an absolute-form target.
    pub(super) authority: Option<Span>,
    /// The path; empty in `http://host`, `*` in asterisk-form.
    pub(super) path: Span,
    /// What follows the path: empty, or `?` and the query.
    pub(super) query: Span,
}

/// Splits the target, which lies at `span` of `buf`, into its parts.
pub(super) fn split(buf: &[u8], span: Span, options: bool) -> Result<Target, Reject> {
    let bytes = span.of(buf);
    let mut path_start = span.start();
    let mut authority = None;
    if !bytes.starts_with(b"/") {
        if bytes == b"*" {
            return asterisk(span, options);
        }
        let found = absolute(buf, span)?;
        path_start = found.end();
        authority = Some(found);
    }
    let rest = Span::new(path_start, span.end()).of(buf);
    let path_len = check_characters(rest)?;
    check_path(rest.get(..path_len).unwrap_or_default())?;
    let query_start = path_start + path_len;
    Ok(Target {
        authority,
        path: Span::new(path_start, query_start),
        query: Span::new(query_start, span.end()),
    })
}

/// `*`, which only OPTIONS may ask for.
fn asterisk(span: Span, options: bool) -> Result<Target, Reject> {
    if options {
        let query = Span::new(span.end(), span.end());
        Ok(Target {
            authority: None,
            path: span,
            query,
        })
    } else {
        Err(Reject::bad("target `*` is for OPTIONS only"))
    }
}

/// The authority of `http://authority/...`.
fn absolute(buf: &[u8], span: Span) -> Result<Span, Reject> {
    const SCHEMES: [&[u8]; 2] = [b"http://", b"https://"];
    let bytes = span.of(buf);
    let scheme = SCHEMES
        .iter()
        .find(|s| {
            bytes
                .get(..s.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(s))
        })
        .ok_or(Reject::bad("target is neither a path nor an http URL"))?;
    let start = span.start() + scheme.len();
    let rest = Span::new(start, span.end()).of(buf);
    let len = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let authority = Span::new(start, start + len);
    check_authority(authority.of(buf))?;
    Ok(authority)
}

/// Checks path and query; returns the path's length.
///
/// The head holds no control character but tabs. Refused here: those; what is not ASCII; a
/// fragment, which is never sent; in the path, characters that some parsers turn into others (`\`
/// into `/`) or that every browser encodes. A query may hold the rest: browsers and people do send
/// `{`, `|`, `"`.
fn check_characters(rest: &[u8]) -> Result<usize, Reject> {
    let mut path_len = None;
    for (at, byte) in rest.iter().enumerate() {
        match TARGET_BYTES.get(usize::from(*byte)) {
            Some(Place::Anywhere) => {}
            Some(Place::Query) if path_len.is_some() => {}
            Some(Place::Query) if *byte == b'?' => path_len = Some(at),
            Some(Place::Query) => {
                return Err(Reject::bad("path holds a character that must be encoded"));
            }
            Some(Place::Nowhere) | None => {
                return Err(Reject::bad("target holds a character that must be encoded"));
            }
        }
    }
    Ok(path_len.unwrap_or(rest.len()))
}

/// Refuses an encoded NUL, which ends the path for some and not for others.
fn check_path(path: &[u8]) -> Result<(), Reject> {
    let mut coded = memchr::memchr_iter(b'%', path);
    if coded.any(|at| path.get(at + 1..at + 3) == Some(b"00")) {
        return Err(Reject::bad("path holds an encoded NUL"));
    }
    Ok(())
}

/// Where in a target a byte may stand.
#[derive(Clone, Copy)]
enum Place {
    Anywhere,
    /// In the query only, which `?` begins.
    Query,
    Nowhere,
}

/// For each byte.
const TARGET_BYTES: [Place; 256] = {
    let mut bytes = [Place::Anywhere; 256];
    let mut rest: &mut [Place] = &mut bytes;
    let mut byte = 0_u8;
    while let [place, tail @ ..] = rest {
        *place = match byte {
            b'?' | b'<' | b'>' | b'\\' | b'"' => Place::Query,
            b'#' | b'\t' | 0x80.. => Place::Nowhere,
            _ => Place::Anywhere,
        };
        rest = tail;
        byte = byte.wrapping_add(1);
    }
    bytes
};

/// Checks `host[:port]` (RFC 3986, section 3.2.2), more strictly than the grammar: no `,`, which
/// joins two Host fields, and no `%`, which two parsers decode differently; a port of 1 to 65535.
/// Returns the host's length.
pub(super) fn check_authority(bytes: &[u8]) -> Result<usize, Reject> {
    const INVALID: Reject = Reject::bad("Host is not a host name with an optional port");
    let host_len = if bytes.starts_with(b"[") {
        bytes.iter().position(|b| *b == b']').ok_or(INVALID)? + 1
    } else {
        bytes
            .iter()
            .position(|b| !is_host_byte(*b))
            .unwrap_or(bytes.len())
    };
    let (host, port) = bytes.split_at_checked(host_len).ok_or(INVALID)?;
    let valid = match host {
        [b'[', address @ .., b']'] => is_ipv6(address),
        _ => !host.is_empty() && host.len() <= 255,
    };
    if valid && is_port(port) {
        Ok(host_len)
    } else {
        Err(INVALID)
    }
}

/// Whether a host name may hold a byte.
const HOST_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut rest: &mut [bool] = &mut bytes;
    let mut byte = 0_u8;
    while let [may, tail @ ..] = rest {
        *may = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')'
            )
            || matches!(byte, b'*' | b'+' | b';' | b'=');
        rest = tail;
        byte = byte.wrapping_add(1);
    }
    bytes
};

fn is_host_byte(b: u8) -> bool {
    HOST_BYTES.get(usize::from(b)).copied().unwrap_or_default()
}

fn is_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Nothing, or `:` and a number. `host:` names the default port (RFC 3986, section 3.2.3).
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
            let number = digits
                .iter()
                .fold(0_u32, |sum, d| sum * 10 + u32::from(d - b'0'));
            (1..=65535).contains(&number)
        }
        _ => false,
    }
}
