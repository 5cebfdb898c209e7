//! Users never pay for the canary: what it cannot answer, stable does, and it is charged.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serin::{
    measure::{Cell, Repeat},
    model::{Outcome, Reason, Role},
};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::support::{
    client::Client,
    h2_client::Connection,
    h2_origin::{Given, H2Origin, given},
    origin::{Origin, answer, nowhere, ok, request},
    proxy::{Proxy, edge, one_worker, proxy},
};

/// Requests of each kind.
const COUNT: usize = 250;

/// How a canary fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Dead,
    Answers,
    Resets,
    Garbage,
    Hangs,
}

/// A canary of which three of ten attempts fail, and how often it has got a POST.
async fn failing(fault: Fault) -> (Origin, Arc<AtomicUsize>) {
    let (turn, posts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&posts);
    let origin = Origin::doing(move |mut stream| {
        let (turn, posts) = (Arc::clone(&turn), Arc::clone(&counted));
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = request(&mut stream, &mut buffer).await {
                if seen.line.starts_with("POST") {
                    posts.fetch_add(1, Ordering::SeqCst);
                }
                let fails = turn.fetch_add(1, Ordering::SeqCst) % 10 < 3;
                let answer = match fault {
                    Fault::Answers if fails => answer(503, "sorry"),
                    Fault::Garbage if fails => b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
                    Fault::Hangs if fails => std::future::pending().await,
                    Fault::Resets if fails => return,
                    Fault::Dead
                    | Fault::Answers
                    | Fault::Garbage
                    | Fault::Hangs
                    | Fault::Resets => [
                        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
                        &b"new"[..],
                    ]
                    .concat(),
                };
                stream.write_all(&answer).await.unwrap();
                if fault != Fault::Answers {
                    return;
                }
            }
        }
    })
    .await;
    (origin, posts)
}

fn ended(cell: &Cell) -> u64 {
    cell.requests.sum(|_| true)
}

fn repeats(cell: &Cell, repeat: Repeat) -> u64 {
    cell.repeats.sum(|label| label.repeat == repeat)
}

#[tokio::test]
async fn no_get_fails_and_no_post_comes_twice_however_a_canary_fails() {
    let faults = [
        Fault::Dead,
        Fault::Answers,
        Fault::Resets,
        Fault::Garbage,
        Fault::Hangs,
    ];
    for fault in faults {
        let old = Origin::saying("old").await;
        let (new, posts) = failing(fault).await;
        let canary = if fault == Fault::Dead {
            nowhere().await
        } else {
            new.address
        };
        let limit = "    retry_policy: { per_try_timeout: 100ms }\n    \
                     timeouts: { response_header: 200ms }\n";
        let mut proxy = proxy(&[old.address], &[canary], 20, limit);
        let mut client = Client::connect(proxy.address).await;
        for _ in 0..COUNT {
            let answer = client.get("/", "").await;
            assert_eq!(answer.status, 200, "{fault:?}");
        }
        let canary = proxy.counted(Role::Canary, |cell| ended(cell) >= 45).await;
        let least = if fault == Fault::Dead { 45 } else { 10 };
        assert!(canary.failures >= least, "{fault:?}: {}", canary.failures);
        assert_eq!(
            repeats(&canary, Repeat::Rescue),
            canary.failures,
            "{fault:?}"
        );
        let good = canary
            .requests
            .sum(|label| label.outcome == Outcome::Success);
        assert_eq!(good, ended(&canary), "{fault:?}: as clients saw it");

        let before = posts.load(Ordering::SeqCst);
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
        let mut failed = 0;
        for _ in 0..COUNT {
            client.send(post).await;
            failed += usize::from(client.answer().await.status != 200);
        }
        let got = posts.load(Ordering::SeqCst) - before;
        if fault == Fault::Dead {
            assert_eq!((failed, got), (0, 0), "nothing was sent there");
        } else {
            assert!((45..=55).contains(&got), "{fault:?}: {got}, each once");
            assert!(failed >= 10, "{fault:?}: a POST that has failed stays so");
        }
    }
}

#[tokio::test]
async fn a_rescue_is_two_attempts_and_the_canary_is_charged_with_the_first() {
    let mut old = Origin::saying("old").await;
    let mut new = Origin::answering(|_| answer(503, "sorry")).await;
    let mut proxy = proxy(&[old.address], &[new.address], 100, "    sticky: {}\n");
    let mut client = Client::connect(proxy.address).await;
    let answer = client.get("/", "").await;
    assert_eq!((answer.status, answer.text()), (200, "old"));
    assert!(
        answer.field("set-cookie").is_some(),
        "the client stays the canary's"
    );
    assert_eq!(new.next().await.field("x-serin-version"), Some("new"));
    assert_eq!(old.next().await.field("x-serin-version"), Some("old"));
    assert!(new.try_next().is_none() && old.try_next().is_none());
    let canary = proxy.counted(Role::Canary, |cell| cell.failures == 1).await;
    assert_eq!((canary.trials, canary.assigned), (1, 1));
    let stable = proxy
        .counted(Role::Stable, |cell| cell.attempts.sum(|_| true) == 1)
        .await;
    assert_eq!((stable.trials, stable.assigned), (0, 0));
    let rescues = stable.attempts.sum(|label| label.reason == Reason::Rescue);
    assert_eq!(rescues, 1);
    assert_eq!(client.get("/", "").await.text(), "old");
    let connections = (new.connections(), old.connections());
    assert_eq!(connections, (1, 1), "a short answer leaves its connection");
}

#[tokio::test]
async fn stables_bad_answer_is_an_answer() {
    let old = Origin::answering(|_| answer(500, "old")).await;
    let new = Origin::answering(|_| answer(503, "new")).await;
    let proxy = proxy(&[old.address], &[new.address], 100, "");
    let mut client = Client::connect(proxy.address).await;
    let answer = client.get("/", "").await;
    assert_eq!((answer.status, answer.text()), (500, "old"));
}

#[tokio::test]
async fn what_the_file_calls_no_failure_is_no_reason_for_a_rescue() {
    let old = Origin::saying("old").await;
    let new = Origin::answering(|_| answer(503, "new")).await;
    let rules = [
        "    classify: [{ when: { status: 503 }, as: tracked }]\n",
        "    retry_policy: { rescue_on: none }\n",
        "    on_unhealthy: fail\n",
        "    retry_policy: { retry_on: [\"500\"] }\n",
    ];
    for rule in rules {
        let proxy = proxy(&[old.address], &[new.address], 100, rule);
        let mut client = Client::connect(proxy.address).await;
        let answer = client.get("/", "").await;
        assert_eq!((answer.status, answer.text()), (503, "new"), "{rule}");
    }
}

#[tokio::test]
async fn a_body_that_came_with_its_head_goes_along() {
    let mut old = Origin::saying("old").await;
    let new = Origin::answering(|_| answer(503, "sorry")).await;
    let policy = "    retry_policy: { methods: [PUT] }\n";
    let proxy = proxy(&[old.address], &[new.address], 100, policy);
    let mut client = Client::connect(proxy.address).await;
    let put = "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n";
    client.send(format!("{put}hello")).await;
    assert_eq!(client.answer().await.text(), "old");
    assert_eq!(old.next().await.body, b"hello");
}

#[tokio::test]
async fn a_hung_canary_is_judged_when_stable_is_asked() {
    let (release, heard) = mpsc::unbounded_channel::<()>();
    let heard = Arc::new(tokio::sync::Mutex::new(heard));
    let old = Origin::doing(move |mut stream| {
        let heard = Arc::clone(&heard);
        async move {
            let mut buffer = Vec::new();
            request(&mut stream, &mut buffer).await.unwrap();
            heard.lock().await.recv().await.unwrap();
            stream.write_all(&ok("old")).await.unwrap();
        }
    })
    .await;
    let (new, _held) = hung().await;
    let policy = "    retry_policy: { per_try_timeout: 100ms }\n";
    let mut proxy = proxy(&[old.address], &[new], 100, policy);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let canary = proxy.counted(Role::Canary, |cell| cell.failures == 1).await;
    let longest = canary.latency.quantile(1.0).unwrap();
    assert!((100..1_000).contains(&longest.as_millis()), "{longest:?}");
    release.send(()).unwrap();
    assert_eq!(client.answer().await.text(), "old");
}

/// Takes requests and never answers.
async fn hung() -> (SocketAddr, Origin) {
    let origin = Origin::doing(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    (origin.address, origin)
}

#[tokio::test]
async fn the_whole_exchange_has_one_limit() {
    let (old, _held) = hung().await;
    let (new, _held) = hung().await;
    let policy = "    retry_policy: { per_try_timeout: 100ms }\n    timeouts: { total: 300ms }\n";
    let proxy = proxy(&[old], &[new], 100, policy);
    let mut client = Client::connect(proxy.address).await;
    let began = tokio::time::Instant::now();
    let answer = client.get("/", "").await;
    assert_eq!(answer.status, 504);
    assert!((300..5_000).contains(&began.elapsed().as_millis()));
}

#[tokio::test]
async fn where_both_versions_fail_stable_is_not_asked_twice_for_nothing() {
    let old = Origin::answering(|_| answer(503, "old")).await;
    let new = Origin::answering(|_| answer(503, "new")).await;
    let policy = "    retry_policy: { retry_on: [5xx], retry_budget: 20% }\n";
    let mut proxy = proxy(&[old.address], &[new.address], 50, policy);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..2_000 {
        assert_eq!(client.get("/", "").await.status, 503);
    }
    let total = |cell: &Cell| cell.attempts.sum(|_| true);
    let canary = proxy.counted(Role::Canary, |cell| ended(cell) > 980).await;
    let stable = proxy.counted(Role::Stable, |cell| ended(cell) > 980).await;
    let extra = total(&canary) + total(&stable) - ended(&canary) - ended(&stable);
    assert!((280..=410).contains(&extra), "{extra} of 2,000");
    assert!(repeats(&canary, Repeat::Denied) > 0);
}

#[tokio::test]
async fn stable_takes_back_what_it_has_room_for_and_the_rest_is_told_when_to_come_again() {
    let dead = nowhere().await;
    let failing = Origin::answering(|_| answer(500, "sorry")).await;
    for (canary, status) in [(dead, 503), (failing.address, 500)] {
        let old = Origin::saying("old").await;
        let policy = "    retry_policy: { respect_capacity: 10% }\n";
        let mut proxy = one_worker(&[old.address], &[canary], 50, policy);
        let mut client = Client::connect(proxy.address).await;
        let mut refused = 0;
        for _ in 0..400 {
            let answer = client.get("/", "").await;
            if answer.status != 200 {
                refused += 1;
                assert_eq!(answer.status, status);
                let again = (status == 503).then_some("1");
                assert_eq!(answer.field("retry-after"), again);
            }
        }
        // Of 200 requests of the canary's ten were saved up, and 20 are a tenth of stable's.
        assert!((165..=176).contains(&refused), "{refused}");
        let canary = proxy.counted(Role::Canary, |cell| ended(cell) > 190).await;
        assert_eq!(
            canary.failures, canary.trials,
            "the canary is charged with all"
        );
        assert!(repeats(&canary, Repeat::Denied) >= refused - 10);
    }
}

#[tokio::test]
async fn a_rescue_speaks_the_protocol_of_each_side() {
    let old = H2Origin::answering(|_| given("old")).await;
    let new = H2Origin::answering(|_| Given {
        status: 503,
        ..given("sorry")
    })
    .await;
    let proxy = over_h2c("", &old, &new);
    let mut client = Connection::connect(proxy.address).await;
    for _ in 0..3 {
        let answer = client.get("/", &[]).await;
        assert_eq!((answer.status, answer.text()), (200, "old"));
    }
    let posted = client.post("/", &[], "hi").await;
    assert_eq!((posted.status, posted.text()), (503, "sorry"));
}

/// All goes to the canary; both versions speak HTTP/2.
fn over_h2c(more: &str, old: &H2Origin, new: &H2Origin) -> Proxy {
    let config = edge("protocols: [h2c, grpc]", "protocol: h2c", more);
    Proxy::start(config, &[old.address], &[new.address], 100)
}

#[tokio::test]
async fn what_hangs_at_a_canary_that_loses_its_traffic_is_soon_answered_by_stable() {
    let stable = Origin::saying("old").await;
    let (told, mut asked) = mpsc::unbounded_channel();
    let canary = Origin::doing(move |mut stream| {
        let told = told.clone();
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = request(&mut stream, &mut buffer).await {
                told.send(seen.line).unwrap();
            }
        }
    });
    let canary = canary.await;
    let mut proxy = proxy(&[stable.address], &[canary.address], 100, "");
    let mut get = Client::connect(proxy.address).await;
    get.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut post = Client::connect(proxy.address).await;
    post.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
        .await;
    for _ in 0..2 {
        asked.recv().await.unwrap();
    }
    proxy.change(|world| world.shift(0, 2));
    assert_eq!(get.answer().await.text(), "old");
    let canary = proxy.counted(Role::Canary, |cell| cell.failures == 1).await;
    let repeats = canary.repeats.iter();
    let rescues = repeats.filter(|(label, _)| label.repeat == Repeat::Rescue);
    let rescues: Vec<_> = rescues
        .map(|(label, count)| (label.reason, count))
        .collect();
    assert_eq!(rescues, [(Reason::ResponseTimeout, 1)]);
    assert!(asked.try_recv().is_err(), "the POST is left where it is");
}

/// Breaks the connection instead of answering, each time `is_broken` says so of the count so far.
async fn breaking(is_broken: fn(usize) -> bool) -> Origin {
    let turn = Arc::new(AtomicUsize::new(0));
    Origin::doing(move |mut stream| {
        let turn = Arc::clone(&turn);
        async move {
            let mut buffer = Vec::new();
            while request(&mut stream, &mut buffer).await.is_some() {
                if is_broken(turn.fetch_add(1, Ordering::SeqCst)) {
                    return;
                }
                stream.write_all(&ok("new")).await.unwrap();
            }
        }
    })
    .await
}

/// What a canary is charged with in 300 requests of which none may fail.
async fn charged(canary: Origin) -> u64 {
    let old = Origin::saying("old").await;
    let mut proxy = one_worker(&[old.address], &[canary.address], 100, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..300 {
        assert_eq!(client.get("/", "").await.status, 200);
    }
    let counted = proxy.counted(Role::Canary, |cell| ended(cell) == 300).await;
    assert_eq!(counted.trials, 300, "each request is tried once");
    counted.failures
}

#[tokio::test]
async fn a_canary_that_breaks_kept_connections_is_charged_and_one_that_closes_some_is_not() {
    let failures = charged(breaking(|turn| turn % 10 < 3).await).await;
    assert!((70..=95).contains(&failures), "{failures} of 300");
    let failures = charged(breaking(|turn| turn % 100 == 50).await).await;
    assert_eq!(failures, 0, "as servers do that close what has rested");
}
