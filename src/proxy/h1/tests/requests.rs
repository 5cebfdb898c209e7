//! Which requests are taken, and what others are answered with.

use super::{LIMITS, parse};
use crate::proxy::h1::{Framing, RequestHead};

/// What a request is answered with: 0 if it is taken.
fn status(bytes: &[u8]) -> u16 {
    parse(bytes).err().map_or(0, |reject| reject.status)
}

fn check(rows: &[(u16, &str)]) {
    for (expected, text) in rows {
        assert_eq!(
            status(text.as_bytes()),
            *expected,
            "{}",
            text.escape_debug()
        );
    }
}

/// Rows of fields, put between a good request line with a Host and the empty line.
fn check_fields(rows: &[(u16, &str)]) {
    for (expected, fields) in rows {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        assert_eq!(
            status(text.as_bytes()),
            *expected,
            "{}",
            text.escape_debug()
        );
    }
}

#[test]
fn request_lines() {
    check(&[
        (0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "QUERY-2 /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        (400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\r\nHost: a\r\n\r\n"),
        (400, "GET\r\n\r\n"),
        (400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / ICE/1.0\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (
            501,
            "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
        ),
        (405, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            400,
            "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
    ]);
}

#[test]
fn targets() {
    let rows = [
        (0, "/a/b?c={d}|\"e\"<>^`\\"),
        (0, "//a"),
        (0, "/%zz"),
        (0, "/a%0ab?c=%00"),
        (400, "/a%20%00.html"),
        (400, "http://b/%00"),
        (0, "http://b"),
        (0, "HTTPS://b:8080/x?y"),
        (400, "/a#b"),
        (400, "/a?b#c"),
        (400, "/a\\b"),
        (400, "/a\"b"),
        (400, "/a<b"),
        (400, "/\u{e9}"),
        (400, "/?\u{e9}"),
        (400, "/a\u{7f}"),
        (400, "a"),
        (400, "!"),
        (400, "*"),
        (400, "ftp://b/"),
        (400, "http:/b"),
        (400, "http:///x"),
        (400, "http://user@b/"),
        (400, "http://b:0/"),
        (400, "http://b#c"),
    ];
    for (expected, target) in rows {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            status(text.as_bytes()),
            expected,
            "{}",
            target.escape_debug()
        );
    }
    check(&[
        (0, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]);
    assert_eq!(status(b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn hosts() {
    let rows = [
        (0, "a.example"),
        (0, "A_b-1.example:8080"),
        (0, "a:"),
        (0, "[::1]:80"),
        (0, "  a\t"),
        (400, ""),
        (400, " "),
        (400, ":80"),
        (400, "a b"),
        (400, "a,b"),
        (400, "a/b"),
        (400, "a?b"),
        (400, "user@a"),
        (400, "a:80:80"),
        (400, "a:8x"),
        (400, "a:65536"),
        (400, "a:0"),
        (400, "a:-1"),
        (400, "[::1"),
        (400, "[zz]"),
        (400, "::1"),
        (400, "a%41"),
        (400, "a\u{e9}"),
        (400, "http://a"),
    ];
    for (expected, host) in rows {
        let text = format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n");
        assert_eq!(status(text.as_bytes()), expected, "{}", host.escape_debug());
    }
    check(&[
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, "GET http://b/ HTTP/1.1\r\n\r\n"),
        (400, "GET http://b/ HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (0, "GET / HTTP/1.0\r\n\r\n"),
        (400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    ]);
}

#[test]
fn field_lines() {
    check_fields(&[
        (0, "A: b"),
        (0, "A:"),
        (0, "A: \t b \t"),
        (0, "A: \u{e9}"),
        (400, "A : b"),
        (400, " A: b"),
        (400, "A: b\r\n c"),
        (400, "A: b\r\n\tc"),
        (400, "A: b\nC: d"),
        (400, "A: b\rC: d"),
        (400, "A: b\n"),
        (400, "A: b\0c"),
        (400, "A: b\u{7f}"),
        (400, "A: b\u{b}c"),
        (400, "A"),
        (400, ": b"),
        (400, "A\u{e9}: b"),
        (400, "A(b): c"),
        (400, "\0: b"),
    ]);
    check(&[
        (400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\n\n"),
    ]);
}

#[test]
fn framing_fields() {
    check_fields(&[
        (0, "Content-Length: 5"),
        (0, "Content-Length: 0"),
        (400, "Content-Length: 005"),
        (400, "Content-Length: 00"),
        (400, "Content_Length: 5"),
        (400, "TRANSFER_encoding: chunked"),
        (0, "Content_Lengths: 5"),
        (0, "Content-Length: 9223372036854775807"),
        (400, "Content-Length: 9223372036854775808"),
        (400, "Content-Length: 99999999999999999999"),
        (400, "Content-Length:"),
        (400, "Content-Length: +5"),
        (400, "Content-Length: -5"),
        (400, "Content-Length: 5 5"),
        (400, "Content-Length: 5,5"),
        (400, "Content-Length: 0x5"),
        (400, "Content-Length: 5.0"),
        (400, "Content-Length: 5\r\nContent-Length: 5"),
        (400, "Content-Length: 5\r\ncontent-length: 6"),
        (0, "Transfer-Encoding: chunked"),
        (0, "transfer-encoding:\tCHUNKED "),
        (400, "Transfer-Encoding:"),
        (400, "Transfer-Encoding: identity"),
        (400, "Transfer-Encoding: gzip, chunked"),
        (400, "Transfer-Encoding: chunked, chunked"),
        (400, "Transfer-Encoding: ,chunked"),
        (400, "Transfer-Encoding: chunked,"),
        (400, "Transfer-Encoding: chunked;a=b"),
        (400, "Transfer-Encoding: xchunked"),
        (400, "Transfer-Encoding: \"chunked\""),
        (400, "Transfer-Encoding: \u{b}chunked"),
        (
            400,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        (400, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        (400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        (400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        (400, "Content-Length: 5\r\nTransfer-Encoding: identity"),
        (
            400,
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        ),
    ]);
    check(&[(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")]);
    let framing = |field| {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        parse(text.as_bytes()).unwrap().framing()
    };
    assert_eq!(framing("A: b"), Framing::None);
    assert_eq!(framing("Content-Length: 0"), Framing::Length(0));
    assert_eq!(framing("Content-Length: 70"), Framing::Length(70));
    assert_eq!(framing("Transfer-Encoding: Chunked"), Framing::Chunked);
}

#[test]
fn expectations() {
    check_fields(&[
        (0, "Expect: 100-continue"),
        (0, "Expect: 100-Continue "),
        (417, "Expect: 100-continue, x"),
        (417, "Expect: x 100-continue"),
        (417, "Expect: 200-ok"),
        (417, "Expect:"),
        (417, "Expect: 100-continue\r\nExpect: 100-continue"),
    ]);
    let expects = |version| {
        let text = format!("POST / HTTP/{version}\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
        parse(text.as_bytes()).unwrap().expects_continue()
    };
    assert!(expects("1.1"));
    assert!(!expects("1.0"));
}

#[test]
fn limits() {
    let many = |n| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(n));
    let long = |n| format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(n));
    let far = |n| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "b".repeat(n));
    let lines = format!("A: {}\r\n", "b".repeat(1000)).repeat(5);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    check(&[
        (0, &many(19)),
        (431, &many(20)),
        (0, &long(1000)),
        (431, &long(1024)),
        (0, &far(255)),
        (414, &far(256)),
        (414, &far(9000)),
        (431, &large),
    ]);
}

#[test]
fn limits_hold_before_the_head_is_whole() {
    let refused = |bytes: &str| RequestHead::new().parse(bytes.as_bytes(), &LIMITS).err();
    let status = |bytes: &str| refused(bytes).map(|reject| reject.status);
    assert_eq!(status(&format!("GET /{}", "a".repeat(256))), Some(414));
    assert_eq!(status(&"A".repeat(40)), Some(400));
    assert_eq!(
        status(&format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(1024))),
        Some(431)
    );
    let lines = format!("A: {}\r\n", "b".repeat(1000)).repeat(5);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{lines}")), Some(431));
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n"), None);
}

#[test]
fn connection_options() {
    let names = (0..40)
        .map(|n| format!("x{n}"))
        .collect::<Vec<_>>()
        .join(",");
    check_fields(&[
        (400, &format!("Connection: {names}")),
        (0, "Connection: ,,a,,"),
    ]);
}
