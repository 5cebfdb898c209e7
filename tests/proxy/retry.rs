//! What `retry_policy` says, over sockets.

use serin::{measure::Repeat, model::Role};

use crate::support::{
    client::Client,
    origin::{Origin, answer, ok},
    proxy::proxy,
};

/// Answers 503 so many times, then 200.
async fn late_bloomer(fails: usize) -> Origin {
    let left = std::sync::atomic::AtomicUsize::new(fails);
    let order = std::sync::atomic::Ordering::SeqCst;
    Origin::answering(move |_| {
        let fails = left.try_update(order, order, |left| left.checked_sub(1));
        if fails.is_ok() {
            answer(503, "not yet")
        } else {
            ok("at last")
        }
    })
    .await
}

#[tokio::test]
async fn a_status_is_repeated_where_the_file_names_it_as_often_as_it_says() {
    let cases = [
        ("{}", 1, "GET", 503, 1),
        ("{ retry_on: [\"503\"] }", 1, "GET", 200, 2),
        ("{ retry_on: [gateway_error] }", 1, "GET", 200, 2),
        ("{ retry_on: [5xx], attempts: 4 }", 3, "GET", 200, 4),
        ("{ retry_on: [5xx], attempts: 3 }", 3, "GET", 503, 3),
        ("{ retry_on: [5xx], attempts: 1 }", 1, "GET", 503, 1),
        ("{ retry_on: [\"500\"] }", 1, "GET", 503, 1),
        ("{ retry_on: [5xx] }", 1, "POST", 503, 1),
        ("{ retry_on: [5xx], methods: [POST] }", 1, "POST", 200, 2),
        ("{ retry_on: [5xx], methods: [POST] }", 1, "GET", 503, 1),
    ];
    for (policy, fails, method, status, attempts) in cases {
        let mut origin = late_bloomer(fails).await;
        let policy = format!("    retry_policy: {policy}\n");
        let proxy = proxy(&[origin.address], &[], 0, &policy);
        let mut client = Client::connect(proxy.address).await;
        let head = format!("{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        client.send(head).await;
        let got = client.answer().await;
        assert_eq!(got.status, status, "{policy}{method}");
        let seen = std::iter::from_fn(|| origin.try_next());
        let bodies: Vec<_> = seen.map(|seen| seen.body).collect();
        assert_eq!(bodies.len(), attempts, "{policy}{method}");
        assert!(bodies.iter().all(|body| body == b"hi"), "{policy}{method}");
    }
}

#[tokio::test]
async fn a_repeat_is_counted_and_the_judge_sees_the_first_attempt() {
    let origin = late_bloomer(1).await;
    let policy = "    retry_policy: { retry_on: [5xx] }\n";
    let mut proxy = proxy(&[origin.address], &[], 0, policy);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.text(), "at last");
    let cell = proxy
        .counted(Role::Stable, |cell| cell.requests.sum(|_| true) == 1)
        .await;
    assert_eq!((cell.trials, cell.failures), (1, 1));
    assert_eq!(cell.attempts.sum(|_| true), 2);
    let retries = cell.repeats.sum(|label| label.repeat == Repeat::Retry);
    assert_eq!(retries, 1);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_repeated() {
    let long = "x".repeat(200_000);
    let mut origin = Origin::answering(move |_| answer(503, &long)).await;
    let policy = "    retry_policy: { retry_on: [5xx], attempts: 2 }\n";
    let proxy = proxy(&[origin.address], &[], 0, policy);
    let mut client = Client::connect(proxy.address).await;
    let got = client.get("/", "").await;
    assert_eq!(
        (got.status, got.body.len(), got.is_whole),
        (503, 200_000, true)
    );
    assert_eq!(std::iter::from_fn(|| origin.try_next()).count(), 2);
}
