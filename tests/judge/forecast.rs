//! Whether verdicts come when the forecast says: predicted and simulated medians.

use std::time::Duration;

use serin::{
    judge::{Criteria, Effect, Situation},
    model::Share,
};

use super::{
    life::{Errors, Latency, Life, lognormal},
    rates::runs,
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

fn plain(place: f64, _: f64, _: bool) -> f64 {
    lognormal(place)
}

/// So many times slower from a second on.
fn slower<const PERCENT: u32, const AT: u32>(place: f64, second: f64, is_canary: bool) -> f64 {
    let is_slow = is_canary && second >= f64::from(AT);
    let percent = if is_slow { PERCENT } else { 100 };
    lognormal(place) * f64::from(percent) / 100.0
}

/// p50 to p95 are equal; the slowest twentieth takes twice as long.
fn long_tail(place: f64, _: f64, is_canary: bool) -> f64 {
    let is_slow = is_canary && place > 0.95;
    lognormal(place) * if is_slow { 2.0 } else { 1.0 }
}

fn latency(effect: Option<Effect>, is_late: bool) -> Option<Latency> {
    match effect {
        None => Some(plain),
        Some(Effect::LatencyX2) if is_late => Some(slower::<200, LATE>),
        Some(Effect::LatencyX2) => Some(slower::<200, 0>),
        Some(Effect::LatencyPlus20Pct) if is_late => Some(slower::<120, LATE>),
        Some(Effect::LatencyPlus20Pct) => Some(slower::<120, 0>),
        Some(Effect::P99X2) => Some(long_tail),
        Some(Effect::AllFail | Effect::ErrorsPlus5Pp | Effect::ErrorsX2) => None,
    }
}

fn late(second: f64, healthy: f64, bad: f64) -> (f64, f64) {
    let is_bad = second >= f64::from(LATE);
    (healthy, if is_bad { bad } else { healthy })
}

/// The rates of stable and of a canary with this effect.
fn errors(effect: Option<Effect>, stable: f64, is_late: bool) -> Errors {
    let canary = effect
        .and_then(|effect| effect.error_rate(&Criteria::default(), stable))
        .unwrap_or(stable);
    let at_once: [(f64, f64, Errors); 12] = [
        (0.001, 0.001, |_| (0.001, 0.001)),
        (0.005, 0.005, |_| (0.005, 0.005)),
        (0.01, 0.01, |_| (0.01, 0.01)),
        (0.001, 0.051, |_| (0.001, 0.051)),
        (0.005, 0.055, |_| (0.005, 0.055)),
        (0.01, 0.06, |_| (0.01, 0.06)),
        (0.001, 0.002_325, |_| (0.001, 0.002_325)),
        (0.005, 0.01, |_| (0.005, 0.01)),
        (0.01, 0.02, |_| (0.01, 0.02)),
        (0.001, 1.0, |_| (0.001, 1.0)),
        (0.005, 1.0, |_| (0.005, 1.0)),
        (0.01, 1.0, |_| (0.01, 1.0)),
    ];
    let later: [(f64, f64, Errors); 4] = [
        (0.01, 1.0, |second| late(second, 0.01, 1.0)),
        (0.01, 0.06, |second| late(second, 0.01, 0.06)),
        (0.005, 0.01, |second| late(second, 0.005, 0.01)),
        (0.005, 0.005, |_| (0.005, 0.005)),
    ];
    let known = if is_late { &later[..] } else { &at_once };
    let is_it =
        |(a, b, _): &&(f64, f64, Errors)| (a - stable).abs() < 1e-9 && (b - canary).abs() < 1e-9;
    known.iter().find(is_it).unwrap().2
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
        let life = Life {
            seconds: (4.0 * predicted) as u32 + 20 + begins,
            tick_ms,
            errors: errors(effect, error_rate, is_late),
            latency: latency(effect, is_late),
            ..Life::errors_only("", rate, &[])
        };
        let stages: &'static [(u32, u16)] = stages(percent);
        let life = Life { stages, ..life };
        let mut observed: Vec<f64> = (0..runs)
            .map(|seed| {
                let end = life.live(seed);
                let found = match effect {
                    Some(_) => end.failed.map(|(seconds, ..)| seconds - f64::from(begins)),
                    None => end.passed,
                };
                found.unwrap_or(f64::INFINITY)
            })
            .collect();
        observed.sort_by(f64::total_cmp);
        let (low, high) = (
            observed[(observed.len() - 1) / 2],
            observed[observed.len() / 2],
        );
        (predicted, 0.5 * (low + high))
    }
}

fn stages(percent: u16) -> &'static [(u32, u16)] {
    match percent {
        1 => &[(0, 1)],
        2 => &[(0, 2)],
        5 => &[(0, 5)],
        10 => &[(0, 10)],
        20 => &[(0, 20)],
        25 => &[(0, 25)],
        _ => &[(0, 50)],
    }
}

#[test]
fn verdicts_come_when_the_forecast_says() {
    let runs = runs(9);
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
