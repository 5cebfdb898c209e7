//! What is understood of a request that is taken.

use super::{LIMITS, parse};
use crate::proxy::h1::{Parsed, RequestHead, Version};

#[test]
fn a_head_may_come_in_any_pieces() {
    let bytes = b"\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /";
    let mut head = RequestHead::new();
    for round in 0..2 {
        for end in 0..=bytes.len() {
            let parsed = head.parse(&bytes[..end], &LIMITS).unwrap();
            if end < 52 {
                assert_eq!(parsed, Parsed::Partial, "round {round}, {end} bytes");
            } else {
                assert_eq!(parsed, Parsed::Complete(52), "round {round}, {end} bytes");
                break;
            }
        }
        assert_eq!(head.target(bytes).concat(), b"/a?b");
    }
}

#[test]
fn parts_of_the_target() {
    // Target, then: forwarded, path, query, host, authority.
    let rows = [
        ("/a/b?c=d?e", "/a/b?c=d?e", "/a/b", "?c=d?e", "h", "h:8"),
        ("/?", "/?", "/", "?", "h", "h:8"),
        (
            "http://B.test:9/x?y",
            "/x?y",
            "/x",
            "?y",
            "B.test",
            "B.test:9",
        ),
        ("http://b", "/", "/", "", "b", "b"),
        ("http://b?x=/y", "/?x=/y", "/", "?x=/y", "b", "b"),
        ("https://[::1]:9", "/", "/", "", "[::1]", "[::1]:9"),
    ];
    for (target, forwarded, path, query, host, authority) in rows {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h:8\r\n\r\n");
        let head = parse(text.as_bytes()).unwrap();
        let buf = text.as_bytes();
        assert_eq!(head.target(buf).concat(), forwarded.as_bytes(), "{target}");
        assert_eq!(head.path(buf), path.as_bytes(), "{target}");
        assert_eq!(head.query(buf), query.as_bytes(), "{target}");
        assert_eq!(head.host(buf), host.as_bytes(), "{target}");
        assert_eq!(head.authority(buf), Some(authority.as_bytes()), "{target}");
    }
    let options = b"OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_eq!(parse(options).unwrap().target(options).concat(), b"*");
    let old = b"GET / HTTP/1.0\r\n\r\n";
    let head = parse(old).unwrap();
    assert_eq!(
        (head.authority(old), head.host(old)),
        (None, b"".as_slice())
    );
    assert_eq!(head.version(), Version::Http10);
}

#[test]
fn the_connection() {
    let keeps = |version, fields| {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n\r\n");
        parse(text.as_bytes()).unwrap().keep_alive()
    };
    assert!(keeps("1.1", "A: b"));
    assert!(!keeps("1.1", "Connection: Close"));
    assert!(!keeps("1.1", "Connection: x, close ,keep-alive"));
    assert!(!keeps("1.1", "Connection: keep-alive\r\nconnection: close"));
    assert!(!keeps("1.0", "A: b"));
    assert!(keeps("1.0", "Connection: Keep-Alive"));
    assert!(!keeps("1.0", "Connection: keep-alive, close"));
}

#[test]
fn websockets() {
    let wants = |line: &str, fields: &str| {
        let text = format!("{line}\r\nHost: a\r\n{fields}\r\n\r\n");
        parse(text.as_bytes()).unwrap().wants_websocket()
    };
    let get = "GET / HTTP/1.1";
    assert!(wants(get, "Connection: Upgrade\r\nUpgrade: WebSocket"));
    assert!(wants(
        get,
        "Connection: keep-alive, upgrade\r\nUpgrade: websocket"
    ));
    assert!(!wants(get, "Upgrade: websocket"));
    assert!(!wants(get, "Connection: upgrade"));
    assert!(!wants(get, "Connection: upgrade\r\nUpgrade: h2c"));
    assert!(!wants(
        get,
        "Connection: upgrade\r\nUpgrade: websocket, h2c"
    ));
    assert!(!wants(
        get,
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket"
    ));
    assert!(!wants(
        get,
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5"
    ));
    assert!(!wants(
        "POST / HTTP/1.1",
        "Connection: upgrade\r\nUpgrade: websocket"
    ));
    assert!(!wants(
        "GET / HTTP/1.0",
        "Connection: upgrade\r\nUpgrade: websocket"
    ));
}

#[test]
fn fields_are_found_by_name() {
    let buf = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nX-Team: red\r\ncookie: b=2\r\n\r\n";
    let head = parse(buf).unwrap();
    assert_eq!(head.field(buf, "x-team"), Some(b"red".as_slice()));
    assert_eq!(head.field(buf, "x-tea"), None);
    assert_eq!(
        head.cookies(buf).collect::<Vec<_>>(),
        [b"a=1".as_slice(), b"b=2"]
    );
    assert_eq!(head.values(buf, "cookie").count(), 2);
}

#[test]
fn a_refused_head_is_still_known_to_be_one() {
    for text in [
        "HEAD / HTTP/1.1\r\nHost : a\r\n\r\n",
        "\r\nHEAD / HTTP/1.1\r\n\r\n",
    ] {
        let mut head = RequestHead::new();
        assert!(head.parse(text.as_bytes(), &LIMITS).is_err() && head.is_head());
        assert!(head.parse(b"GET /", &LIMITS).is_ok());
        assert!(head.parse(b"GET / HTTP/1.1\r\n\r\n", &LIMITS).is_err() && !head.is_head());
    }
}
