//! Records are written and read as they were, whole or cut; a replay is the live judge again.

use std::{fmt::Write as _, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    judge::{
        Arm, Baseline, Block, Criteria, DryRun, Evidence, Promise, RouteBaseline, Rule, RuleAction,
        RuleMetric, Stratum, Tick, judge,
    },
    measure::{AttemptLabel, Cell, Latencies, Tally},
    model::{
        CodeClass, Epoch, Moment, Outcome, Reason, RouteName, Share, SplitName, Stage, VersionName,
    },
};

fn share(points: u16) -> Share {
    Share::from_basis_points(points).unwrap()
}

fn header(criteria: Criteria) -> Header {
    Header {
        written_by: "0.0.0".to_owned(),
        split: SplitName::new("shop").unwrap(),
        epoch: Epoch(3),
        stable: VersionName::new("v1").unwrap(),
        canary: VersionName::new("v2").unwrap(),
        routes: vec![RouteName::new("cart").unwrap()],
        criteria,
        baseline: Baseline::default(),
        began: Moment::from_millis(1_700_000_000_000),
    }
}

fn route(name: &str) -> RouteBaseline {
    RouteBaseline {
        name: RouteName::new(name).unwrap(),
        requests: 500,
        failures: 1,
        latency: Latencies::new(),
    }
}

fn read(bytes: &[u8]) -> (Header, Vec<Frame>, Option<Torn>) {
    let (header, mut frames) = Frames::open(bytes).unwrap();
    let read = frames.by_ref().map(Result::unwrap).collect();
    (header, read, frames.torn())
}

/// All of a frame, the buckets of histograms too.
fn shown(frame: &Frame) -> String {
    let mut text = format!("{frame:?}");
    let buckets = |latency: &Latencies| latency.buckets().collect::<Vec<_>>();
    match frame {
        Frame::Tick(tick) | Frame::RouteTick(_, tick) => {
            for part in tick.strata.iter().flat_map(|it| [&it.stable, &it.canary]) {
                let ages = part.in_flight.iter().map(buckets);
                let ages: Vec<_> = ages.collect();
                let of = [&part.cell.latency, &part.cell.abandoned].map(buckets);
                write!(text, "{of:?} {ages:?}").unwrap();
            }
        }
        Frame::Stage { baseline, .. } => {
            write!(text, "{:?}", buckets(&baseline.latency)).unwrap();
            for route in &baseline.routes {
                write!(text, "{:?}", buckets(&route.latency)).unwrap();
            }
        }
        Frame::Endpoints { .. }
        | Frame::Look
        | Frame::Dispersion(_)
        | Frame::Fresh(_)
        | Frame::Decision(_)
        | Frame::End(_) => {}
    }
    text
}

prop_compose! {
    fn latencies()(
        values in prop::collection::vec((0_u64..700_000_000, 0_u64..1_000), 0..20),
    ) -> Latencies {
        let mut latencies = Latencies::new();
        for (value, count) in values {
            // As many short ones as long ones.
            let value = value >> (count % 30);
            latencies.record_n(Duration::from_micros(value), count);
        }
        latencies
    }
}

prop_compose! {
    fn label()(
        code in 0..CodeClass::ALL.len(),
        outcome in 0..Outcome::ALL.len(),
        reason in 0..Reason::ALL.len(),
    ) -> AttemptLabel {
        AttemptLabel {
            code_class: CodeClass::ALL[code],
            outcome: Outcome::ALL[outcome],
            reason: Reason::ALL[reason],
        }
    }
}

prop_compose! {
    fn part()(
        (assigned, trials, failures, at_risk) in any::<(u64, u64, u32, u32)>(),
        failed_users in prop::collection::vec(any::<u64>(), 0..5),
        failed_requests in prop::collection::vec(any::<u64>(), 0..8),
        labels in prop::collection::vec((label(), 1_u64..1_000), 0..5),
        latency in latencies(),
        abandoned in latencies(),
        in_flight in prop::option::of(latencies()),
    ) -> Part {
        let mut attempts = Tally::default();
        for (label, count) in labels {
            attempts.add(label, count);
        }
        let cell = Cell {
            assigned,
            trials,
            failures: failures.into(),
            at_risk: at_risk.into(),
            failed_users,
            failed_requests,
            attempts,
            latency,
            abandoned,
            ..Cell::default()
        };
        Part { cell, in_flight }
    }
}

prop_compose! {
    fn ticked()(
        (from, to) in any::<(u64, u64)>(),
        strata in prop::collection::vec((any::<u64>(), 0_u16..=10_000, part(), part()), 0..3),
    ) -> Ticked {
        let strata = strata.into_iter().map(|(stage, points, stable, canary)| Counted {
            stage: Stage(stage),
            share: share(points),
            stable,
            canary,
        });
        Ticked {
            from: Moment::from_micros(from),
            to: Moment::from_micros(to),
            strata: strata.collect(),
        }
    }
}

prop_compose! {
    fn baseline()(
        requests in any::<u64>(),
        failures in any::<u64>(),
        latency in latencies(),
        routes in prop::collection::vec(("[a-z]{1,9}", any::<u64>(), latencies()), 0..3),
    ) -> Baseline {
        let routes = routes.into_iter().map(|(name, requests, latency)| RouteBaseline {
            name: RouteName::new(&name).unwrap(),
            requests,
            failures: requests / 2,
            latency,
        });
        Baseline { requests, failures, latency, routes: routes.collect() }
    }
}

prop_compose! {
    fn decision()(
        at in any::<u64>(),
        said in 0_usize..3,
        cause in ".{0,20}",
        route in prop::option::of("[a-z]{1,9}"),
        evidence in any::<f64>().prop_filter("a number", |it| !it.is_nan()),
        canary_requests in any::<u64>(),
        why in ".{0,80}",
    ) -> Decision {
        Decision {
            at: Moment::from_micros(at),
            said: [Said::Worse, Said::Pass, Said::Fail][said],
            cause,
            route: route.map(|name| RouteName::new(&name).unwrap()),
            evidence,
            canary_requests,
            why,
        }
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let moment = any::<u64>().prop_map(Moment::from_micros);
    let stage = (any::<u64>(), 0_u16..=10_000, baseline(), moment);
    prop_oneof![
        stage.prop_map(|(stage, points, baseline, at)| Frame::Stage {
            stage: Stage(stage),
            share: share(points),
            baseline,
            at,
        }),
        any::<(usize, usize)>().prop_map(|(canary, stable)| Frame::Endpoints { canary, stable }),
        (1.0_f64..100.0).prop_map(Frame::Dispersion),
        any::<u64>().prop_map(|at| Frame::Fresh(Moment::from_micros(at))),
        ticked().prop_map(Frame::Tick),
        (any::<usize>(), ticked()).prop_map(|(route, tick)| Frame::RouteTick(route, tick)),
        Just(Frame::Look),
        decision().prop_map(Frame::Decision),
        Just(Frame::End(End::Refused)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_are_read_as_they_were_written(frames in prop::collection::vec(frame(), 0..6)) {
        let (mut encoder, mut bytes) = Encoder::begin(&header(Criteria::default()));
        for frame in &frames {
            bytes.append(&mut encoder.frame(frame));
        }
        let (_, again, torn) = read(&bytes);
        let shown = |frames: &[Frame]| frames.iter().map(shown).collect::<Vec<_>>();
        prop_assert_eq!(shown(&frames), shown(&again));
        prop_assert_eq!(torn, None);
    }

    #[test]
    fn a_histogram_comes_back_into_the_same_buckets(value in 0_u64..700_000_000, small in 0..30) {
        let mut latency = Latencies::new();
        latency.record(Duration::from_micros(value >> small));
        latency.record_n(Duration::from_micros(value), 2);
        let cell = Cell { latency, ..Cell::default() };
        let part = Part { cell, in_flight: None };
        let counted = Counted {
            stage: Stage(1),
            share: share(1),
            stable: part.clone(),
            canary: part,
        };
        let tick = Ticked { from: Moment::ZERO, to: Moment::ZERO, strata: vec![counted] };
        let frame = Frame::Tick(tick);
        let (mut encoder, mut bytes) = Encoder::begin(&header(Criteria::default()));
        bytes.append(&mut encoder.frame(&frame));
        prop_assert_eq!(shown(&frame), shown(&read(&bytes).1[0]));
    }

    #[test]
    fn strange_bytes_are_refused_and_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
    ) {
        let (_, mut bytes) = Encoder::begin(&header(Criteria::default()));
        let whole = bytes.len();
        bytes.extend(tail);
        if let Ok((_, frames)) = Frames::open(&bytes) {
            prop_assert!(frames.take(9).count() < 9);
        }
        let at = place.index(whole);
        bytes[at] ^= 1;
        let is_known = Frames::open(&bytes).is_ok();
        prop_assert!(!is_known, "a changed byte in the header is found");
    }
}

#[test]
fn the_header_keeps_every_bit_of_the_criteria() {
    let odd = Criteria {
        alpha: 0.1 + 0.2,
        slo_errors: None,
        slo_latency: Some(Promise {
            quantile: 0.99,
            limit: Duration::from_millis(7),
        }),
        critical_latency: None,
        dry_run: DryRun {
            errors: true,
            ..DryRun::default()
        },
        tempers_latency: false,
        latency_floor: Duration::from_nanos(1),
        block: Block {
            length: Duration::from_millis(333),
            cap: 1.0 / 3.0,
        },
        is_sticky: true,
        rules: vec![
            Rule {
                metric: RuleMetric::ErrorRate(0.07),
                min_requests: 5,
                window: Duration::from_secs(3),
                breaches: (2, 3),
                action: RuleAction::Hold,
            },
            Rule {
                metric: RuleMetric::Latency {
                    quantile: 0.99,
                    limit: Duration::from_micros(1),
                },
                min_requests: 0,
                window: Duration::ZERO,
                breaches: (1, 1),
                action: RuleAction::Rollback,
            },
        ],
        ..Criteria::default()
    };
    for criteria in [Criteria::default(), odd] {
        let written = header(criteria);
        let (_, bytes) = Encoder::begin(&written);
        let (again, ..) = read(&bytes);
        assert_eq!(again.criteria, written.criteria);
        let all = |header: &Header| format!("{header:?}");
        assert_eq!(all(&again), all(&written));
    }
}

#[test]
fn what_is_no_record_is_told_apart() {
    let open = |bytes: &[u8]| Frames::open(bytes).err().map(|error| error.to_string());
    insta::assert_debug_snapshot!([
        open(b"{\"tick_ms\": 250}"),
        open(b"serin record 9\n............"),
        open(b"serin record 1\n"),
        open(b""),
    ]);
}

/// The words' places are in every record: new ones go to the end, or the format is a new one.
#[test]
fn labels_are_numbered_for_ever() {
    let words = |all: &[&str]| all.join(" ");
    insta::assert_debug_snapshot!([
        words(
            &CodeClass::ALL
                .iter()
                .map(|it| it.as_str())
                .collect::<Vec<_>>()
        ),
        words(
            &Outcome::ALL
                .iter()
                .map(|it| it.as_str())
                .collect::<Vec<_>>()
        ),
        words(&Reason::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>()),
    ]);
}

/// A rollout before the live judge, recorded as it goes.
struct Life {
    chance: fastrand::Rng,
    evidence: Evidence,
    criteria: Criteria,
    watch: Watch,
    encoder: Encoder,
    bytes: Vec<u8>,
    now: Moment,
    live: Vec<Decision>,
    has_routes: bool,
}

impl Life {
    fn new(seed: u64, criteria: Criteria, routes: &[&str]) -> Self {
        let mut header = header(criteria);
        header.baseline.routes = routes.iter().map(|name| route(name)).collect();
        let (encoder, bytes) = Encoder::begin(&header);
        Self {
            chance: fastrand::Rng::with_seed(seed),
            evidence: Evidence::new(&header.criteria, &header.baseline, header.began),
            criteria: header.criteria,
            watch: Watch::default(),
            encoder,
            bytes,
            now: header.began,
            live: Vec::new(),
            has_routes: !routes.is_empty(),
        }
    }

    fn tell(&mut self, frame: &Frame) {
        self.bytes.append(&mut self.encoder.frame(frame));
    }

    fn stage(&mut self, stage: u64, points: u16) {
        let (stage, baseline) = (Stage(stage), Baseline::default());
        self.evidence.tell_endpoints(1, 3);
        self.tell(&Frame::Endpoints {
            canary: 1,
            stable: 3,
        });
        self.evidence.disperse(1.25);
        self.tell(&Frame::Dispersion(1.25));
        self.evidence.new_endpoints(self.now);
        self.tell(&Frame::Fresh(self.now));
        self.evidence
            .begin_stage(stage, share(points), &baseline, self.now);
        self.watch.begin_stage();
        self.tell(&Frame::Stage {
            stage,
            share: share(points),
            baseline,
            at: self.now,
        });
    }

    /// Requests of one version: log-normal latency of about 20 ms, some failures.
    fn cell(&mut self, requests: u64, rate: f64) -> Cell {
        let mut cell = Cell {
            assigned: requests,
            trials: requests,
            ..Cell::default()
        };
        for _ in 0..requests {
            let normal: f64 = (0..12).map(|_| self.chance.f64()).sum::<f64>() - 6.0;
            let latency = Duration::from_secs_f64(0.02 * (0.5 * normal).exp());
            cell.latency.record(latency);
            let is_bad = self.chance.f64() < rate;
            cell.failures += u64::from(is_bad);
            cell.attempts.add(
                AttemptLabel {
                    code_class: CodeClass::of(if is_bad { 500 } else { 200 }),
                    outcome: if is_bad {
                        Outcome::Failure
                    } else {
                        Outcome::Success
                    },
                    reason: Reason::None,
                },
                1,
            );
        }
        cell
    }

    /// 50 milliseconds: so many requests of stable and of the canary, and the canary's error rate.
    fn tick(&mut self, stage: u64, points: u16, (stable, canary): (u64, u64), rate: f64) {
        let from = self.now;
        self.now = from + Duration::from_millis(50);
        let cells = (self.cell(stable, 0.002), self.cell(canary, rate));
        let mut ages = Latencies::new();
        for _ in 0..(stable + canary) * 2 / 5 {
            ages.record(Duration::from_micros(self.chance.u64(1..40_000)));
        }
        let strata = [Stratum {
            stage: Stage(stage),
            share: share(points),
            stable: Arm {
                cell: &cells.0,
                in_flight: Some(&ages),
            },
            canary: Arm {
                cell: &cells.1,
                in_flight: None,
            },
        }];
        let tick = Tick {
            from,
            to: self.now,
            strata: &strata,
        };
        self.bytes.append(&mut self.encoder.tick(None, &tick));
        self.evidence.absorb(&tick);
        if self.has_routes {
            self.bytes.append(&mut self.encoder.tick(Some(1), &tick));
            self.evidence.absorb_route(1, &tick);
        }
        self.tell(&Frame::Look);
        let judgement = judge(&self.evidence, &self.criteria);
        for decision in self.watch.see(&judgement, self.now) {
            self.tell(&Frame::Decision(decision.clone()));
            self.live.push(decision);
        }
    }
}

fn replayed(bytes: &[u8], criteria: Option<&Criteria>) -> Replay {
    let (header, frames, _) = read(bytes);
    let mut replay = Replay::new(&header, criteria.unwrap_or(&header.criteria));
    for frame in &frames {
        replay.step(frame);
    }
    replay
}

/// Two stages; in the second the canary breaks a little.
fn life(seed: u64, routes: &[&str]) -> Life {
    let mut life = Life::new(
        seed,
        Criteria {
            warm_up: Duration::from_secs(1),
            ..Criteria::default()
        },
        routes,
    );
    life.stage(1, 1_000);
    for _ in 0..400 {
        life.tick(1, 1_000, (45, 5), 0.002);
    }
    life.stage(2, 5_000);
    for _ in 0..300 {
        life.tick(2, 5_000, (25, 25), 0.05);
    }
    life
}

#[test]
fn a_replay_by_the_same_criteria_is_the_live_judge_to_the_last_bit() {
    for (seed, routes) in [(0, vec![]), (1, vec![]), (2, vec!["cart", "search"])] {
        let life = life(seed, &routes);
        let replay = replayed(&life.bytes, None);
        assert!(
            replay.is_as_live(),
            "{:?}\n{:?}",
            replay.decisions(),
            life.live
        );
        assert_eq!(replay.live(), life.live);
        let fail = replay.decisions().last().unwrap();
        assert_eq!(fail.said, Said::Fail);
        assert!(fail.route.is_none() || !routes.is_empty());
        let failure = life.evidence.failure().unwrap();
        assert_eq!(replay.evidence().failure(), Some(failure));
        assert_eq!(failure.evidence.to_bits(), fail.evidence.to_bits());
        // Not only what was decided: all that is known.
        let judged = |evidence| format!("{:?}", judge(evidence, &life.criteria));
        assert_eq!(judged(replay.evidence()), judged(&life.evidence));
        let sums = replay.sums();
        assert_eq!(sums.canary.trials, 400 * 5 + 300 * 25);
        assert_eq!(sums.canary.latency.count(), sums.canary.trials);
        let failed = |label: &AttemptLabel| label.outcome == Outcome::Failure;
        assert_eq!(sums.canary.attempts.sum(failed), sums.canary.failures);
    }
}

#[test]
fn other_criteria_decide_otherwise() {
    let life = life(1, &[]);
    let mut criteria = life.criteria.clone();
    criteria.errors.absolute = 0.10;
    criteria.pass_errors.absolute = 0.20;
    criteria.slo_errors = None;
    let replay = replayed(&life.bytes, Some(&criteria));
    let said = |decisions: &[Decision], said| decisions.iter().any(|it| it.said == said);
    assert!(said(replay.live(), Said::Fail));
    assert!(
        !said(replay.decisions(), Said::Fail),
        "{:?}",
        replay.decisions()
    );
    assert!(!replay.is_as_live());
}

#[test]
fn a_record_that_was_cut_anywhere_is_good_to_its_last_whole_frame() {
    let mut life = Life::new(1, Criteria::default(), &[]);
    let begun = life.bytes.len();
    life.stage(1, 1_000);
    let mut ends = vec![begun];
    for _ in 0..5 {
        life.tick(1, 1_000, (9, 1), 0.0);
        ends.push(life.bytes.len());
    }
    let whole = read(&life.bytes).1.len();
    for cut in 0..life.bytes.len() {
        let cut_short = &life.bytes[..cut];
        if cut < begun {
            assert!(Frames::open(cut_short).is_err());
            continue;
        }
        let (_, frames, torn) = read(cut_short);
        let at = torn.map_or(cut, |torn| torn.at);
        assert!(frames.len() < whole && at <= cut);
        assert_eq!(torn.map(|torn| torn.at + torn.rest), torn.map(|_| cut));
        assert_eq!(torn.is_none(), cut == at);
        let kept = ends.iter().filter(|end| **end <= cut).count();
        assert!(frames.len() + 1 >= kept);
    }
    // A byte that has changed ends the record as a cut does.
    let mut changed = life.bytes.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let (_, frames, torn) = read(&changed);
    assert_eq!(frames.len(), whole - 1);
    let torn = torn.unwrap();
    assert_eq!(torn.at + torn.rest, life.bytes.len());
    assert!(torn.at > ends[4], "only the last frame is lost");
}

#[test]
fn a_record_is_small() {
    for (rps, canary) in [(1_000_u64, 100), (1_000, 500), (20, 10)] {
        let mut life = Life::new(1, Criteria::default(), &[]);
        life.stage(1, 1_000);
        let (before, ticks) = (life.bytes.len(), 1_200);
        for tick in 0..ticks {
            // Two a second are one in ten ticks.
            let due = |rate: u64| (tick + 1) * rate / 20 - tick * rate / 20;
            life.tick(1, 1_000, (due(rps - canary), due(canary)), 0.002);
        }
        let bytes = life.bytes.len() - before;
        let requests = rps * 60;
        let spent = u64::try_from(bytes).unwrap();
        println!(
            "{rps} rps, {canary} of the canary: {bytes} bytes a minute, {} a tick",
            spent / ticks
        );
        assert!(spent <= 2 * requests + 40 * ticks, "{spent}");
    }
}

#[test]
fn criteria_that_nothing_can_be_judged_by_are_malformed() {
    let usual = Criteria::default;
    let odd = [
        Criteria {
            latency_margins: [0.1, 0.1, -2.0, 0.1, 0.1, 0.1],
            ..usual()
        },
        Criteria {
            alpha: f64::NAN,
            ..usual()
        },
        Criteria {
            latency_floor: Duration::MAX,
            ..usual()
        },
        Criteria {
            restart_horizon: f64::INFINITY,
            ..usual()
        },
    ];
    for criteria in odd {
        let (_, bytes) = Encoder::begin(&header(criteria));
        let read = Frames::open(&bytes).map(|_| ());
        assert!(matches!(read, Err(ReadError::Malformed(_))), "{read:?}");
    }
    let (_, bytes) = Encoder::begin(&header(usual()));
    assert!(Frames::open(&bytes).is_ok());
}
