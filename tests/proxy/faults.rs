//! What the client sees, and what is counted against whom, when something breaks.

use std::time::Duration;

use serin::model::{Outcome, Reason, Role};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::support::{
    client::Client,
    origin::{Origin, answer, nowhere, ok, request},
    proxy::proxy,
};

#[tokio::test]
async fn a_dead_canary_costs_no_client_anything_and_is_charged() {
    let old = Origin::saying("old").await;
    let mut proxy = proxy(&[old.address], &[nowhere().await], 20, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..500 {
        assert_eq!(client.get("/", "").await.text(), "old");
    }
    let stable = proxy
        .counted(Role::Stable, |cell| cell.attempts.sum(|_| true) == 500)
        .await;
    assert_eq!(stable.failures, 0);
    let fallbacks = stable
        .attempts
        .sum(|label| label.reason == Reason::Fallback);
    assert!((99..=101).contains(&fallbacks), "{fallbacks}");
    let canary = proxy
        .counted(Role::Canary, |cell| cell.trials == fallbacks)
        .await;
    assert_eq!(canary.failures, fallbacks);
    let seen = old.connections();
    assert!(seen <= 2, "{seen} connections");
}

#[tokio::test]
async fn a_canary_without_endpoints_is_a_dead_canary() {
    let mut old = Origin::saying("old").await;
    let mut proxy = proxy(&[old.address], &[], 100, "");
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.text(), "old");
    assert_eq!(old.next().await.field("x-serin-version"), Some("old"));
    let canary = proxy.counted(Role::Canary, |cell| cell.failures == 1).await;
    assert_eq!(
        canary
            .attempts
            .sum(|label| label.reason == Reason::NoEndpoint),
        1
    );
}

#[tokio::test]
async fn without_fallback_or_any_endpoint_the_client_is_told() {
    let old = Origin::saying("old").await;
    let proxy_failing = proxy(
        &[old.address],
        &[nowhere().await],
        100,
        "    on_unhealthy: fail\n",
    );
    let mut client = Client::connect(proxy_failing.address).await;
    let refused = client.get("/", "").await;
    assert_eq!(refused.status, 502);
    assert_eq!(
        refused.field("proxy-status"),
        Some("serin; error=connection_refused")
    );
    let empty = proxy(&[], &[], 0, "");
    let mut client = Client::connect(empty.address).await;
    let none = client.get("/", "").await;
    assert_eq!((none.status, none.field("retry-after")), (503, Some("1")));
    assert_eq!(
        client.get("/", "").await.status,
        503,
        "the client's connection is kept"
    );
}

#[tokio::test]
async fn another_endpoint_is_tried_when_one_refuses() {
    let alive = Origin::saying("alive").await;
    let proxy = proxy(&[nowhere().await, alive.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..50 {
        client
            .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi")
            .await;
        assert_eq!(client.answer().await.text(), "alive");
    }
}

/// Answers one request a connection, then closes it as soon as the next one comes.
async fn closing_after_one() -> (Origin, mpsc::UnboundedReceiver<String>) {
    let (tell, heard) = mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = Vec::new();
            let first = request(&mut stream, &mut buffer).await.unwrap();
            stream.write_all(&ok("one")).await.unwrap();
            tell.send(first.line).unwrap();
            if let Some(second) = request(&mut stream, &mut buffer).await {
                tell.send(format!("dropped {}", second.line)).unwrap();
            }
        }
    })
    .await;
    (origin, heard)
}

#[tokio::test]
async fn a_get_on_a_stale_connection_is_repeated_and_no_failure() {
    let (origin, mut heard) = closing_after_one().await;
    let mut proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..4 {
        assert_eq!(client.get("/", "").await.status, 200);
    }
    let cell = proxy.counted(Role::Stable, |cell| cell.trials == 4).await;
    assert_eq!(cell.failures, 0);
    assert_eq!(heard.recv().await.unwrap(), "GET / HTTP/1.1");
    assert_eq!(heard.recv().await.unwrap(), "dropped GET / HTTP/1.1");
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let (origin, mut heard) = closing_after_one().await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
    client.send(post).await;
    assert_eq!(client.answer().await.status, 200);
    client.send(post).await;
    assert_eq!(client.answer().await.status, 502);
    assert_eq!(heard.recv().await.unwrap(), "POST / HTTP/1.1");
    assert_eq!(heard.recv().await.unwrap(), "dropped POST / HTTP/1.1");
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_that_the_endpoint_closed_in_time_is_never_used() {
    let mut origin = Origin::answering(|_| [ok("x"), Vec::new()].concat()).await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.status, 200);
    origin.next().await;
    let mut quick = Client::connect(proxy.address).await;
    let closing = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx".to_vec()
    })
    .await;
    drop(origin);
    let proxy = crate::support::proxy::proxy(&[closing.address], &[], 0, "");
    quick = {
        drop(quick);
        Client::connect(proxy.address).await
    };
    for _ in 0..5 {
        quick
            .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi")
            .await;
        assert_eq!(quick.answer().await.status, 200);
    }
    assert_eq!(closing.connections(), 5);
}

#[tokio::test]
async fn a_hung_endpoint_is_a_timeout_and_counts_at_its_limit() {
    let hung = Origin::doing(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut proxy = proxy(
        &[hung.address],
        &[],
        0,
        "    timeouts: { response_header: 200ms }\n",
    );
    let mut client = Client::connect(proxy.address).await;
    let late = client.get("/", "").await;
    assert_eq!(late.status, 504);
    assert_eq!(
        late.field("proxy-status"),
        Some("serin; error=http_response_timeout")
    );
    let cell = proxy.counted(Role::Stable, |cell| cell.failures == 1).await;
    assert_eq!(
        cell.attempts
            .sum(|label| label.reason == Reason::ResponseTimeout),
        1
    );
    assert!(cell.latency.quantile(1.0).unwrap() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_truncated_answer_is_cut_off_not_completed() {
    let truncating = Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        let seen = request(&mut stream, &mut buffer).await.unwrap();
        let answer: &[u8] = match seen.path() {
            "/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        };
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let mut proxy = proxy(&[truncating.address], &[], 0, "");
    for path in ["/length", "/chunked"] {
        let mut client = Client::connect(proxy.address).await;
        let answer = client.get(path, "").await;
        assert_eq!(answer.status, 200);
        assert!(!answer.is_whole, "{path}");
    }
    let cell = proxy.counted(Role::Stable, |cell| cell.failures == 2).await;
    assert_eq!(cell.attempts.sum(|label| label.reason == Reason::Reset), 2);
}

#[tokio::test]
async fn garbage_from_an_endpoint_is_a_502() {
    let garbage: [&'static [u8]; 6] = [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 99999 Big\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for bytes in garbage {
        let origin = Origin::answering(move |_| bytes.to_vec()).await;
        let proxy = proxy(&[origin.address], &[], 0, "");
        let mut client = Client::connect(proxy.address).await;
        let answer = client.get("/", "").await;
        assert_eq!(answer.status, 502, "{}", String::from_utf8_lossy(bytes));
        assert_eq!(
            client.get("/", "").await.status,
            502,
            "the client's connection is kept"
        );
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_never_answer_the_next_request() {
    let origin = Origin::answering(|_| [ok("one"), ok("stray")].concat()).await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..3 {
        assert_eq!(client.get("/", "").await.text(), "one");
    }
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_endpoint_and_blames_nobody() {
    let (tell, mut heard) = mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = Vec::new();
            request(&mut stream, &mut buffer).await.unwrap();
            tell.send("asked").unwrap();
            let ended = stream.read(&mut [0; 1]).await;
            assert!(matches!(ended, Ok(0) | Err(_)));
            tell.send("left").unwrap();
        }
    })
    .await;
    let mut proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert_eq!(heard.recv().await, Some("asked"));
    drop(client);
    assert_eq!(heard.recv().await, Some("left"));
    let is_abort = |outcome| outcome == Outcome::ClientAbort;
    let cell = proxy
        .counted(Role::Stable, |cell| {
            cell.attempts.sum(|label| is_abort(label.outcome)) == 1
        })
        .await;
    assert_eq!((cell.trials, cell.failures), (0, 0));
}

#[tokio::test]
async fn a_malformed_body_is_the_clients_fault() {
    let origin = Origin::saying("x").await;
    let mut proxy = proxy(&[origin.address], &[], 0, "");
    let bodies = [
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    ];
    for body in bodies {
        let mut client = Client::connect(proxy.address).await;
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{body}"))
            .await;
        assert_eq!(client.answer().await.status, 400, "{body}");
        assert!(client.is_closed().await);
    }
    let mut client = Client::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n")
        .await;
    client.send("abc").await;
    client.send("!!").await;
    assert_eq!(client.answer().await.status, 400);
    let cell = proxy
        .counted(Role::Stable, |cell| cell.requests.sum(|_| true) == 3)
        .await;
    assert_eq!((cell.trials, cell.failures), (0, 0));
}

#[tokio::test]
async fn a_failing_status_is_a_failure_and_a_client_error_is_not() {
    let origin = Origin::answering(|seen| {
        let status = seen.path().trim_start_matches('/').parse().unwrap();
        answer(status, "x")
    })
    .await;
    let mut proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for status in [200, 404, 500, 503] {
        assert_eq!(client.get(&format!("/{status}"), "").await.status, status);
    }
    let cell = proxy.counted(Role::Stable, |cell| cell.trials == 4).await;
    assert_eq!((cell.failures, cell.failed_requests.len()), (2, 2));
}

/// Breaks each connection as soon as a request has come over it, `fails` times; then it answers.
async fn breaking(fails: usize) -> (Origin, mpsc::UnboundedReceiver<String>) {
    let (tell, heard) = mpsc::unbounded_channel();
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(fails));
    let origin = Origin::doing(move |mut stream| {
        let (tell, left) = (tell.clone(), std::sync::Arc::clone(&left));
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = request(&mut stream, &mut buffer).await {
                tell.send(seen.line).unwrap();
                let order = std::sync::atomic::Ordering::SeqCst;
                if left
                    .try_update(order, order, |left| left.checked_sub(1))
                    .is_ok()
                {
                    return;
                }
                stream.write_all(&ok("at last")).await.unwrap();
            }
        }
    })
    .await;
    (origin, heard)
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_tried_once_more_if_that_does_no_harm() {
    let cases = [
        ("GET", 1, 200, 2),
        ("PUT", 1, 200, 2),
        ("DELETE", 1, 200, 2),
        ("GET", 9, 502, 2),
        ("POST", 1, 502, 1),
        ("PATCH", 1, 502, 1),
        ("PURGE", 1, 502, 1),
    ];
    for (method, fails, status, attempts) in cases {
        let (origin, mut heard) = breaking(fails).await;
        let proxy = proxy(&[origin.address], &[], 0, "");
        let mut client = Client::connect(proxy.address).await;
        let body = "Content-Length: 2\r\n\r\nhi";
        client
            .send(format!("{method} / HTTP/1.1\r\nHost: a.test\r\n{body}"))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{method}, {fails} failures");
        let asked = std::iter::from_fn(|| heard.try_recv().ok()).count();
        assert_eq!(asked, attempts, "{method}, {fails} failures");
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_no_connection_is_a_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full the system answers no more.
    let mut queued = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(stream) =
        tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
    }
    let text = crate::support::proxy::file("").replace(
        "static: [\"127.0.0.1:1\"]",
        "static: [\"127.0.0.1:1\"], timeouts: { connect: 200ms }",
    );
    let (config, _) = serin::config::load(&text, "test.yaml").unwrap();
    let proxy = crate::support::proxy::Proxy::start(config, &[address], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..2 {
        let late = client.get("/", "").await;
        assert_eq!(late.status, 504);
        let cause = late.field("proxy-status");
        assert_eq!(cause, Some("serin; error=connection_timeout"));
    }
}

#[tokio::test]
async fn an_answer_that_comes_slowly_is_not_cut_off_by_the_limit_of_its_head() {
    let limit = Duration::from_millis(100);
    let (tell, heard) = mpsc::unbounded_channel::<()>();
    let heard = std::sync::Arc::new(tokio::sync::Mutex::new(heard));
    let slow = Origin::doing(move |mut stream| {
        let heard = std::sync::Arc::clone(&heard);
        async move {
            let mut buffer = Vec::new();
            request(&mut stream, &mut buffer).await.unwrap();
            let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(start).await.unwrap();
            let began = tokio::time::Instant::now();
            // A piece goes when the client has the one before.
            while began.elapsed() < 4 * limit {
                stream.write_all(b"1\r\nx\r\n").await.unwrap();
                heard.lock().await.recv().await.unwrap();
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let limits = "    timeouts: { response_header: 100ms }\n";
    let proxy = proxy(&[slow.address], &[], 0, limits);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n0\r\n\r\n") {
        assert!(client.stream.read_buf(&mut got).await.unwrap() > 0);
        let _next = tell.send(());
    }
}

#[tokio::test]
async fn an_answer_that_stops_coming_is_cut_off() {
    let stalled = Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        request(&mut stream, &mut buffer).await.unwrap();
        let part = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        stream.write_all(part).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let text = crate::support::proxy::file("").replace(
        "static: [\"127.0.0.1:1\"]",
        "static: [\"127.0.0.1:1\"], timeouts: { body_idle: 200ms }",
    );
    let (config, _) = serin::config::load(&text, "test.yaml").unwrap();
    let mut proxy = crate::support::proxy::Proxy::start(config, &[stalled.address], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    let answer = client.get("/", "").await;
    assert_eq!((answer.status, answer.is_whole), (200, false));
    let cell = proxy.counted(Role::Stable, |cell| cell.failures == 1).await;
    let late = cell
        .attempts
        .sum(|label| label.reason == Reason::ResponseTimeout);
    assert_eq!(late, 1);
}
