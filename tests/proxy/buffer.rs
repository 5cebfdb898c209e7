//! What `buffer` spares an endpoint of slow clients.

use serin::{measure::Repeat, model::Role};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::support::{
    client::Client,
    h2_client::Connection,
    h2_origin::{Given, H2Origin, given},
    origin::{Origin, answer, request},
    proxy::{Proxy, edge},
};

/// A data plane whose upstreams hold so much.
fn buffering(buffer: &str, more: &str, [old, new]: [&Origin; 2], percent: u16) -> Proxy {
    let config = edge("", &format!("buffer: {buffer}"), more);
    Proxy::with_workers(1, config, &[old.address], &[new.address], percent)
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\n";

#[tokio::test]
async fn an_endpoint_is_not_asked_before_the_body_is_here() {
    let bodies = [
        ("Content-Length: 5\r\n\r\n", ["he", "llo"], &b"hello"[..]),
        (
            "Transfer-Encoding: chunked\r\n\r\n",
            ["2\r\nhe\r\n3\r", "\nllo\r\n0\r\n\r\n"],
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
    ];
    for (head, [first, second], expected) in bodies {
        let mut origin = Origin::saying("ok").await;
        let proxy = buffering("{ request: 64KiB }", "", [&origin, &origin], 0);
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("{POST}{head}")).await;
        client.send(first).await;
        // Who is served now has come after it.
        let mut other = Client::connect(proxy.address).await;
        assert_eq!(other.get("/other", "").await.status, 200);
        assert_eq!(origin.next().await.path(), "/other");
        assert_eq!(origin.connections(), 1, "{head}");
        client.send(second).await;
        assert_eq!(client.answer().await.text(), "ok");
        assert_eq!(origin.next().await.body, expected, "{head}");
        assert_eq!(client.get("/", "").await.text(), "ok", "it is kept");
    }
}

#[tokio::test]
async fn who_waits_for_leave_to_send_gets_it_at_once() {
    let mut origin = Origin::saying("ok").await;
    let proxy = buffering("{ request: 64KiB }", "", [&origin, &origin], 0);
    let mut client = Client::connect(proxy.address).await;
    let head = "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    client.send(format!("{POST}{head}")).await;
    assert_eq!(client.any_answer("POST").await.unwrap().status, 100);
    assert_eq!(origin.connections(), 0);
    client.send("hi").await;
    assert_eq!(client.any_answer("POST").await.unwrap().status, 200);
    assert_eq!(origin.next().await.body, b"hi");
}

#[tokio::test]
async fn a_longer_body_goes_as_it_comes() {
    let (tell, mut heard) = mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut all = Vec::new();
            while !all.ends_with(b"end") && !all.ends_with(b"0\r\n\r\n") {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece).await.unwrap();
                all.extend_from_slice(&piece[..count]);
                tell.send(all.len()).unwrap();
            }
            stream.write_all(&answer(200, "ok")).await.unwrap();
        }
    })
    .await;
    let long = "x".repeat(3_000);
    let known = (
        "Content-Length: 3003\r\n\r\n".to_owned(),
        long.clone(),
        "end",
    );
    let chunk = format!("bb8\r\n{long}\r\n");
    let unknown = (
        "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
        chunk,
        "0\r\n\r\n",
    );
    for (head, first, last) in [known, unknown] {
        let proxy = buffering("{ request: 1KiB }", "", [&origin, &origin], 0);
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("{POST}{head}")).await;
        client.send(&first).await;
        while heard.recv().await.unwrap() < 3_000 {}
        client.send(last).await;
        assert_eq!(client.answer().await.text(), "ok", "{head}");
        while heard.try_recv().is_ok() {}
    }
}

#[tokio::test]
async fn a_body_that_is_here_can_be_sent_again() {
    let mut old = Origin::saying("old").await;
    let new = Origin::answering(|_| answer(503, "sorry")).await;
    let policy = "    retry_policy: { methods: [PUT, POST] }\n";
    for (size, is_rescued) in [(100, true), (20_000, true), (200_000, false)] {
        let mut proxy = buffering("{ request: 64KiB }", policy, [&old, &new], 100);
        let mut client = Client::connect(proxy.address).await;
        let body = "x".repeat(size);
        client
            .send(format!("{POST}Content-Length: {size}\r\n\r\n"))
            .await;
        client.send(&body).await;
        let answer = client.answer().await;
        assert_eq!(answer.status == 200, is_rescued, "{size}");
        if is_rescued {
            assert_eq!(old.next().await.body, body.as_bytes());
        }
        let canary = proxy.counted(Role::Canary, |cell| cell.failures == 1).await;
        let rescues = canary.repeats.sum(|label| label.repeat == Repeat::Rescue);
        assert_eq!(rescues, u64::from(is_rescued), "{size}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_the_clients_fault() {
    let origin = Origin::saying("ok").await;
    let bodies = [
        ("Content-Length: 5\r\n\r\nhe", 408),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", 408),
        ("Transfer-Encoding: chunked\r\n\r\n", 400),
    ];
    for (body, status) in bodies {
        let listener = "timeouts: { body_idle: 100ms }";
        let config = edge(listener, "buffer: { request: 64KiB }", "");
        let mut proxy = Proxy::with_workers(1, config, &[origin.address], &[], 0);
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("{POST}{body}")).await;
        if status == 400 {
            client.send("zz\r\n").await;
        }
        assert_eq!(client.answer().await.status, status, "{body}");
        let cell = proxy
            .counted(Role::Stable, |cell| cell.requests.sum(|_| true) == 1)
            .await;
        assert_eq!((cell.trials, cell.attempts.sum(|_| true)), (0, 0));
    }
    assert_eq!(origin.connections(), 0);
}

/// Says when it has written all of a long answer.
async fn long_answer(head: &'static str, size: usize) -> (Origin, mpsc::UnboundedReceiver<()>) {
    let (tell, done) = mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = Vec::new();
            request(&mut stream, &mut buffer).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'x'; size]).await.unwrap();
            stream.shutdown().await.unwrap();
            // The end of the connection comes when all of it is taken.
            while !matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
            tell.send(()).unwrap();
        }
    })
    .await;
    (origin, done)
}

#[tokio::test]
async fn an_endpoint_is_done_before_a_slow_client_is() {
    const SIZE: usize = 12 << 20;
    let framings = [
        "HTTP/1.1 200 OK\r\nContent-Length: 12582912\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ];
    for head in framings {
        let (origin, mut done) = long_answer(head, SIZE).await;
        let mut proxy = buffering("{ response: 16MiB }", "", [&origin, &origin], 0);
        let mut client = Client::connect(proxy.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        let bytes = proxy.held_bytes(|bytes| bytes > 1 << 20).await;
        assert!(bytes <= 16 << 20, "{bytes}");
        proxy.endpoints_rest().await;
        let answer = client.answer().await;
        assert_eq!((answer.body.len(), answer.is_whole), (SIZE, true), "{head}");
        done.recv().await.unwrap();
        assert_eq!(proxy.held_bytes(|bytes| bytes == 0).await, 0);
        let cell = proxy.counted(Role::Stable, |cell| cell.trials == 1).await;
        assert_eq!(cell.failures, 0);
    }
}

#[tokio::test]
async fn a_slow_client_takes_nobodys_turn_once_its_answer_is_here() {
    let long = "x".repeat(12 << 20);
    let origin = Origin::answering(move |seen| match seen.path() {
        "/long" => answer(200, &long),
        _ => answer(200, "short"),
    })
    .await;
    let upstream = "buffer: { response: 16MiB }, circuit_breaker: { max_requests: 1 }";
    let config = edge("", upstream, "");
    let mut proxy = Proxy::with_workers(1, config, &[origin.address], &[], 0);
    let mut slow = Client::connect(proxy.address).await;
    slow.send("GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    proxy.held_bytes(|bytes| bytes > 1 << 20).await;
    let mut other = Client::connect(proxy.address).await;
    assert_eq!(other.get("/", "").await.text(), "short");
    assert_eq!(slow.answer().await.body.len(), 12 << 20);
}

#[tokio::test]
async fn no_more_is_held_than_the_file_says() {
    const SIZE: usize = 12 << 20;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 12582912\r\n\r\n";
    let (origin, mut done) = long_answer(head, SIZE).await;
    let mut proxy = buffering("{ response: 256KiB }", "", [&origin, &origin], 0);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let bytes = proxy.held_bytes(|bytes| bytes > 100 << 10).await;
    assert!(bytes <= 272 << 10, "{bytes}");
    assert!(done.try_recv().is_err(), "the endpoint waits");
    let answer = client.answer().await;
    assert_eq!((answer.body.len(), answer.is_whole), (SIZE, true));
}

#[tokio::test]
async fn an_unavailable_call_of_grpc_is_rescued_where_the_file_says_so() {
    let grpc = ("content-type", "application/grpc".to_owned());
    let fields = vec![grpc.clone()];
    let old = H2Origin::answering(move |_| Given {
        fields: fields.clone(),
        trailers: vec![("grpc-status", "0".to_owned())],
        ..given("old")
    })
    .await;
    let fields = vec![grpc, ("grpc-status", "14".to_owned())];
    let new = H2Origin::answering(move |_| Given {
        fields: fields.clone(),
        ..given("")
    })
    .await;
    let call = [("content-type", "application/grpc"), ("te", "trailers")];
    let listed = "    retry_policy: { retry_on: [grpc_unavailable] }\n";
    for (policy, status, body) in [(listed, None, "old"), ("", Some("14"), "")] {
        let upstream = "protocol: h2c, buffer: { request: 64KiB }";
        let config = edge("protocols: [h2c, grpc]", upstream, policy);
        let mut proxy = Proxy::start(config, &[old.address], &[new.address], 100);
        let mut client = Connection::connect(proxy.address).await;
        let answer = client.post("/svc/Method", &call, "hi").await;
        let said = (answer.field("grpc-status"), answer.text());
        assert_eq!(said, (status, body), "{policy}");
        let canary = proxy.counted(Role::Canary, |cell| cell.trials == 1).await;
        assert_eq!(canary.failures, 1, "{policy}");
    }
}
