//! A new endpoint gets copies of safe requests before users land on it.

use std::net::SocketAddr;

use serin::{
    clock,
    model::{Endpoint, Role, UpstreamName},
};

use crate::support::{
    client::Client,
    h2_origin::{H2Origin, given},
    origin::{Origin, Seen, answer, ok},
    proxy::{Proxy, edge},
};

const MARK: &str = "x-serin-warm-up";

/// One worker, with `old` and `new` at these addresses; new endpoints warm up as `more` says.
fn start(more: &str, stable: &[SocketAddr], canary: &[SocketAddr], percent: u16) -> Proxy {
    let more = format!("balance: {{ slow_start: 0s }}, warm_up: {{ {more} }}");
    Proxy::with_workers(1, edge("", &more, ""), stable, canary, percent)
}

/// An upstream has these endpoints from now on.
fn set(proxy: &mut Proxy, upstream: &str, addresses: &[SocketAddr]) {
    proxy.change(|world| {
        world.now = clock::now();
        let endpoints = addresses.iter().map(|address| Endpoint::new(*address));
        let name = UpstreamName::new(upstream).unwrap();
        world.endpoints.insert(name, endpoints.collect());
    });
}

fn is_copy(seen: &Seen) -> bool {
    seen.field(MARK) == Some("1")
}

#[tokio::test]
async fn users_come_after_the_copies_and_nothing_counts_them() {
    let old = [Origin::saying("old").await, Origin::saying("old").await];
    let mut new = Origin::saying("new").await;
    let stable = [old[0].address, old[1].address, new.address];
    let mut proxy = start("mirror: 5, age: 1h", &stable[..2], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    let mut asked = 0;
    while asked < 20 {
        asked += 1;
        assert_eq!(client.get("/", "").await.text(), "old");
    }
    set(&mut proxy, "old", &stable);
    let fields = "Cookie: user=7\r\nX-Serin-Warm-Up: 1\r\n";
    loop {
        asked += 1;
        if client.get("/page?a=1", fields).await.text() == "new" {
            break;
        }
    }
    for _ in 0..5 {
        let seen = new.next().await;
        assert!(is_copy(&seen), "{seen:?}");
        assert_eq!(seen.line, "GET /page?a=1 HTTP/1.1");
        assert_eq!(seen.field("cookie"), Some("user=7"));
        assert_eq!(seen.field("x-serin-version"), Some("old"));
        let said = seen.fields.iter().filter(|(name, _)| name == MARK);
        assert_eq!(said.count(), 1, "nobody else says so");
    }
    assert!(!is_copy(&new.next().await), "then a user");
    let counted = proxy
        .counted(Role::Stable, |cell| cell.trials >= asked)
        .await;
    assert_eq!(
        counted.attempts.sum(|_| true),
        asked,
        "copies are no attempts"
    );
}

#[tokio::test]
async fn only_safe_requests_without_a_body_are_copied() {
    let old = Origin::saying("old").await;
    let mut new = Origin::saying("new").await;
    let mut proxy = start(
        "mirror: 1000, age: 1h, methods: [GET, HEAD]",
        &[old.address],
        &[],
        0,
    );
    set(&mut proxy, "old", &[old.address, new.address]);
    let mut client = Client::connect(proxy.address).await;
    for head in [
        "POST /post HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
        "DELETE /delete HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        client.send(head).await;
        assert_eq!(client.answer().await.text(), "old");
    }
    client
        .send("HEAD /head HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    assert_eq!(client.answer_to("HEAD").await.status, 200);
    let seen = new.next().await;
    assert!(
        is_copy(&seen) && seen.line == "HEAD /head HTTP/1.1",
        "{seen:?}"
    );
}

#[tokio::test]
async fn bad_answers_warm_nothing_and_hurt_nobody() {
    let old = Origin::saying("old").await;
    let mut new = Origin::answering(|_| answer(500, "cold")).await;
    let mut proxy = start("mirror: 2, age: 1h", &[old.address], &[], 0);
    set(&mut proxy, "old", &[old.address, new.address]);
    let mut client = Client::connect(proxy.address).await;
    let (mut asked, mut copies) = (0, 0);
    while copies < 4 {
        asked += 1;
        assert_eq!(client.get("/", "").await.text(), "old");
        while let Some(seen) = new.try_next() {
            assert!(is_copy(&seen));
            copies += 1;
        }
    }
    let counted = proxy
        .counted(Role::Stable, |cell| cell.trials == asked)
        .await;
    assert_eq!(counted.failures, 0);
    assert!(proxy.ejected().is_none());
}

#[tokio::test]
async fn no_user_waits_for_an_endpoint_that_does_not_answer() {
    let old = Origin::saying("old").await;
    let new = Origin::doing(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut proxy = start("mirror: 9, age: 1h", &[old.address], &[], 0);
    set(&mut proxy, "old", &[old.address, new.address]);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..50 {
        assert_eq!(client.get("/", "").await.text(), "old");
    }
    assert!(new.connections() <= 2, "{} at once", new.connections());
}

#[tokio::test]
async fn age_ends_the_wait() {
    let old = Origin::saying("old").await;
    let new = Origin::answering(|seen| {
        if is_copy(seen) {
            answer(503, "cold")
        } else {
            ok("new")
        }
    })
    .await;
    let mut proxy = start("mirror: 9, age: 200ms", &[old.address], &[], 0);
    set(&mut proxy, "old", &[old.address, new.address]);
    let mut client = Client::connect(proxy.address).await;
    while client.get("/", "").await.text() != "new" {}
}

#[tokio::test]
async fn requests_of_stable_warm_the_canary_while_it_has_traffic() {
    let old = Origin::saying("old").await;
    let canary = Origin::saying("new").await;
    let mut new = Origin::saying("new").await;
    let mut proxy = start(
        "mirror: 1000, age: 1h",
        &[old.address],
        &[canary.address],
        0,
    );
    set(&mut proxy, "new", &[canary.address, new.address]);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..20 {
        assert_eq!(client.get("/none", "").await.text(), "old");
    }
    proxy.change(|world| {
        world.now = clock::now();
        world.shift(1, 1);
    });
    let seen = loop {
        client.get("/some", "").await;
        if let Some(seen) = new.try_next() {
            break seen;
        }
    };
    assert!(is_copy(&seen) && seen.line.contains("/some"), "{seen:?}");
    assert_eq!(seen.field("x-serin-version"), Some("new"));
}

#[tokio::test]
async fn endpoints_of_http2_warm_up_too() {
    let old = H2Origin::answering(|_| given("old")).await;
    let mut new = H2Origin::answering(|_| given("new")).await;
    let more = "protocol: h2c, balance: { slow_start: 0s }, warm_up: { mirror: 3, age: 1h }";
    let config = edge("", more, "");
    let mut proxy = Proxy::with_workers(1, config, &[old.address], &[], 0);
    set(&mut proxy, "old", &[old.address, new.address]);
    let mut client = Client::connect(proxy.address).await;
    while client.get("/", "").await.text() != "new" {}
    for _ in 0..3 {
        assert!(is_copy(&new.next().await));
    }
    assert!(!is_copy(&new.next().await));
}
