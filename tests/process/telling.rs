//! The access log and spans of a process: what is stuck keeps nothing and nobody.

use std::process::Command;

use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::{
    house::House,
    support::{
        client::Client,
        origin::{Origin, nowhere},
    },
};

#[tokio::test]
async fn a_stuck_log_and_a_stuck_collector_change_no_request_and_do_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // Connections come into its queue, and nobody takes them.
    let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let more = format!(
        "drain: {{ timeout: 5s }}\naccess_log: {{ path: \"{}\" }}\n\
         tracing: {{ otlp: \"http://{}\", sample: 100% }}\n",
        pipe.display(),
        stuck.local_addr().unwrap(),
    );
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, &more);
    let mut client = Client::connect(house.address).await;
    let target = format!("/{}", "x".repeat(7_000));
    // More than the pipe holds.
    for _ in 0..40 {
        assert_eq!(client.get(&target, "").await.status, 200);
    }
    drop(client);
    house.signal(Signal::TERM);
    house.until_said("the access log is stuck");
    assert!(house.first_has_ended().await);
}

#[tokio::test]
async fn a_full_disk_is_told_once() {
    let more = "access_log: { path: /dev/full }\n";
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, more);
    let mut client = Client::connect(house.address).await;
    client.get("/", "").await;
    house.until_said("the access log cannot be written");
    for _ in 0..3 {
        client.get("/", "").await;
    }
    drop(client);
    house.signal(Signal::TERM);
    house.until_said("ended");
    assert_eq!(house.times_said("the access log cannot be written"), 1);
    assert!(house.first_has_ended().await);
}

#[tokio::test]
async fn a_rollback_is_one_line_with_what_it_rests_on() {
    let (stable, canary) = (Origin::saying("fine").await, nowhere().await);
    let mut house = House::start(stable.address, canary, "");
    let mut client = Client::connect(house.address).await;
    let mut line = None;
    while line.is_none() {
        assert_eq!(client.get("/", "").await.text(), "fine");
        line = house.event("rolled_back");
    }
    let line = line.unwrap();
    let words = ["split", "share", "by"].map(|key| line[key].as_str().unwrap());
    assert_eq!((words[0], words[1]), ("shop", "0%"), "{line}");
    let number = |key: &str| {
        line[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {line}"))
    };
    assert!(number("evidence") >= number("threshold"), "{line}");
    assert_eq!(
        (&line["metric"], number("epoch")),
        (&"error_rate".into(), 1.0)
    );
    assert!(number("canary_counted") >= 5.0, "{line}");
    assert_eq!(line["canary_counted"], line["canary_of"]);
    assert_eq!(
        (&line["stable_counted"], &line["estimate"]),
        (&0.into(), &1.0.into())
    );
    assert!(
        number("low") > number("margin") && number("high") <= 1.0,
        "{line}"
    );
    let first_failed = line["first_failed"].as_str().unwrap();
    assert!(first_failed.split(' ').all(|id| id.len() == 16), "{line}");
    assert_eq!(line["evidence_at"], "/v1/rollouts/shop-1/evidence");
}
