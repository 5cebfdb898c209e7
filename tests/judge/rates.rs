//! How often a healthy canary is rolled back, and how soon a bad one.

use super::life::{End, Life, lognormal};

/// How often each rollout is lived.
pub(crate) fn runs(least: u64) -> u64 {
    let asked = std::env::var("SERIN_SIM_RUNS")
        .ok()
        .and_then(|text| text.parse().ok());
    asked.unwrap_or(least)
}

/// The highest rate that leaves `hits` of `trials` or fewer a chance of 5 %.
fn upper_bound(hits: u64, trials: u64) -> f64 {
    let chance = |rate: f64| -> f64 {
        let n = trials as f64;
        let mut term = n * (1.0 - rate).ln();
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

fn plain(place: f64, _: f64, _: bool) -> f64 {
    lognormal(place)
}

/// Half a millisecond, as on one machine.
fn quick(place: f64, _: f64, _: bool) -> f64 {
    lognormal(place) / 100.0
}

fn on_the_margin(place: f64, _: f64, is_canary: bool) -> f64 {
    lognormal(place) * if is_canary { 1.104 } else { 1.0 }
}

fn shared_outage(place: f64, second: f64, _: bool) -> f64 {
    lognormal(place)
        * if (60.0..80.0).contains(&second) {
            5.0
        } else {
            1.0
        }
}

const TENTH: &[(u32, u16)] = &[(0, 10)];

/// Canaries that are as good as stable.
fn healthy() -> Vec<Life> {
    let tenth = Life::errors_only("", 200.0, TENTH);
    vec![
        Life {
            name: "steady, 200 rps",
            latency: Some(plain),
            seconds: 90,
            ..tenth
        },
        Life {
            name: "steady, 100 rps, 5%",
            rate: 100.0,
            stages: &[(0, 5)],
            tick_ms: 1_000,
            ..tenth
        },
        Life {
            name: "5 rps, 1%",
            rate: 5.0,
            stages: &[(0, 1)],
            tick_ms: 1_000,
            ..tenth
        },
        Life {
            name: "outage of both for 20 s",
            errors: |second| {
                let rate = if (60.0..80.0).contains(&second) {
                    0.4
                } else {
                    0.005
                };
                (rate, rate)
            },
            latency: Some(shared_outage),
            seconds: 120,
            ..tenth
        },
        Life {
            name: "ramp with drift",
            rate: 300.0,
            stages: &[(0, 1), (60, 5), (120, 10), (180, 25), (240, 50)],
            tick_ms: 500,
            errors: |second| {
                let rate = 0.002 + 0.013 * second / 300.0;
                (rate, rate)
            },
            ..tenth
        },
        Life {
            name: "errors on the margin, 50 ms ticks",
            errors: |_| (0.005, 0.00575),
            tick_ms: 50,
            rate: 1_000.0,
            seconds: 40,
            ..tenth
        },
    ]
}

/// Canaries whose difference is tolerated, or no version's fault.
fn tolerable() -> Vec<Life> {
    let tenth = Life::errors_only("", 200.0, TENTH);
    vec![
        Life {
            name: "pauses of each process",
            latency: Some(quick),
            pauses: true,
            tick_ms: 100,
            rate: 500.0,
            seconds: 90,
            ..tenth
        },
        Life {
            name: "errors on the margin",
            errors: |_| (0.005, 0.00575),
            rate: 500.0,
            ..tenth
        },
        Life {
            name: "latency on the margin",
            latency: Some(on_the_margin),
            seconds: 90,
            ..tenth
        },
    ]
}

#[test]
fn healthy_canaries_are_rolled_back_no_more_often_than_promised() {
    let runs = runs(12);
    let (mut total, mut wrong) = (0, 0);
    for life in healthy().into_iter().chain(tolerable()) {
        let ends: Vec<End> = (0..runs).map(|seed| life.live(seed)).collect();
        let failed = ends.iter().filter(|end| end.failed.is_some()).count() as u64;
        let bound = 100.0 * upper_bound(failed, runs);
        println!(
            "{:36} {failed} of {runs} rolled back, 95 % bound {bound:.2} %",
            life.name
        );
        total += runs;
        wrong += failed;
    }
    let bound = 100.0 * upper_bound(wrong, total);
    println!(
        "{:36} {wrong} of {total} rolled back, 95 % bound {bound:.2} %",
        "all"
    );
    assert!(wrong * 100 <= total, "alpha is 1 %");
}

/// A bad canary and how soon it must be found: seconds, median and 95th percentile.
struct Bad {
    life: Life,
    cause: &'static str,
    median: f64,
    late: f64,
}

fn double(place: f64, _: f64, is_canary: bool) -> f64 {
    lognormal(place) * if is_canary { 2.0 } else { 1.0 }
}

fn fifth(place: f64, _: f64, is_canary: bool) -> f64 {
    lognormal(place) * if is_canary { 1.2 } else { 1.0 }
}

/// p50 to p95 are equal; the slowest twentieth takes twice as long.
fn long_tail(place: f64, _: f64, is_canary: bool) -> f64 {
    lognormal(place) * if is_canary && place > 0.95 { 2.0 } else { 1.0 }
}

const fn case(life: Life, cause: &'static str, (median, late): (f64, f64)) -> Bad {
    Bad {
        life,
        cause,
        median,
        late,
    }
}

/// Canaries that answer nothing well, at once or later.
fn broken() -> Vec<Bad> {
    const CRITICAL: &str = "critical:error_rate";
    let tenth = Life::errors_only("all fail, 1000 rps, 10%", 1_000.0, TENTH);
    let total = Life {
        errors: |_| (0.01, 1.0),
        seconds: 60,
        ..tenth
    };
    let quick = Life {
        name: "all fail, 1000 rps, 10%, 50 ms",
        tick_ms: 50,
        ..total
    };
    let thin = Life {
        name: "all fail, 100 rps, 1%",
        rate: 100.0,
        stages: &[(0, 1)],
        ..total
    };
    let late = Life {
        name: "all fail after 5 minutes, 5 canary rps",
        rate: 100.0,
        stages: &[(0, 5)],
        errors: |second| (0.01, if second < 300.0 { 0.01 } else { 1.0 }),
        seconds: 320,
        ..tenth
    };
    let later = Life {
        name: "all fail after 30 s, 1000 rps, 50 ms",
        errors: |second| (0.001, if second < 30.0 { 0.001 } else { 1.0 }),
        tick_ms: 50,
        ..total
    };
    vec![
        case(later, "", (30.6, 30.75)),
        case(total, CRITICAL, (0.5, 0.75)),
        case(quick, CRITICAL, (0.35, 0.4)),
        case(thin, "", (4.5, 10.0)),
        case(late, "", (302.5, 304.0)),
    ]
}

/// Canaries that are worse by little or in part.
fn worse() -> Vec<Bad> {
    let tenth = Life::errors_only("errors 0.1 to 1%, 200 rps", 200.0, TENTH);
    let rare = Life {
        errors: |_| (0.001, 0.01),
        ..tenth
    };
    let twice = Life {
        name: "errors 0.5 to 1%, 1000 rps",
        rate: 1_000.0,
        errors: |_| (0.005, 0.01),
        ..tenth
    };
    let slow = Life {
        name: "latency x2",
        latency: Some(double),
        seconds: 30,
        ..tenth
    };
    let tail = Life {
        name: "p99 x2, p50 equal",
        latency: Some(long_tail),
        seconds: 90,
        ..tenth
    };
    let slower = Life {
        name: "latency +20%",
        latency: Some(fifth),
        ..tenth
    };
    vec![
        case(rare, "error_rate", (55.0, 150.0)),
        case(twice, "error_rate", (75.0, 170.0)),
        case(slow, "latency_", (2.0, 3.0)),
        case(tail, "latency_", (15.0, 40.0)),
        case(slower, "latency_", (70.0, 130.0)),
    ]
}

#[test]
fn bad_canaries_are_found_in_time() {
    let runs = runs(7);
    for Bad {
        life,
        cause,
        median,
        late,
    } in broken().into_iter().chain(worse())
    {
        let ends: Vec<End> = (0..runs).map(|seed| life.live(seed)).collect();
        let mut found: Vec<(f64, u64)> = Vec::new();
        for end in ends {
            let Some((seconds, requests, why)) = end.failed else {
                continue;
            };
            assert!(why.starts_with(cause), "{}: {why}", life.name);
            found.push((seconds, requests));
        }
        assert_eq!(
            found.len() as u64,
            runs,
            "{}: every one is found",
            life.name
        );
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (middle, last) = (
            found[found.len() / 2],
            found[(found.len() * 95).div_ceil(100) - 1],
        );
        println!(
            "{:40} median {:.2} s ({} canary requests), p95 {:.2} s",
            life.name, middle.0, middle.1, last.0
        );
        assert!(middle.0 <= median, "{}: median {} s", life.name, middle.0);
        assert!(last.0 <= late, "{}: p95 {} s", life.name, last.0);
    }
}

#[test]
fn healthy_canaries_are_proven_in_time() {
    let runs = runs(7);
    let tenth = Life::errors_only("", 1_000.0, TENTH);
    let cases = [
        (
            Life {
                name: "100 canary rps",
                latency: Some(plain),
                seconds: 60,
                tick_ms: 500,
                ..tenth
            },
            30.0,
        ),
        (
            Life {
                name: "20 canary rps",
                rate: 200.0,
                latency: Some(plain),
                tick_ms: 1_000,
                ..tenth
            },
            150.0,
        ),
    ];
    for (life, limit) in cases {
        let mut passed: Vec<f64> = (0..runs)
            .filter_map(|seed| life.live(seed).passed)
            .collect();
        passed.sort_by(f64::total_cmp);
        let median = passed
            .get(passed.len() / 2)
            .copied()
            .unwrap_or(f64::INFINITY);
        println!(
            "{:40} {} of {runs} pass, median {median:.1} s",
            life.name,
            passed.len()
        );
        assert!(median <= limit, "{}: {median} s", life.name);
    }
}

#[test]
fn a_canary_beyond_the_margin_to_prove_hardly_ever_passes() {
    let runs = runs(20);
    let tenth = Life::errors_only("", 200.0, TENTH);
    // 1.5 x 0.5 % + 0.25 points is the edge.
    let life = Life {
        errors: |_| (0.005, 0.01),
        latency: Some(plain),
        seconds: 200,
        ..tenth
    };
    let life = Life {
        tick_ms: 1_000,
        ..life
    };
    let passed = (0..runs)
        .filter(|seed| life.live(*seed).passed.is_some())
        .count() as u64;
    println!("{passed} of {runs} pass on the edge of the margin to prove");
    assert!(passed * 20 <= runs, "{passed} of {runs}: alpha_pass is 5 %");
}
