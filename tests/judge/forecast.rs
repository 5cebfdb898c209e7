//! Whether verdicts come when the forecast says: predicted and simulated medians.

use std::{sync::Arc, time::Duration};

use serin::{
    judge::{Criteria, Effect, Situation},
    model::Share,
};

use super::{
    chance::{Shape, lognormal},
    healthy::both,
    life::{Life, Rates},
    many::{each, middle_and_late, runs},
};

/// How far from the simulated median a forecast may be, and how many of a hundred may be further.
const NEAR: f64 = 0.35;
const NEAR_SHARE: usize = 80;

/// Harm that begins late begins at this second.
const LATE: u32 = 60;

/// A rollout to be forecast: what is wrong with the canary (`None`: nothing, it passes), requests
/// a second, per cent of the canary, ticks in milliseconds, stable's error rate, and whether the
/// harm begins late.
struct Case(Option<Effect>, f64, u16, u32, f64, bool);

#[rustfmt::skip]
const CASES: [Case; 36] = [
    Case(Some(Effect::AllFail), 1_000.0, 10, 250, 0.01, false),
    Case(Some(Effect::AllFail), 1_000.0, 10, 50, 0.01, false),
    Case(Some(Effect::AllFail), 100.0, 1, 250, 0.01, false),
    Case(Some(Effect::AllFail), 50.0, 10, 50, 0.001, false),
    Case(Some(Effect::AllFail), 200.0, 50, 50, 0.001, false),
    Case(Some(Effect::AllFail), 200.0, 10, 50, 0.005, false),
    Case(Some(Effect::AllFail), 2_000.0, 1, 50, 0.01, false),
    Case(Some(Effect::ErrorsPlus5Pp), 100.0, 10, 250, 0.01, false),
    Case(Some(Effect::ErrorsPlus5Pp), 1_000.0, 10, 50, 0.005, false),
    Case(Some(Effect::ErrorsPlus5Pp), 200.0, 50, 250, 0.01, false),
    Case(Some(Effect::ErrorsPlus5Pp), 2_000.0, 1, 250, 0.001, false),
    Case(Some(Effect::ErrorsPlus5Pp), 500.0, 5, 250, 0.01, false),
    Case(Some(Effect::ErrorsX2), 1_000.0, 10, 250, 0.005, false),
    Case(Some(Effect::ErrorsX2), 2_000.0, 50, 250, 0.005, false),
    Case(Some(Effect::ErrorsX2), 500.0, 25, 250, 0.01, false),
    Case(Some(Effect::ErrorsX2), 1_000.0, 5, 250, 0.01, false),
    Case(Some(Effect::LatencyX2), 200.0, 10, 250, 0.005, false),
    Case(Some(Effect::LatencyX2), 1_000.0, 10, 50, 0.005, false),
    Case(Some(Effect::LatencyX2), 200.0, 2, 250, 0.005, false),
    Case(Some(Effect::LatencyX2), 100.0, 50, 250, 0.005, false),
    Case(Some(Effect::LatencyPlus20Pct), 200.0, 10, 250, 0.005, false),
    Case(Some(Effect::LatencyPlus20Pct), 500.0, 20, 250, 0.005, false),
    Case(Some(Effect::LatencyPlus20Pct), 200.0, 50, 250, 0.005, false),
    Case(Some(Effect::P99X2), 200.0, 10, 250, 0.005, false),
    Case(Some(Effect::P99X2), 1_000.0, 10, 250, 0.005, false),
    Case(Some(Effect::P99X2), 500.0, 50, 250, 0.005, false),
    Case(None, 1_000.0, 10, 250, 0.005, false),
    Case(None, 500.0, 20, 250, 0.001, false),
    Case(None, 200.0, 50, 250, 0.01, false),
    Case(None, 1_000.0, 5, 250, 0.01, false),
    Case(Some(Effect::AllFail), 1_000.0, 10, 50, 0.01, true),
    Case(Some(Effect::AllFail), 100.0, 5, 250, 0.01, true),
    Case(Some(Effect::ErrorsPlus5Pp), 500.0, 5, 250, 0.01, true),
    Case(Some(Effect::ErrorsX2), 1_000.0, 10, 250, 0.005, true),
    Case(Some(Effect::LatencyX2), 200.0, 10, 250, 0.005, true),
    Case(Some(Effect::LatencyPlus20Pct), 500.0, 20, 250, 0.005, true),
];

/// The latency of the canary: p50 to p95 are equal if only its slowest twentieth is slower.
fn latency(effect: Option<Effect>) -> Option<[Arc<Shape>; 2]> {
    let tail = |place: f64| lognormal(place) * if place > 0.95 { 2.0 } else { 1.0 };
    match effect {
        None | Some(Effect::LatencyX2 | Effect::LatencyPlus20Pct) => Some(both(lognormal)),
        Some(Effect::P99X2) => Some([Shape::of(lognormal), Shape::of(tail)]),
        Some(Effect::AllFail | Effect::ErrorsPlus5Pp | Effect::ErrorsX2) => None,
    }
}

/// How many times as long its requests take.
fn slowness(effect: Option<Effect>) -> f64 {
    match effect {
        Some(Effect::LatencyX2) => 2.0,
        Some(Effect::LatencyPlus20Pct) => 1.2,
        _ => 1.0,
    }
}

/// Alike until a second, then the canary differs.
fn from(begins: u32, healthy: f64, bad: f64) -> Rates {
    let begins = f64::from(begins);
    Arc::new(move |second| [healthy, if second < begins { healthy } else { bad }])
}

impl Case {
    /// The forecast and the simulated median, in seconds.
    fn compare(&self, runs: u64) -> (f64, f64) {
        let Self(effect, rate, percent, tick_ms, error_rate, is_late) = *self;
        let begins = if is_late { LATE } else { 0 };
        let criteria = Criteria {
            warm_up: Duration::ZERO,
            ..Criteria::default()
        };
        let situation = Situation {
            criteria: &criteria,
            share: Share::from_basis_points(percent * 100).unwrap(),
            rate,
            error_rate,
            latency: None,
            tick: Duration::from_millis(tick_ms.into()),
            age: Duration::from_secs(begins.into()),
        };
        let forecast = situation.forecast();
        let need = effect.map_or(forecast.to_pass, |effect| forecast.to_find(effect));
        let predicted = need.unwrap().seconds;
        let bad = effect.and_then(|effect| effect.error_rate(&criteria, error_rate));
        let life = Life {
            seconds: (4.0 * predicted) as u32 + 20 + begins,
            tick_ms,
            errors: from(begins, error_rate, bad.unwrap_or(error_rate)),
            latency: latency(effect),
            slowness: from(begins, 1.0, slowness(effect)),
            harm_from: begins.into(),
            ..Life::new("", rate, percent)
        };
        let observed = each(runs, |seed| {
            let end = life.live(seed);
            let found = match effect {
                Some(_) => end.failed.map(|found| found.seconds),
                None => end.passed,
            };
            found.unwrap_or(f64::INFINITY)
        });
        (predicted, middle_and_late(observed)[0])
    }
}

#[test]
fn verdicts_come_when_the_forecast_says() {
    let runs = runs(60, 7);
    let mut near = 0;
    for case in &CASES {
        let (predicted, observed) = case.compare(runs);
        let Case(effect, rate, percent, tick, errors, is_late) = case;
        let what = effect.map_or("pass", Effect::as_str);
        let late = if *is_late { "late" } else { "" };
        let off = predicted / observed - 1.0;
        near += usize::from(off.abs() <= NEAR);
        println!(
            "{what:18} {rate:5} rps {percent:2}% errors {errors:5} tick {tick:3} ms {late:4}: \
             predicted {predicted:7.2} s, median {observed:7.2} s, {:+.0}%",
            100.0 * off
        );
    }
    println!("{near} of {} within {:.0}%", CASES.len(), 100.0 * NEAR);
    assert!(
        100 * near >= NEAR_SHARE * CASES.len(),
        "{near} of {}",
        CASES.len()
    );
}
