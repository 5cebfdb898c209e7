//! From Mesos to ECS under load: a good new fleet takes everything over, a bad one is taken out,
//! and no client notices.
//!
//! With `SERIN_MIGRATION_RPS=500` in the environment it goes at that rate; `-- --nocapture` shows
//! how long everything took.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, writes the file that it edits, and shows its figures"
)]

#[path = "../support/mod.rs"]
mod support;

mod fleet;
mod journey;
mod load;

use fleet::Fault;
use journey::Journey;
use load::{Load, Seen};
use serin::model::Share;
use tokio::{sync::Mutex, time::Instant};

/// Requests a second, if nothing else is asked for.
const RATE: u32 = 200;

/// One journey at a time: they measure each other else.
static TURN: Mutex<()> = Mutex::const_new(());

fn rate() -> u32 {
    let asked = std::env::var("SERIN_MIGRATION_RPS");
    asked.map_or(RATE, |rate| rate.parse().unwrap())
}

/// The way to 100 %, quicker than anybody would go. It goes by the clock: how long a proof takes
/// depends on what else the machine does.
const STEPS: &str = "    rollout:
      steps:
        - set_weight: 0.1%
        - pause: 12s
        - set_weight: 1%
        - pause: 5s
        - set_weight: 10%
        - pause: 5s
        - set_weight: 50%
        - pause: 10s
        - set_weight: 100%
        - bake: 5s
";

fn share(percent: u16) -> Share {
    Share::from_basis_points(percent * 100).unwrap()
}

fn show(what: &str, seen: &Seen, since: Instant) {
    let asked = seen.asked;
    eprintln!(
        "{what}: {asked} requests in {:?}, {:?}",
        since.elapsed(),
        seen.failed
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_moves_to_ecs_and_no_client_notices() {
    let _turn = TURN.lock().await;
    let began = Instant::now();
    let mut journey = Journey::begin(5, 4, Fault::Nothing).await;
    let mut load = Load::on(journey.address, rate());
    load.more(u64::from(rate())).await;
    journey.roll().await;
    show("the app was rolled", &load.seen(), began);
    journey.write(STEPS);
    journey.until(|split| split.share >= share(1)).await;
    journey.marathon.elect(None);
    journey.grow().await;
    journey.marathon.elect(Some(1));
    journey.until(|split| split.share >= share(10)).await;
    journey.lose_an_agent().await;
    journey.until(|split| split.share >= share(50)).await;
    show("half of it", &load.seen(), began);
    journey.shrink().await;
    journey.roll().await;
    journey.until(|split| split.share == Share::FULL).await;
    show("all of it", &load.seen(), began);
    journey.shrink().await;
    journey.grow().await;
    let split = journey
        .until(|split| split.phase == "promoted" || split.phase != "progressing")
        .await;
    assert_eq!(split.phase, "promoted", "{:?}", split.history);
    let seen = load.end().await;
    show("promoted", &seen, began);
    assert_eq!(seen.failed.len(), 0, "{:?}", seen.failed);
    let twice = journey.end().await;
    assert!(
        twice.is_empty(),
        "POST requests that were sent twice: {twice:?}"
    );
}

/// A fifth of the traffic goes to a new fleet that is bad.
async fn meets(name: &str, fault: Fault, is_dead: bool) {
    let _turn = TURN.lock().await;
    let mut journey = Journey::begin(5, 4, fault).await;
    let mut load = Load::on(journey.address, rate());
    load.more(3 * u64::from(rate())).await;
    if is_dead {
        journey.kill_new_fleet().await;
    }
    journey.write("    weight: 20%\n");
    journey.until(|split| split.share == share(20)).await;
    let began = Instant::now();
    let split = journey.until(|split| split.share == Share::ZERO).await;
    show(&format!("{name}: rolled back"), &load.seen(), began);
    assert_eq!(split.phase, "rolled_back", "{:?}", split.history);
    load.more(u64::from(rate())).await;
    let seen = load.end().await;
    assert_eq!(seen.failures("GET"), 0, "{:?}", seen.failed);
    let twice = journey.end().await;
    assert!(
        twice.is_empty(),
        "POST requests that were sent twice: {twice:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_fleet_that_is_dead_costs_no_get() {
    meets("dead", Fault::Nothing, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_fleet_that_fails_costs_no_get() {
    meets("fails 30 %", Fault::Fails, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_fleet_that_resets_costs_no_get() {
    meets("resets", Fault::Resets, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_fleet_that_hangs_costs_no_get() {
    meets("hangs", Fault::Hangs, false).await;
}
