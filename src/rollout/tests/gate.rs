//! Steps that wait for somebody's word.

use super::*;
use crate::config::{GateKind, Webhook};

fn hook() -> Webhook {
    Webhook {
        url: "http://deploy:9000/ok?key=secret".to_owned(),
        kind: GateKind::ConfirmPromotion,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
    }
}

fn gated(webhook: Option<Webhook>, max: Option<u64>) -> Split {
    stepped(vec![
        Step::SetWeight(share(5)),
        Step::Gate(Gate {
            webhook,
            max: max.map(Duration::from_secs),
        }),
        Step::SetWeight(share(100)),
        Step::Bake(Duration::from_mins(1)),
    ])
}

const OPEN: Command = Command::OpenGate { step: None };

#[test]
fn a_gate_waits_until_it_is_opened() {
    let mut life = Life::of(&gated(None, None), Origin::New);
    life.is("progressing", 5);
    assert_eq!(life.rollout.phase_reason(), "waits for `serin gate open`");
    assert_eq!(life.look(100_000, Verdict::Pass), Vec::<&str>::new());
    life.is("progressing", 5);
    let revision = life.rollout.state().position.revision;
    assert!(life.ask(OPEN));
    life.is("progressing", 100);
    assert_eq!(life.rollout.phase_reason(), "");
    assert_eq!(life.rollout.state().position.revision, revision + 1);
    let told: Vec<_> = life.rollout.history().iter().map(|it| it.what).collect();
    assert_eq!(told, ["started", "stepped", "gate_opened", "stepped"]);
    assert!(!life.ask(OPEN), "there is no gate here");
    assert!(!life.ask(Command::CloseGate), "there is no gate here");
}

#[test]
fn a_gate_that_is_closed_holds_until_a_person_opens_it() {
    let mut life = Life::of(&gated(Some(hook()), None), Origin::New);
    let reason = "waits for confirm_promotion by http://deploy:9000";
    assert_eq!(life.rollout.phase_reason(), reason);
    assert!(life.rollout.waits_at().is_some());
    assert!(life.ask(Command::CloseGate));
    life.is("paused", 5);
    assert!(life.rollout.waits_at().is_none(), "nobody is asked");
    let reason = "the gate is closed by ann: no reason given; `serin gate open` goes on";
    assert_eq!(life.rollout.phase_reason(), reason);
    let told = life.rollout.history().len();
    assert!(life.ask(Command::CloseGate), "it is closed");
    assert_eq!(life.rollout.history().len(), told, "told once");
    let by_webhook = Command::OpenGate { step: Some(1) };
    assert!(!life.ask(by_webhook), "a late answer opens nothing");
    assert!(life.ask(Command::Resume));
    life.is("progressing", 5);
    let elsewhere = Command::OpenGate { step: Some(3) };
    assert!(!life.ask(elsewhere), "it was another gate");
    assert!(life.ask(Command::CloseGate));
    assert!(life.ask(OPEN));
    life.is("progressing", 100);
}

#[test]
fn a_webhook_opens_the_gate_that_it_was_asked_for() {
    let mut life = Life::of(&gated(Some(hook()), None), Origin::New);
    assert!(life.ask(Command::OpenGate { step: Some(1) }));
    life.is("progressing", 100);
}

#[test]
fn a_gate_that_nobody_opens_holds_or_rolls_back_as_the_file_says() {
    let split = gated(None, Some(60));
    let mut life = Life::of(&split, Origin::New);
    assert_eq!(life.look(59, Verdict::NoData), Vec::<&str>::new());
    assert_eq!(life.look(1, Verdict::NoData), ["paused"]);
    assert_eq!(
        life.rollout.phase_reason(),
        "gate manual, max 1m: nobody has opened it in 1m"
    );
    assert!(life.ask(OPEN));
    life.is("progressing", 100);
    let back = with(&split, |rollout| {
        rollout.on_inconclusive = OnInconclusive::Rollback;
    });
    let mut life = Life::of(&back, Origin::New);
    assert_eq!(life.look(60, Verdict::Pass), ["rolled_back"]);
}

#[test]
fn a_fail_acts_at_a_gate() {
    let mut waiting = Life::of(&gated(None, None), Origin::New);
    assert_eq!(waiting.look(1, Verdict::Fail), ["rolled_back"]);
    waiting.is("rolled_back", 0);
    assert!(!waiting.ask(OPEN));
    let mut closed = Life::of(&gated(None, None), Origin::New);
    assert!(closed.ask(Command::CloseGate));
    assert_eq!(closed.look(1, Verdict::Fail), ["rolled_back"]);
}

#[test]
fn a_gate_may_stand_before_everything() {
    let mut split = gated(None, None);
    split.rollout.as_mut().unwrap().steps.remove(0);
    let life = Life::of(&split, Origin::New);
    life.is("progressing", 0);
    let mut life = life.restart(&split);
    life.look(1, Verdict::NoData);
    assert_eq!(life.rollout.phase_reason(), "waits for `serin gate open`");
    assert!(life.ask(OPEN));
    life.is("progressing", 100);
}
