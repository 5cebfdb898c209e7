//! No order of ticks, stages and routes turns harm into a pass.

use super::*;

const ROUTES: usize = 3;

/// One tick as it may come.
#[derive(Debug, Clone)]
struct Seen {
    millis: u64,
    /// A stage begins with it, of this many per cent.
    opens: Option<u16>,
    /// It comes by this route, of those that are judged by themselves.
    route: usize,
    /// Requests and failures.
    canary: (u64, u64),
    stable: (u64, u64),
    /// Outcomes of the stage before that come late: of each version, all good.
    late: u64,
}

fn seen(canary: impl Strategy<Value = (u64, u64)>) -> impl Strategy<Value = Seen> {
    let opens = prop::option::weighted(0.15, 1_u16..=100);
    let stable = (1..400_u64, 0..5_u64);
    let stable = stable.prop_map(|(all, failed)| (all, failed.min(all)));
    let tick = (20..1_500_u64, opens, 0..ROUTES, canary, stable, 0..20_u64);
    tick.prop_map(|(millis, opens, route, canary, stable, late)| Seen {
        millis,
        opens,
        route,
        canary,
        stable,
        late,
    })
}

/// A rollout under way.
struct Watch {
    evidence: Evidence,
    baseline: Baseline,
    routes: usize,
    now: u64,
    stage: (u64, Share),
    before: Option<(u64, Share)>,
}

impl Watch {
    /// With this many routes that are judged by themselves.
    fn new(routes: usize) -> Self {
        let route = |number| RouteBaseline {
            name: RouteName::new(&format!("r{number}")).unwrap(),
            requests: 1_000,
            failures: 5,
            latency: cell(1_000, 0).latency,
        };
        let baseline = Baseline {
            requests: 3_000,
            failures: 15,
            latency: cell(3_000, 0).latency,
            routes: (0..routes).map(route).collect(),
        };
        Self {
            evidence: Evidence::new(&quick(), &baseline, at(0)),
            baseline,
            routes,
            now: 0,
            stage: (1, share(10)),
            before: None,
        }
    }

    /// Takes a tick, and judges.
    fn see(&mut self, tick: &Seen) -> Judgement {
        if let Some(percent) = tick.opens {
            self.before = Some(self.stage);
            self.stage = (self.stage.0 + 1, share(percent));
            let (stage, share) = self.stage;
            let now = at(self.now);
            self.evidence
                .begin_stage(Stage(stage), share, &self.baseline, now);
        }
        let (canary, stable) = (
            cell(tick.canary.0, tick.canary.1),
            cell(tick.stable.0, tick.stable.1),
        );
        let late = cell(tick.late, 0);
        let stratum = |(stage, share), stable, canary| Stratum {
            stage: Stage(stage),
            share,
            stable: arm(stable),
            canary: arm(canary),
        };
        let before = self.before.map(|before| stratum(before, &late, &late));
        let now = stratum(self.stage, &stable, &canary);
        let strata: Vec<_> = before.into_iter().chain([now]).collect();
        let ends = (at(self.now), at(self.now + tick.millis));
        let told = Tick {
            from: ends.0,
            to: ends.1,
            strata: &strata,
        };
        self.evidence.absorb(&told);
        for route in 0..self.routes {
            let is_its = route == tick.route;
            let strata = if is_its { &strata[..] } else { &[] };
            self.evidence.absorb_route(route, &Tick { strata, ..told });
        }
        self.now += tick.millis;
        judge(&self.evidence, &quick())
    }
}

fn same_each_time(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(same_each_time(48))]

    #[test]
    fn once_failed_stays_failed_whatever_comes(
        routes in 0..=ROUTES,
        bad in prop::collection::vec(seen((5..60_u64).prop_map(|all| (all, all))), 12),
        later in prop::collection::vec(seen((0..400_u64).prop_map(|all| (all, 0))), 0..40),
    ) {
        let mut watch = Watch::new(routes);
        let mut first: Option<Judgement> = None;
        for tick in bad.iter().chain(&later) {
            let judged = watch.see(tick);
            if let Some(first) = &first {
                prop_assert_eq!(judged.verdict, Verdict::Fail);
                prop_assert_eq!(&judged.cause, &first.cause);
                prop_assert_eq!(&judged.why, &first.why);
                prop_assert_eq!(&judged.route, &first.route);
                prop_assert_eq!(judged.evidence.to_bits(), first.evidence.to_bits());
            } else if judged.verdict == Verdict::Fail {
                first = Some(judged);
            }
        }
        prop_assert!(first.is_some(), "a dead canary is found: {} ticks", bad.len());
    }

    #[test]
    fn ticks_of_a_dead_canary_among_good_ones_end_in_a_fail_in_any_order(
        routes in 0..=ROUTES,
        ticks in (
            prop::collection::vec(seen(Just((20, 20))), 10),
            prop::collection::vec(seen((0..40_u64).prop_map(|all| (all, 0))), 40),
        )
            .prop_map(|(dead, good)| [dead, good].concat())
            .prop_shuffle(),
    ) {
        let mut watch = Watch::new(routes);
        let mut verdict = Verdict::NoData;
        for tick in &ticks {
            verdict = watch.see(tick).verdict;
        }
        prop_assert_eq!(verdict, Verdict::Fail);
    }
}
