//! Canaries that must be found, with how soon; and what a test would need that knows all rates.

use std::sync::Arc;

use super::{
    chance::{Shape, lognormal},
    healthy::{RAMP, both, drifting, steady},
    life::Life,
    many::is_brief,
    weather::Weather,
};

/// Evidence of a rollback, in nats.
const NATS: f64 = 4.605_170_185_988_091;

/// A bad canary and how soon it must be found.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) life: Life,
    /// How its cause begins.
    pub(crate) cause: &'static str,
    /// Seconds, median and 95th percentile, at most.
    pub(crate) seconds: [f64; 2],
    /// The median of canary requests, at most.
    pub(crate) requests: f64,
    /// Multiples of the oracle's requests, at most: median and 95th percentile; `None`: it would
    /// know what nobody can, the drift or the route.
    pub(crate) multiples: Option<[f64; 2]>,
}

/// Found within these seconds.
fn found(life: Life, cause: &'static str, seconds: [f64; 2]) -> Bad {
    Bad {
        life,
        cause,
        seconds,
        requests: f64::INFINITY,
        multiples: Some([4.0, 13.0]),
    }
}

/// No oracle is its like.
fn unlike(bad: Bad) -> Bad {
    Bad {
        multiples: None,
        ..bad
    }
}

/// Stable's latency is lognormal; the canary's is this.
fn against(latency: impl Fn(f64) -> f64) -> [Arc<Shape>; 2] {
    [Shape::of(lognormal), Shape::of(latency)]
}

fn errors(name: &'static str, (rate, percent): (f64, u16), [stable, canary]: [f64; 2]) -> Life {
    Life {
        errors: steady(stable, canary),
        latency: Some(both(lognormal)),
        seconds: 1_800,
        ..Life::new(name, rate, percent)
    }
}

fn slow(name: &'static str, rate: f64, latency: impl Fn(f64) -> f64) -> Life {
    Life {
        latency: Some(against(latency)),
        seconds: 1_800,
        ..Life::new(name, rate, 10)
    }
}

/// Harm begins at a second.
fn late(life: Life, harm_from: f64) -> Life {
    let [stable, canary] = (life.errors)(0.0);
    let bad_from = move |second: f64| second >= harm_from;
    Life {
        errors: Arc::new(move |second| [stable, if bad_from(second) { canary } else { stable }]),
        seconds: harm_from as u32 + 60,
        harm_from,
        ..life
    }
}

/// Canaries that fail every request.
fn dead() -> Vec<Bad> {
    const CRITICAL: &str = "critical:error_rate";
    let healthy = if is_brief() { 60.0 } else { 1_800.0 };
    let all = |name, rate, percent| errors(name, (rate, percent), [0.01, 1.0]);
    let quick = |life| Life {
        tick_ms: 50,
        ..life
    };
    let tenth = all("R3b all fail, 1000 rps, 10%", 1_000.0, 10);
    let fast = quick(all("R3b with ticks of 50 ms", 1_000.0, 10));
    let sudden = quick(all("all fail after 30 s, 50 ms", 1_000.0, 10));
    let routes = |name, routes, bad| Life {
        routes,
        bad_route: Some(bad),
        ..all(name, 1_000.0, 10)
    };
    vec![
        Bad {
            requests: 4.0,
            ..found(all("R3 all fail, 100 rps, 1%", 100.0, 1), "", [4.5, 8.0])
        },
        Bad {
            requests: 100.0,
            ..found(tenth, CRITICAL, [0.75, 0.75])
        },
        Bad {
            requests: 50.0,
            ..found(fast, CRITICAL, [0.35, 0.5])
        },
        found(
            late(all("R3c all fail after 30 min", 100.0, 5), healthy),
            "",
            [2.5, 3.25],
        ),
        found(late(sudden, 30.0), CRITICAL, [0.75, 0.75]),
        found(
            Life {
                tick_ms: 1_000,
                ..all("R8 all fail, 5 rps, 1%", 5.0, 1)
            },
            "",
            [80.0, 180.0],
        ),
        unlike(found(
            routes("all fail on one of 5 routes", 5, 3),
            "",
            [2.0, 3.0],
        )),
        unlike(found(
            routes("all fail on one of 50 routes", 50, 20),
            "",
            [10.0, 20.0],
        )),
    ]
}

/// More errors than tolerated.
fn failing() -> Vec<Bad> {
    const ERRORS: &str = "error_rate";
    let tenth = |rate| (rate, 10);
    let thin = Life {
        tick_ms: 1_000,
        seconds: 4_800,
        ..errors(
            "R2b errors .5 to 1%, 200 rps, 5%",
            (200.0, 5),
            [0.005, 0.01],
        )
    };
    let few = Life {
        tick_ms: 1_000,
        ..errors("R7 errors .5 to 20%, 5 rps", tenth(5.0), [0.005, 0.2])
    };
    let twice = Life {
        errors: Arc::new(|second| {
            let stable = 0.002 + 0.013 * second / 3_600.0;
            [stable, 2.0 * stable]
        }),
        ..drifting("R9 ramp and drift, errors x2")
    };
    let bursts = Life {
        weather: Weather::Bursts,
        ..errors("R13 bursts, errors .5 to 2%", tenth(200.0), [0.005, 0.02])
    };
    let twice = found(twice, ERRORS, [1_500.0, 1_900.0]);
    let twice = unlike(twice);
    let cases = [
        (
            errors("R1 errors .1 to 1%, 200 rps", tenth(200.0), [0.001, 0.01]),
            [55.0, 150.0],
        ),
        (
            errors(
                "R2 errors .5 to 1%, 1000 rps",
                tenth(1_000.0),
                [0.005, 0.01],
            ),
            [65.0, 150.0],
        ),
        (thin, [640.0, 1_500.0]),
        (few, [70.0, 130.0]),
        (bursts, [70.0, 190.0]),
        (
            errors(
                "R14 errors .01 to .3%, 500 rps",
                tenth(500.0),
                [0.000_1, 0.003],
            ),
            [80.0, 180.0],
        ),
    ];
    let cases = cases.map(|(life, seconds)| found(life, ERRORS, seconds));
    cases.into_iter().chain([twice]).collect()
}

/// Slower than tolerated.
fn slower() -> Vec<Bad> {
    const LATENCY: &str = "latency_";
    let times = |from: f64, times: f64| {
        move |place: f64| lognormal(place) * if place >= from { times } else { 1.0 }
    };
    let mode = |place: f64| {
        let is_slow = ((place * 16_384.0) as u32).is_multiple_of(50);
        lognormal(place) * if is_slow { 10.0 } else { 1.0 }
    };
    let loaded = Life {
        stages: RAMP.to_vec(),
        harm_from: 2_160.0,
        seconds: 3_600,
        slowness: Arc::new(|second| [1.0, if second >= 2_160.0 { 1.5 } else { 1.0 }]),
        latency: Some(both(lognormal)),
        ..Life::new("R12 +50% from 25% of the traffic on", 100.0, 1)
    };
    let wide = |bad| Bad {
        multiples: Some([6.0, 13.0]),
        ..bad
    };
    vec![
        found(
            slow("R4 p99 x2, p50 equal", 200.0, times(0.95, 2.0)),
            LATENCY,
            [15.0, 40.0],
        ),
        wide(found(
            slow("R4b slowest 5% +20%", 1_000.0, times(0.95, 1.2)),
            LATENCY,
            [130.0, 290.0],
        )),
        found(
            slow("R5 2% of requests x10", 200.0, mode),
            LATENCY,
            [25.0, 60.0],
        ),
        found(
            slow("R6 latency +20%", 200.0, times(0.0, 1.2)),
            LATENCY,
            [70.0, 130.0],
        ),
        found(
            slow("R6b latency x2", 200.0, times(0.0, 2.0)),
            LATENCY,
            [2.0, 3.0],
        ),
        wide(found(loaded, LATENCY, [12.0, 20.0])),
    ]
}

/// All of them.
pub(crate) fn bad() -> Vec<Bad> {
    dead()
        .into_iter()
        .chain(failing())
        .chain(slower())
        .collect()
}

/// Canary requests that a test needs that knows all rates, the margin, and which one number tells
/// the versions apart best; for a canary that is bad in the same way all the time.
pub(crate) fn oracle(life: &Life) -> f64 {
    let at = life.harm_from;
    let margins = &life.criteria;
    let [stable, canary] = (life.errors)(at);
    let mut best = kl(canary, margins.errors.edge(stable));
    if let Some([shape, other]) = &life.latency {
        let [slowness, slower] = (life.slowness)(at);
        for place in 1..1_000_u32 {
            let mark = slowness * shape.quantile(f64::from(place) / 1_000.0);
            let beyond = (mark * 1.1).max(mark + 1.0);
            let stable = shape.above(mark / slowness);
            let canary = other.above(beyond / slower);
            best = best.max(kl(canary, margins.latency().edge(stable)));
        }
    }
    let seen = life.bad_route.map_or(1.0, |route| life.part(route));
    NATS / best / seen
}

/// How fast tosses of one coin tell it from the edge of what is tolerated; 0 within it.
fn kl(canary: f64, edge: f64) -> f64 {
    if canary <= edge || edge <= 0.0 {
        return 0.0;
    }
    let rest = 1.0 - canary;
    let missed = if rest > 0.0 {
        rest * (rest / (1.0 - edge)).ln()
    } else {
        0.0
    };
    canary * (canary / edge).ln() + missed
}

#[test]
fn the_oracle_knows_what_it_should() {
    let all = bad();
    let of = |name: &str| {
        let bad = all.iter().find(|bad| bad.life.name.starts_with(name));
        oracle(&bad.unwrap().life)
    };
    // By an independent reckoning.
    let known = [
        ("R1 ", 450.0),
        ("R2 ", 3_562.0),
        ("R7", 8.6),
        ("R14", 1_910.0),
        ("R6b", 10.0),
    ];
    for (name, requests) in known {
        let found = of(name);
        assert!((found / requests - 1.0).abs() < 0.02, "{name}: {found}");
    }
}
