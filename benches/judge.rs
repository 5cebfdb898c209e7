//! What the judge costs: a tick of one route, of all together, a judgement with its numbers, and a
//! second of 200 routes.
//!
//! `cargo bench --bench judge`. A tick is a quarter of a second of a busy route: 225 requests of
//! stable and 25 of the canary with latencies, 20 and 3 under way.

#![expect(clippy::unwrap_used, reason = "a bench stops where it stands")]

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, RouteBaseline, Stratum, Tick, judge},
    measure::{Cell, Latencies},
    model::{Moment, RouteName, Share, Stage},
};

const TICK_MS: u64 = 250;

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
fn evidence(routes: usize) -> Evidence {
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
struct Ticks {
    halves: Vec<(Half, Half)>,
    now: u64,
}

impl Ticks {
    fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(2);
        let halves = (0..64).map(|_| (half(&mut random, 225, 20), half(&mut random, 25, 3)));
        Self {
            halves: halves.collect(),
            now: 0,
        }
    }

    fn next(&mut self, take: impl FnOnce(&Tick<'_>)) {
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

fn ticks(criterion: &mut Criterion) {
    criterion.bench_function("a tick of one route", |bench| {
        let (mut evidence, mut ticks) = (evidence(2), Ticks::new());
        // The whole opens the stage.
        ticks.next(|tick| evidence.absorb(tick));
        bench.iter(|| ticks.next(|tick| evidence.absorb_route(0, black_box(tick))));
    });
    criterion.bench_function("a tick of all together", |bench| {
        let (mut evidence, mut ticks) = (evidence(1), Ticks::new());
        bench.iter(|| ticks.next(|tick| evidence.absorb(black_box(tick))));
    });
    criterion.bench_function("a judgement with its numbers", |bench| {
        let (mut evidence, mut ticks) = (evidence(1), Ticks::new());
        for _ in 0..200 {
            ticks.next(|tick| evidence.absorb(tick));
        }
        let criteria = Criteria::default();
        bench.iter(|| judge(black_box(&evidence), &criteria));
    });
}

fn many_routes(criterion: &mut Criterion) {
    const ROUTES: usize = 200;
    criterion.bench_function("a second of 200 routes at 4 Hz", |bench| {
        let mut ticks = Ticks::new();
        let mut begun = evidence(ROUTES);
        ticks.next(|tick| begun.absorb(tick));
        bench.iter_batched_ref(
            || begun.clone(),
            |evidence| {
                for _ in 0..1_000 / TICK_MS {
                    ticks.next(|tick| {
                        evidence.absorb(tick);
                        for route in 0..ROUTES {
                            evidence.absorb_route(route, black_box(tick));
                        }
                    });
                }
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(5));
    targets = ticks, many_routes
}
criterion_main!(benches);
