//! Canaries that must not be rolled back: as good as stable, worse within the margins, exactly on
//! them, and everything else that looks like harm and is none.

use std::{sync::Arc, time::Duration};

use serin::judge::{Block, Criteria};

use super::{
    chance::{Shape, lognormal, pareto},
    life::{Life, Rates},
    many::is_brief,
    weather::Weather,
};

/// Seconds of a long life.
const LONG: u32 = 1_800;
/// An hour's ramp: from which second, per cent.
pub(crate) const RAMP: [(u32, u16); 5] = [(0, 1), (720, 5), (1_440, 10), (2_160, 25), (2_880, 50)];
const HOUR: u32 = 3_600;

/// The same all the time.
pub(crate) fn steady(stable: f64, canary: f64) -> Rates {
    Arc::new(move |_| [stable, canary])
}

/// Both versions alike at every moment.
pub(crate) fn alike(rate: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Rates {
    Arc::new(move |second| [rate(second); 2])
}

/// Both versions have this latency.
pub(crate) fn both(latency: impl Fn(f64) -> f64) -> [Arc<Shape>; 2] {
    let shape = Shape::of(latency);
    [shape.clone(), shape]
}

/// Over an hour errors rise from 0.2 to 1.5 %, latency by four fifths, and the load to three times.
pub(crate) fn drifting(name: &'static str) -> Life {
    Life {
        stages: RAMP.to_vec(),
        seconds: HOUR,
        tick_ms: 1_000,
        load: |second| 1.0 + 2.0 * second / 3_600.0,
        errors: alike(|second| 0.002 + 0.013 * second / 3_600.0),
        latency: Some(both(lognormal)),
        slowness: alike(|second| 1.0 + 0.8 * second / 3_600.0),
        ..Life::new(name, 100.0, 1)
    }
}

fn plain(name: &'static str, rate: f64, percent: u16) -> Life {
    Life {
        latency: Some(both(lognormal)),
        seconds: 600,
        ..Life::new(name, rate, percent)
    }
}

fn slow(life: Life) -> Life {
    Life {
        tick_ms: 1_000,
        seconds: LONG,
        ..life
    }
}

/// As good as stable, in all weathers.
fn equal() -> Vec<Life> {
    let outage = |second: f64| (60.0..120.0).contains(&second);
    vec![
        plain("H1 1000 rps, 10%", 1_000.0, 10),
        slow(plain("H2 100 rps, 5%", 100.0, 5)),
        slow(plain("H3 5 rps, 1%", 5.0, 1)),
        Life {
            errors: steady(0.001, 0.001),
            seconds: 300,
            ..plain("H4 2000 rps, 50%, errors .1%", 2_000.0, 50)
        },
        Life {
            errors: alike(move |second| if outage(second) { 0.4 } else { 0.005 }),
            slowness: alike(move |second| if outage(second) { 5.0 } else { 1.0 }),
            ..plain("H5 outage of both for a minute", 200.0, 10)
        },
        Life {
            weather: Weather::Bursts,
            ..plain("H6 bursts of both", 200.0, 10)
        },
        Life {
            errors: Arc::new(|second| [0.005, 0.005 + 0.03 * (-second / 5.0).exp()]),
            slowness: Arc::new(|second| [1.0, 1.0 + 2.0 * (-second / 10.0).exp()]),
            criteria: Criteria {
                warm_up: Duration::from_mins(1),
                ..Criteria::default()
            },
            ..plain("H7 cold start within the warm-up", 200.0, 10)
        },
        drifting("H8 an hour's ramp and drift"),
        Life {
            latency: Some(both(|place| {
                lognormal(place) * if place > 0.9 { 20.0 } else { 1.0 }
            })),
            ..plain("H11 slow mode, 10% take x20", 200.0, 10)
        },
        Life {
            latency: Some(both(pareto)),
            ..plain("H12 Pareto tail", 200.0, 10)
        },
        Life {
            errors: steady(0.02, 0.02),
            ..plain("H13 both break the promise", 200.0, 10)
        },
        slow(Life {
            errors: steady(0.000_1, 0.000_1),
            ..plain("H14 500 rps, 1%, errors .01%", 500.0, 1)
        }),
        Life {
            realised: 0.0,
            tick_ms: 1_000,
            ..plain("H15 silence of the canary", 200.0, 10)
        },
        Life {
            realised: 1.2,
            ..plain("H16 12% instead of 10%, 1000 rps", 1_000.0, 10)
        },
        Life {
            realised: 0.8,
            ..plain("H17 8% instead of 10%", 200.0, 10)
        },
    ]
}

/// Blips of single instances are as long as this.
fn tolerant(length: Duration) -> Criteria {
    let defaults = Criteria::default();
    Criteria {
        block: Block {
            length,
            ..defaults.block
        },
        critical_block: Block {
            length,
            ..defaults.critical_block
        },
        warm_up: Duration::ZERO,
        ..defaults
    }
}

/// What befalls single processes, and several routes.
fn in_parts() -> Vec<Life> {
    let routes = |name, routes, rate| Life {
        routes,
        tick_ms: 1_000,
        seconds: 300,
        ..plain(name, rate, 10)
    };
    vec![
        Life {
            weather: Weather::Blips(0.5),
            ..plain("H9 blips of instances, 0.5 s", 1_000.0, 10)
        },
        Life {
            weather: Weather::Pauses,
            latency: Some(both(|place| lognormal(place) / 100.0)),
            tick_ms: 100,
            seconds: 120,
            ..plain("pauses of processes, p50 0.5 ms", 500.0, 10)
        },
        routes("5 routes", 5, 500.0),
        routes("50 routes", 50, 1_000.0),
        Life {
            errors: steady(0.005, 0.005_75),
            ..routes("5 routes, errors on the margin", 5, 500.0)
        },
    ]
}

/// Within the margins and exactly on them.
fn tolerable() -> Vec<Life> {
    let slower = |canary: f64| steady(1.0, canary);
    vec![
        Life {
            slowness: slower(1.05),
            ..plain("U1 latency +5%", 200.0, 10)
        },
        Life {
            errors: steady(0.005, 0.005_4),
            ..plain("U2 errors .5 to .54%", 1_000.0, 10)
        },
        Life {
            errors: steady(0.005, 0.005_75),
            ..plain("B1 errors on the margin", 1_000.0, 10)
        },
        Life {
            errors: steady(0.005, 0.005_75),
            tick_ms: 50,
            seconds: 120,
            latency: None,
            ..plain("B1 with ticks of 50 ms", 1_000.0, 10)
        },
        Life {
            slowness: slower(1.1),
            ..plain("B2 latency on the margin", 200.0, 10)
        },
        Life {
            errors: Arc::new(|second| {
                let stable = 0.002 + 0.013 * second / 3_600.0;
                [stable, 1.05 * stable + 0.000_5]
            }),
            weather: Weather::Bursts,
            ..drifting("B3 on the margin, ramp, drift, bursts")
        },
    ]
}

/// Known limits, which lie outside the promise: blips of the canary's only instance that follow
/// each other at once or last for two seconds. No test can tell them from harm as soon as it must.
pub(crate) fn limits() -> Vec<Life> {
    let blips = |name, weather| Life {
        weather,
        ..plain(name, 1_000.0, 10)
    };
    let told = Life {
        criteria: tolerant(Duration::from_secs(2)),
        ..blips("H9b blips of 2 s, burst tolerance 2 s", Weather::Blips(2.0))
    };
    vec![
        blips(
            "H9a blips at random moments, 0.5 s",
            Weather::RandomBlips(0.5),
        ),
        told,
        blips("H9c blips of 2 s, nobody told", Weather::Blips(2.0)),
    ]
}

/// All of them.
pub(crate) fn healthy() -> Vec<Life> {
    let all = equal().into_iter().chain(in_parts()).chain(tolerable());
    all.map(|life| Life {
        seconds: life
            .seconds
            .min(if is_brief() { life.tick_ms / 10 } else { HOUR }),
        ..life
    })
    .collect()
}
