//! The step that raises the share by itself.

use proptest::{collection, prop_assert, prop_assert_eq, proptest, sample, strategy::Strategy};

use super::*;
use crate::{
    config::Auto,
    judge::{Invalid, MetricJudgement},
};

fn points(points: u16) -> Share {
    Share::from_basis_points(points).unwrap()
}

fn auto() -> Auto {
    Auto {
        from: points(10),
        to: share(50),
        failed_requests: 200,
        min_step: Duration::from_secs(30),
        max: None,
    }
}

fn climbing(auto: Auto) -> Split {
    stepped(vec![
        Step::Auto(auto),
        Step::SetWeight(share(100)),
        Step::Bake(Duration::from_mins(1)),
    ])
}

/// Of a canary that does well: nobody knows yet whether it fails `worst` more than stable.
fn well(canary_requests: u64, worst: f64) -> Judgement {
    let errors = MetricJudgement {
        metric: "error_rate".to_owned(),
        verdict: Verdict::Inconclusive,
        canary: (0, canary_requests),
        stable: (50, 10_000),
        estimate: -0.005,
        interval: (-0.01, worst),
        margin: 0.00075,
        evidence: 0.5,
        is_dry_run: false,
    };
    Judgement {
        canary_requests,
        metrics: vec![errors],
        pace: 1.0,
        ..judgement(Verdict::Inconclusive)
    }
}

impl Life {
    #[track_caller]
    fn has(&self, points: u16) {
        assert_eq!(
            self.rollout.share().basis_points(),
            points,
            "{}",
            self.rollout.phase_reason()
        );
    }
}

#[test]
fn a_canary_that_does_well_climbs_to_the_end() {
    let mut life = Life::of(&climbing(auto()), Origin::New);
    life.has(10);
    assert_eq!(life.rollout.history().last().unwrap().by, "schedule");
    let mut seen = 5;
    life.judge(1, &well(seen, 0.1));
    for expected in [40, 160, 640, 2_560, 5_000] {
        seen += 29;
        assert_eq!(
            life.judge(30, &well(seen, 0.1)),
            Vec::<&str>::new(),
            "29 requests"
        );
        seen += 1;
        assert_eq!(life.judge(0, &well(seen, 0.1)), ["stepped"]);
        life.has(expected);
        assert_eq!(life.judge(0, &well(seen, 0.1)), Vec::<&str>::new());
        seen += 100;
        assert_eq!(life.judge(29, &well(seen, 0.1)), Vec::<&str>::new(), "29 s");
        seen -= 100;
    }
    assert_eq!(life.rollout.phase_reason(), "waits for a pass at 50%");
    let last = life.rollout.history().last().unwrap();
    assert_eq!(last.by, "judge");
    assert!(last.why.contains("of 200 are left"), "{}", last.why);
    assert_eq!(
        life.judge(9_999, &well(seen + 9_999, 0.001)),
        Vec::<&str>::new()
    );
    assert_eq!(life.look(1, Verdict::Pass), ["stepped"]);
    life.is("progressing", 100);
}

#[test]
fn the_weight_is_held_while_anything_speaks_against_a_raise() {
    type Change = fn(&mut Judgement);
    let against: [(&str, Change); 7] = [
        ("the judge stood still", |it| {
            it.invalid = Some(Invalid::Stalled);
        }),
        ("proven to fail more", |it| it.is_worse = true),
        ("there is evidence", |it| it.evidence = 10.0),
        ("29 of 30 canary requests", |it| it.canary_requests = 29),
        ("could cost more", |it| it.harm = 199.9),
        ("could cost more", |it| {
            // Of 100 million requests a second nobody can afford more.
            it.pace = 100e6;
        }),
        ("could cost more", |it| it.metrics.clear()),
    ];
    for (reason, change) in against {
        let mut life = Life::of(&climbing(auto()), Origin::New);
        life.judge(1, &well(0, 0.2));
        let mut judgement = well(1_000, 0.2);
        change(&mut judgement);
        assert_eq!(
            life.judge(3_600, &judgement),
            Vec::<&str>::new(),
            "{reason}"
        );
        life.has(10);
        let said = life.rollout.phase_reason();
        assert!(said.contains(reason), "{said} is not {reason}");
        assert_eq!(life.judge(30, &well(1_000, 0.2)), ["stepped"], "{reason}");
    }
}

#[test]
fn a_raise_is_as_high_as_the_budget_bears() {
    let mut life = Life::of(&climbing(auto()), Origin::New);
    life.judge(1, &well(0, 0.2));
    // At worst a fifth fails: 200 requests are 1,000 of the canary's, less what the verdict takes.
    let many = Judgement {
        pace: 500.0,
        ..well(1_000, 0.2)
    };
    assert_eq!(life.judge(30, &many), ["stepped"]);
    let reached = life.rollout.share().basis_points();
    assert!((20..=30).contains(&reached), "{reached}");
    let spent = Judgement {
        harm: 100.0,
        ..many.clone()
    };
    let mut life = Life::of(&climbing(auto()), Origin::New);
    life.judge(1, &well(0, 0.2));
    assert_eq!(life.judge(30, &spent), ["stepped"]);
    assert!(life.rollout.share().basis_points() < reached);
    let mut life = Life::of(&climbing(auto()), Origin::New);
    life.judge(1, &well(0, 0.2));
    let silent_now = Judgement {
        pace: 0.0,
        canary_requests: 15_000,
        ..many
    };
    assert_eq!(life.judge(30, &silent_now), ["stepped"]);
    life.has(reached);
}

#[test]
fn evidence_that_begins_anew_is_waited_for() {
    let mut life = Life::of(&climbing(auto()), Origin::New);
    life.judge(1, &well(1_000, 0.1));
    assert_eq!(life.judge(30, &well(40, 0.1)), Vec::<&str>::new());
    assert_eq!(life.judge(30, &well(69, 0.1)), Vec::<&str>::new());
    assert_eq!(life.judge(0, &well(70, 0.1)), ["stepped"]);
}

#[test]
fn a_spent_budget_ends_it_once_the_canary_is_proven_to_be_worse() {
    let spent = |is_worse| Judgement {
        harm: 201.0,
        is_worse,
        ..well(100_000, 0.003)
    };
    let mut life = Life::of(&climbing(auto()), Origin::New);
    assert_eq!(life.judge(100, &spent(false)), Vec::<&str>::new());
    let said = life.rollout.phase_reason();
    assert!(said.contains("not proven"), "{said}");
    assert_eq!(life.judge(100, &spent(true)), ["rolled_back"]);
    life.is("rolled_back", 0);
    let last = life.rollout.history().last().unwrap();
    assert_eq!(last.by, "judge");
    assert!(last.why.contains("harm budget is spent"), "{}", last.why);

    let told = with(&climbing(auto()), |it| it.on_failure = OnFailure::Pause);
    let mut life = Life::of(&told, Origin::New);
    assert_eq!(life.judge(100, &spent(true)), ["paused"]);
    assert!(life.ask(Command::Resume));
    assert_eq!(life.judge(100, &spent(true)), Vec::<&str>::new());
    life.has(10);
}

#[test]
fn it_never_begins_below_the_share_in_force() {
    let mut steps = climbing(auto()).rollout.unwrap().steps;
    steps.insert(0, Step::SetWeight(share(5)));
    let mut life = Life::of(&stepped(steps), Origin::New);
    life.has(500);
    life.judge(1, &well(0, 0.1));
    assert_eq!(life.judge(30, &well(100, 0.1)), ["stepped"]);
    life.has(2_000);
    assert!(life.ask(Command::SetWeight(points(700))));
    assert!(life.ask(Command::Resume));
    life.has(700);
    assert_eq!(
        life.judge(100, &well(200, 0.1)),
        Vec::<&str>::new(),
        "a person's weight is a new beginning"
    );
    assert_eq!(life.judge(30, &well(300, 0.1)), ["stepped"]);
    life.has(2_800);
}

#[test]
fn it_ends_undecided_after_its_longest_time() {
    let max = Some(Duration::from_mins(5));
    let split = climbing(Auto { max, ..auto() });
    let mut life = Life::of(&split, Origin::New);
    life.judge(1, &well(0, 0.1));
    assert_eq!(life.judge(30, &well(100, 0.1)), ["stepped"]);
    assert_eq!(life.judge(268, &well(101, 0.1)), Vec::<&str>::new());
    assert_eq!(life.judge(1, &well(101, 0.1)), ["paused"]);
    let back = with(&split, |it| it.on_no_data = OnInconclusive::Rollback);
    let mut life = Life::of(&back, Origin::New);
    assert_eq!(life.look(300, Verdict::NoData), ["rolled_back"]);
}

#[test]
fn a_restart_keeps_the_share_and_waits_for_fresh_evidence() {
    let split = climbing(auto());
    let mut life = Life::of(&split, Origin::New);
    life.judge(1, &well(0, 0.1));
    assert_eq!(life.judge(30, &well(100, 0.1)), ["stepped"]);
    let position = life.rollout.state().position;
    let mut life = life.restart(&split);
    life.has(40);
    assert_eq!(life.rollout.state().position, position);
    assert_eq!(life.judge(300, &well(500, 0.1)), Vec::<&str>::new());
    assert_eq!(life.judge(30, &well(529, 0.1)), Vec::<&str>::new());
    assert_eq!(life.judge(0, &well(530, 0.1)), ["stepped"]);
    life.has(160);
}

#[test]
fn of_two_words_about_one_step_the_later_raise_wins() {
    let split = climbing(auto());
    let mut life = Life::of(&split, Origin::New);
    let before = life.rollout.state().clone();
    life.judge(1, &well(0, 0.1));
    life.judge(30, &well(100, 0.1));
    let after = life.rollout.state().clone();
    assert_eq!(before.clone().join(&after), after);
    assert_eq!(after.clone().join(&before), after);
}

#[test]
fn a_fail_acts_in_an_auto_step() {
    let mut life = Life::of(&climbing(auto()), Origin::New);
    assert_eq!(life.look(1, Verdict::Fail), ["rolled_back"]);
    life.has(0);
    let told = with(&climbing(auto()), |it| it.on_failure = OnFailure::Notify);
    let mut life = Life::of(&told, Origin::New);
    let failed = Judgement {
        verdict: Verdict::Fail,
        ..well(1_000, 0.1)
    };
    assert_eq!(life.judge(1, &failed), ["failed"]);
    let more = Judgement {
        canary_requests: 9_000,
        ..failed
    };
    assert_eq!(life.judge(3_600, &more), Vec::<&str>::new());
    life.has(10);
}

fn any_judgement() -> impl Strategy<Value = (u64, Judgement)> {
    let verdict = sample::select(vec![
        Verdict::Inconclusive,
        Verdict::Inconclusive,
        Verdict::Pass,
        Verdict::NoData,
        Verdict::Fail,
    ]);
    let numbers = (
        0_u64..60,
        0_u64..60,
        0.0..0.4,
        0.0..20.0,
        0.0..300.0,
        0.1..1e5,
    );
    let flags = (0_u8..6, 0_u8..6);
    (verdict, numbers, flags).prop_map(|(verdict, numbers, (worse, invalid))| {
        let (seconds, more, worst, evidence, harm, pace) = numbers;
        let judgement = Judgement {
            verdict,
            evidence,
            harm,
            pace,
            is_worse: worse == 0,
            invalid: (invalid == 0).then_some(Invalid::StableSilent),
            ..well(more, worst)
        };
        (seconds, judgement)
    })
}

proptest! {
    #[test]
    fn whatever_is_judged_the_share_rises_by_the_rule_only(
        looks in collection::vec(any_judgement(), 1..60),
    ) {
        let rule = auto();
        let (budget, to) = (200.0, rule.to);
        let mut life = Life::of(&climbing(rule.clone()), Origin::New);
        let (mut seen, mut raised) = (0, life.now);
        for (seconds, judgement) in looks {
            seen += judgement.canary_requests;
            let judgement = Judgement { canary_requests: seen, ..judgement };
            let before = life.rollout.share();
            life.judge(seconds, &judgement);
            let after = life.rollout.share();
            if judgement.verdict == Verdict::Fail {
                prop_assert_eq!(after, Share::ZERO);
            }
            if after <= before {
                continue;
            }
            prop_assert!(before.basis_points() > 0, "nothing is revived");
            if life.rollout.step() != Some(&Step::Auto(rule.clone())) {
                prop_assert!(judgement.verdict == Verdict::Pass && before == to);
                break;
            }
            prop_assert!(after <= to);
            prop_assert!(after.basis_points() <= before.basis_points() * 4);
            prop_assert!(life.now - raised >= 30);
            prop_assert!(judgement.harm <= budget && !judgement.is_worse);
            prop_assert!(judgement.invalid.is_none() && judgement.evidence < 10.0);
            raised = life.now;
        }
    }
}
