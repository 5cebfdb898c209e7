//! Bodies and trailers over HTTP/2, both ways and between protocols.

use std::sync::Arc;

use bytes::Bytes;
use serin::{
    measure::Cell,
    model::{Outcome, Role},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

use super::{counted, to_h1, to_h1_by, to_h2c};
use crate::support::{
    client::Client,
    h2_client::{CANCEL, Connection, End, INITIAL_WINDOW, INTERNAL_ERROR, PROTOCOL_ERROR, request},
    h2_origin::{self, Given, H2Origin, given},
    origin::{self, Origin, ok},
};

const HELLO: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                     5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";

/// An answer with a body and a trailer.
fn summed() -> Given {
    Given {
        trailers: vec![("x-sum", "2".to_owned())],
        ..given("world")
    }
}

#[tokio::test]
async fn from_http_2_to_an_origin_of_http_1() {
    let mut origin = Origin::answering(|seen| match seen.line.as_str() {
        "HEAD / HTTP/1.1" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
        "POST / HTTP/1.1" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\
                               X-Sum: 2\r\n\r\n"
                .to_vec()
        }
        _ => ok("got"),
    })
    .await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let answer = client.get("/", &[]).await;
    assert_eq!(
        (answer.text(), answer.field("content-length")),
        ("got", Some("3"))
    );
    let stream = client.open(&request("HEAD", "/"), true).await;
    let answer = client.answer(stream).await;
    assert_eq!(
        (answer.text(), answer.field("content-length")),
        ("", Some("5"))
    );
    assert_eq!(answer.end, End::Whole);
    let (_, _) = (origin.next().await, origin.next().await);
    let stream = client.open(&request("POST", "/"), false).await;
    client.data(stream, "hel", false).await;
    client.data(stream, "lo", false).await;
    client.head(stream, &[("x-sum", "1")], true).await;
    let answer = client.answer(stream).await;
    assert_eq!(
        (answer.text(), answer.trailer("x-sum")),
        ("world", Some("2"))
    );
    let seen = origin.next().await;
    let body = String::from_utf8(seen.body).unwrap().to_ascii_lowercase();
    assert!(body.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{body}");
    assert_eq!(origin.connections(), 1, "kept for the next one");
}

#[tokio::test]
async fn from_http_1_to_an_origin_of_http_2() {
    let mut origin = H2Origin::answering(|seen| match seen.line.as_str() {
        "GET / HTTP/2" => given("got"),
        "HEAD / HTTP/2" => Given {
            fields: vec![("content-length", "5".to_owned())],
            ..Given {
                status: 200,
                ..Given::default()
            }
        },
        _ => summed(),
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.text(), "got");
    client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let answer = client.answer_to("HEAD").await;
    assert_eq!(
        (answer.status, answer.field("content-length")),
        (200, Some("5"))
    );
    client.send(HELLO).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.text(), answer.field("trailer:x-sum")),
        ("world", Some("2"))
    );
    let (_, _) = (origin.next().await, origin.next().await);
    let seen = origin.next().await;
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.field("trailer:x-sum"), Some("1"));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn from_http_2_to_an_origin_of_http_2() {
    let mut origin = H2Origin::answering(|_| summed()).await;
    let mut proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("POST", "/"), false).await;
    client.data(stream, "hello", false).await;
    client.head(stream, &[("x-sum", "1")], true).await;
    let answer = client.answer(stream).await;
    assert_eq!(
        (answer.text(), answer.trailer("x-sum")),
        ("world", Some("2"))
    );
    let seen = origin.next().await;
    assert_eq!(
        (seen.body.as_slice(), seen.field("trailer:x-sum")),
        (&b"hello"[..], Some("1"))
    );
    assert_eq!(counted(&mut proxy, 1).await, (1, 0));
}

#[tokio::test]
async fn large_bodies_pass_both_ways_between_both_protocols() {
    const LARGE: usize = 1 << 20;
    let origin = H2Origin::answering(|seen| given(str::from_utf8(&seen.body).unwrap())).await;
    let proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    let body = "0123456789abcdef".repeat(LARGE / 16);
    let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LARGE}\r\n\r\n");
    client.send(head).await;
    client.send(&body).await;
    assert!(client.answer().await.body == body.as_bytes());
    let origin = Origin::answering(|seen| ok(str::from_utf8(&seen.body).unwrap())).await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let length = (LARGE / 32).to_string();
    let stream = client
        .open(
            &[&request("POST", "/")[..], &[("content-length", &length)]].concat(),
            false,
        )
        .await;
    for piece in body.as_bytes()[..LARGE / 32].chunks(16_000) {
        client.data(stream, piece, false).await;
    }
    client.data(stream, "", true).await;
    assert!(client.answer(stream).await.body == body.as_bytes()[..LARGE / 32]);
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_is_the_clients_fault() {
    let origin = Origin::saying("x").await;
    let mut proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    // With a length of 0 the request is whole before its body comes, and may be answered first.
    for (length, body) in [("10", "hello"), ("3", "hello")] {
        let fields = [&request("POST", "/")[..], &[("content-length", length)]].concat();
        let stream = client.open(&fields, false).await;
        client.data(stream, body, true).await;
        let answer = client.answer(stream).await;
        let is_reset = answer.end == End::Reset(PROTOCOL_ERROR);
        assert!(is_reset || answer.status == 400, "{length}: {answer:?}");
    }
    assert_eq!(client.get("/", &[]).await.status, 200);
    let is_whole = |cell: &Cell| cell.attempts.sum(|it| it.outcome == Outcome::Success) == 1;
    let cell = proxy.counted(Role::Stable, is_whole).await;
    assert_eq!(cell.failures, 0, "{cell:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let cut = Arc::new(Notify::new());
    let held = Arc::clone(&cut);
    let origin = Origin::doing(move |mut stream| {
        let held = Arc::clone(&held);
        async move {
            let mut buffer = Vec::new();
            let seen = origin::request(&mut stream, &mut buffer).await.unwrap();
            let begun: &[u8] = match seen.path() {
                "/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
                _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            };
            stream.write_all(begun).await.unwrap();
            held.notified().await;
        }
    })
    .await;
    let mut proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    for path in ["/length", "/chunks"] {
        let stream = client.open(&request("GET", path), true).await;
        let begun = client.until(stream, |it| it.body == b"hello").await;
        assert_eq!((begun.status, begun.end), (200, End::Open));
        cut.notify_one();
        let answer = client.answer(stream).await;
        assert_eq!(answer.end, End::Reset(INTERNAL_ERROR), "{path}");
    }
    assert!(client.settled().await, "the connection stays");
    assert_eq!(counted(&mut proxy, 2).await, (2, 2));
}

#[tokio::test]
async fn an_answer_that_an_origin_of_http_2_resets_never_looks_whole() {
    let cut = Arc::new(Notify::new());
    let held = Arc::clone(&cut);
    let origin = H2Origin::doing(move |_, mut respond| {
        let held = Arc::clone(&held);
        async move {
            let good = h2_origin::head(200, &[]);
            let mut stream = respond.send_response(good, false).unwrap();
            let hello = Bytes::from_static(b"hello");
            stream.send_data(hello, false).unwrap();
            held.notified().await;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    })
    .await;
    let mut proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("GET", "/"), true).await;
    client.until(stream, |it| it.body == b"hello").await;
    cut.notify_one();
    let answer = client.answer(stream).await;
    assert_eq!(answer.end, End::Reset(INTERNAL_ERROR), "{answer:?}");
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    client.stream.readable().await.unwrap();
    cut.notify_one();
    let answer = client.answer().await;
    assert!(answer.status == 502 || !answer.is_whole, "{answer:?}");
    assert_eq!(counted(&mut proxy, 2).await, (2, 2));
}

#[tokio::test]
async fn a_client_that_resets_its_stream_ends_the_exchange_behind_it() {
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let tell = asked.clone();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = Vec::new();
            origin::request(&mut stream, &mut buffer).await.unwrap();
            tell.send("asked").unwrap();
            let rest = stream.read(&mut [0]).await;
            tell.send(if matches!(rest, Ok(0) | Err(_)) {
                "ended"
            } else {
                "more"
            })
            .unwrap();
        }
    })
    .await;
    let mut proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("GET", "/"), true).await;
    assert_eq!(was_asked.recv().await, Some("asked"));
    client.reset(stream, CANCEL).await;
    assert_eq!(was_asked.recv().await, Some("ended"));
    left(&mut proxy).await;

    let origin = H2Origin::doing(move |_, mut respond| {
        let asked = asked.clone();
        async move {
            asked.send("asked").unwrap();
            let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            let is_cancel = reset.unwrap() == h2::Reason::CANCEL;
            asked
                .send(if is_cancel { "cancelled" } else { "reset" })
                .unwrap();
        }
    })
    .await;
    let mut proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("GET", "/"), true).await;
    assert_eq!(was_asked.recv().await, Some("asked"));
    client.reset(stream, CANCEL).await;
    assert_eq!(was_asked.recv().await, Some("cancelled"));
    left(&mut proxy).await;
}

/// Waits until one client has left, which is no failure.
async fn left(proxy: &mut crate::support::proxy::Proxy) {
    let has_left = |cell: &Cell| cell.attempts.sum(|it| it.outcome == Outcome::ClientAbort) == 1;
    let cell = proxy.counted(Role::Stable, has_left).await;
    assert_eq!(cell.failures, 0);
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_uploads() {
    let origin = Origin::doing(|mut stream| async move {
        let mut read = Vec::new();
        while crate::support::client::find(&read, b"\r\n\r\n").is_none() {
            stream.read_buf(&mut read).await.unwrap();
        }
        let answer = origin::answer(401, "who are you");
        stream.write_all(&answer).await.unwrap();
        let _rest = stream.read_to_end(&mut read).await;
    })
    .await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("POST", "/"), false).await;
    client.data(stream, "hel", false).await;
    let answer = client.answer(stream).await;
    assert_eq!((answer.status, answer.text()), (401, "who are you"));
    assert_eq!(answer.end, End::Whole);
    client.data(stream, "lo", true).await;
    assert!(client.settled().await, "the connection stays");

    let origin = H2Origin::doing(|_, respond| async move {
        h2_origin::give(
            Given {
                status: 401,
                ..given("who are you")
            },
            respond,
        );
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhel")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (401, "who are you"));
}

#[tokio::test]
async fn of_a_client_that_takes_nothing_little_is_held() {
    const ALL: usize = 4 << 20;
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let origin = H2Origin::doing(move |request, mut respond| {
        let counted = Arc::clone(&counted);
        async move {
            if request.uri().path() == "/small" {
                return h2_origin::give(given("small"), respond);
            }
            let mut stream = respond
                .send_response(h2_origin::head(200, &[]), false)
                .unwrap();
            let mut left = ALL;
            while left > 0 {
                stream.reserve_capacity(left.min(16_384));
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else { return };
                let piece = room.min(left);
                left -= piece;
                counted.fetch_add(piece, std::sync::atomic::Ordering::SeqCst);
                if stream
                    .send_data(vec![b'x'; piece].into(), left == 0)
                    .is_err()
                {
                    return;
                }
            }
        }
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Connection::connect_with(proxy.address, &[(INITIAL_WINDOW, 0)]).await;
    client.give(0, 1 << 28).await;
    let stream = client.open(&request("GET", "/"), true).await;
    client.until(stream, |it| it.status == 200).await;
    // What may be on its way is on its way once others have come and gone.
    let mut other = Connection::connect(proxy.address).await;
    for _ in 0..50 {
        assert_eq!(other.get("/small", &[]).await.text(), "small");
        assert!(client.settled().await);
    }
    let on_its_way = sent.load(std::sync::atomic::Ordering::SeqCst);
    assert!(on_its_way <= 160 * 1024, "{on_its_way} bytes were taken");
    client.give(stream, 1 << 28).await;
    assert_eq!(
        client.answer(stream).await.body.len(),
        ALL,
        "and then all of it"
    );
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused() {
    let origin = Origin::saying("x").await;
    let proxy = to_h1_by(&origin, "limits: { max_body: 10KiB }");
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("POST", "/"), false).await;
    client.data(stream, vec![b'x'; 11_000], true).await;
    assert_eq!(client.answer(stream).await.status, 413);
    assert!(client.settled().await);
}
