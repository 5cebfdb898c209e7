//! A life under way and ticks to tell it: the same numbers each time.

use std::time::Duration;

use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, RouteBaseline, Stratum, Tick},
    measure::{Cell, Latencies},
    model::{Moment, RouteName, Share, Stage},
};

/// A tick is so long.
pub(crate) const TICK_MS: u64 = 250;

/// One version's part of a tick.
struct Half {
    cell: Cell,
    in_flight: Latencies,
}

fn latencies(random: &mut fastrand::Rng, count: u64) -> Latencies {
    let mut latencies = Latencies::new();
    for _ in 0..count {
        // Around 50 ms with a tail.
        let spread = random.f64() + random.f64() + random.f64();
        latencies.record(Duration::from_secs_f64(0.02 * spread.exp2()));
    }
    latencies
}

fn half(random: &mut fastrand::Rng, requests: u64, in_flight: u64) -> Half {
    Half {
        cell: Cell {
            assigned: requests,
            trials: requests,
            failures: u64::from(random.u8(0..4) == 0),
            latency: latencies(random, requests),
            ..Cell::default()
        },
        in_flight: latencies(random, in_flight),
    }
}

/// A life under way with this many routes, warm and with thresholds.
pub(crate) fn evidence(routes: usize) -> Evidence {
    let mut random = fastrand::Rng::with_seed(1);
    let latency = latencies(&mut random, 5_000);
    let route = |number| RouteBaseline {
        name: RouteName::new(&format!("route-{number}")).unwrap(),
        requests: 5_000,
        failures: 25,
        latency: latency.clone(),
    };
    let baseline = Baseline {
        requests: 5_000,
        failures: 25,
        latency: latency.clone(),
        routes: (0..routes).map(route).collect(),
    };
    let criteria = Criteria {
        warm_up: Duration::ZERO,
        ..Criteria::default()
    };
    let mut evidence = Evidence::new(&criteria, &baseline, Moment::ZERO);
    evidence.begin_stage(Stage(1), share(), &baseline, Moment::ZERO);
    evidence
}

fn share() -> Share {
    Share::from_basis_points(1_000).unwrap()
}

/// Ticks that differ, for as long as a bench wants.
pub(crate) struct Ticks {
    halves: Vec<(Half, Half)>,
    now: u64,
}

impl Ticks {
    pub(crate) fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(2);
        let halves = (0..64).map(|_| (half(&mut random, 225, 20), half(&mut random, 25, 3)));
        Self {
            halves: halves.collect(),
            now: 0,
        }
    }

    pub(crate) fn next(&mut self, take: impl FnOnce(&Tick<'_>)) {
        let place = usize::try_from(self.now).unwrap() % self.halves.len();
        let Some((stable, canary)) = self.halves.get(place) else {
            return;
        };
        let strata = [Stratum {
            stage: Stage(1),
            share: share(),
            stable: Arm {
                cell: &stable.cell,
                in_flight: Some(&stable.in_flight),
            },
            canary: Arm {
                cell: &canary.cell,
                in_flight: Some(&canary.in_flight),
            },
        }];
        take(&Tick {
            from: Moment::from_millis(self.now * TICK_MS),
            to: Moment::from_millis((self.now + 1) * TICK_MS),
            strata: &strata,
        });
        self.now += 1;
    }
}
