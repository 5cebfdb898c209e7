//! No more is under way at an upstream than it may have; the rest waits, in order, or is sent away.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serin::model::{Outcome, Reason, Role};
use tokio::{io::AsyncWriteExt, sync::Semaphore};

use crate::support::{
    client::Client,
    origin::{Origin, ok, request},
    proxy::{Proxy, edge},
};

/// An origin that answers when it is told to, and how many requests it ever had at a time.
struct Held {
    origin: Origin,
    answers: Arc<Semaphore>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

async fn held() -> Held {
    let answers = Arc::new(Semaphore::new(0));
    let [now, most] = [const { AtomicUsize::new(0) }; 2].map(Arc::new);
    let (may_answer, under_way, peak) = (Arc::clone(&answers), Arc::clone(&now), Arc::clone(&most));
    let origin = Origin::doing(move |mut stream| {
        let (answers, now, most) = (
            Arc::clone(&may_answer),
            Arc::clone(&under_way),
            Arc::clone(&peak),
        );
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = request(&mut stream, &mut buffer).await {
                let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(count, Ordering::SeqCst);
                answers.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                if stream.write_all(&ok(seen.path())).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    Held {
        origin,
        answers,
        now,
        most,
    }
}

impl Held {
    /// Waits until so many requests are there.
    async fn has(&self, count: usize) {
        while self.now.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

/// A client that has sent its request.
async fn asking(proxy: &Proxy, path: &str) -> Client {
    let mut client = Client::connect(proxy.address).await;
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
        .await;
    client
}

fn limited(limits: &str, more: &str) -> serin::config::Config {
    edge("", &format!("circuit_breaker: {{ {limits} }}"), more)
}

#[tokio::test]
async fn what_is_too_much_waits_its_turn_and_what_finds_no_place_is_told() {
    let held = held().await;
    let config = limited("max_requests: 2, max_pending: 2, queue_timeout: 20s", "");
    let mut proxy = Proxy::with_workers(1, config, &[held.origin.address], &[], 0);
    let mut clients = vec![asking(&proxy, "/0").await, asking(&proxy, "/1").await];
    held.has(2).await;
    clients.push(asking(&proxy, "/2").await);
    proxy.under_way(3).await;
    clients.push(asking(&proxy, "/3").await);
    proxy.under_way(4).await;
    let mut client = Client::connect(proxy.address).await;
    let full = client.get("/4", "").await;
    assert_eq!((full.status, full.field("retry-after")), (503, Some("1")));
    assert_eq!(
        full.field("proxy-status"),
        Some(r#"serin; error=connection_limit_reached; details="queue full""#)
    );
    held.answers.add_permits(4);
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.answer().await.text(), format!("/{n}"));
    }
    assert_eq!(held.most.load(Ordering::SeqCst), 2, "never more than two");
    let counted = proxy.counted(Role::Stable, |cell| cell.trials == 4).await;
    assert_eq!(counted.failures, 0);
    let open = |label: &serin::measure::AttemptLabel| {
        label.reason == Reason::CircuitOpen && label.outcome == Outcome::Rejected
    };
    let counted = proxy
        .counted(Role::Stable, |cell| cell.attempts.sum(open) == 1)
        .await;
    assert_eq!(counted.trials, 4, "the version is not charged with it");
}

#[tokio::test]
async fn who_waits_for_too_long_is_told_and_who_leaves_gives_its_place_up() {
    let held = held().await;
    let limits = "max_requests_per_endpoint: 1, max_pending: 1, queue_timeout: 100ms";
    let config = limited(limits, "");
    let mut proxy = Proxy::with_workers(1, config, &[held.origin.address], &[], 0);
    let mut first = asking(&proxy, "/first").await;
    held.has(1).await;
    let mut client = Client::connect(proxy.address).await;
    let late = client.get("/late", "").await;
    assert_eq!(late.status, 503);
    assert_eq!(
        late.field("proxy-status"),
        Some(r#"serin; error=connection_limit_reached; details="queue timeout""#)
    );
    let leaves = asking(&proxy, "/leaves").await;
    proxy.under_way(2).await;
    drop(leaves);
    proxy.under_way(1).await;
    held.answers.add_permits(1);
    assert_eq!(first.answer().await.text(), "/first");
    held.answers.add_permits(1);
    assert_eq!(first.get("/next", "").await.text(), "/next");
}

#[tokio::test]
async fn no_endpoint_has_more_than_its_part() {
    let origins = [held().await, held().await, held().await];
    let addresses: Vec<_> = origins.iter().map(|held| held.origin.address).collect();
    let config = limited("max_requests_per_endpoint: 2, queue_timeout: 20s", "");
    let mut proxy = Proxy::with_workers(1, config, &addresses, &[], 0);
    let mut clients = Vec::new();
    for n in 0..12 {
        clients.push(asking(&proxy, &format!("/{n}")).await);
    }
    proxy.under_way(12).await;
    for held in &origins {
        held.has(2).await;
        held.answers.add_permits(12);
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    for held in &origins {
        assert_eq!(held.most.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn stable_answers_for_a_canary_that_has_enough_to_do() {
    let stable = Origin::saying("old").await;
    let held = held().await;
    let config = limited("max_requests: 1, max_pending: 0", "");
    let canary = [held.origin.address];
    let mut proxy = Proxy::with_workers(1, config, &[stable.address], &canary, 100);
    let mut first = asking(&proxy, "/first").await;
    held.has(1).await;
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.text(), "old");
    held.answers.add_permits(1);
    assert_eq!(first.answer().await.text(), "/first");
    let counted = proxy.counted(Role::Canary, |cell| cell.trials == 1).await;
    assert_eq!(counted.failures, 0, "the canary is not charged with it");
}
