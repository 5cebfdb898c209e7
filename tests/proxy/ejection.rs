//! An endpoint that fails again and again gets no requests for a while, whichever worker saw it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serin::model::Role;

use crate::support::{
    client::Client,
    origin::{Origin, answer, nowhere, ok},
    proxy::{Proxy, edge},
};

/// Requests of a client, each over a connection of its own so that workers take turns; their
/// statuses.
async fn gets(proxy: &Proxy, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(proxy.address).await;
        statuses.push(client.get("/", "").await.status);
    }
    statuses
}

fn failures(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status >= 500).count()
}

#[tokio::test]
async fn the_third_failure_ejects_on_all_workers() {
    let good = [Origin::saying("good").await, Origin::saying("good").await];
    let bad = Origin::answering(|_| answer(500, "bad")).await;
    let stable = [good[0].address, bad.address, good[1].address];
    let config = edge("", "balance: { slow_start: 0s }", "");
    let mut proxy = Proxy::start(config, &stable, &[], 0);
    let statuses = gets(&proxy, 100).await;
    assert_eq!(failures(&statuses), 3, "{statuses:?}");
    let ejection = proxy.ejection().await;
    assert_eq!((ejection.status, ejection.times), (500, 1));
    let counted = proxy.counted(Role::Stable, |cell| cell.trials == 100).await;
    assert_eq!(counted.failures, 3, "the judge has seen every one of them");
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_ejected_and_no_client_sees_it() {
    let good = Origin::saying("good").await;
    let stable = [good.address, nowhere().await];
    let config = edge("", "balance: { slow_start: 0s }", "");
    let mut proxy = Proxy::start(config, &stable, &[], 0);
    let statuses = gets(&proxy, 50).await;
    assert_eq!(
        failures(&statuses),
        0,
        "another one was tried: {statuses:?}"
    );
    let ejection = proxy.ejection().await;
    assert_eq!(ejection.reason.as_str(), "connect_refused");
    let counted = proxy.counted(Role::Stable, |cell| cell.trials == 50).await;
    let attempts = counted.attempts.sum(|_| true);
    assert_eq!(attempts, 53, "it was tried three times, and no more");
}

#[tokio::test]
async fn an_ejected_endpoint_comes_back_and_one_failure_ejects_it_again() {
    let good = Origin::saying("good").await;
    let is_bad = Arc::new(AtomicBool::new(true));
    let bad = Arc::clone(&is_bad);
    let sick = Origin::answering(move |_| {
        if bad.load(Ordering::SeqCst) {
            answer(503, "bad")
        } else {
            ok("well")
        }
    })
    .await;
    let more = "balance: { policy: round_robin, slow_start: 0s }, \
                outlier_detection: { base_ejection_time: 300ms, max_ejection_time: 300ms }";
    let mut proxy = Proxy::start(edge("", more, ""), &[good.address, sick.address], &[], 0);
    while failures(&gets(&proxy, 2).await) == 0 {}
    let first = loop {
        gets(&proxy, 4).await;
        if let Some(ejection) = proxy.ejected() {
            break ejection;
        }
    };
    let second = loop {
        gets(&proxy, 1).await;
        if let Some(ejection) = proxy.ejected() {
            break ejection;
        }
    };
    assert!(second.at >= first.until && (first.times, second.times) == (1, 2));
    is_bad.store(false, Ordering::SeqCst);
    let mut client = Client::connect(proxy.address).await;
    while client.get("/", "").await.text() != "well" {}
    assert_eq!(failures(&gets(&proxy, 20).await), 0);
    assert!(proxy.ejected().is_none());
}

#[tokio::test]
async fn a_bad_version_does_not_hide_behind_its_endpoints() {
    let stable = Origin::saying("good").await;
    let mut canary = Vec::new();
    for _ in 0..8 {
        canary.push(Origin::answering(|_| answer(500, "bad")).await);
    }
    let addresses: Vec<_> = canary.iter().map(|origin| origin.address).collect();
    let alone = "    retry_policy: { rescue_on: none }\n";
    let config = edge("", "balance: { slow_start: 0s }", alone);
    let mut proxy = Proxy::start(config, &[stable.address], &addresses, 100);
    assert_eq!(failures(&gets(&proxy, 100).await), 100);
    let counted = proxy.counted(Role::Canary, |cell| cell.trials == 100).await;
    assert_eq!(counted.failures, 100);
    let mut ejected = 0;
    while proxy.ejected().is_some() {
        ejected += 1;
    }
    assert_eq!(ejected, 2, "30 % of 8");
}

#[tokio::test]
async fn clients_that_leave_or_send_nonsense_eject_nobody() {
    let origins = [Origin::saying("a").await, Origin::saying("b").await];
    let stable = [origins[0].address, origins[1].address];
    let mut proxy = Proxy::start(edge("", "", ""), &stable, &[], 0);
    for _ in 0..20 {
        let mut client = Client::connect(proxy.address).await;
        client
            .send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            .await;
        assert_eq!(client.answer_to("POST").await.status, 400);
    }
    assert_eq!(failures(&gets(&proxy, 10).await), 0);
    proxy.counted(Role::Stable, |cell| cell.trials == 10).await;
    assert!(proxy.ejected().is_none());
}

#[tokio::test]
async fn nothing_is_ejected_where_the_file_says_so() {
    let good = Origin::saying("good").await;
    let bad = Origin::answering(|_| answer(500, "bad")).await;
    let config = edge(
        "",
        "balance: { policy: round_robin }, outlier_detection: none",
        "",
    );
    let proxy = Proxy::with_workers(1, config, &[good.address, bad.address], &[], 0);
    assert_eq!(failures(&gets(&proxy, 40).await), 20);
}
