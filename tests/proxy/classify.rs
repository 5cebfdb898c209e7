//! What counts against a version, as the file says it.

use serin::{
    measure::Cell,
    model::{Outcome, Role},
};
use tokio::{io::AsyncReadExt, sync::mpsc};

use crate::support::{
    client::Client,
    frames::{self, Frames},
    origin::{self, Origin, answer, request},
    proxy::{Proxy, one_worker, proxy},
};

/// How many attempts and requests of a cell have this outcome.
fn with(cell: &Cell, outcome: Outcome) -> (u64, u64) {
    let attempts = cell.attempts.sum(|label| label.outcome == outcome);
    (
        attempts,
        cell.requests.sum(|label| label.outcome == outcome),
    )
}

/// What stable was charged with, once all of so many requests have ended.
async fn settled(proxy: &mut Proxy, requests: u64) -> Cell {
    proxy
        .counted(Role::Stable, |cell| {
            cell.requests.sum(|_| true) == requests && cell.attempts.sum(|_| true) == requests
        })
        .await
}

#[tokio::test]
async fn answers_count_as_the_first_rule_that_fits_says() {
    let by_path = |path: &str| answer(path.trim_matches('/').parse().unwrap_or(500), "x");
    let origin = Origin::answering(move |seen| by_path(seen.path())).await;
    let rules = "    classify:
      - { when: { path: /healthz }, as: ignored }
      - { when: { status: [501, 599] }, as: success }
      - { when: { status: 4xx }, as: tracked }
      - { when: { status: 202 }, as: failure }\n";
    let mut proxy = proxy(&[origin.address], &[], 0, rules);
    let mut client = Client::connect(proxy.address).await;
    let asked = [
        "/healthz", "/healthz", "/200", "/202", "/404", "/422", "/501", "/503", "/other",
    ];
    for path in asked {
        client.get(path, "").await;
    }
    let cell = settled(&mut proxy, 9).await;
    assert_eq!(with(&cell, Outcome::Ignored), (2, 2));
    assert_eq!(with(&cell, Outcome::Tracked), (2, 2));
    assert_eq!(with(&cell, Outcome::Success), (2, 2), "200 and 501");
    assert_eq!(with(&cell, Outcome::Failure), (3, 3), "202, 503 and 500");
    let judged = (cell.trials, cell.failures, cell.latency.count());
    assert_eq!(judged, (7, 3, 7), "what is ignored is not seen");
    let of_endpoint: Vec<_> = proxy
        .endpoints
        .values()
        .map(|it| (it.trials, it.failures))
        .collect();
    assert_eq!(of_endpoint, [(7, 3)]);
}

#[tokio::test]
async fn no_rule_excuses_an_endpoint_that_cannot_be_reached() {
    let nowhere = origin::nowhere().await;
    let rules = "    classify: [{ when: { path_prefix: / }, as: ignored }]\n";
    let mut proxy = proxy(&[nowhere], &[], 0, rules);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.status, 502);
    let cell = settled(&mut proxy, 1).await;
    assert_eq!(with(&cell, Outcome::Failure), (1, 1));
    assert_eq!((cell.trials, cell.failures), (1, 1));
}

#[tokio::test]
async fn what_it_means_that_a_client_leaves_is_for_rules_to_say() {
    let short = "{ when: client_abort, as: ignored, unless_slower_than: 1us }";
    let long = "{ when: client_abort, as: ignored, unless_slower_than: 1h }";
    let failure = "{ when: client_abort, as: failure }";
    for (rules, outcome, failures) in [
        (String::new(), Outcome::ClientAbort, 0),
        (short.to_owned(), Outcome::ClientAbort, 0),
        (long.to_owned(), Outcome::Ignored, 0),
        (format!("{long}, {failure}"), Outcome::Ignored, 0),
        (format!("{short}, {failure}"), Outcome::Failure, 1),
    ] {
        let (tell, mut heard) = mpsc::unbounded_channel();
        let origin = Origin::doing(move |mut stream| {
            let tell = tell.clone();
            async move {
                request(&mut stream, &mut Vec::new()).await.unwrap();
                tell.send(()).unwrap();
                let _ended = stream.read(&mut [0; 1]).await;
            }
        })
        .await;
        let rules = format!("    classify: [{rules}]\n");
        let mut proxy = proxy(&[origin.address], &[], 0, &rules);
        let mut client = Client::connect(proxy.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        heard.recv().await.unwrap();
        drop(client);
        let cell = settled(&mut proxy, 1).await;
        assert_eq!(with(&cell, outcome), (1, 1), "{rules}");
        assert_eq!((cell.trials, cell.failures), (failures, failures));
        let is_left = outcome == Outcome::ClientAbort;
        assert_eq!(cell.abandoned.count(), u64::from(is_left), "{rules}");
    }
}

#[tokio::test]
async fn the_status_of_a_call_counts_wherever_it_stands() {
    let say = |path: &str| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n";
        let code = path.trim_start_matches("/trailers/");
        let answer = if code == path {
            let code = path.trim_start_matches('/');
            format!("{head}grpc-status: {code}\r\nContent-Length: 0\r\n\r\n")
        } else {
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\ngrpc-status: {code}\r\n\r\n")
        };
        answer.into_bytes()
    };
    let origin = Origin::answering(move |seen| say(seen.path())).await;
    let rules = "    classify:
      - { when: { grpc_status: [UNAVAILABLE, DATA_LOSS] }, as: tracked }
      - { when: { grpc_status: RESOURCE_EXHAUSTED }, as: failure }\n";
    let mut proxy = proxy(&[origin.address], &[], 0, rules);
    let mut client = Frames::connect(proxy.address).await;
    let paths = [
        "/14",
        "/trailers/15",
        "/8",
        "/trailers/8",
        "/0",
        "/5",
        "/13",
    ];
    for path in paths {
        let stream = client.open();
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a.test"),
            (":path", path),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        client.fields(stream, &frames::block(&head), true).await;
        let outcome = client.outcome(stream).await;
        assert_eq!(outcome, frames::Outcome::Status(200), "{path}");
    }
    let cell = settled(&mut proxy, 7).await;
    assert_eq!(with(&cell, Outcome::Tracked), (2, 2), "14 and 15");
    assert_eq!(with(&cell, Outcome::Failure), (3, 3), "8 and 13");
    assert_eq!(with(&cell, Outcome::Success), (2, 2), "0 and 5");
}

#[tokio::test]
async fn nobody_waits_for_an_answer_that_is_ignored_anyway() {
    let (tell, mut heard) = mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            request(&mut stream, &mut Vec::new()).await.unwrap();
            tell.send(()).unwrap();
            let _ended = stream.read(&mut [0; 1]).await;
        }
    })
    .await;
    let rules = "    classify: [{ when: { path: /events }, as: ignored }]\n";
    let mut proxy = one_worker(&[origin.address], &[], 0, rules);
    let mut clients = Vec::new();
    for path in ["/events", "/events", "/shop"] {
        let mut client = Client::connect(proxy.address).await;
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
            .await;
        heard.recv().await.unwrap();
        clients.push(client);
    }
    assert_eq!(proxy.most_under_way(10).await, 1, "the shop's");
}
