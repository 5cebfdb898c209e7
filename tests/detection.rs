//! How soon a bad canary gets no more requests: the whole of Serin over real sockets, two versions
//! with lognormal latencies around 50 ms, an open loop of requests, and a fault.
//!
//! `SERIN_DETECTION_RUNS=20 cargo test --release --test detection -- --nocapture` plays each scene
//! so often and prints the seconds from the first bad request (of slow canaries: from the moment
//! at which they become slow) until the weight in force is 0. Without the variable each is played
//! once, with less time before the fault. Speed is measured here and never asserted: it depends on
//! the machine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a test stops where it stands, writes its own files, and its numbers are small"
)]

#[path = "detection/load.rs"]
mod load;
#[path = "detection/measured.rs"]
mod measured;
#[path = "detection/scene.rs"]
mod scene;
#[path = "support/mod.rs"]
mod support;
#[path = "detection/version.rs"]
mod version;

use std::time::Duration;

use measured::{before, is_asked_for, measure, turn};
use scene::{Before, Begin, Scene};
use serin::model::Share;
use version::Fault;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_is_rolled_back() {
    let scene = Scene::of("all fail, 100 rps of 1,000", Fault::Fails("/"));
    measure(&scene, &["critical:error_rate", "error_rate"]).await;
    // From its first request, in the warm-up that is the default.
    let fresh = Scene {
        name: "all fail from the first request, 100 rps of 1,000",
        begin: Begin::WithCanary,
        warm_up: None,
        ..scene
    };
    measure(&fresh, &["critical:error_rate"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_hangs_is_rolled_back_long_before_its_timeout() {
    let scene = Scene {
        rate: 500,
        ..Scene::of("hung, 50 rps of 500", Fault::Hangs)
    };
    let warm = Scene {
        name: "hung in the warm-up, 50 rps of 500",
        warm_up: None,
        ..scene
    };
    let fresh = Scene {
        name: "hung from the first request, 50 rps of 500",
        begin: Begin::WithCanary,
        ..warm
    };
    let unknown = Scene {
        name: "hung and nothing known of stable, 50 rps of 500",
        begin: Begin::WithSerin,
        ..warm
    };
    let seldom = Scene {
        name: "the same, 50 rps of 100",
        rate: 100,
        percent: 50,
        ..unknown
    };
    for scene in [scene, warm, fresh, unknown, seldom] {
        measure(&scene, &["latency", "error_rate"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_takes_twice_as_long_is_rolled_back() {
    let scene = Scene::of("latency x2, 100 rps of 1,000", Fault::Doubles);
    measure(&scene, &["latency"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_whose_slowest_requests_take_twice_as_long_is_rolled_back() {
    let often = Scene {
        percent: 30,
        ..Scene::of("p99 x2, 300 rps of 1,000", Fault::DoublesTail)
    };
    let seldom = Scene {
        name: "p99 x2, 20 rps of 200",
        rate: 200,
        percent: 10,
        ..often
    };
    let scene = if is_asked_for() { seldom } else { often };
    measure(&scene, &["latency_p9"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_well_stays() {
    let scene = Scene::of("well, 100 rps of 1,000", Fault::Nothing);
    let _turn = turn().await;
    let well = Duration::from_secs(if is_asked_for() { 20 } else { 5 });
    let split = scene.play_well(Before { well, ..before() }).await;
    assert_eq!(split.share, Share::from_basis_points(1_000).unwrap());
    assert_ne!(split.phase, "rolled_back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_of_five_is_named() {
    let scene = Scene {
        paths: &["/a", "/b", "/c", "/d", "/e"],
        ..Scene::of(
            "one route of five fails, 100 rps of 1,000",
            Fault::Fails("/c"),
        )
    };
    for split in measure(&scene, &["error_rate"]).await {
        let judged = split.judgement.unwrap();
        assert_eq!(judged.route.unwrap().to_string(), "route-2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_endpoint_of_four_is_no_reason_to_roll_back() {
    let scene = Scene {
        endpoints: 4,
        ..Scene::of(
            "one endpoint of four fails, 100 rps of 1,000",
            Fault::Fails("/"),
        )
    };
    let _turn = turn().await;
    let well = Duration::from_secs(if is_asked_for() { 20 } else { 5 });
    let split = scene.play_on(Before { well, ..before() }).await;
    assert_eq!(split.phase, "progressing", "{}", split.phase_reason);
}
