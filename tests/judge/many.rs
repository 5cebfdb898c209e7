//! Many lives, and what they come to: counts, bounds, quantiles.

use std::thread;

/// How often each rollout is lived: `SERIN_SIM_RUNS`, or so often; a few times in a debug build.
pub(crate) fn runs(often: u64, few: u64) -> u64 {
    let asked = std::env::var("SERIN_SIM_RUNS").ok();
    let asked = asked.and_then(|text| text.parse().ok());
    asked.unwrap_or(if is_brief() { few } else { often })
}

/// Whether a rollout is to be lived: all are, or those whose name contains `SERIN_SIM_ONLY`.
pub(crate) fn is_asked(name: &str) -> bool {
    std::env::var("SERIN_SIM_ONLY").map_or(true, |only| name.contains(&only))
}

/// In a debug build lives are few and short: enough to see that nothing has broken.
pub(crate) const fn is_brief() -> bool {
    cfg!(debug_assertions)
}

/// Lives every seed below `runs`, on all cores. What comes of it does not depend on their number.
pub(crate) fn each<T: Send>(runs: u64, live: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let live = &live;
    let mut lived: Vec<(u64, T)> = thread::scope(|scope| {
        let part = |core: usize| {
            let seeds = (core as u64..runs).step_by(cores);
            scope.spawn(move || seeds.map(|seed| (seed, live(seed))).collect::<Vec<_>>())
        };
        let parts: Vec<_> = (0..cores).map(part).collect();
        let ended = parts.into_iter().flat_map(|part| part.join().unwrap());
        ended.collect()
    });
    lived.sort_by_key(|(seed, _)| *seed);
    lived.into_iter().map(|(_, lived)| lived).collect()
}

/// The highest rate that leaves `hits` of `trials` or fewer a chance of 5 %.
pub(crate) fn upper_bound(hits: u64, trials: u64) -> f64 {
    let chance = |rate: f64| -> f64 {
        let n = trials as f64;
        let mut term = n * (-rate).ln_1p();
        let mut sum = term.exp();
        for k in 0..hits {
            let k = k as f64;
            term += ((n - k) / (k + 1.0) * rate / (1.0 - rate)).ln();
            sum += term.exp();
        }
        sum
    };
    let (mut low, mut high) = (hits as f64 / trials as f64, 1.0 - 1e-9);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if chance(middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The median and the 95th percentile.
pub(crate) fn middle_and_late(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
        values.get(place).copied().unwrap_or(f64::INFINITY)
    };
    [at(50), at(95)]
}

#[test]
fn the_number_of_cores_changes_nothing() {
    assert_eq!(each(7, |seed| seed * seed), [0, 1, 4, 9, 16, 25, 36]);
    // The rule of three, and a value from a table.
    assert!((upper_bound(0, 300) - 0.009_936).abs() < 1e-5);
    assert!((upper_bound(5, 6_600) - 0.001_592).abs() < 1e-5);
    let all = (1..=100).map(f64::from).collect();
    let found = middle_and_late(all).map(|value| value as u64);
    assert_eq!(found, [50, 95]);
}
