//! What the judge says of short lives, and laws of its verdicts.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    criteria::{Criteria, Rule, RuleAction, RuleMetric},
    *,
};
use crate::{
    measure::{Cell, Latencies},
    model::{Moment, Share, Stage},
};

mod extent;
mod fairness;

fn at(millis: u64) -> Moment {
    Moment::from_millis(1_000_000 + millis)
}

fn share(percent: u16) -> Share {
    Share::from_basis_points(percent * 100).unwrap()
}

fn cell(requests: u64, failures: u64) -> Cell {
    let mut latency = Latencies::new();
    latency.record_n(Duration::from_millis(20), requests);
    Cell {
        assigned: requests,
        trials: requests,
        failures,
        latency,
        ..Cell::default()
    }
}

const fn arm(cell: &Cell) -> Arm<'_> {
    Arm {
        cell,
        in_flight: None,
    }
}

/// A tick of one stage, from counts: requests and failures of the canary and of stable.
fn feed(evidence: &mut Evidence, millis: (u64, u64), canary: (u64, u64), stable: (u64, u64)) {
    let (canary, stable) = (cell(canary.0, canary.1), cell(stable.0, stable.1));
    let (canary, stable) = (arm(&canary), arm(&stable));
    let strata = [Stratum {
        stage: Stage(1),
        share: share(10),
        stable,
        canary,
    }];
    evidence.absorb(&Tick {
        from: at(millis.0),
        to: at(millis.1),
        strata: &strata,
    });
}

fn quick() -> Criteria {
    Criteria {
        warm_up: Duration::ZERO,
        ..Criteria::default()
    }
}

#[test]
fn a_fail_is_final_whatever_comes_later() {
    let criteria = quick();
    let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
    let mut now = 0;
    while evidence.failure().is_none() {
        feed(&mut evidence, (now, now + 100), (10, 10), (90, 0));
        now += 100;
        assert!(now < 2_000, "a dead canary is found");
    }
    let failed = judge(&evidence, &criteria);
    assert_eq!(
        (failed.verdict, failed.cause.as_str()),
        (Verdict::Fail, "critical:error_rate")
    );
    for _ in 0..2_000 {
        feed(&mut evidence, (now, now + 1_000), (100, 0), (900, 20));
        now += 1_000;
    }
    evidence.begin_stage(Stage(2), share(20), &Baseline::default(), at(now));
    let later = judge(&evidence, &criteria);
    assert_eq!(later.verdict, Verdict::Fail);
    assert_eq!(
        (later.cause, later.evidence),
        (failed.cause, failed.evidence)
    );
}

#[test]
fn a_dead_canary_is_found_in_half_a_second_without_any_history() {
    for tick in [25, 50, 100, 250] {
        let criteria = Criteria::default();
        let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
        let mut now = 0;
        while evidence.failure().is_none() {
            // 100 canary requests a second; the warm-up is on.
            let failures = tick / 10;
            feed(
                &mut evidence,
                (now, now + tick),
                (failures, failures),
                (9 * failures, 0),
            );
            now += tick;
            assert!(now <= 500, "a tick of {tick} ms: nothing after {now} ms");
        }
    }
}

#[test]
fn silence_is_never_a_pass_and_a_healthy_canary_is() {
    let criteria = quick();
    let history = Baseline {
        requests: 5_000,
        failures: 25,
        latency: Latencies::new(),
        ..Baseline::default()
    };
    let mut silent = Evidence::new(&criteria, &history, at(0));
    let mut healthy = Evidence::new(&criteria, &history, at(0));
    for now in (0..60_000).step_by(1_000) {
        feed(&mut silent, (now, now + 1_000), (0, 0), (900, 4));
        feed(
            &mut healthy,
            (now, now + 1_000),
            (100, u64::from(now % 4_000 == 0)),
            (900, 4),
        );
    }
    assert_eq!(judge(&silent, &criteria).verdict, Verdict::NoData);
    let judgement = judge(&healthy, &criteria);
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
    assert_eq!(judgement.canary_requests_needed, Some(0));
    let strict = Criteria {
        min_requests: 7_000,
        ..criteria
    };
    let judgement = judge(&healthy, &strict);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.canary_requests_needed, Some(1_000));
}

#[test]
fn a_hung_canary_is_slow_before_its_timeout() {
    let criteria = quick();
    let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
    let mut now = 0;
    for _ in 0..20 {
        feed(&mut evidence, (now, now + 100), (5, 0), (45, 0));
        now += 100;
    }
    let hung_at = now;
    let mut hung: Vec<u64> = Vec::new();
    while evidence.failure().is_none() {
        hung.extend([now, now + 20, now + 40, now + 60, now + 80]);
        now += 100;
        let mut in_flight = Latencies::new();
        for since in &hung {
            in_flight.record(Duration::from_millis(now - since));
        }
        let canary = Cell {
            assigned: 5,
            ..Cell::default()
        };
        let mut latency = Latencies::new();
        latency.record_n(Duration::from_millis(20), 45);
        let stable = Cell {
            assigned: 45,
            trials: 45,
            latency,
            ..Cell::default()
        };
        let strata = [Stratum {
            stage: Stage(1),
            share: share(10),
            stable: Arm {
                cell: &stable,
                in_flight: None,
            },
            canary: Arm {
                cell: &canary,
                in_flight: Some(&in_flight),
            },
        }];
        evidence.absorb(&Tick {
            from: at(now - 100),
            to: at(now),
            strata: &strata,
        });
        assert!(now < hung_at + 3_000, "a hung canary is found");
    }
    let failure = evidence.failure().unwrap();
    assert!(failure.cause.starts_with("latency_"), "{failure:?}");
}

#[test]
fn plain_rules_hold_or_roll_back_whatever_stable_does() {
    let rule = |action| Rule {
        metric: RuleMetric::ErrorRate(0.05),
        min_requests: 100,
        window: Duration::from_secs(10),
        breaches: (1, 1),
        action,
    };
    let judged = |action, failures| {
        let criteria = Criteria {
            rules: vec![rule(action)],
            ..quick()
        };
        let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
        for now in (0..20_000).step_by(1_000) {
            feed(
                &mut evidence,
                (now, now + 1_000),
                (20, failures),
                (180, 9 * failures),
            );
        }
        judge(&evidence, &criteria)
    };
    let broken = judged(RuleAction::Rollback, 2);
    assert_eq!(
        (broken.verdict, broken.cause.as_str()),
        (Verdict::Fail, "absolute:error_rate")
    );
    let held = judged(RuleAction::Hold, 2);
    assert_eq!(held.verdict, Verdict::Inconclusive);
    assert_eq!(held.cause, "absolute:error_rate");
    assert_eq!(
        judged(RuleAction::Rollback, 1).verdict,
        Verdict::Inconclusive
    );
}

#[test]
fn a_share_that_is_not_the_configured_one_is_told() {
    let criteria = quick();
    let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
    for now in (0..60_000).step_by(1_000) {
        feed(&mut evidence, (now, now + 1_000), (140, 0), (860, 0));
    }
    let judgement = judge(&evidence, &criteria);
    assert_eq!(judgement.invalid, Some(Invalid::RatioMismatch));
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_order_of_ticks_turns_a_bad_canary_into_a_pass(
        order in Just((0_u64..40).collect::<Vec<_>>()).prop_shuffle(),
        lengths in prop::collection::vec(20_u64..1_500, 40),
    ) {
        let criteria = quick();
        let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
        let mut now = 0;
        for (tick, length) in order.into_iter().zip(lengths) {
            // One request in five fails on the canary; in which tick differs.
            let failures = if tick.is_multiple_of(2) { 8 } else { 0 };
            feed(&mut evidence, (now, now + length), (20, failures), (180, 1));
            now += length;
            prop_assert_ne!(judge(&evidence, &criteria).verdict, Verdict::Pass);
        }
        prop_assert_eq!(judge(&evidence, &criteria).verdict, Verdict::Fail);
    }

    #[test]
    fn the_order_in_which_workers_report_does_not_matter(
        cells in prop::collection::vec((0_u64..9, 0_u64..3, 1_u64..90), 8),
    ) {
        let merged = |cells: &mut dyn Iterator<Item = &(u64, u64, u64)>| {
            let mut sum = Cell::default();
            for (good, bad, millis) in cells {
                let mut latency = Latencies::new();
                latency.record_n(Duration::from_millis(*millis), good + bad);
                let trials = good + bad;
                sum.merge(&Cell {
                    assigned: trials, trials, failures: *bad, latency, ..Cell::default()
                });
            }
            let mut evidence = Evidence::new(&quick(), &Baseline::default(), at(0));
            for second in 0..10 {
                let arm = Arm { cell: &sum, in_flight: None };
                let strata =
                    [Stratum { stage: Stage(1), share: share(50), stable: arm, canary: arm }];
                let (from, to) = (at(second * 1_000), at(second * 1_000 + 1_000));
                evidence.absorb(&Tick { from, to, strata: &strata });
            }
            judge(&evidence, &quick())
        };
        prop_assert_eq!(merged(&mut cells.iter()), merged(&mut cells.iter().rev()));
    }
}

#[test]
fn a_canary_with_the_whole_traffic_is_still_watched() {
    let criteria = quick();
    let history = Baseline {
        requests: 5_000,
        failures: 25,
        latency: Latencies::new(),
        ..Baseline::default()
    };
    let lived = |failures| {
        let mut evidence = Evidence::new(&criteria, &history, at(0));
        evidence.begin_stage(Stage(1), Share::FULL, &history, at(0));
        for now in (0..120_000).step_by(500) {
            let canary = cell(100, if now < 60_000 { 0 } else { failures });
            let stable = Cell::default();
            let strata = [Stratum {
                stage: Stage(1),
                share: Share::FULL,
                stable: arm(&stable),
                canary: arm(&canary),
            }];
            let (from, to) = (at(now), at(now + 500));
            evidence.absorb(&Tick {
                from,
                to,
                strata: &strata,
            });
        }
        evidence.failure().map(|failure| failure.at)
    };
    assert_eq!(lived(0), None);
    let found = lived(100).unwrap();
    assert!(found <= at(61_500), "{found:?}");
}

#[test]
fn a_difference_below_the_floor_is_none() {
    let lived = |canary_micros| {
        let criteria = quick();
        let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
        for now in (0..60_000).step_by(250) {
            let (mut canary, mut stable) = (cell(25, 0), cell(225, 0));
            canary.latency = Latencies::new();
            stable.latency = Latencies::new();
            canary
                .latency
                .record_n(Duration::from_micros(canary_micros), 25);
            stable.latency.record_n(Duration::from_micros(300), 225);
            let strata = [Stratum {
                stage: Stage(1),
                share: share(10),
                stable: arm(&stable),
                canary: arm(&canary),
            }];
            let (from, to) = (at(now), at(now + 250));
            evidence.absorb(&Tick {
                from,
                to,
                strata: &strata,
            });
        }
        judge(&evidence, &criteria).verdict
    };
    assert_eq!(lived(600), Verdict::Pass, "twice as slow, but by 0.3 ms");
    assert_eq!(lived(1_500), Verdict::Fail);
}

#[test]
fn a_flight_that_ends_without_an_outcome_leaves_no_trace() {
    let mut ages = marks::Ageing::<1>::default();
    let marks = [Duration::from_millis(10)];
    let mut in_flight = Latencies::new();
    in_flight.record_n(Duration::from_millis(50), 3);
    let nothing = Cell::default();
    let mut count = |cell: &Cell, in_flight: Option<&Latencies>| {
        let [slow] = ages.count(Arm { cell, in_flight }, &marks);
        (slow.trials, slow.hits)
    };
    assert_eq!(count(&nothing, Some(&in_flight)), (3, 3));
    assert_eq!(count(&nothing, Some(&in_flight)), (0, 0), "they count once");
    let mut left = Cell::default();
    left.abandoned.record_n(Duration::from_millis(60), 2);
    left.latency.record(Duration::from_millis(70));
    assert_eq!(
        count(&left, None),
        (0, 0),
        "two left, one has ended: known before"
    );
    left.abandoned = Latencies::new();
    left.abandoned.record(Duration::from_millis(5));
    assert_eq!(
        count(&left, None),
        (1, 1),
        "left before it was slow: no trial"
    );
}
