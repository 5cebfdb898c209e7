//! Scenes played one after another, and what was measured.

use std::{collections::BTreeMap, time::Duration};

use serin::control::SplitStatus;
use tokio::sync::{Mutex, MutexGuard};

use super::scene::{Before, Found, Scene};

/// Scenes must not disturb each other.
static STAGE: Mutex<()> = Mutex::const_new(());

/// Waits until no other scene is played.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    STAGE.lock().await
}

/// Whether someone wants numbers.
pub(crate) fn is_asked_for() -> bool {
    runs() > 1
}

/// The times before a fault.
pub(crate) fn before() -> Before {
    let (alone, well) = if is_asked_for() { (10, 5) } else { (1, 2) };
    Before {
        alone: Duration::from_secs(alone),
        well: Duration::from_secs(well),
    }
}

/// Plays a scene as often as asked for, sees to it that the cause contains one of `causes`, and
/// prints what was measured.
pub(crate) async fn measure(scene: &Scene, causes: &[&str]) -> Vec<SplitStatus> {
    let mut all = Vec::new();
    for _ in 0..runs() {
        let _turn = turn().await;
        let found = scene.play(before()).await;
        let cause = found.cause();
        let is_expected = causes.iter().any(|known| cause.contains(known));
        assert!(is_expected, "{}: {cause}", scene.name);
        all.push(found);
    }
    print(scene, &all);
    all.into_iter().map(|found| found.split).collect()
}

fn runs() -> usize {
    let runs = std::env::var("SERIN_DETECTION_RUNS").ok();
    runs.and_then(|runs| runs.parse().ok()).unwrap_or(1)
}

fn print(scene: &Scene, all: &[Found]) {
    let mut seconds: Vec<f64> = all.iter().map(|found| found.after.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let mut hits: Vec<u64> = all.iter().map(|found| found.hit).collect();
    hits.sort_unstable();
    let mut causes = BTreeMap::new();
    for found in all {
        *causes.entry(found.cause()).or_insert(0_u32) += 1;
    }
    println!(
        "{:50} median {:.2} s, p95 {:.2} s, max {:.2} s of {}; {} bad requests; {causes:?}",
        scene.name,
        quantile(&seconds, 50),
        quantile(&seconds, 95),
        quantile(&seconds, 100),
        all.len(),
        quantile(&hits, 50),
    );
    if let Some(slowest) = all.iter().max_by_key(|found| found.after) {
        println!("  the slowest: {}", slowest.split.phase_reason);
    }
}

/// The value that `percent` of the sorted ones are not above.
fn quantile<T: Copy>(sorted: &[T], percent: usize) -> T {
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    *sorted.get(place).unwrap()
}
