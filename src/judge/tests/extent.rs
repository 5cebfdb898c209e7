//! Routes, promises, hung canaries, dry runs, new endpoints: what each test looks at.

use super::*;

/// Half-second ticks of one route each: requests and failures of the canary and of stable.
type Counted = ((u64, u64), (u64, u64));

fn routes(count: usize, requests: u64) -> Vec<RouteBaseline> {
    let route = |number| RouteBaseline {
        name: RouteName::new(&format!("r{number}")).unwrap(),
        requests,
        failures: requests / 200,
        latency: cell(requests, 0).latency,
    };
    (0..count).map(route).collect()
}

fn past(routes: Vec<RouteBaseline>) -> Baseline {
    let mut baseline = Baseline::default();
    for route in &routes {
        baseline.requests += route.requests;
        baseline.failures += route.failures;
        baseline.latency.merge(&route.latency);
    }
    Baseline { routes, ..baseline }
}

/// Lives half-second ticks until the canary fails, at most `ticks`.
fn live(routes: usize, ticks: u64, counted: impl Fn(usize) -> Counted) -> Option<Failure> {
    let baseline = past(self::routes(routes, 1_000));
    let mut evidence = Evidence::new(&quick(), &baseline, at(0));
    for tick in 0..ticks {
        let ends = (500 * tick, 500 * (tick + 1));
        let cells: Vec<_> = (0..routes).map(counted_cells(&counted)).collect();
        let mut whole = (Cell::default(), Cell::default());
        for (canary, stable) in &cells {
            whole.0.merge(canary);
            whole.1.merge(stable);
        }
        let take = |cells: &(Cell, Cell), route: Option<usize>, evidence: &mut Evidence| {
            let strata = [Stratum {
                stage: Stage(1),
                share: share(10),
                stable: arm(&cells.1),
                canary: arm(&cells.0),
            }];
            let (from, to) = (at(ends.0), at(ends.1));
            let tick = Tick {
                from,
                to,
                strata: &strata,
            };
            match route {
                None => evidence.absorb(&tick),
                Some(route) => evidence.absorb_route(route, &tick),
            }
        };
        take(&whole, None, &mut evidence);
        for (route, cells) in cells.iter().enumerate() {
            take(cells, Some(route), &mut evidence);
        }
        if let Some(failure) = evidence.failure() {
            return Some(failure.clone());
        }
    }
    None
}

fn counted_cells(counted: &impl Fn(usize) -> Counted) -> impl Fn(usize) -> (Cell, Cell) {
    |route| {
        let (canary, stable) = counted(route);
        (cell(canary.0, canary.1), cell(stable.0, stable.1))
    }
}

#[test]
fn a_fault_of_one_route_in_sixty_is_found_there_and_one_of_all_is_not_blamed_on_a_route() {
    // 10 canary requests a second on each route, 1 in 200 fails on both versions.
    let healthy = ((5, 0), (45, 0));
    let one = live(60, 40, |route| {
        if route == 7 {
            ((5, 5), (45, 0))
        } else {
            healthy
        }
    });
    let one = one.expect("it is found");
    assert_eq!(one.route.as_ref().map(RouteName::as_str), Some("r7"));
    assert!(one.at <= at(3_000), "{one:?}");
    assert!(
        one.why.contains("requests of route r7 failed"),
        "{}",
        one.why
    );
    let all = live(60, 40, |route| ((5, u64::from(route % 4 == 0)), (45, 0))).unwrap();
    assert_eq!(all.route, None);
    assert_eq!(live(60, 120, |_| healthy), None);
    // With one route there is nothing to tell apart.
    let only = live(1, 40, |_| ((5, 5), (45, 0))).unwrap();
    assert_eq!(only.route, None);
}

#[test]
fn a_fault_that_the_whole_finds_is_put_down_to_the_one_route_that_has_it() {
    let of = |bad: &[(usize, u64)]| {
        let found = live(5, 40, |route| {
            let failed = bad.iter().find(|(known, _)| *known == route);
            ((10, failed.map_or(0, |(_, count)| *count)), (90, 0))
        });
        let failure = found.expect("it is found");
        let route = failure.route.as_ref().map(ToString::to_string);
        (route, failure.why)
    };
    // The whole, with half of the capital, is as soon at its caps as a route with a tenth.
    let (route, why) = of(&[(2, 10)]);
    assert_eq!(route.as_deref(), Some("r2"));
    assert!(why.contains("requests of route r2 failed"), "{why}");
    assert_eq!(of(&[(4, 4)]).0.as_deref(), Some("r4"));
    // Two of five, or all.
    for bad in [
        &[(1, 10), (2, 10)][..],
        &[(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)],
    ] {
        let (route, why) = of(bad);
        assert_eq!(route, None, "{why}");
        assert!(!why.contains("of route"), "{why}");
    }
}

#[test]
fn a_route_that_is_bad_on_both_versions_is_nobodys_fault() {
    let found = live(8, 120, |route| {
        if route == 3 {
            ((10, 5), (90, 45))
        } else {
            ((10, 0), (90, 0))
        }
    });
    assert_eq!(found, None);
}

/// Seconds until a canary fails whose requests take `canary` ms where stable's take 20 ms; 50
/// canary requests a second, ten times as many of stable.
fn slow(criteria: &Criteria, canary: u64, seconds: u64) -> Option<(f64, String)> {
    let baseline = past(routes(1, 5_000));
    let mut evidence = Evidence::new(criteria, &baseline, at(0));
    let of = |requests, millis| {
        let mut latency = Latencies::new();
        latency.record_n(Duration::from_millis(millis), requests);
        Cell {
            latency,
            ..cell(requests, 0)
        }
    };
    for tick in 0..seconds * 4 {
        let (stable, canary) = (of(125, 20), of(12, canary));
        let strata = [Stratum {
            stage: Stage(1),
            share: share(10),
            stable: arm(&stable),
            canary: arm(&canary),
        }];
        let (from, to) = (at(250 * tick), at(250 * (tick + 1)));
        evidence.absorb(&Tick {
            from,
            to,
            strata: &strata,
        });
        if let Some(failure) = evidence.failure() {
            let after = failure.at.since(at(0)).as_secs_f64();
            return Some((after, failure.cause.clone()));
        }
    }
    None
}

#[test]
fn what_is_many_times_slower_is_found_in_the_warm_up_and_what_is_slower_after_it() {
    let criteria = Criteria::default();
    let (after, cause) = slow(&criteria, 1_500, 60).unwrap();
    assert!(
        after <= 1.0 && cause == "critical:latency_p95",
        "{after} {cause}"
    );
    let (after, cause) = slow(&criteria, 60, 60).unwrap();
    assert!(
        (30.0..35.0).contains(&after) && cause.starts_with("latency_"),
        "{after} {cause}"
    );
    // What is critical can be written.
    let criteria = Criteria {
        critical_latency: Some(CriticalLatency {
            quantile: 4,
            times: 2.0,
            at_least: Duration::ZERO,
            share: 0.01,
        }),
        ..criteria
    };
    assert!(slow(&criteria, 60, 60).unwrap().0 <= 1.0);
}

#[test]
fn a_canary_that_hangs_from_the_first_request_is_found_before_stable_is_well_known() {
    // 50 requests a second each: the 200 requests for all thresholds take four seconds.
    let mut evidence = Evidence::new(&Criteria::default(), &Baseline::default(), at(0));
    let mut latency = Latencies::new();
    latency.record_n(Duration::from_millis(50), 5);
    let stable = Cell {
        assigned: 5,
        latency,
        ..cell(5, 0)
    };
    let canary = Cell {
        assigned: 5,
        ..Cell::default()
    };
    let failure = (0..40).find_map(|tick| {
        let (from, to) = (100 * tick, 100 * (tick + 1));
        let mut hung = Latencies::new();
        let begun = (0..to).step_by(20);
        begun.for_each(|begun| hung.record(Duration::from_millis(to - begun)));
        evidence.absorb(&Tick {
            from: at(from),
            to: at(to),
            strata: &[Stratum {
                stage: Stage(1),
                share: share(50),
                stable: arm(&stable),
                canary: Arm {
                    cell: &canary,
                    in_flight: Some(&hung),
                },
            }],
        });
        let judged = judge(&evidence, &evidence.criteria);
        let shown = judged.metrics.iter().map(|metric| &*metric.metric);
        assert_eq!(shown.collect::<Vec<_>>(), ["error_rate"]);
        evidence.failure().cloned()
    });
    let failure = failure.expect("it is found");
    assert_eq!(failure.cause, "critical:latency_p95");
    assert!(failure.at <= at(2_500), "{failure:?}");
}

#[test]
fn one_block_of_all_tests_together_never_suffices() {
    let Criteria {
        weights,
        block,
        critical_block,
        alpha,
        ..
    } = Criteria::default();
    let critical = weights.critical * critical_block.cap.exp();
    let hung = weights.critical_latency * latency::CRITICAL_CAP.exp();
    let slow = weights.errors + weights.slo + weights.latency.iter().sum::<f64>();
    // From untouched capital, which is 1 at most.
    let most = critical + hung + slow * block.cap.exp();
    assert!(most < 1.0 / alpha, "{most}");
    let all = slow + weights.critical + weights.critical_latency;
    assert!((all - 1.0).abs() < 1e-12, "{all}");
}

#[test]
fn margins_are_by_quantile_and_a_dry_run_only_tells() {
    let wide = Criteria {
        latency_margins: [1.0; 6],
        ..quick()
    };
    assert_eq!(slow(&wide, 30, 30), None, "half as slow again is tolerated");
    assert!(slow(&quick(), 30, 30).is_some());
    let narrow = Criteria {
        latency_margins: [1.0, 1.0, 0.1, 1.0, 1.0, 1.0],
        ..quick()
    };
    assert_eq!(slow(&narrow, 30, 30).unwrap().1, "latency_p90");
    let dry = Criteria {
        dry_run: DryRun {
            errors: false,
            latency: [true; 6],
        },
        ..quick()
    };
    assert_eq!(slow(&dry, 30, 30), None, "it is told only");
    let baseline = past(routes(1, 5_000));
    let dry = Criteria {
        dry_run: DryRun {
            errors: true,
            ..DryRun::default()
        },
        slo_errors: None,
        ..quick()
    };
    let mut evidence = Evidence::new(&dry, &baseline, at(0));
    for now in (0..20_000).step_by(500) {
        feed(&mut evidence, (now, now + 500), (50, 5), (450, 0));
    }
    let judged = judge(&evidence, &dry);
    let errors = &judged.metrics[0];
    assert_eq!((errors.verdict, errors.is_dry_run), (Verdict::Fail, true));
    assert_ne!(judged.verdict, Verdict::Fail, "{judged:?}");
}

#[test]
fn a_promise_is_broken_by_the_canary_alone_or_the_rollout_is_frozen() {
    let promised = |is_relative| Criteria {
        latency_margins: [10.0; 6],
        slo_latency: Some(Promise {
            quantile: 0.99,
            limit: Duration::from_millis(50),
        }),
        slo_is_relative: is_relative,
        slo_freezes: true,
        ..quick()
    };
    assert_eq!(slow(&promised(true), 60, 30).unwrap().1, "slo:latency_p99");
    assert_eq!(slow(&promised(true), 40, 30), None, "the promise is kept");
    let both_bad = |criteria: &Criteria| {
        let mut evidence = Evidence::new(criteria, &past(routes(1, 5_000)), at(0));
        for now in (0..30_000).step_by(500) {
            feed(&mut evidence, (now, now + 500), (50, 3), (450, 27));
        }
        judge(&evidence, criteria)
    };
    let held = both_bad(&promised(true));
    assert_eq!(held.invalid, Some(Invalid::StableOutsideSlo));
    assert_eq!(held.verdict, Verdict::Inconclusive);
    assert_eq!(both_bad(&promised(false)).cause, "slo:error_rate");
    assert_eq!(
        both_bad(&quick()).invalid,
        None,
        "nobody has promised anything"
    );
}

#[test]
fn slow_tests_leave_a_batch_of_new_endpoints_alone_for_the_warm_up() {
    let criteria = Criteria {
        warm_up: Duration::from_secs(10),
        ..Criteria::default()
    };
    let fails_at = |batch: Option<u64>| {
        let mut evidence = Evidence::new(&criteria, &past(routes(1, 5_000)), at(0));
        for now in (0..60_000).step_by(500) {
            if batch == Some(now) {
                evidence.new_endpoints(at(now));
            }
            let failures = if now >= 20_000 { 4 } else { 0 };
            feed(&mut evidence, (now, now + 500), (50, failures), (450, 0));
        }
        evidence.failure().unwrap().at.since(at(0)).as_secs_f64()
    };
    assert!(fails_at(None) < 24.0, "{}", fails_at(None));
    assert!(
        (30.0..34.0).contains(&fails_at(Some(20_000))),
        "{}",
        fails_at(Some(20_000))
    );
}

#[test]
fn a_rule_can_need_three_of_five_windows() {
    let criteria = Criteria {
        rules: vec![Rule {
            metric: RuleMetric::ErrorRate(0.05),
            min_requests: 10,
            window: Duration::from_secs(10),
            breaches: (3, 5),
            action: RuleAction::Rollback,
        }],
        ..quick()
    };
    // Every third window is bad, or two of three; stable is as bad.
    let lived = |is_bad: fn(u64) -> bool| {
        let mut evidence = Evidence::new(&criteria, &Baseline::default(), at(0));
        for now in (0..200_000).step_by(1_000) {
            let failures = if is_bad(now / 10_000) { 4 } else { 0 };
            feed(
                &mut evidence,
                (now, now + 1_000),
                (20, failures),
                (180, 9 * failures),
            );
        }
        evidence.failure().map(|failure| failure.cause.clone())
    };
    assert_eq!(lived(|window| window % 3 == 0), None);
    assert_eq!(
        lived(|window| window % 3 != 0).as_deref(),
        Some("absolute:error_rate")
    );
}

#[test]
fn harm_pace_parts_and_first_failures_are_told() {
    let criteria = Criteria {
        min_hits: u64::MAX,
        ..quick()
    };
    let mut evidence = Evidence::new(&criteria, &past(routes(1, 5_000)), at(0));
    let failed = Cell {
        failed_requests: vec![7, 8],
        ..cell(50, 2)
    };
    let stable = cell(450, 0);
    for tick in 0..20 {
        let strata = [Stratum {
            stage: Stage(1),
            share: share(10),
            stable: arm(&stable),
            canary: arm(&failed),
        }];
        let (from, to) = (at(500 * tick), at(500 * (tick + 1)));
        evidence.absorb(&Tick {
            from,
            to,
            strata: &strata,
        });
    }
    let judged = judge(&evidence, &criteria);
    assert!((99.0..101.0).contains(&judged.pace), "{}", judged.pace);
    // 40 failures of 1,000; stable has none, 0.05 points are tolerated.
    assert!((39.4..39.6).contains(&judged.harm), "{}", judged.harm);
    assert_eq!(judged.first_failed, [7, 8, 7, 8, 7, 8, 7, 8]);
    assert_eq!(judged.parts[0].cause, "error_rate");
    let sum: f64 = judged.parts.iter().map(|part| part.evidence).sum();
    assert!(
        (sum / judged.evidence - 1.0).abs() < 1e-9,
        "{sum} {}",
        judged.evidence
    );
}
