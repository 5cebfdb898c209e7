//! Requests as bytes, for what only HTTP/1.1 can say or get wrong.

/// Bytes that a client sends, and the status of the one answer to them. Every answer but 200 ends
/// the connection, and nothing reaches the origin.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) bytes: String,
    pub(crate) status: u16,
}

/// All of them.
pub(crate) fn raws() -> Vec<Raw> {
    let lines = LINES.iter().map(|(status, line)| Raw {
        bytes: format!("{line}Host: a.test\r\nConnection: close\r\n\r\n"),
        status: *status,
    });
    let fields = FIELDS.iter().map(|(status, fields)| Raw {
        bytes: format!("POST / HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"),
        status: *status,
    });
    let framed = FRAMED.iter().map(|(status, rest)| Raw {
        bytes: format!("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{rest}"),
        status: *status,
    });
    let chunked = CHUNKED.iter().map(|(status, body)| Raw {
        bytes: format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\n\r\n{body}"
        ),
        status: *status,
    });
    let mut all: Vec<_> = lines.chain(fields).chain(framed).chain(chunked).collect();
    all.extend(endless());
    all
}

/// First lines, before a Host.
const LINES: &[(u16, &str)] = &[
    (200, "GET / HTTP/1.1\r\n"),
    (200, "\r\nGET / HTTP/1.1\r\n"),
    (200, "GET / HTTP/1.0\r\n"),
    (200, "GET http://b.test/x HTTP/1.1\r\n"),
    (400, "GET /\r\n"),
    (400, "GET  / HTTP/1.1\r\n"),
    (400, "GET /  HTTP/1.1\r\n"),
    (400, "GET / x HTTP/1.1\r\n"),
    (400, " GET / HTTP/1.1\r\n"),
    (400, "GET\t/ HTTP/1.1\r\n"),
    (400, "GET /a#b HTTP/1.1\r\n"),
    (200, "GET /?\"<>\" HTTP/1.1\r\n"),
    (400, "GET / HTTP/1.1\n"),
    (400, "GET / HTTP/1.1 \r\n"),
    (400, "GET / http/1.1\r\n"),
    (400, "GET / HTTP/1\r\n"),
    (400, "GET / HTTP/1.10\r\n"),
    (400, "G@T / HTTP/1.1\r\n"),
    (400, "GET http://user@b.test/ HTTP/1.1\r\n"),
    (400, "GET ftp://b.test/ HTTP/1.1\r\n"),
    (505, "GET / HTTP/0.9\r\n"),
    (505, "GET / HTTP/1.2\r\n"),
    (505, "GET / HTTP/3.7\r\n"),
    (501, "CONNECT a.test:443 HTTP/1.1\r\n"),
];

/// Fields, between a good first line and the end.
const FIELDS: &[(u16, &str)] = &[
    (200, "Host: a.test\r\nContent-Length: 0\r\n"),
    (200, "Host:a.test\t\r\nContent-Length:0\r\n"),
    (400, ""),
    (400, "Host: a.test\r\nHost: a.test\r\n"),
    (400, "Host: a.test\r\nHost: b.test\r\n"),
    (400, "Host : a.test\r\n"),
    (400, "Host: a.test\r\nX: a\r\n b\r\n"),
    (400, " X: a\r\nHost: a.test\r\n"),
    (400, "Host: a.test\r\nX : a\r\n"),
    (400, "Host: a.test\r\nX\r\n"),
    (400, "Host: a.test\r\n: a\r\n"),
    (400, "Host: a.test\r\nX[: a\r\n"),
    (400, "Host: a.test\r\nX: a\0\r\n"),
    (400, "Host: a.test\r\nX: a\rb\r\n"),
    (400, "Host: a.test\r\nX: a\nY: b\r\n"),
    (400, "Host: a.test\r\nX: a\r\r\n"),
];

/// What frames a body, and what follows.
const FRAMED: &[(u16, &str)] = &[
    (200, "Content-Length: 5\r\n\r\nhello"),
    (200, "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"),
    (400, "Content-Length: +5\r\n\r\nhello"),
    (400, "Content-Length: -5\r\n\r\nhello"),
    (400, "Content-Length: 0x5\r\n\r\nhello"),
    (400, "Content-Length: 5,5\r\n\r\nhello"),
    (400, "Content-Length: 5 5\r\n\r\nhello"),
    (400, "Content-Length: 05\r\n\r\nhello"),
    (400, "Content-Length:\r\n\r\n"),
    (400, "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    (400, "Content-Length: 99999999999999999999\r\n\r\nhello"),
    (
        400,
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (400, "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: identity\r\n\r\nhello"),
    (400, "Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    (
        400,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    ),
];

/// Chunked bodies.
const CHUNKED: &[(u16, &str)] = &[
    (200, "5;a=b;c=\"d;\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
    (200, "00000005\r\nhello\r\n000\r\n\r\n"),
    (400, "5\nhello\r\n0\r\n\r\n"),
    (400, "5 \r\nhello\r\n0\r\n\r\n"),
    (400, " 5\r\nhello\r\n0\r\n\r\n"),
    (400, "0x5\r\nhello\r\n0\r\n\r\n"),
    (400, "-5\r\nhello\r\n0\r\n\r\n"),
    (400, "5_\r\nhello\r\n0\r\n\r\n"),
    (400, "5\r\nhello0\r\n\r\n"),
    (400, "5\r\nhello!\r\n0\r\n\r\n"),
    (400, "5\r\nhello\n0\r\n\r\n"),
    (400, "ffffffffffffffff0\r\nhello\r\n0\r\n\r\n"),
    (400, "8000000000000000\r\nhello\r\n0\r\n\r\n"),
    (400, "5;\r\nhello\r\n0\r\n\r\n"),
    (400, "5;a[=b\r\nhello\r\n0\r\n\r\n"),
    (400, "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    (400, "5;a\0\r\nhello\r\n0\r\n\r\n"),
    (400, "5\r\nhello\r\n0\r\nX : 1\r\n\r\n"),
    (400, "5\r\nhello\r\n0\r\nX: 1\n\r\n"),
    (400, "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
];

/// What would never end if nobody counted.
fn endless() -> Vec<Raw> {
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let raw = |status, bytes| Raw { bytes, status };
    vec![
        raw(400, format!("{head}5;a={}", "b".repeat(4_000))),
        raw(400, format!("{head}{}", "0".repeat(4_000))),
        raw(400, format!("{head}0\r\n{}", "A: b\r\n".repeat(100))),
        raw(400, format!("{head}0\r\nA: {}", "b".repeat(20_000))),
        raw(400, "A".repeat(100_000)),
        raw(414, format!("GET /{}", "a".repeat(100_000))),
        raw(431, format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(100_000))),
    ]
}
