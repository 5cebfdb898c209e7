//! Heads as they are forwarded, byte for byte.

use super::parse;
use crate::{
    plan::RequestStart,
    proxy::h1::{
        Asked, HeadLimits, Parsed, ResponseHead, Version,
        rewrite::{self, RequestEdits, ResponseEdits},
    },
};

const EDITS: RequestEdits<'_> = RequestEdits {
    trace: None,
    client: b"192.0.2.1",
    proto: b"http",
    subject: None,
    trusted: false,
    request_id: b"id-1",
    request_start: (1_700_000_000_009_001, RequestStart::Seconds),
    version_name: b"ecs",
    default_host: b"10.0.0.1:80",
    upgrade: false,
};

fn request(text: &str, edits: &RequestEdits<'_>) -> String {
    let head = parse(text.as_bytes()).unwrap();
    let mut out = Vec::new();
    rewrite::request(&head, text.as_bytes(), edits, &mut out);
    String::from_utf8(out).unwrap()
}

/// The head forwarded for these fields, without what is always said at its end.
fn forwarded(fields: &str) -> String {
    let out = request(
        &format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
        &EDITS,
    );
    let end = out.find("X-Forwarded-For: 192.0.2.1\r\n").unwrap();
    out[..end]
        .strip_prefix("GET /a HTTP/1.1\r\nHost: a\r\n")
        .unwrap()
        .to_owned()
}

#[test]
fn a_plain_request() {
    assert_eq!(
        request("GET /a?b HTTP/1.1\r\nhOST: a:8\r\nX-A:  b \r\n\r\n", &EDITS),
        "GET /a?b HTTP/1.1\r\nhOST: a:8\r\nX-A:  b \r\n\
         X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a:8\r\n\
         X-Request-Id: id-1\r\nX-Request-Start: t=1700000000.009\r\nX-Serin-Version: ecs\r\n\
         Via: 1.1 serin\r\n\r\n"
    );
}

#[test]
fn what_is_for_one_hop_stays_behind_and_framing_is_written_anew() {
    let rows = [
        ("A: b\r\nC: d\r\n", "A: b\r\nC: d\r\n"),
        ("Connection: keep-alive\r\nA: b\r\n", "A: b\r\n"),
        (
            "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: x\r\nA: b\r\n",
            "A: b\r\n",
        ),
        (
            "Proxy-Authorization: x\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\n",
            "",
        ),
        (
            "Connection: A, c\r\nA: 1\r\nB: 2\r\nC: 3\r\na: 4\r\n",
            "B: 2\r\n",
        ),
        (
            "Connection: a\r\nConnection: b\r\nA: 1\r\nB: 2\r\nC: 3\r\n",
            "C: 3\r\n",
        ),
        (
            "Authorization: x\r\nConnection: host, authorization\r\n",
            "Authorization: x\r\n",
        ),
        (
            "Cookie: x\r\nConnection: cookie, content-length\r\n",
            "Cookie: x\r\n",
        ),
        (
            "content-LENGTH: 7\r\nA: b\r\n",
            "A: b\r\nContent-Length: 7\r\n",
        ),
        (
            "transfer-encoding: CHUNKED\r\nA: b\r\n",
            "A: b\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "X_Forwarded_For: 5\r\nX_A: b\r\nA: b\r\n_: c\r\nabcdefghi_jklmnopqr: d\r\n",
            "A: b\r\n",
        ),
        ("X-Serin-Version: mine\r\nX-Request-Start: t=1\r\n", ""),
        ("X-Serin-Warm-Up: 1\r\n", ""),
        (
            "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1\r\nX-Real-IP: 1\r\n",
            "",
        ),
        (
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Forwarded-Port: 1\r\n",
            "",
        ),
        (
            "Trailer: X-Sum\r\nExpect: 100-continue\r\n",
            "Trailer: X-Sum\r\nExpect: 100-continue\r\n",
        ),
        (
            "Via: 1.0 b\r\nMax-Forwards: 3\r\n",
            "Via: 1.0 b\r\nMax-Forwards: 3\r\n",
        ),
    ];
    for (fields, expected) in rows {
        assert_eq!(forwarded(fields), expected, "{}", fields.escape_debug());
    }
}

#[test]
fn the_line_and_the_host_are_rebuilt_where_they_must_be() {
    let start = |text: &str| {
        let out = request(text, &EDITS);
        out.split("X-Forwarded").next().unwrap().to_owned()
    };
    assert_eq!(
        start("GET http://b:9/x?y HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"),
        "GET /x?y HTTP/1.1\r\nA: b\r\nHost: b:9\r\n"
    );
    assert_eq!(
        start("GET http://b?x=/y HTTP/1.1\r\nHost: a\r\n\r\n"),
        "GET /?x=/y HTTP/1.1\r\nHost: b\r\n"
    );
    assert_eq!(
        start("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n"),
        "OPTIONS * HTTP/1.1\r\nHost: b\r\n"
    );
    assert_eq!(
        start("GET / HTTP/1.0\r\nA: b\r\n\r\n"),
        "GET / HTTP/1.1\r\nA: b\r\nHost: 10.0.0.1:80\r\n"
    );
    assert_eq!(
        start("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\n"
    );
    assert_eq!(
        start("OPTIONS * HTTP/1.1\r\nMax-Forwards: 3\r\nHost: a\r\n\r\n"),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n"
    );
    assert!(request("GET / HTTP/1.0\r\n\r\n", &EDITS).ends_with("Via: 1.0 serin\r\n\r\n"));
}

#[test]
fn a_trusted_peer_is_believed() {
    let edits = RequestEdits {
        trusted: true,
        ..EDITS
    };
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\
                X-Forwarded-Proto: https\r\n\
                x-forwarded-for: 2.2.2.2\r\nX-Forwarded-Host: b\r\nX-Real-IP: 3\r\n\
                X-Request-Start: t=5\r\n\r\n";
    assert_eq!(
        request(text, &edits),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\
         X-Real-IP: 3\r\nX-Request-Start: t=5\r\n\
         X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1\r\nX-Request-Id: id-1\r\n\
         X-Serin-Version: ecs\r\nVia: 1.1 serin\r\n\r\n"
    );
}

#[test]
fn when_a_request_came_is_told_in_the_unit_that_is_asked_for() {
    let cases = [
        (
            RequestStart::Seconds,
            1_700_000_000_009_001,
            "1700000000.009",
        ),
        (
            RequestStart::Seconds,
            1_700_000_000_999_999,
            "1700000000.999",
        ),
        (RequestStart::Seconds, 0, "0.000"),
        (RequestStart::Millis, 1_700_000_000_009_001, "1700000000009"),
        (
            RequestStart::Micros,
            1_700_000_000_009_001,
            "1700000000009001",
        ),
    ];
    let told = |unit, micros| {
        let edits = RequestEdits {
            request_start: (micros, unit),
            ..EDITS
        };
        let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Start: t=5\r\n\r\n";
        let out = request(text, &edits);
        let (_, rest) = out.split_once("X-Request-Start: t=")?;
        rest.split("\r\n").next().map(str::to_owned)
    };
    for (unit, micros, expected) in cases {
        assert_eq!(told(unit, micros).as_deref(), Some(expected), "{unit:?}");
    }
    assert_eq!(told(RequestStart::Disabled, 1), None);
}

#[test]
fn a_sane_request_id_is_kept() {
    let ids = |fields: &str| {
        let out = request(
            &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
            &EDITS,
        );
        let lower = out.to_lowercase();
        let values = lower
            .lines()
            .filter_map(|line| line.strip_prefix("x-request-id: "));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids("x-request-id: abc-123\r\n"), ["abc-123"]);
    assert_eq!(ids("X-Request-Id: a b\r\n"), ["id-1"]);
    assert_eq!(ids("X-Request-Id:\r\n"), ["id-1"]);
    assert_eq!(
        ids(&format!("X-Request-Id: {}\r\n", "a".repeat(129))),
        ["id-1"]
    );
    assert_eq!(ids("X-Request-Id: a\r\nX-Request-Id: b\r\n"), ["id-1"]);
}

#[test]
fn a_websocket_is_asked_for_in_our_words() {
    let edits = RequestEdits {
        upgrade: true,
        ..EDITS
    };
    let out = request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Key: x\r\n\r\n",
        &edits,
    );
    assert!(
        out.contains("\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"),
        "{out}"
    );
    assert_eq!(out.to_lowercase().matches("\r\nupgrade:").count(), 1);
    assert!(out.contains("\r\nSec-WebSocket-Key: x\r\n"));
}

/// The response as a client of this version sees it.
fn response(text: &str, asked: Asked, client: Version, keep_alive: bool) -> String {
    let mut head = ResponseHead::new();
    let parsed = head
        .parse(text.as_bytes(), &HeadLimits::RESPONSE, asked)
        .unwrap();
    assert_eq!(parsed, Parsed::Complete(text.len()));
    let outgoing = head.framing().towards(client, keep_alive);
    let edits = ResponseEdits {
        client,
        outgoing,
        lines: b"Set-Cookie: s=1\r\n",
        date: b"today",
    };
    let mut out = Vec::new();
    rewrite::response(&head, text.as_bytes(), &edits, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn responses() {
    use Version::{Http10, Http11};
    let none = Asked::default();
    let tail = "Set-Cookie: s=1\r\nDate: today\r\nVia: 1.1 serin\r\n\r\n";
    let long = "HTTP/1.1 200 Fine\r\nContent-Length: 05\r\nKeep-Alive: 1\r\nSet-Cookie: a\r\n\
                Connection: x-a\r\nX-A: b\r\n\r\n";
    let start = "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nContent-Length: 5\r\n";
    assert_eq!(response(long, none, Http11, true), format!("{start}{tail}"));
    assert_eq!(
        response(long, none, Http11, false),
        format!("{start}Connection: close\r\n{tail}")
    );
    assert_eq!(
        response(long, none, Http10, true),
        format!("{start}Connection: keep-alive\r\n{tail}")
    );

    let open = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n";
    for text in [open, chunks] {
        assert_eq!(
            response(text, none, Http11, true),
            format!("HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n{tail}")
        );
        assert_eq!(
            response(text, none, Http10, true),
            format!("HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n{tail}")
        );
    }
    let head = Asked { head: true, ..none };
    assert_eq!(response(long, head, Http11, true), format!("{start}{tail}"));
    let old = "HTTP/1.0 404\r\nContent-Length: 0\r\n\r\n";
    assert!(
        response(old, none, Http11, true).starts_with("HTTP/1.1 404 \r\nContent-Length: 0\r\n")
    );
    let empty = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(
        response(empty, none, Http11, true),
        format!("HTTP/1.1 204 No Content\r\n{tail}")
    );
    let dated = "HTTP/1.1 204 No Content\r\ndate: then\r\n\r\n";
    let kept = "HTTP/1.1 204 No Content\r\ndate: then\r\nSet-Cookie: s=1\r\n";
    assert!(response(dated, none, Http11, true).starts_with(&format!("{kept}Via")));
    let agreed = "HTTP/1.1 101 Go\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nA: b\r\n\r\n";
    let websocket = Asked {
        websocket: true,
        ..none
    };
    assert_eq!(
        response(agreed, websocket, Http11, true),
        format!("HTTP/1.1 101 Go\r\nA: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{tail}")
    );
}

#[test]
fn interim_responses() {
    let text =
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let mut head = ResponseHead::new();
    head.parse(text, &HeadLimits::RESPONSE, Asked::default())
        .unwrap();
    let mut out = Vec::new();
    rewrite::interim(&head, text, &mut out);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}
