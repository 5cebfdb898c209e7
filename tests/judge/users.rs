//! Users whose failures share one toss of the coin: sticky ones, and clients that try again.

use std::time::Duration;

use fastrand::Rng;
use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, Stratum, Tick},
    measure::Cell,
    model::{Moment, Share, Stage},
};

use super::many::{each, is_brief, runs, upper_bound};

/// Per cent of users on the canary.
const PERCENT: u16 = 5;

/// Some users fail often, whatever the version.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    name: &'static str,
    users: usize,
    /// Requests a second.
    rate: usize,
    seconds: u64,
    /// The rates of errors of one user in a hundred, and of the others.
    errors: (f64, f64),
    /// Clients try a failed request again so often, on the version that failed it.
    retries: u64,
    /// Users keep their version.
    is_sticky: bool,
    /// The canary fails every request.
    is_bad: bool,
}

/// How failures are counted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Counting {
    /// A user's first, or a request's.
    First,
    /// Every one.
    Every,
}

impl Crowd {
    /// The second of the rollback.
    fn fails(&self, seed: u64, counting: Counting) -> Option<u64> {
        let mut random = Rng::with_seed(seed);
        let share = Share::from_basis_points(PERCENT * 100).unwrap();
        let users: Vec<(bool, f64)> = (0..self.users)
            .map(|_| {
                let is_canary = random.f64() < share.ratio();
                let (often, seldom) = self.errors;
                (is_canary, if random.f64() < 0.01 { often } else { seldom })
            })
            .collect();
        let criteria = Criteria {
            warm_up: Duration::ZERO,
            is_sticky: self.is_sticky && counting == Counting::First,
            ..Criteria::default()
        };
        let history = Baseline {
            requests: 5_000,
            failures: 25,
            ..Baseline::default()
        };
        let mut evidence = Evidence::new(&criteria, &history, Moment::ZERO);
        let seconds = if is_brief() { 300 } else { self.seconds };
        for second in 0..seconds {
            let mut cells = [Cell::default(), Cell::default()];
            for _ in 0..self.rate {
                let user = random.usize(0..self.users);
                let (is_kept, rate) = users[user];
                let is_drawn = random.f64() < share.ratio();
                let is_canary = if self.is_sticky { is_kept } else { is_drawn };
                let rate = if self.is_bad && is_canary { 1.0 } else { rate };
                let has_failed = random.f64() < rate;
                let cell = &mut cells[usize::from(is_canary)];
                count(cell, user as u64, has_failed);
                if has_failed && counting == Counting::Every {
                    (0..self.retries).for_each(|_| count(cell, user as u64, true));
                }
            }
            absorb(&mut evidence, second, share, &cells);
            if evidence.failure().is_some() {
                return Some(second + 1);
            }
        }
        None
    }
}

fn count(cell: &mut Cell, user: u64, has_failed: bool) {
    let is_named = cell.failed_users.contains(&user);
    cell.assigned += 1;
    cell.trials += 1;
    cell.failures += u64::from(has_failed);
    cell.at_risk += u64::from(!is_named);
    if has_failed && !is_named {
        cell.failed_users.push(user);
    }
}

fn absorb(evidence: &mut Evidence, second: u64, share: Share, cells: &[Cell; 2]) {
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
    let ends = [second * 1_000, second * 1_000 + 1_000].map(Moment::from_millis);
    evidence.absorb(&Tick {
        from: ends[0],
        to: ends[1],
        strata: &strata,
    });
}

const STICKY: Crowd = Crowd {
    name: "H10 sticky, 2000 users, 100 rps",
    users: 2_000,
    rate: 100,
    seconds: 1_800,
    errors: (0.3, 0.002),
    retries: 0,
    is_sticky: true,
    is_bad: false,
};

#[test]
fn users_that_fail_by_themselves_do_not_condemn_the_canary() {
    let few = Crowd {
        name: "H10b sticky, 200 users, 20 rps",
        users: 200,
        rate: 20,
        ..STICKY
    };
    let again = Crowd {
        name: "H10c each failure tried again 3 times",
        errors: (0.005, 0.005),
        retries: 3,
        is_sticky: false,
        ..STICKY
    };
    let runs = runs(200, 4);
    let (mut wrong, mut raw, mut total) = (0, 0, 0);
    println!("{:40} {:>5} {:>6} {:>6}", "users", "runs", "first", "every");
    for crowd in [STICKY, few, again] {
        let count = |counting| {
            let ends = each(runs, |seed| crowd.fails(seed, counting));
            ends.iter().flatten().count() as u64
        };
        let (first, every) = (count(Counting::First), count(Counting::Every));
        println!("{:40} {runs:5} {first:6} {every:6}", crowd.name);
        wrong += first;
        raw += every;
        total += runs;
    }
    let bound = 100.0 * upper_bound(wrong, total);
    println!(
        "{:40} {total:5} {wrong:6} {raw:6}, 95 % bound {bound:.2} %",
        "all"
    );
    assert!(wrong * 100 <= total, "alpha is 1 %");
    assert!(
        is_brief() || raw * 20 >= total,
        "{raw}: counting every failure is no trap"
    );
}

#[test]
fn a_canary_that_fails_all_of_its_users_is_found_at_once() {
    let bad = Crowd {
        name: "R10b sticky, the canary fails all",
        is_bad: true,
        ..STICKY
    };
    let runs = runs(150, 5);
    let ends = each(runs, |seed| bad.fails(seed, Counting::First));
    let mut seconds: Vec<u64> = ends.into_iter().map(Option::unwrap).collect();
    seconds.sort_unstable();
    println!(
        "{:40} median {} s of {runs}",
        bad.name,
        seconds[seconds.len() / 2]
    );
    assert!(seconds[seconds.len() / 2] <= 3, "{seconds:?}");
}
