//! The goals of docs/judge.md, measured: how often healthy canaries are rolled back, and how soon
//! bad ones.

use super::{
    bad::{Bad, bad, oracle},
    chance::lognormal,
    healthy::{both, healthy, limits, steady},
    life::{End, Found, Life},
    many::{each, is_asked, is_brief, middle_and_late, runs, upper_bound},
};

fn told(life: &Life, often: u64, few: u64) -> (u64, Vec<End>) {
    let runs = runs(often, few);
    (runs, each(runs, |seed| life.live(seed)))
}

/// How many pass, and the median second; one that does not is the last of all.
fn passes(ends: &[End]) -> (usize, f64) {
    let second = |end: &End| end.passed.unwrap_or(f64::INFINITY);
    let passed = ends.iter().filter(|end| end.passed.is_some()).count();
    (
        passed,
        middle_and_late(ends.iter().map(second).collect())[0],
    )
}

/// A limit that was missed.
fn miss(misses: &mut Vec<String>, name: &str, what: &str, found: f64, most: f64) {
    if found > most {
        misses.push(format!("{name}: {what} {found:.2}, at most {most:.2}"));
    }
}

/// Lives healthy rollouts and tells how they ended: runs, those rolled back, those that passed.
fn tell(life: &Life, often: u64, few: u64) -> (u64, u64, usize) {
    let (runs, ends) = told(life, often, few);
    let failed = ends.iter().filter_map(|end| end.failed.as_ref());
    let mut causes: Vec<&str> = failed.map(|found| &*found.cause).collect();
    let failed = causes.len() as u64;
    causes.sort_unstable();
    causes.dedup();
    let (passed, median) = passes(&ends);
    let worse = ends.iter().filter(|end| end.is_worse).count();
    let bound = 100.0 * upper_bound(failed, runs);
    println!(
        "{:40} {runs:5} {failed:6} {bound:6.2}%  {passed:5} {median:7.1} {worse:5} {}",
        life.name,
        causes.join(", ")
    );
    (runs, failed, passed)
}

#[test]
fn healthy_canaries_are_rolled_back_no_more_often_than_promised() {
    let (mut total, mut wrong) = (0, 0);
    let mut misses = Vec::new();
    println!(
        "{:40} {:>5} {:>6} {:>7}  {:>5} {:>7} {:>5} causes",
        "healthy", "runs", "failed", "95 %", "pass", "median", "worse"
    );
    let asked = healthy().into_iter().filter(|life| is_asked(life.name));
    for life in asked {
        let (runs, failed, passed) = tell(&life, 150, 4);
        total += runs;
        wrong += failed;
        let is_silent = life.realised <= 0.0 || life.rate < 10.0;
        if is_silent && passed > 0 {
            misses.push(format!("{}: {passed} passes on silence", life.name));
        }
    }
    let bound = 100.0 * upper_bound(wrong, total);
    println!("{:40} {total:5} {wrong:6} {bound:6.2}%", "all");
    for life in limits().into_iter().filter(|life| is_asked(life.name)) {
        tell(&life, 50, 1);
    }
    assert!(wrong * 100 <= total, "alpha is 1 %");
    let most = if is_brief() { 100.0 } else { 1.0 };
    miss(&mut misses, "all", "95 % bound in per cent", bound, most);
    assert!(misses.is_empty(), "{misses:#?}");
}

#[test]
fn bad_canaries_are_found_in_time() {
    let mut misses = Vec::new();
    println!(
        "{:40} {:>5} {:>5}  seconds, canary requests, x oracle: median and p95",
        "bad", "runs", "found"
    );
    for bad in bad().into_iter().filter(|bad| is_asked(bad.life.name)) {
        let (runs, ends) = told(&bad.life, 150, 3);
        let found: Vec<&Found> = ends.iter().filter_map(|end| end.failed.as_ref()).collect();
        check(&bad, runs, &found, &mut misses);
    }
    assert!(misses.is_empty(), "{misses:#?}");
}

fn check(bad: &Bad, runs: u64, found: &[&Found], misses: &mut Vec<String>) {
    let name = bad.life.name;
    let seconds = middle_and_late(found.iter().map(|found| found.seconds).collect());
    let requests = middle_and_late(found.iter().map(|found| found.requests as f64).collect());
    let (count, oracle) = (found.len(), oracle(&bad.life));
    let multiples = requests.map(|requests| requests / oracle);
    let [middle, late] = [0, 1].map(|at| (seconds[at], requests[at], multiples[at]));
    println!(
        "{name:40} {runs:5} {count:5}  {:8.2} {:8.2}  {:7} {:7}  {oracle:7.1} {:5.2} {:5.2}",
        middle.0, late.0, middle.1, late.1, middle.2, late.2
    );
    if (count as u64) < runs || found.iter().any(|found| found.seconds <= 0.0) {
        misses.push(format!("{name}: {count} of {runs} found"));
    }
    let is_strange = |found: &&&Found| !found.cause.starts_with(bad.cause);
    let strange = found.iter().filter(is_strange).count();
    if strange * 20 > count {
        misses.push(format!("{name}: {strange} with another cause"));
    }
    // Few runs have no percentiles: then they show that nothing is badly wrong.
    let slack = if is_brief() { 2.5 } else { 1.0 };
    miss(misses, name, "median s", middle.0, slack * bad.seconds[0]);
    miss(misses, name, "p95 s", late.0, slack * bad.seconds[1]);
    miss(misses, name, "requests", middle.1, slack * bad.requests);
    if let Some(multiples) = bad.multiples.filter(|_| oracle >= 10.0) {
        miss(
            misses,
            name,
            "median x oracle",
            middle.2,
            slack * multiples[0],
        );
        miss(misses, name, "p95 x oracle", late.2, slack * multiples[1]);
    }
}

#[test]
fn healthy_canaries_are_proven_in_time() {
    let plain = |name, rate| Life {
        latency: Some(both(lognormal)),
        ..Life::new(name, rate, 10)
    };
    for (life, limit) in [
        (plain("100 canary rps", 1_000.0), 30.0),
        (plain("20 canary rps", 200.0), 120.0),
    ] {
        let (runs, ends) = told(&life, 150, 5);
        let (passed, median) = passes(&ends);
        println!(
            "{:40} {passed} of {runs} pass, median {median:.1} s",
            life.name
        );
        let slack = if is_brief() { 1.5 } else { 1.0 };
        assert!(median <= slack * limit, "{}: {median} s", life.name);
    }
}

#[test]
fn a_canary_on_the_edge_of_the_margins_to_prove_hardly_ever_passes() {
    let edge = |name| Life {
        latency: Some(both(lognormal)),
        tick_ms: 1_000,
        ..Life::new(name, 200.0, 10)
    };
    let lives = [
        Life {
            // 1.5 x 0.5 % + 0.25 points.
            errors: steady(0.005, 0.01),
            ..edge("errors on the edge of the margin to prove")
        },
        Life {
            slowness: steady(1.0, 1.2),
            ..edge("latency on the edge of the margin to prove")
        },
    ];
    for life in lives {
        let (runs, ends) = told(&life, 400, 20);
        let (passed, _) = passes(&ends);
        println!("{:44} {passed} of {runs} pass", life.name);
        assert!(
            passed as u64 * 20 <= runs,
            "{}: alpha_pass is 5 %",
            life.name
        );
    }
}
