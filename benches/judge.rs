//! What the judge costs: a tick of one route, of all together, a judgement with its numbers, and a
//! second of 200 routes.
//!
//! `cargo bench --bench judge`. A tick is a quarter of a second of a busy route: 225 requests of
//! stable and 25 of the canary with latencies, 20 and 3 under way.

mod support;

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serin::judge::{Criteria, judge};

use support::judging::{TICK_MS, Ticks, evidence};

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
