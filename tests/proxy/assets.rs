//! Files that only one version has (`fallback_on_404`).

use serin::{
    measure::Repeat,
    model::{Outcome, Role},
};

use crate::support::{
    client::Client,
    origin::{Origin, answer, ok},
    proxy::proxy,
};

const ASSETS: &str = "    fallback_on_404: { paths: [\"/assets/*\", /app.js] }\n";

/// Has the files whose names hold its own, and marks what it does not have for caches.
async fn having(name: &'static str) -> Origin {
    Origin::answering(move |seen| {
        if seen.path().contains(name) {
            return ok(name);
        }
        let head = "HTTP/1.1 404 X\r\ncache-control: public, max-age=99\r\nContent-Length: 4\r\n";
        format!("{head}Cache-Control: immutable\r\n\r\nnone").into_bytes()
    })
    .await
}

#[tokio::test]
async fn a_file_of_the_other_version_is_served_and_is_no_error_of_either() {
    for percent in [0, 50, 100] {
        let (old, new) = (having("v1").await, having("v2").await);
        let mut proxy = proxy(&[old.address], &[new.address], percent, ASSETS);
        let mut client = Client::connect(proxy.address).await;
        for _ in 0..20 {
            for file in ["/assets/app-v1.js", "/assets/x/v2.css?q"] {
                let answer = client.get(file, "").await;
                let is_there = percent > 0 || file.contains("v1.js");
                assert_eq!(answer.status == 200, is_there, "{percent} %: {file}");
                let kept = answer.field("cache-control");
                assert_eq!(kept == Some("no-store"), !is_there, "{percent} %: {file}");
            }
        }
        let mut asked = 0;
        for role in [Role::Stable, Role::Canary] {
            let is_due = |cell: &serin::measure::Cell| cell.requests.sum(|_| true) >= 18;
            let is_used = percent == 50 || (percent == 100) == (role == Role::Canary);
            if !is_used {
                continue;
            }
            let cell = proxy.counted(role, is_due).await;
            assert_eq!(cell.failures, 0);
            asked += cell.repeats.sum(|label| label.repeat == Repeat::Asset);
            let passed = cell.attempts.sum(|label| label.outcome == Outcome::Ignored);
            assert_eq!(cell.trials + passed, cell.assigned, "{percent} %: {role}");
        }
        assert_eq!(
            asked > 0,
            percent > 0,
            "a canary without traffic is left alone"
        );
    }
}

#[tokio::test]
async fn a_file_that_nobody_has_is_asked_for_twice_and_kept_by_no_cache() {
    let (mut old, mut new) = (having("v1").await, having("v2").await);
    let proxy = proxy(&[old.address], &[new.address], 50, ASSETS);
    let mut client = Client::connect(proxy.address).await;
    for file in ["/assets/v3.js", "/app.js", "/assets/../assets/v3.js"] {
        let answer = client.get(file, "").await;
        let kept = answer
            .fields
            .iter()
            .filter(|(name, _)| name == "cache-control");
        let kept: Vec<&str> = kept.map(|(_, value)| value.as_str()).collect();
        assert_eq!((answer.status, &*kept), (404, &["no-store"][..]), "{file}");
        assert_eq!(answer.text(), "none");
        assert_eq!(old.next().await.field("x-serin-version"), Some("old"));
        assert_eq!(new.next().await.field("x-serin-version"), Some("new"));
    }
    assert!(old.try_next().is_none() && new.try_next().is_none());
}

#[tokio::test]
async fn what_is_not_listed_is_not_asked_again() {
    let cases = [
        ("GET", "/assetsx/v1.js", ASSETS),
        (
            "GET",
            "/assets",
            "    fallback_on_404: { paths: /assets/v1.js }\n",
        ),
        ("GET", "/app.js/v1", ASSETS),
        ("POST", "/assets/v1.js", ASSETS),
        ("GET", "/assets/v1.js", ""),
    ];
    for (method, path, file) in cases {
        let (mut old, new) = (having("v1").await, having("v2").await);
        let proxy = proxy(&[old.address], &[new.address], 100, file);
        let mut client = Client::connect(proxy.address).await;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\n");
        client
            .send(format!("{head}Content-Length: 0\r\n\r\n"))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_ne!(answer.field("cache-control"), Some("no-store"), "{path}");
        assert!(old.try_next().is_none(), "{method} {path}");
    }
}

#[tokio::test]
async fn another_status_is_no_missing_file() {
    let mut old = Origin::saying("old").await;
    let new = Origin::answering(|_| answer(403, "no")).await;
    let proxy = proxy(&[old.address], &[new.address], 100, ASSETS);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/assets/v1.js", "").await.status, 403);
    assert!(old.try_next().is_none());
}
