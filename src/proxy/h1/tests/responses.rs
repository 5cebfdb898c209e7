//! Which responses are taken, and what is understood of them.

use crate::proxy::h1::{Asked, Framing, HeadLimits, Malformed, Parsed, ResponseHead, Version};

const NORMAL: Asked = Asked {
    head: false,
    websocket: false,
};
const HEAD: Asked = Asked {
    head: true,
    websocket: false,
};
const WEBSOCKET: Asked = Asked {
    head: false,
    websocket: true,
};

fn parse(bytes: &[u8], asked: Asked) -> Result<ResponseHead, Malformed> {
    let mut head = ResponseHead::new();
    match head.parse(bytes, &HeadLimits::RESPONSE, asked)? {
        Parsed::Complete(len) => assert_eq!(len, head.len()),
        Parsed::Partial => panic!("not all of {} is there", bytes.escape_ascii()),
    }
    Ok(head)
}

#[test]
fn malformed_heads_are_refused() {
    for text in [
        "HTP/1.1 200 OK\r\n\r\n",
        "HTTP/01.1 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "RTSP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 2 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, deflate\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunkedchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        assert!(
            parse(text.as_bytes(), NORMAL).is_err(),
            "{}",
            text.escape_debug()
        );
    }
    let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(64 << 10));
    assert!(parse(large.as_bytes(), NORMAL).is_err());
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(201));
    assert!(parse(many.as_bytes(), NORMAL).is_err());
    let h2c = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert!(parse(h2c, WEBSOCKET).is_err());
}

/// Head, what was asked, how the body is framed, whether the connection is used again.
const FRAMINGS: [(&str, Asked, Framing, bool); 15] = [
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5",
        NORMAL,
        Framing::Length(5),
        true,
    ),
    (
        "HTTP/1.1 200\r\nContent-Length:\t42\t",
        NORMAL,
        Framing::Length(42),
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked",
        NORMAL,
        Framing::Chunked,
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nA: b",
        NORMAL,
        Framing::UntilClose,
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: keep-alive",
        NORMAL,
        Framing::UntilClose,
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close",
        NORMAL,
        Framing::Length(5),
        false,
    ),
    (
        "HTTP/1.0 200 OK\r\nContent-Length: 5",
        NORMAL,
        Framing::Length(5),
        false,
    ),
    (
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive",
        NORMAL,
        Framing::Length(5),
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5",
        HEAD,
        Framing::None,
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
        HEAD,
        Framing::None,
        true,
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5",
        NORMAL,
        Framing::None,
        true,
    ),
    (
        "HTTP/1.1 204 No Content\r\nA: b",
        NORMAL,
        Framing::None,
        true,
    ),
    (
        "HTTP/1.1 204 No Content\r\nContent-Length: 5",
        NORMAL,
        Framing::None,
        false,
    ),
    (
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked",
        NORMAL,
        Framing::None,
        false,
    ),
    (
        "HTTP/1.1 103 Early Hints\r\nLink: </a>",
        NORMAL,
        Framing::None,
        true,
    ),
];

#[test]
fn framing_and_reuse() {
    for (text, asked, framing, keep_alive) in FRAMINGS {
        let head = parse(format!("{text}\r\n\r\n").as_bytes(), asked).unwrap();
        assert_eq!(
            (head.framing(), head.keep_alive()),
            (framing, keep_alive),
            "{text}"
        );
    }
}

#[test]
fn what_is_read_of_a_head() {
    let buf = b"HTTP/1.1 404 Not \xe9 Found\r\nDate: now\r\nContent-Length: 5\r\n\r\n";
    let head = parse(buf, HEAD).unwrap();
    assert_eq!(head.status(), 404);
    assert_eq!(head.reason(buf), b"Not \xe9 Found");
    assert_eq!(head.content_length(), Some(5));
    assert!(!head.is_interim());
    assert_eq!(head.field(buf, "date"), Some(b"now".as_slice()));
    let agreed = b"HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    let head = parse(agreed, WEBSOCKET).unwrap();
    assert!(head.status() == 101 && !head.is_interim());
    assert!(
        parse(b"HTTP/1.1 100 Continue\r\n\r\n", NORMAL)
            .unwrap()
            .is_interim()
    );
}

#[test]
fn a_head_may_come_in_any_pieces() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let mut head = ResponseHead::new();
    for end in 0..=bytes.len() {
        let parsed = head
            .parse(&bytes[..end], &HeadLimits::RESPONSE, NORMAL)
            .unwrap();
        let expected = if end < 38 {
            Parsed::Partial
        } else {
            Parsed::Complete(38)
        };
        assert_eq!(parsed, expected, "{end} bytes");
    }
}

#[test]
fn framing_towards_clients() {
    use Framing::{Chunked, Length, None, UntilClose};
    use Version::{Http10, Http11};
    for (framing, client, expected) in [
        (None, Http11, (None, true)),
        (None, Http10, (None, true)),
        (Length(5), Http10, (Length(5), true)),
        (Chunked, Http11, (Chunked, true)),
        (Chunked, Http10, (UntilClose, false)),
        (UntilClose, Http11, (Chunked, true)),
        (UntilClose, Http10, (UntilClose, false)),
    ] {
        let outgoing = framing.towards(client, true);
        assert_eq!(
            (outgoing.framing, outgoing.keep_alive),
            expected,
            "{framing:?} {client:?}"
        );
        assert!(!framing.towards(client, false).keep_alive);
    }
}
