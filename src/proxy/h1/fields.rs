//! Fields by what they mean to a proxy: which are for this hop only, which are rebuilt, which
//! another party may not take away.

use super::span::Span;

/// One field of a head, as it lies in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name; the line begins with it.
    pub name: Span,
    /// Its value without the blanks around it.
    pub value: Span,
    /// The offset behind the line's CRLF.
    pub(super) end: usize,
    /// What it means to a proxy.
    pub kind: FieldKind,
    /// Whether it stays behind: it is for this hop only, is named in Connection, or is written
    /// anew.
    pub dropped: bool,
}

/// What a field means to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Anything that passes through.
    Other,
    /// A name with an underscore. Most origins cannot tell `a_b` from `a-b` (CGI), so in a request
    /// it could stand in for a field that we checked or set.
    Ambiguous,
    /// `Connection`.
    Connection,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Upgrade`.
    Upgrade,
    /// For one hop only: `Keep-Alive`, `TE`, `Proxy-Connection`, `Proxy-Authorization`, ...
    Hop,
    /// `Host`.
    Host,
    /// `Expect`.
    Expect,
    /// `Max-Forwards`.
    MaxForwards,
    /// `Cookie`.
    Cookie,
    /// `Date`.
    Date,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `X-Forwarded-Proto`.
    ForwardedProto,
    /// `X-Forwarded-Host`.
    ForwardedHost,
    /// Other claims about the client: `Forwarded`, `X-Forwarded-*`, `X-Real-IP`, `Client-Cert`.
    Forwarded,
    /// `X-Client-Cert-Subject`.
    ClientSubject,
    /// `X-Request-Id`.
    RequestId,
    /// `X-Request-Start`.
    RequestStart,
    /// `traceparent`.
    TraceParent,
    /// `X-Serin-Version`.
    SerinVersion,
    /// `X-Serin-Warm-Up`.
    SerinWarmUp,
}

/// The kind of a field, by length and first letter, then by comparing.
pub(super) fn classify(name: &[u8]) -> FieldKind {
    let Some(first) = name.first() else {
        return FieldKind::Other;
    };
    match (name.len(), first | 0x20) {
        (2, b't') if is(name, b"te") => FieldKind::Hop,
        (4, b'd') if is(name, b"date") => FieldKind::Date,
        (4, b'h') if is(name, b"host") => FieldKind::Host,
        (6, b'c') if is(name, b"cookie") => FieldKind::Cookie,
        (6, b'e') if is(name, b"expect") => FieldKind::Expect,
        (7, b'u') if is(name, b"upgrade") => FieldKind::Upgrade,
        (9, b'f') if is(name, b"forwarded") => FieldKind::Forwarded,
        (11, b't') if is(name, b"traceparent") => FieldKind::TraceParent,
        (11, b'c') if is(name, b"client-cert") => FieldKind::Forwarded,
        (17, b'c') if is(name, b"client-cert-chain") => FieldKind::Forwarded,
        (9, b'x') if is(name, b"x-real-ip") => FieldKind::Forwarded,
        (10, b'c') if is(name, b"connection") => FieldKind::Connection,
        (10, b'k') if is(name, b"keep-alive") => FieldKind::Hop,
        (12, b'm') if is(name, b"max-forwards") => FieldKind::MaxForwards,
        (12, b'x') if is(name, b"x-request-id") => FieldKind::RequestId,
        (14, b'c') if is(name, b"content-length") => FieldKind::ContentLength,
        (14, b'h') if is(name, b"http2-settings") => FieldKind::Hop,
        (15, b'x') if is(name, b"x-request-start") => FieldKind::RequestStart,
        (15, b'x') if is(name, b"x-serin-version") => FieldKind::SerinVersion,
        (15, b'x') if is(name, b"x-serin-warm-up") => FieldKind::SerinWarmUp,
        (21, b'x') if is(name, b"x-client-cert-subject") => FieldKind::ClientSubject,
        (13.., b'x') => forwarded(name),
        (16, b'p') if is(name, b"proxy-connection") => FieldKind::Hop,
        (17, b't') if is(name, b"transfer-encoding") => FieldKind::TransferEncoding,
        (18, b'p') if is(name, b"proxy-authenticate") => FieldKind::Hop,
        (19, b'p') if is(name, b"proxy-authorization") => FieldKind::Hop,
        (25, b'p') if is(name, b"proxy-authentication-info") => FieldKind::Hop,
        _ => FieldKind::Other,
    }
}

/// The kind of a field whose name begins with `x` and may belong to the `X-Forwarded-` family.
fn forwarded(name: &[u8]) -> FieldKind {
    let Some((family, rest)) = name.split_at_checked(12) else {
        return FieldKind::Other;
    };
    if !is(family, b"x-forwarded-") {
        return FieldKind::Other;
    }
    if is(rest, b"for") {
        FieldKind::ForwardedFor
    } else if is(rest, b"proto") {
        FieldKind::ForwardedProto
    } else if is(rest, b"host") {
        FieldKind::ForwardedHost
    } else {
        FieldKind::Forwarded
    }
}

/// Whether these bytes are this word in any case. The word has only lower-case letters, digits and
/// hyphens, so of all bytes that can be in a field only the right ones compare equal.
pub(super) fn is<const N: usize>(bytes: &[u8], word: &[u8; N]) -> bool {
    <&[u8; N]>::try_from(bytes).is_ok_and(|bytes| {
        bytes
            .iter()
            .zip(word)
            .fold(0, |unlike, (b, w)| unlike | ((b | 0x20) ^ w))
            == 0
    })
}

/// The items of a comma-separated list (RFC 9110, section 5.6.1), without empty ones.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(trim)
        .filter(|item| !item.is_empty())
}

/// Without the blanks (space and tab only) around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Without the blanks before it.
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether it is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// Whether a token may hold this byte.
pub(super) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// Fields that a `Connection` field cannot take away: they are for the recipient at the end of
/// the chain, and a client that could remove them would speak for others (RFC 9110, 7.6.1).
const END_TO_END: [&[u8]; 22] = [
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-range",
    b"content-type",
    b"date",
    b"etag",
    b"expires",
    b"last-modified",
    b"location",
    b"origin",
    b"pragma",
    b"range",
    b"referer",
    b"set-cookie",
    b"trailer",
    b"user-agent",
    b"vary",
    b"via",
    b"www-authenticate",
];

/// Whether a `Connection` field may take a field away.
pub(super) fn may_be_nominated(kind: FieldKind, name: &[u8]) -> bool {
    matches!(kind, FieldKind::Other | FieldKind::Ambiguous)
        && !END_TO_END
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a field may be forwarded in a trailer section: nothing that frames, routes,
/// authenticates or controls (RFC 9110, section 6.5.1).
pub(super) fn may_trail(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 4] = [b"content-", b"proxy-", b"if-", b"accept-"];
    const NAMES: [&[u8]; 6] = [
        b"accept",
        b"age",
        b"allow",
        b"retry-after",
        b"server",
        b"warning",
    ];
    may_be_nominated(classify(name), name)
        && !name.contains(&b'_')
        && !NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        && !PREFIXES.iter().any(|p| {
            name.get(..p.len())
                .is_some_and(|n| n.eq_ignore_ascii_case(p))
        })
}
