//! Sticky users: the failures of one user share one toss of the coin.

use std::time::Duration;

use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, Stratum, Tick},
    measure::Cell,
    model::{Moment, Share, Stage},
};

use super::rates::runs;

const USERS: usize = 2_000;
const SECONDS: u64 = 1_200;
/// Requests a second.
const RATE: usize = 100;
/// Per cent of users on the canary.
const PERCENT: u16 = 5;

/// One in a hundred users fails 30 % of the requests, on either version; is the canary rolled
/// back?
fn is_rolled_back(seed: u64, is_sticky: bool) -> bool {
    let mut random = fastrand::Rng::with_seed(seed);
    let share = Share::from_basis_points(PERCENT * 100).unwrap();
    let users: Vec<(bool, f64)> = (0..USERS)
        .map(|_| {
            let is_canary = random.f64() < share.ratio();
            let rate = if random.f64() < 0.01 { 0.3 } else { 0.002 };
            (is_canary, rate)
        })
        .collect();
    let criteria = Criteria {
        warm_up: Duration::ZERO,
        is_sticky,
        ..Criteria::default()
    };
    let history = Baseline {
        requests: 5_000,
        failures: 25,
        ..Baseline::default()
    };
    let mut evidence = Evidence::new(&criteria, &history, Moment::ZERO);
    for second in 0..SECONDS {
        let mut cells = [Cell::default(), Cell::default()];
        for _ in 0..RATE {
            let user = random.usize(0..USERS);
            let (is_canary, rate) = users[user];
            let cell = &mut cells[usize::from(is_canary)];
            let has_failed = random.f64() < rate;
            let is_named = cell.failed_users.contains(&(user as u64));
            cell.assigned += 1;
            cell.trials += 1;
            cell.failures += u64::from(has_failed);
            cell.at_risk += u64::from(!is_named);
            if has_failed && !is_named {
                cell.failed_users.push(user as u64);
            }
        }
        let [stable, canary] = cells.each_ref().map(|cell| Arm {
            cell,
            in_flight: None,
        });
        let strata = [Stratum {
            stage: Stage(1),
            share,
            stable,
            canary,
        }];
        let (from, to) = (second * 1_000, second * 1_000 + 1_000);
        let (from, to) = (Moment::from_millis(from), Moment::from_millis(to));
        evidence.absorb(&Tick {
            from,
            to,
            strata: &strata,
        });
    }
    evidence.failure().is_some()
}

#[test]
fn users_that_fail_by_themselves_do_not_condemn_the_canary() {
    let runs = runs(4);
    let count = |is_sticky| {
        let wrong = (0..runs).filter(|seed| is_rolled_back(*seed, is_sticky));
        wrong.count() as u64
    };
    let (first, every) = (count(true), count(false));
    println!("first failures: {first} of {runs} rolled back; every failure: {every}");
    assert!(first * 100 <= runs, "alpha is 1 %");
}
