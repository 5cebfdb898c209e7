//! What the judge keeps in memory: counted by an allocator that counts.

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

use std::time::Duration;

use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, RouteBaseline, Stratum, Tick},
    measure::{Cell, Latencies},
    model::{Moment, RouteName, Share, Stage},
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The most that one route may take.
const ROUTE_MAX: usize = 8 << 10;

fn cell(requests: u64) -> Cell {
    let mut latency = Latencies::new();
    for request in 0..requests {
        latency.record(Duration::from_millis(10 + request % 300));
    }
    Cell {
        assigned: requests,
        trials: requests,
        failures: 1,
        latency,
        ..Cell::default()
    }
}

/// The bytes that an evidence of `routes` routes holds after two stages, just after the second
/// began and long after.
fn bytes(routes: usize) -> [usize; 2] {
    let before = dhat::HeapStats::get().curr_bytes;
    let mut evidence = {
        let route = |number| RouteBaseline {
            name: RouteName::new(&format!("r{number}")).unwrap(),
            requests: 2_000,
            failures: 10,
            latency: cell(2_000).latency,
        };
        let baseline = Baseline {
            requests: 2_000,
            failures: 10,
            latency: cell(2_000).latency,
            routes: (0..routes).map(route).collect(),
        };
        let criteria = Criteria {
            warm_up: Duration::ZERO,
            ..Criteria::default()
        };
        Evidence::new(&criteria, &baseline, Moment::ZERO)
    };
    let (stable, canary) = (cell(900), cell(100));
    let mut tick = |second: u64, stage: u64| {
        let arm = |cell| Arm {
            cell,
            in_flight: None,
        };
        let strata = [Stratum {
            stage: Stage(stage),
            share: Share::from_basis_points(1_000).unwrap(),
            stable: arm(&stable),
            canary: arm(&canary),
        }];
        let tick = Tick {
            from: Moment::from_millis(1_000 * second),
            to: Moment::from_millis(1_000 * (second + 1)),
            strata: &strata,
        };
        evidence.absorb(&tick);
        for route in 0..routes {
            evidence.absorb_route(route, &tick);
        }
        dhat::HeapStats::get().curr_bytes
    };
    let mut held = 0;
    for second in 0..30 {
        held = tick(second, 1 + second / 20);
    }
    for second in 30..120 {
        tick(second, 2);
    }
    let later = tick(120, 2);
    let inputs = [&stable, &canary].map(|cell| cell.latency.clone());
    let with_inputs = dhat::HeapStats::get().curr_bytes;
    let inputs = {
        drop(inputs);
        with_inputs - dhat::HeapStats::get().curr_bytes
    };
    [held - before - inputs, later - before - inputs]
}

#[test]
fn a_route_takes_at_most_eight_kilobytes() {
    let _counting = dhat::Profiler::builder().testing().build();
    let (few, many) = (bytes(2), bytes(202));
    let [after_a_step, later] = [0, 1].map(|at| (many[at] - few[at]) / 200);
    println!("a route: {later} bytes, {after_a_step} in the minute after a step");
    println!("all together with two routes: {} bytes", few[1]);
    assert!(
        later <= ROUTE_MAX && after_a_step <= ROUTE_MAX,
        "{later} {after_a_step}"
    );
}
