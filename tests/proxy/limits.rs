//! What is too much, too long or too late.

use serin::model::Outcome;
use tokio::io::AsyncReadExt;

use crate::support::{
    client::Client,
    origin::Origin,
    proxy::{Proxy, file, proxy},
};

pub(crate) fn strict(limits: &str, origin: &Origin) -> Proxy {
    let listeners =
        format!("listeners:\n  - name: edge\n    address: \"127.0.0.1:0\"\n    {limits}\n");
    let text = file("").replace("listen: \"127.0.0.1:0\"\n", &listeners);
    let (config, _) = serin::config::load(&text, "test.yaml").unwrap();
    Proxy::start(config, &[origin.address], &[], 0)
}

#[tokio::test]
async fn a_head_over_its_limits_gets_the_status_that_says_so() {
    let origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let many = "X-Many: 1\r\n".repeat(101);
    let long = format!("X-Long: {}\r\n", "y".repeat(40_000));
    let head = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    let target = format!(
        "GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "z".repeat(9_000)
    );
    let cases = [(head(&many), 431), (head(&long), 431), (target, 414)];
    for (request, status) in cases {
        let mut client = Client::connect(proxy.address).await;
        client.send(&request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{} bytes", request.len());
        assert_eq!(answer.field("connection"), Some("close"));
    }
    let mut client = Client::connect(proxy.address).await;
    let fields = format!("X-Many: {}\r\n", "v".repeat(500)).repeat(90);
    assert_eq!(
        client.get("/", &fields).await.status,
        200,
        "45 KiB of fields are fine"
    );
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_however_it_is_framed() {
    let origin = Origin::saying("x").await;
    let proxy = strict("limits: { max_body: 10KiB }", &origin);
    let mut client = Client::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10241\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 413);
    let mut client = Client::connect(proxy.address).await;
    let chunk = format!("1000\r\n{}\r\n", "b".repeat(4_096));
    client
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..3 {
        client.try_send(&chunk).await;
    }
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test]
async fn a_head_that_never_ends_is_timed_out() {
    let origin = Origin::saying("x").await;
    let proxy = strict("timeouts: { request_header: 200ms, idle: 200ms }", &origin);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost:").await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.field("connection")),
        (408, Some("close"))
    );
    let mut silent = Client::connect(proxy.address).await;
    assert!(
        silent.is_closed().await,
        "a client that says nothing is let go without a word"
    );
    let mut idle = Client::connect(proxy.address).await;
    assert_eq!(idle.get("/", "").await.status, 200);
    assert!(idle.is_closed().await);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_timed_out() {
    let origin = Origin::saying("x").await;
    let mut proxy = strict("timeouts: { body_idle: 200ms }", &origin);
    let mut client = Client::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    assert_eq!(client.answer().await.status, 408);
    let cell = proxy
        .counted(serin::model::Role::Stable, |cell| {
            cell.requests.sum(|_| true) == 1
        })
        .await;
    assert_eq!(cell.trials, 0, "a slow client is no evidence");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off_and_nothing_is_held_for_it() {
    let origin = Origin::answering(|_| crate::support::origin::ok(&"x".repeat(30_000_000))).await;
    let mut proxy = strict("timeouts: { body_idle: 200ms }", &origin);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let stable = serin::model::Role::Stable;
    let is_abort = |label: &serin::measure::AttemptLabel| label.outcome == Outcome::ClientAbort;
    proxy
        .counted(stable, |cell| cell.attempts.sum(is_abort) == 1)
        .await;
    // What has come already is read; then there is no orderly end.
    let mut got = Vec::new();
    let ended = client.stream.read_to_end(&mut got).await;
    assert_eq!(
        ended.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    assert!(got.len() < 30_000_000);
}

#[tokio::test]
async fn a_client_has_only_so_many_connections_over_all_workers() {
    let origin = Origin::saying("x").await;
    let limits = "limits: { max_connections_per_ip: 2 }";
    let proxy = strict(limits, &origin);
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address).await;
        assert_eq!(client.get("/", "").await.status, 200);
        clients.push(client);
    }
    let mut third = Client::connect(proxy.address).await;
    assert!(third.is_closed().await, "it is one too many");
    let mut other = Client::connect_from("127.0.0.2".parse().unwrap(), proxy.address).await;
    assert_eq!(other.get("/", "").await.status, 200, "another client");
    drop(clients.pop());
    // The proxy hears of the end a moment later.
    let mut next = Client::connect(proxy.address).await;
    while !next
        .try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await
        || next.any_answer("GET").await.is_none()
    {
        next = Client::connect(proxy.address).await;
    }
}
