//! The tables of behaviour over HTTP/2, and what only HTTP/2 can say wrong: none of it reaches an
//! origin that speaks HTTP/1.1.

use crate::{
    behaviour::{check_passed, reciting},
    support::{
        frames::{self, DATA, END_STREAM, Frames, Outcome},
        origin::{Origin, Seen},
        proxy::proxy,
    },
    table::{self, Becomes, Case, Expect, Recital},
};

/// `PROTOCOL_ERROR`.
const PROTOCOL_ERROR: u32 = 1;

/// Sends a request on a stream of its own; what it comes to.
async fn ask(
    client: &mut Frames,
    head: &[(&str, &str)],
    body: Option<&str>,
    trailers: &[(&str, &str)],
) -> Outcome {
    let stream = client.open();
    let block = frames::block(head);
    client.fields(stream, &block, body.is_none()).await;
    if let Some(body) = body {
        let ends = if trailers.is_empty() { END_STREAM } else { 0 };
        client.send(DATA, ends, stream, body.as_bytes()).await;
    }
    if !trailers.is_empty() {
        let block = frames::block(trailers);
        client.fields(stream, &block, true).await;
    }
    client.outcome(stream).await
}

/// The request of a case.
async fn send(client: &mut Frames, case: &Case) -> Outcome {
    let length = case.body.len().to_string();
    let mut head = vec![
        (":method", case.method),
        (":scheme", "http"),
        (":authority", case.authority),
        (":path", case.target.as_str()),
    ];
    head.extend(
        case.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    if !case.body.is_empty() && case.trailers.is_empty() {
        head.push(("content-length", &length));
    }
    let body = (!case.body.is_empty()).then_some(case.body);
    ask(client, &head, body, &case.trailers).await
}

/// What is wrong with what came of a case.
fn check(case: &Case, outcome: Outcome, seen: Option<Seen>) -> Result<(), String> {
    match (&case.expect, outcome) {
        (Expect::Passes { has, lacks }, Outcome::Status(200)) => {
            check_passed(case, seen, (has, lacks))
        }
        (Expect::Answered(_), _) if seen.is_some() => Err(format!("the origin saw {seen:?}")),
        (Expect::Answered(statuses), Outcome::Status(status)) if statuses.contains(&status) => {
            Ok(())
        }
        // What cannot be said in HTTP/2 is reset, the connection with it where the library sees it
        // while it decodes; a head that is too large may end more than its stream, too.
        (
            Expect::Answered(statuses),
            Outcome::Reset(PROTOCOL_ERROR) | Outcome::GoAway(PROTOCOL_ERROR),
        ) if statuses.contains(&400) => Ok(()),
        (Expect::Answered(statuses), Outcome::GoAway(_)) if statuses.contains(&431) => Ok(()),
        _ => Err(format!("{outcome:?}")),
    }
}

#[tokio::test]
async fn every_request_of_the_table_fares_so_over_http_2() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    for case in table::cases() {
        let mut client = Frames::connect(proxy.address).await;
        let outcome = send(&mut client, &case).await;
        if let Err(why) = check(&case, outcome, origin.try_next()) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// What is wrong with what comes of a recital.
async fn listen(client: &mut Frames, number: usize, recital: &Recital) -> Result<(), String> {
    let mut get = async |path: &str| {
        let stream = client.open();
        let head = [(":method", "GET"), SCHEME, HOST, (":path", path)];
        client.fields(stream, &frames::block(&head), true).await;
        client.reply(stream).await
    };
    let reply = get(&format!("/{number}")).await;
    let as_expected = match recital.becomes {
        Becomes::Relayed { status, body, .. } => {
            reply.is_whole && reply.status == status && reply.body == body.as_bytes()
        }
        Becomes::BadGateway(_) => reply.is_whole && reply.status == 502,
        // The reset may overtake what waits to be sent.
        Becomes::CutOff(status) => !reply.is_whole && [0, status].contains(&reply.status),
    };
    if !as_expected {
        return Err(format!("{reply:?}"));
    }
    let next = get("/proper").await;
    if next.is_whole && next.body == b"proper" {
        Ok(())
    } else {
        Err(format!("then {next:?}"))
    }
}

#[tokio::test]
async fn every_answer_of_the_table_fares_so_over_http_2() {
    let recitals = table::recitals();
    let origin = reciting(recitals.clone()).await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    // One connection for all: no answer may cost the others theirs.
    let mut client = Frames::connect(proxy.address).await;
    for (number, recital) in recitals.iter().enumerate() {
        if let Err(why) = listen(&mut client, number, recital).await {
            failures.push(format!("{}: {why}", recital.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

type Fields = &'static [(&'static str, &'static str)];

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/");
const HOST: (&str, &str) = (":authority", "a.test");

/// Heads that are malformed (RFC 9113, sections 8.1.1, 8.2 and 8.3).
const MALFORMED: &[(&str, Fields)] = &[
    ("no method", &[SCHEME, PATH, HOST]),
    ("no scheme", &[METHOD, PATH, HOST]),
    ("no path", &[METHOD, SCHEME, HOST]),
    ("no host", &[METHOD, SCHEME, PATH]),
    ("an empty path", &[METHOD, SCHEME, (":path", ""), HOST]),
    ("an empty method", &[(":method", ""), SCHEME, PATH, HOST]),
    ("two methods", &[METHOD, METHOD, SCHEME, PATH, HOST]),
    ("two paths", &[METHOD, SCHEME, PATH, PATH, HOST]),
    ("two schemes", &[METHOD, SCHEME, SCHEME, PATH, HOST]),
    ("two authorities", &[METHOD, SCHEME, PATH, HOST, HOST]),
    (
        "a pseudo-field behind a field",
        &[METHOD, SCHEME, PATH, ("x-a", "b"), HOST],
    ),
    (
        "an unknown pseudo-field",
        &[METHOD, SCHEME, PATH, HOST, (":x", "y")],
    ),
    (
        "the pseudo-field of an answer",
        &[METHOD, SCHEME, PATH, HOST, (":status", "200")],
    ),
    (
        "a protocol without CONNECT",
        &[METHOD, SCHEME, PATH, HOST, (":protocol", "websocket")],
    ),
    (
        "a name in upper case",
        &[METHOD, SCHEME, PATH, HOST, ("X-A", "b")],
    ),
    ("an empty name", &[METHOD, SCHEME, PATH, HOST, ("", "b")]),
    (
        "a name with a blank",
        &[METHOD, SCHEME, PATH, HOST, ("x a", "b")],
    ),
    (
        "a name with a colon",
        &[METHOD, SCHEME, PATH, HOST, ("x:a", "b")],
    ),
    (
        "a name with a line end",
        &[METHOD, SCHEME, PATH, HOST, ("x\r\na", "b")],
    ),
    (
        "a value with CR LF",
        &[METHOD, SCHEME, PATH, HOST, ("x-a", "b\r\nx-c: d")],
    ),
    (
        "a value with LF",
        &[METHOD, SCHEME, PATH, HOST, ("x-a", "b\nx-c: d")],
    ),
    (
        "a value with CR",
        &[METHOD, SCHEME, PATH, HOST, ("x-a", "b\rc")],
    ),
    (
        "a value with NUL",
        &[METHOD, SCHEME, PATH, HOST, ("x-a", "b\0c")],
    ),
    (
        "a blank before a value",
        &[METHOD, SCHEME, PATH, HOST, ("x-a", " b")],
    ),
    (
        "a blank behind a value",
        &[METHOD, SCHEME, PATH, HOST, ("x-a", "b\t")],
    ),
    (
        "Connection",
        &[METHOD, SCHEME, PATH, HOST, ("connection", "close")],
    ),
    (
        "Keep-Alive",
        &[METHOD, SCHEME, PATH, HOST, ("keep-alive", "timeout=5")],
    ),
    (
        "Proxy-Connection",
        &[METHOD, SCHEME, PATH, HOST, ("proxy-connection", "close")],
    ),
    (
        "Transfer-Encoding",
        &[METHOD, SCHEME, PATH, HOST, ("transfer-encoding", "chunked")],
    ),
    ("Upgrade", &[METHOD, SCHEME, PATH, HOST, ("upgrade", "h2c")]),
    (
        "TE but for trailers",
        &[METHOD, SCHEME, PATH, HOST, ("te", "chunked")],
    ),
    (
        "TE for more than trailers",
        &[METHOD, SCHEME, PATH, HOST, ("te", "trailers, gzip")],
    ),
    (
        "a host that differs",
        &[METHOD, SCHEME, PATH, HOST, ("host", "b.test")],
    ),
    (
        "two hosts",
        &[METHOD, SCHEME, PATH, ("host", "a.test"), ("host", "a.test")],
    ),
    (
        "a length that is none",
        &[METHOD, SCHEME, PATH, HOST, ("content-length", "a")],
    ),
    (
        "a method with a blank",
        &[(":method", "GET /x"), SCHEME, PATH, HOST],
    ),
    (
        "a method with a line end",
        &[(":method", "GET\r\n"), SCHEME, PATH, HOST],
    ),
    (
        "a path with a blank",
        &[METHOD, SCHEME, (":path", "/ HTTP/1.1"), HOST],
    ),
    (
        "a path with a line end",
        &[METHOD, SCHEME, (":path", "/\r\nx-a: b"), HOST],
    ),
    (
        "a path that is a URL",
        &[METHOD, SCHEME, (":path", "http://b.test/"), HOST],
    ),
    (
        "a path without its slash",
        &[METHOD, SCHEME, (":path", "x"), HOST],
    ),
    (
        "a host with a line end",
        &[METHOD, SCHEME, PATH, (":authority", "a\r\nx-a: b")],
    ),
    (
        "a host with a user",
        &[METHOD, SCHEME, PATH, (":authority", "user@a.test")],
    ),
    (
        "a scheme with a line end",
        &[METHOD, (":scheme", "http\r\n"), PATH, HOST],
    ),
    (
        "a scheme that is a URL",
        &[METHOD, (":scheme", "http://b.test/?"), PATH, HOST],
    ),
    (
        "CONNECT with a path",
        &[(":method", "CONNECT"), SCHEME, PATH, HOST],
    ),
    ("CONNECT", &[(":method", "CONNECT"), HOST]),
];

/// Bodies and trailers that do not go with their head.
const MISMATCHED: &[(&str, Fields, &str, Fields)] = &[
    (
        "more than the length",
        &[("content-length", "3")],
        "hello",
        &[],
    ),
    (
        "less than the length",
        &[("content-length", "9")],
        "hello",
        &[],
    ),
    (
        "a pseudo-field in the trailers",
        &[],
        "hello",
        &[("x-a", "b"), (":path", "/x")],
    ),
    ("upper case in the trailers", &[], "hello", &[("X-A", "b")]),
    (
        "Connection in the trailers",
        &[],
        "hello",
        &[("connection", "close")],
    ),
    (
        "a line end in the trailers",
        &[],
        "hello",
        &[("x-a", "b\r\nc: d")],
    ),
];

/// Whether what came is a refusal: nobody was asked, or only for a part.
fn is_refusal(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Reset(PROTOCOL_ERROR)
            | Outcome::GoAway(PROTOCOL_ERROR)
            | Outcome::Status(400 | 501)
    )
}

#[tokio::test]
async fn nothing_malformed_reaches_an_origin() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    for (name, head) in MALFORMED {
        let mut client = Frames::connect(proxy.address).await;
        let outcome = ask(&mut client, head, None, &[]).await;
        let seen = origin.try_next();
        if !is_refusal(outcome) || seen.is_some() {
            failures.push(format!("{name}: {outcome:?}, the origin saw {seen:?}"));
        }
    }
    for (name, more, body, trailers) in MISMATCHED {
        let mut client = Frames::connect(proxy.address).await;
        let head = [&[METHOD, SCHEME, PATH, HOST], *more].concat();
        let outcome = ask(&mut client, &head, Some(body), trailers).await;
        let seen = origin.try_next();
        if !is_refusal(outcome) || seen.is_some() {
            failures.push(format!("{name}: {outcome:?}, the origin saw {seen:?}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn a_stream_that_is_refused_leaves_its_connection_to_others() {
    let origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Frames::connect(proxy.address).await;
    let good = [METHOD, SCHEME, PATH, HOST];
    let bad = [METHOD, SCHEME, PATH, HOST, ("connection", "close")];
    for _ in 0..5 {
        let refused = ask(&mut client, &bad, None, &[]).await;
        assert_eq!(refused, Outcome::Reset(PROTOCOL_ERROR));
        assert_eq!(
            ask(&mut client, &good, None, &[]).await,
            Outcome::Status(200)
        );
    }
}

#[tokio::test]
async fn what_is_rebuilt_is_one_clear_request() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Frames::connect(proxy.address).await;
    let crumbs = [("cookie", "a=b"), ("te", "trailers"), ("cookie", "c=d")];
    let head = [&[METHOD, SCHEME, PATH, HOST], &crumbs[..]].concat();
    let outcome = ask(&mut client, &head, Some("hello"), &[("x-sum", "1")]).await;
    assert_eq!(outcome, Outcome::Status(200));
    let seen = origin.next().await;
    assert_eq!(seen.line, "POST / HTTP/1.1");
    assert_eq!(seen.field("cookie"), Some("a=b; c=d"));
    assert_eq!(seen.field("host"), Some("a.test"));
    assert_eq!(seen.field("te"), None);
    assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
    assert_eq!(seen.body, b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n");
    // The library cuts a fragment off, which no client has a reason to send.
    let head = [METHOD, SCHEME, (":path", "/a#b"), HOST];
    ask(&mut client, &head, None, &[]).await;
    assert_eq!(origin.next().await.line, "POST /a HTTP/1.1");
}
