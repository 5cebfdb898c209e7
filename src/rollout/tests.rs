//! Lives of single rollouts, told as scripts.

mod auto;
mod gate;

use std::time::Duration;

use super::*;
use crate::{
    config::{OnFailure, OnInconclusive, OnStart, Split},
    judge::Verdict,
};

fn share(percent: u16) -> Share {
    Share::from_basis_points(percent * 100).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment::from_millis(1_000_000 + seconds * 1_000)
}

fn judgement(verdict: Verdict) -> Judgement {
    Judgement {
        verdict,
        cause: "error_rate".to_owned(),
        why: "because".to_owned(),
        evidence: 1.0,
        threshold: 100.0,
        ..Judgement::default()
    }
}

fn plain(weight: u16) -> Split {
    Split {
        weight: Some(share(weight)),
        ..fixture::split("shop", "v1", Some("v2"))
    }
}

fn stepped(steps: Vec<Step>) -> Split {
    let rollout = config::Rollout {
        steps,
        on_start: OnStart::NewVersion,
        on_failure: OnFailure::Rollback,
        on_inconclusive: OnInconclusive::Pause,
        on_no_data: OnInconclusive::Pause,
    };
    Split {
        weight: None,
        rollout: Some(rollout),
        ..plain(0)
    }
}

fn with(split: &Split, change: impl FnOnce(&mut config::Rollout)) -> Split {
    let mut split = split.clone();
    change(split.rollout.as_mut().unwrap());
    split
}

fn ramp() -> Split {
    stepped(vec![
        Step::SetWeight(share(5)),
        Step::Pause(Some(Duration::from_mins(1))),
        Step::SetWeight(share(50)),
        Step::Analysis {
            max: Some(Duration::from_mins(5)),
            min: None,
        },
        Step::SetWeight(share(100)),
        Step::Bake(Duration::from_mins(1)),
    ])
}

/// A rollout with a clock and a source of nonces.
struct Life {
    rollout: Rollout,
    now: u64,
    nonce: u128,
}

impl Life {
    fn of(split: &Split, origin: Origin) -> Self {
        let (rollout, _first) = Rollout::new(split, origin, Nonce(1), at(0));
        Self {
            rollout,
            now: 0,
            nonce: 1,
        }
    }

    fn on(&mut self, event: Event<'_>) -> Decisions {
        self.rollout.on(event, at(self.now))
    }

    fn look(&mut self, seconds: u64, verdict: Verdict) -> Vec<&'static str> {
        self.judge(seconds, &judgement(verdict))
    }

    fn judge(&mut self, seconds: u64, judgement: &Judgement) -> Vec<&'static str> {
        self.now += seconds;
        let decisions = self.on(Event::Judged(Some(judgement)));
        decisions.entries.iter().map(|entry| entry.what).collect()
    }

    fn ask(&mut self, command: Command) -> bool {
        self.nonce += 1;
        let act = Act {
            command,
            by: "ann".to_owned(),
            reason: None,
        };
        let nonce = Nonce(self.nonce);
        self.on(Event::Asked(&act, nonce)).refused.is_none()
    }

    fn save(&mut self, split: &Split) -> Vec<&'static str> {
        self.nonce += 1;
        let decisions = self.on(Event::Configured(split, Nonce(self.nonce)));
        decisions.entries.iter().map(|entry| entry.what).collect()
    }

    fn restart(self, split: &Split) -> Self {
        let record = self.rollout.record().clone();
        let (rollout, _first) = Rollout::new(
            split,
            Origin::Kept(Box::new(record)),
            Nonce(99),
            at(self.now),
        );
        Self { rollout, ..self }
    }

    #[track_caller]
    fn is(&self, phase: &str, percent: u16) {
        let found = (self.rollout.phase().as_str(), self.rollout.share());
        assert_eq!(
            found,
            (phase, share(percent)),
            "{}",
            self.rollout.phase_reason()
        );
    }
}

#[test]
fn a_good_canary_goes_through_all_steps() {
    let mut life = Life::of(&ramp(), Origin::New);
    life.is("progressing", 5);
    assert_eq!(life.look(59, Verdict::Pass), Vec::<&str>::new());
    assert_eq!(life.look(1, Verdict::Inconclusive), ["stepped"]);
    life.is("progressing", 50);
    assert_eq!(life.look(10, Verdict::Inconclusive), Vec::<&str>::new());
    assert_eq!(life.look(10, Verdict::Pass), ["stepped"]);
    life.is("progressing", 100);
    assert_eq!(life.look(60, Verdict::Inconclusive), ["promoted"]);
    life.is("promoted", 100);
    assert_eq!(
        life.look(60, Verdict::Fail),
        Vec::<&str>::new(),
        "finished never moves"
    );
    life.is("promoted", 100);
}

#[test]
fn a_fail_takes_the_canary_to_zero_in_every_open_phase() {
    let mut pausing = Life::of(&ramp(), Origin::New);
    assert!(pausing.ask(Command::Pause));
    let mut baking = Life::of(&ramp(), Origin::New);
    for _ in 0..3 {
        assert!(baking.ask(Command::Promote { full: false }));
    }
    baking.is("progressing", 100);
    let plain = Life::of(&plain(10), Origin::New);
    plain.is("progressing", 10);
    for mut life in [pausing, baking, plain, Life::of(&ramp(), Origin::New)] {
        assert_eq!(life.look(1, Verdict::Fail), ["rolled_back"]);
        life.is("rolled_back", 0);
        assert_eq!(life.look(1_000, Verdict::Pass), Vec::<&str>::new());
        life.is("rolled_back", 0);
    }
}

#[test]
fn silence_is_never_promoted() {
    let mut life = Life::of(&ramp(), Origin::New);
    assert_eq!(life.look(60, Verdict::NoData), ["paused"]);
    life.is("paused", 5);
    let at_once = stepped(vec![Step::SetWeight(share(100))]);
    let mut life = Life::of(&at_once, Origin::New);
    life.look(1_000, Verdict::NoData);
    life.is("progressing", 100);
    assert_eq!(life.look(1, Verdict::Inconclusive), ["promoted"]);
}

#[test]
fn an_undecided_stage_holds_or_rolls_back_as_the_file_says() {
    let split = stepped(vec![
        Step::SetWeight(share(5)),
        Step::Analysis {
            max: Some(Duration::from_secs(9)),
            min: Some(Duration::from_secs(5)),
        },
    ]);
    let mut life = Life::of(&split, Origin::New);
    assert_eq!(
        life.look(4, Verdict::Pass),
        Vec::<&str>::new(),
        "min is not over"
    );
    assert_eq!(life.look(5, Verdict::Inconclusive), ["paused"]);
    assert!(life.ask(Command::Resume), "looks again for another 9 s");
    assert_eq!(life.look(9, Verdict::NoData), ["paused"]);
    let split = with(&split, |rollout| {
        rollout.on_inconclusive = OnInconclusive::Rollback;
    });
    let mut life = Life::of(&split, Origin::New);
    assert_eq!(life.look(9, Verdict::Inconclusive), ["rolled_back"]);
}

#[test]
fn what_the_file_says_of_silence_and_fails_holds_while_it_bakes() {
    let split = stepped(vec![
        Step::SetWeight(share(100)),
        Step::Bake(Duration::from_mins(1)),
    ]);
    let mut life = Life::of(&split, Origin::New);
    assert_eq!(life.look(60, Verdict::NoData), ["paused"]);
    let back = with(&split, |it| it.on_no_data = OnInconclusive::Rollback);
    let mut life = Life::of(&back, Origin::New);
    assert_eq!(life.look(60, Verdict::NoData), ["rolled_back"]);
    for (on_failure, told, phase) in [
        (OnFailure::Rollback, "rolled_back", ("rolled_back", 0)),
        (OnFailure::Pause, "paused", ("paused", 100)),
        (OnFailure::Notify, "failed", ("progressing", 100)),
    ] {
        let split = with(&split, |it| it.on_failure = on_failure);
        let mut life = Life::of(&split, Origin::New);
        assert_eq!(life.look(1, Verdict::Fail), [told]);
        life.is(phase.0, phase.1);
    }
}

#[test]
fn steps_that_end_below_everything_are_no_promotion() {
    let mut life = Life::of(&stepped(vec![Step::SetWeight(share(5))]), Origin::New);
    life.is("paused", 5);
    assert!(life.ask(Command::Promote { full: false }));
    life.is("promoted", 100);
    assert!(!life.ask(Command::Pause));
}

#[test]
fn what_the_file_wants_of_a_fail() {
    let paused = with(&ramp(), |rollout| rollout.on_failure = OnFailure::Pause);
    let mut life = Life::of(&paused, Origin::New);
    assert_eq!(life.look(1, Verdict::Fail), ["paused"]);
    assert!(life.ask(Command::Resume));
    assert_eq!(
        life.look(60, Verdict::Fail),
        ["stepped"],
        "a person has gone on"
    );
    let told = with(&ramp(), |rollout| rollout.on_failure = OnFailure::Notify);
    let mut life = Life::of(&told, Origin::New);
    assert_eq!(life.look(1, Verdict::Fail), ["failed"]);
    life.is("progressing", 5);
}

#[test]
fn a_save_that_does_not_touch_the_weight_never_moves_traffic() {
    let mut life = Life::of(&plain(10), Origin::New);
    assert!(life.ask(Command::SetWeight(share(30))));
    life.save(&plain(10));
    life.is("progressing", 30);
    assert_eq!(life.save(&plain(20)), ["weight_set"]);
    life.is("progressing", 20);
    let mut life = Life::of(&ramp(), Origin::New);
    let later = with(&ramp(), |rollout| rollout.steps.truncate(3));
    assert_eq!(
        life.save(&later),
        Vec::<&str>::new(),
        "only later steps are others"
    );
    life.is("progressing", 5);
    let earlier = with(&ramp(), |rollout| {
        rollout.steps.remove(0);
    });
    assert_eq!(life.save(&earlier), ["paused"]);
    life.is("paused", 5);
}

#[test]
fn nothing_in_a_file_revives_a_version_that_was_rolled_back() {
    let mut life = Life::of(&plain(10), Origin::New);
    life.look(1, Verdict::Fail);
    let epoch = life.rollout.epoch();
    assert_eq!(life.save(&plain(20)), ["refused"]);
    life.save(&ramp());
    life.is("rolled_back", 0);
    let other = Split {
        canary: Some(fixture::upstream_name("v3")),
        ..plain(10)
    };
    life.save(&other);
    life.is("progressing", 10);
    assert!(life.rollout.epoch() > epoch);
    life.save(&Split {
        canary: None,
        weight: None,
        ..plain(0)
    });
    life.is("idle", 0);
    assert_eq!(life.save(&plain(10)), ["barred"]);
    life.is("rolled_back", 0);
    assert!(!life.ask(Command::Promote { full: true }));
    assert!(life.ask(Command::Retry));
    life.is("progressing", 10);
}

#[test]
fn a_restart_resumes_where_it_was() {
    let mut life = Life::of(&ramp(), Origin::New);
    life.look(60, Verdict::Inconclusive);
    let mut life = life.restart(&ramp());
    life.is("progressing", 50);
    life.look(1, Verdict::Fail);
    let mut life = life.restart(&ramp());
    life.is("rolled_back", 0);
    assert!(life.ask(Command::Retry));
    life.is("progressing", 5);
    let edited_while_down = Split {
        canary: Some(fixture::upstream_name("v3")),
        ..ramp()
    };
    let epoch = life.rollout.epoch();
    let life = life.restart(&edited_while_down);
    life.is("progressing", 5);
    assert_eq!(life.rollout.epoch(), epoch.next());
}

#[test]
fn a_rollout_that_is_started_by_hand_waits_at_stable() {
    let manual = with(&ramp(), |rollout| rollout.on_start = OnStart::Manual);
    let mut life = Life::of(&manual, Origin::New);
    life.is("idle", 0);
    assert!(life.ask(Command::Promote { full: false }));
    life.is("progressing", 5);
}

#[test]
fn steps_that_appear_while_running_begin() {
    let stable_only = Split {
        canary: None,
        weight: None,
        ..plain(0)
    };
    let mut life = Life::of(&stable_only, Origin::New);
    life.is("idle", 0);
    assert!(!life.ask(Command::Retry), "there is no canary");
    assert_eq!(life.save(&ramp()), ["started", "stepped"]);
    life.is("progressing", 5);
}

#[test]
fn what_another_proxy_says_is_joined() {
    let mut life = Life::of(&ramp(), Origin::New);
    let heard = State {
        aborted: true,
        ..life.rollout.state().clone()
    };
    let decisions = life.on(Event::Heard(&heard));
    assert_eq!(
        decisions.entries.first().map(|entry| entry.what),
        Some("rolled_back")
    );
    life.is("rolled_back", 0);
}

#[test]
fn a_promotion_is_undone_once() {
    let mut life = Life::of(&ramp(), Origin::New);
    assert!(!life.ask(Command::Undo), "nothing was promoted yet");
    assert!(life.ask(Command::Promote { full: true }));
    assert!(life.ask(Command::Undo));
    life.is("rolled_back", 0);
    assert_eq!(life.rollout.history().last().unwrap().what, "undone");
    assert!(!life.ask(Command::Undo));
    life.save(&ramp());
    let life = life.restart(&ramp());
    life.is("rolled_back", 0);
}

#[test]
fn an_abort_is_possible_after_a_promotion() {
    let mut life = Life::of(&ramp(), Origin::New);
    assert!(life.ask(Command::Promote { full: true }));
    life.is("promoted", 100);
    assert!(life.ask(Command::Abort));
    life.is("rolled_back", 0);
    assert_eq!(life.rollout.phase().as_str(), "rolled_back");
}
