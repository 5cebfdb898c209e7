//! The loop without its surroundings: events in, plans and status out, at moments of our choice.

use std::{path::Path, time::Duration};

use tokio::sync::oneshot;

use super::*;
use crate::{
    config::{self, OnFailure, OnInconclusive, OnStart, Problems, Rollout, Split, Step},
    judge::Effect,
    measure::{AttemptLabel, Cell, CellKey},
    model::{CodeClass, Endpoint, Epoch, Outcome, Reason, Role, RouteId, Share, SplitKey, Stage},
    rollout::fixture,
};

mod ejections;
mod endpoints;
mod exposed;
mod garbled;
mod health;
mod lending;
mod remarks;
mod shadow;
mod toll;

fn share(percent: u16) -> Share {
    Share::from_basis_points(percent * 100).unwrap()
}

fn at(millis: u64) -> Moment {
    Moment::from_millis(1_700_000_000_000 + millis)
}

fn shop(weight: u16) -> Split {
    Split {
        weight: Some(share(weight)),
        ..fixture::split("shop", "v1", Some("v2"))
    }
}

fn ramp() -> Split {
    let rollout = Rollout {
        steps: vec![
            Step::SetWeight(share(10)),
            Step::Analysis {
                max: None,
                min: None,
            },
        ],
        on_start: OnStart::NewVersion,
        on_failure: OnFailure::Rollback,
        on_inconclusive: OnInconclusive::Pause,
        on_no_data: OnInconclusive::Pause,
    };
    Split {
        weight: None,
        rollout: Some(rollout),
        ..shop(0)
    }
}

fn gated(webhook: config::Webhook) -> Split {
    let gate = config::Gate {
        webhook: Some(webhook),
        max: None,
    };
    let mut split = ramp();
    let steps = &mut split.rollout.as_mut().unwrap().steps;
    *steps = vec![Step::SetWeight(share(10)), Step::Gate(gate)];
    split
}

fn loaded(hash: u64, splits: Vec<Split>) -> Loaded {
    let config = fixture::config(hash, splits);
    Loaded {
        config,
        secrets: HashMap::new(),
        tls: plan::Tls::default(),
        tokens: Tokens::default(),
        warnings: Problems::default(),
    }
}

/// Control with a clock in our hand.
struct Desk {
    control: Control,
    handle: Handle,
    reader: plan::Reader,
    now: u64,
}

impl Desk {
    fn of(split: Split, state_dir: Option<&Path>) -> Self {
        let setup = Setup {
            path: state_dir.map(|directory| directory.join("serin.yaml")),
            loaded: loaded(1, vec![split]),
            state_dir: state_dir.map(Path::to_owned),
        };
        let Opened {
            control,
            handle,
            reader,
            ..
        } = Control::open_at(setup, at(0));
        Self {
            control,
            handle,
            reader,
            now: 0,
        }
    }

    fn on(&mut self, event: Event) {
        self.control.on(event, at(self.now));
    }

    fn ask(&mut self, command: Command, if_epoch: Option<Epoch>) -> Result<Done, Refusal> {
        let (ask, answered) = asked(command, if_epoch);
        self.on(Event::Asked(ask));
        answered.blocking_recv().unwrap()
    }

    /// [`Desk::ask`] where waiting is not allowed to block.
    async fn on_ask(&mut self, command: Command) -> Result<Done, Refusal> {
        let (ask, answered) = asked(command, None);
        self.on(Event::Asked(ask));
        answered.await.unwrap()
    }

    fn save(&mut self, hash: u64, splits: Vec<Split>) {
        self.on(Event::Configured(Box::new(loaded(hash, splits))));
    }

    /// A tenth of a second of traffic: stable is well, the canary fails so many of its requests.
    fn traffic(&mut self, stable: u64, canary: u64, failures: u64) {
        self.now += 100;
        let (key, stage) = self.in_force();
        let mut sample = Sample::default();
        for (role, trials, failures) in
            [(Role::Stable, stable, 0), (Role::Canary, canary, failures)]
        {
            sample
                .cells
                .insert(cell_key(key, stage, role), cell(trials, failures));
        }
        self.on(Event::Sampled(Box::new(sample)));
    }

    fn in_force(&mut self) -> (SplitKey, Stage) {
        let split = &self.reader.current().splits[0];
        (split.key, split.stage)
    }

    fn phase(&self) -> (&'static str, Share) {
        let status = self.handle.status();
        let split = &status.splits[0];
        (split.phase, split.share)
    }

    fn share_in_force(&mut self) -> Share {
        self.reader.current().splits[0].share
    }
}

fn asked(
    command: Command,
    if_epoch: Option<Epoch>,
) -> (Ask, oneshot::Receiver<Result<Done, Refusal>>) {
    let (answer, answered) = oneshot::channel();
    let ask = Ask {
        split: SplitName::new("shop").unwrap(),
        command,
        if_epoch,
        reason: None,
        actor: "ann".to_owned(),
        answer,
    };
    (ask, answered)
}

fn cell_key(split: SplitKey, stage: Stage, role: Role) -> CellKey {
    CellKey {
        split,
        stage,
        role,
        route: RouteId(0),
        is_shadow: false,
    }
}

fn cell(trials: u64, failures: u64) -> Cell {
    let mut cell = Cell {
        assigned: trials,
        trials,
        failures,
        ..Cell::default()
    };
    cell.latency.record_n(Duration::from_millis(5), trials);
    let label = |code_class, outcome| AttemptLabel {
        code_class,
        outcome,
        reason: Reason::None,
    };
    let bad = label(CodeClass::ServerError, Outcome::Failure);
    cell.attempts.add(
        label(CodeClass::Success, Outcome::Success),
        trials - failures,
    );
    cell.attempts.add(bad, failures);
    cell
}

#[test]
fn a_plain_weight_is_in_force_from_the_first_plan_on() {
    let mut desk = Desk::of(shop(10), None);
    let plan = desk.reader.current();
    assert_eq!(plan.splits[0].share, share(10));
    assert_eq!(plan.upstreams.len(), 2);
    assert_eq!(
        plan.upstreams[0].endpoints.len(),
        1,
        "written addresses serve at once"
    );
    assert_eq!(desk.phase(), ("progressing", share(10)));
    assert!(!desk.handle.status().is_ready, "nobody listens yet");
    desk.on(Event::Listening);
    assert!(desk.handle.status().is_ready);
    desk.on(Event::Draining);
    assert!(!desk.handle.status().is_ready);
}

#[test]
fn a_plan_is_freed_by_control_and_not_by_the_last_worker_that_held_it() {
    let mut desk = Desk::of(shop(10), None);
    let held = Arc::clone(desk.reader.current());
    let old = Arc::downgrade(&held);
    desk.save(2, vec![shop(20)]);
    desk.on(Event::Tick);
    assert_ne!(desk.reader.current().generation, held.generation);
    drop(held);
    assert!(old.upgrade().is_some(), "a worker has let it go");
    desk.on(Event::Tick);
    assert!(old.upgrade().is_none());
}

#[test]
fn a_canary_that_breaks_is_taken_to_zero_in_the_turn_of_the_verdict() {
    let mut desk = Desk::of(shop(10), None);
    for _ in 0..50 {
        desk.traffic(90, 10, 0);
    }
    assert_eq!(desk.share_in_force(), share(10));
    let before = desk.reader.current().generation;
    let mut news = desk.handle.news();
    let mut bad_ticks = 0;
    while desk.share_in_force() > Share::ZERO {
        desk.traffic(90, 10, 10);
        bad_ticks += 1;
        assert!(bad_ticks <= 10, "within a second");
    }
    assert!(
        desk.reader.current().generation > before,
        "generations rise"
    );
    assert_eq!(desk.phase(), ("rolled_back", Share::ZERO));
    let told = news.try_recv().unwrap();
    assert_eq!((told.what, told.by.as_str()), ("rolled_back", "judge"));
    let status = desk.handle.status();
    assert!(!status.splits[0].phase_reason.is_empty());
    assert!(
        status.splits[0]
            .history
            .iter()
            .any(|entry| entry.what == "rolled_back")
    );
    let totals = desk.control.book.totals(0);
    let rollbacks: Vec<_> = totals
        .rollbacks
        .iter()
        .map(|(_, why, n)| (*why, *n))
        .collect();
    assert_eq!(rollbacks, [("critical", 1)]);
    // Late outcomes of the old stage count in metrics and change nothing.
    desk.traffic(90, 10, 10);
    assert_eq!(desk.phase(), ("rolled_back", Share::ZERO));
}

#[test]
fn a_step_that_cannot_decide_in_its_time_is_told_once() {
    let mut split = ramp();
    let short = Step::Analysis {
        max: Some(Duration::from_mins(1)),
        min: None,
    };
    if let Some(rollout) = &mut split.rollout {
        rollout.steps[1] = short;
    }
    let mut desk = Desk::of(split.clone(), None);
    let mut news = desk.handle.news();
    let mut warnings = || {
        let mut told = Vec::new();
        while let Ok(one) = news.try_recv() {
            told.extend((one.what == "warning").then_some(one));
        }
        told
    };
    let seconds = |desk: &mut Desk, count| {
        for _ in 0..count * 10 {
            desk.traffic(9, 1, 0);
            desk.on(Event::Tick);
        }
    };
    seconds(&mut desk, 9);
    assert_eq!(warnings(), [], "the rate is not known yet");
    let status = desk.handle.status();
    let forecast = status.splits[0].forecast.as_ref().unwrap();
    let (dead, pass) = (forecast.to_find(Effect::AllFail), forecast.to_pass);
    assert!(
        dead.unwrap().seconds < 2.0 && pass.unwrap().seconds > 60.0,
        "{forecast:?}"
    );
    seconds(&mut desk, 5);
    let told = warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].is_warning && told[0].text.contains("its max is 60s"),
        "{told:?}"
    );
    let warned = desk.handle.status().splits[0].warnings.clone();
    assert!(
        warned.len() == 1 && warned[0].starts_with("step 2: "),
        "{warned:?}"
    );
    seconds(&mut desk, 3);
    assert_eq!(warnings(), []);
    // The file is another: whoever saved it is told at once.
    split.analysis.min_requests = 31;
    desk.save(2, vec![split]);
    desk.on(Event::Tick);
    assert_eq!(warnings().len(), 1);
}

#[test]
fn a_fault_of_both_versions_is_no_reason_to_roll_back() {
    let mut desk = Desk::of(shop(10), None);
    let (key, stage) = desk.in_force();
    for tick in 0..300_u64 {
        desk.now += 100;
        let is_out = (100..300).contains(&tick);
        let mut sample = Sample::default();
        for (role, trials) in [(Role::Stable, 90), (Role::Canary, 10)] {
            let failures = if is_out { trials } else { 0 };
            sample
                .cells
                .insert(cell_key(key, stage, role), cell(trials, failures));
        }
        desk.on(Event::Sampled(Box::new(sample)));
    }
    assert_eq!(desk.phase(), ("progressing", share(10)));
}

#[test]
fn series_carry_the_version_and_route_of_assignment() {
    let mut desk = Desk::of(shop(10), None);
    let (key, first) = desk.in_force();
    let other = Split {
        canary: Some(fixture::upstream_name("v3")),
        ..shop(20)
    };
    desk.save(2, vec![other]);
    let (_, second) = desk.in_force();
    assert!(second > first);
    let mut sample = Sample::default();
    sample
        .cells
        .insert(cell_key(key, first, Role::Canary), cell(7, 0));
    sample
        .cells
        .insert(cell_key(key, second, Role::Canary), cell(5, 0));
    desk.on(Event::Sampled(Box::new(sample)));
    let totals = desk.control.book.totals(0);
    let series: Vec<_> = totals
        .series
        .iter()
        .map(|(key, cell)| (key.version.as_str(), key.route.as_str(), cell.trials))
        .collect();
    assert_eq!(series, [("v2", "default", 7), ("v3", "default", 5)]);
    desk.now += 300;
    desk.on(Event::Tick);
    let status = desk.handle.status();
    assert_eq!(
        status.splits[0].arm(Role::Canary).unwrap().trials,
        5,
        "of this rollout only"
    );
    assert_eq!(status.splits[0].observed, Some(1.0));
}

#[test]
fn a_bad_file_changes_nothing_and_is_told() {
    let mut desk = Desk::of(shop(10), None);
    let generation = desk.reader.current().generation;
    let problems = config::load("version: 1\nsplits: {", "serin.yaml").unwrap_err();
    desk.on(Event::Rejected(problems));
    let status = desk.handle.status();
    assert_eq!(status.config.reloads, (0, 1));
    assert!(
        status
            .config
            .problem
            .as_deref()
            .unwrap()
            .contains("serin.yaml")
    );
    assert_eq!(desk.reader.current().generation, generation);
    desk.save(1, vec![shop(10)]);
    let status = desk.handle.status();
    assert_eq!(
        (status.config.reloads, status.config.problem.clone()),
        ((1, 1), None)
    );
    assert_eq!(
        desk.reader.current().generation,
        generation,
        "the same file is no change"
    );
    desk.save(2, vec![shop(30)]);
    assert_eq!(desk.share_in_force(), share(30));
    assert!(desk.reader.current().generation > generation);
}

#[test]
fn a_save_elsewhere_never_moves_a_split() {
    let mut desk = Desk::of(shop(10), None);
    desk.ask(Command::SetWeight(share(25)), None).unwrap();
    let (_, stage) = desk.in_force();
    desk.save(2, vec![shop(10), fixture::split("other", "v1", None)]);
    assert_eq!(desk.share_in_force(), share(25));
    assert_eq!(desk.in_force().1, stage, "the stage goes on");
}

#[test]
fn a_key_that_is_read_at_the_start_only_is_told() {
    let mut desk = Desk::of(shop(10), None);
    let mut news = desk.handle.news();
    let mut changed = loaded(2, vec![shop(10)]);
    changed.config.workers = Some(7);
    desk.on(Event::Configured(Box::new(changed)));
    let told = news.try_recv().unwrap();
    assert!(
        told.text.contains("at the next start only: workers"),
        "{told:?}"
    );
}

#[test]
fn people_are_answered_when_it_is_in_force_or_told_why_not() {
    let mut desk = Desk::of(shop(10), None);
    let done = desk.ask(Command::SetWeight(share(50)), None).unwrap();
    assert_eq!(done.share, share(50));
    assert_eq!(desk.share_in_force(), share(50));
    let stale = desk.ask(Command::Abort, Some(Epoch(7))).unwrap_err();
    assert_eq!(stale.kind, RefusalKind::Stale);
    desk.ask(Command::Abort, Some(done.epoch)).unwrap();
    assert_eq!(desk.share_in_force(), Share::ZERO);
    let refused = desk.ask(Command::Promote { full: true }, None).unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Conflict);
    assert!(refused.help.contains("serin retry"), "{refused:?}");
    let done = desk.ask(Command::Retry, None).unwrap();
    assert_eq!((done.epoch, done.share), (Epoch(2), share(10)));
    let mut desk = Desk::of(fixture::split("shop", "v1", None), None);
    let refused = desk.ask(Command::Promote { full: true }, None).unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Invalid);
}

#[test]
fn an_empty_answer_of_a_source_changes_nothing() {
    let mut desk = Desk::of(shop(10), None);
    let said = |millis, endpoints: Vec<Endpoint>| {
        let upstream = fixture::upstream_name("v1");
        Event::Discovered(Discovered {
            upstream,
            as_of: at(millis),
            result: Ok(endpoints.into()),
        })
    };
    desk.on(said(1, Vec::new()));
    assert_eq!(desk.reader.current().upstreams[0].endpoints.len(), 1);
    assert!(desk.handle.status().upstreams[0].problem.is_some());
    let two = [1, 2].map(|port| Endpoint::new(([127, 0, 0, 1], port).into()));
    desk.on(said(2, two.to_vec()));
    assert_eq!(desk.reader.current().upstreams[0].endpoints.len(), 2);
    assert_eq!(desk.handle.status().upstreams[0].problem, None);
}

#[test]
fn a_rollback_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let mut desk = Desk::of(shop(10), state);
    desk.ask(Command::Abort, None).unwrap();
    drop(desk);
    let mut desk = Desk::of(shop(10), state);
    assert_eq!(desk.phase(), ("rolled_back", Share::ZERO));
    assert_eq!(desk.share_in_force(), Share::ZERO, "from the first plan on");
    let status = desk.handle.status();
    assert!(
        status.splits[0]
            .history
            .iter()
            .any(|entry| entry.what == "aborted"),
        "history, too"
    );
    desk.save(2, vec![shop(20)]);
    assert_eq!(
        desk.share_in_force(),
        Share::ZERO,
        "nothing in a file revives it"
    );
    drop(desk);
    let mut desk = Desk::of(shop(20), state);
    assert_eq!(desk.share_in_force(), Share::ZERO, "nor does an option");
    desk.ask(Command::Retry, None).unwrap();
    drop(desk);
    assert_eq!(
        Desk::of(shop(20), state).phase(),
        ("progressing", share(20))
    );
}

#[test]
fn a_lost_journal_brings_no_version_back_that_is_out() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let lose_journal = || {
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains(".db") {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    let begun = ("progressing", share(10));
    let desk = Desk::of(ramp(), state);
    assert_eq!(desk.phase(), begun, "a first start begins");
    drop(desk);
    lose_journal();
    let mut desk = Desk::of(ramp(), state);
    assert_eq!(desk.phase(), begun, "so does a lost rollout that went well");
    desk.ask(Command::Abort, None).unwrap();
    drop(desk);
    lose_journal();
    let mut desk = Desk::of(ramp(), state);
    assert_eq!(desk.share_in_force(), Share::ZERO);
    assert_eq!(desk.phase().0, "rolled_back");
    desk.ask(Command::Retry, None).unwrap();
    drop(desk);
    lose_journal();
    assert_eq!(
        Desk::of(ramp(), state).phase(),
        begun,
        "a retry lets it in again"
    );
}

#[test]
fn a_split_that_an_intact_journal_does_not_know_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    drop(Desk::of(fixture::split("shop", "v1", None), state));
    let desk = Desk::of(ramp(), state);
    assert_eq!(
        desk.phase(),
        ("progressing", share(10)),
        "the canary appeared while we were down"
    );
}

#[test]
fn a_restart_between_publication_and_writing_is_no_worse_than_a_lost_second() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let mut desk = Desk::of(ramp(), state);
    desk.control.journal.flush();
    // What the disk holds at this moment is what a kill between the two would leave.
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    desk.ask(Command::Abort, None).unwrap();
    let mut again = Desk::of(ramp(), Some(copy.path()));
    assert_eq!(
        again.phase(),
        ("progressing", share(10)),
        "as it was before the act"
    );
    for _ in 0..20 {
        again.traffic(90, 10, 10);
    }
    assert_eq!(
        again.phase(),
        ("rolled_back", Share::ZERO),
        "and found again"
    );
}

#[test]
fn a_canary_whose_source_fails_is_no_reason_to_be_unready() {
    let dns = |name: &str| config::Source::Dns {
        name: name.to_owned(),
        port: 80,
        min_ttl: Duration::from_secs(1),
        max_ttl: Duration::from_mins(1),
    };
    let mut loaded = loaded(1, vec![shop(10)]);
    for upstream in &mut loaded.config.upstreams {
        upstream.source = dns(upstream.name.as_str());
    }
    let setup = Setup {
        path: None,
        loaded,
        state_dir: None,
    };
    let Opened {
        mut control,
        handle,
        ..
    } = Control::open_at(setup, at(0));
    control.on(Event::Listening, at(1));
    let error = discover::DiscoverError::Unreachable("no answer".to_owned());
    let mut said = |name: &str, result| {
        let upstream = fixture::upstream_name(name);
        control.on(
            Event::Discovered(Discovered {
                upstream,
                as_of: at(2),
                result,
            }),
            at(2),
        );
        handle.status().is_ready
    };
    assert!(
        !said("v2", Err(error.clone())),
        "nothing is known of stable"
    );
    assert!(!said("v1", Err(error)), "nothing can answer");
    let found = [Endpoint::new(([127, 0, 0, 1], 1).into())];
    assert!(
        said("v1", Ok(found.to_vec().into())),
        "stable answers for both"
    );
}

#[test]
fn what_a_webhook_says_is_told_once_and_shown_while_its_gate_waits() {
    let mut desk = Desk::of(
        gated(config::Webhook {
            url: "http://deploy/ok".to_owned(),
            kind: config::GateKind::ConfirmTrafficIncrease,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }),
        None,
    );
    let mut news = desk.handle.news();
    let split = &desk.handle.status().splits[0];
    let gate = split.gate.clone().unwrap();
    assert_eq!((gate.step, gate.kind), (1, "confirm_traffic_increase"));
    let answer = |epoch: u64, step| GateAnswer {
        split: split.name.clone(),
        epoch: Epoch(epoch),
        step,
        by: "webhook deploy".to_owned(),
        text: "it answered 503".to_owned(),
    };
    for (epoch, step) in [(1, 1), (1, 1), (1, 0), (2, 1)] {
        desk.on(Event::Answered(answer(epoch, step)));
    }
    let told = news.try_recv().unwrap();
    assert_eq!(told.text, "the gate stays shut: it answered 503");
    assert!(news.try_recv().is_err(), "the rest is no news");
    let reason = desk.handle.status().splits[0].phase_reason.clone();
    let expected = "waits for confirm_traffic_increase by http://deploy: it answered 503";
    assert_eq!(reason, expected);
    desk.ask(Command::CloseGate, None).unwrap();
    let status = desk.handle.status();
    let closed = &status.splits[0];
    assert_eq!((closed.phase, &closed.gate), ("paused", &None));
    assert!(!closed.phase_reason.contains("503"));
    desk.ask(Command::OpenGate { step: None }, None).unwrap();
    assert_eq!(
        desk.handle.status().splits[0].phase,
        "paused",
        "steps end at 10%"
    );
}

#[test]
fn a_promotion_is_undone_only_while_the_old_version_is_there() {
    let mut desk = Desk::of(shop(10), None);
    let refused = desk.ask(Command::Undo, None).unwrap_err();
    assert!(refused.help.contains("serin abort"), "{refused:?}");
    desk.ask(Command::Promote { full: true }, None).unwrap();
    let mut gone = shop(10);
    gone.stable = fixture::upstream_name("v0");
    let mut file = loaded(2, vec![gone]);
    for upstream in &mut file.config.upstreams {
        if upstream.name.as_str() == "v0" {
            upstream.source = config::Source::File("gone".into());
        }
    }
    desk.on(Event::Configured(Box::new(file)));
    let refused = desk.ask(Command::Undo, None).unwrap_err();
    let expected = "the old version is gone: v0 has no usable endpoint";
    assert_eq!(refused.message, expected);
    desk.save(3, vec![shop(10)]);
    let done = desk.ask(Command::Undo, None).unwrap();
    assert_eq!(done.share, Share::ZERO);
    let status = desk.handle.status();
    assert_eq!(status.splits[0].phase, "rolled_back");
    let refused = desk.ask(Command::Undo, None).unwrap_err();
    assert!(refused.help.contains("serin retry"), "{refused:?}");
}

#[tokio::test]
async fn a_rollback_leaves_a_rollout_with_its_evidence_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let shop_name = SplitName::new("shop").unwrap();
    let mut desk = Desk::of(shop(10), state);
    for _ in 0..50 {
        desk.traffic(90, 10, 0);
        desk.on(Event::Tick);
    }
    while desk.share_in_force() > Share::ZERO {
        desk.traffic(90, 10, 10);
    }
    // What comes later is no part of what the decision rested on.
    desk.traffic(90, 10, 10);
    desk.control.journal.flush();
    let told = end(desk).await;
    assert_eq!(told.rollout.result, "rolled_back");
    assert!(told.rollout.ended > Some(told.rollout.started));
    assert_eq!(told.rollout.cause, "critical:error_rate");
    assert_eq!(
        (told.rollout.stable.as_str(), told.rollout.canary.as_str()),
        ("v1", "v2")
    );
    let whats: Vec<_> = told.decisions.iter().map(|entry| entry.what).collect();
    assert_eq!(whats, ["started", "rolled_back"]);
    let found = told.findings.clone().unwrap();
    let judgement = found.judgement.as_ref().unwrap();
    assert_eq!(judgement.why, told.rollout.why);
    let [stable, canary] = &found.versions;
    assert_eq!((stable.failures, stable.errors.len()), (0, 0));
    assert_eq!(canary.failures, judgement.metrics[0].canary.0);
    let server = (CodeClass::ServerError, Reason::None, canary.failures);
    assert_eq!(canary.errors, [server]);
    assert!(!stable.curve.is_empty() && !canary.curve.is_empty());
    let newest = found.trail.points.last().unwrap();
    assert_eq!(Some(newest.at), told.rollout.ended);
    assert_eq!(found.trail.metrics[0], "error_rate");
    assert!(found.trail.points.len() > 10, "four a second");
    let again = end(Desk::of(shop(10), state)).await;
    let kept = again.findings.clone().unwrap();
    let counts = |found: &Findings| {
        let metrics = found.judgement.iter().flat_map(|word| &word.metrics);
        metrics
            .map(|metric| (metric.metric.clone(), metric.canary, metric.stable))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&kept), counts(&found));
    let times = |found: &Findings| -> Vec<Moment> {
        found.trail.points.iter().map(|spot| spot.at).collect()
    };
    assert_eq!(times(&kept), times(&found));
    assert_eq!(kept.versions[1].errors, canary.errors);
    assert_eq!(
        (again.rollout, again.decisions),
        (told.rollout, told.decisions)
    );
    // A retry is another rollout; the old one is still there.
    let mut desk = Desk::of(shop(10), state);
    desk.on_ask(Command::Retry).await.unwrap();
    let control = tokio::spawn(desk.control.run());
    let all = desk.handle.rollouts(Some(&shop_name)).await.unwrap();
    let all: Vec<_> = all.iter().map(|it| (it.epoch.0, it.result)).collect();
    assert_eq!(all, [(2, "running"), (1, "rolled_back")]);
    let live = desk.handle.dossier(&shop_name, Epoch(2)).await.unwrap();
    assert!(live.unwrap().findings.is_some(), "what is known now");
    let none = desk.handle.dossier(&shop_name, Epoch(3)).await.unwrap();
    assert_eq!(none, None);
    desk.handle.close().await;
    control.await.unwrap();
}

/// Lets the loop answer for the split's first rollout, and ends it.
async fn end(desk: Desk) -> Dossier {
    let control = tokio::spawn(desk.control.run());
    let split = SplitName::new("shop").unwrap();
    let dossier = desk.handle.dossier(&split, Epoch(1)).await.unwrap();
    desk.handle.close().await;
    control.await.unwrap();
    dossier.unwrap()
}

#[tokio::test]
async fn without_a_state_directory_the_last_rollout_is_told_from_memory() {
    let mut desk = Desk::of(shop(10), None);
    desk.traffic(90, 10, 0);
    desk.on_ask(Command::Abort).await.unwrap();
    let told = end(desk).await;
    assert_eq!(
        (told.rollout.result, told.rollout.cause.as_str()),
        ("aborted", "operator")
    );
    assert_eq!(told.findings.unwrap().versions[1].requests, 10);
}

#[test]
fn what_becomes_of_a_rollout_is_noted() {
    let mut desk = Desk::of(shop(10), None);
    let told = |desk: &Desk| {
        let ledger = &desk.control.courses[&SplitName::new("shop").unwrap()].ledger;
        let summary = ledger.summary.as_ref();
        summary.map(|it| (it.epoch.0, it.result, it.ended.is_some()))
    };
    assert_eq!(told(&desk), Some((1, "running", false)));
    desk.ask(Command::Promote { full: true }, None).unwrap();
    assert_eq!(told(&desk), Some((1, "promoted", true)));
    desk.ask(Command::SetWeight(share(20)), None).unwrap();
    assert_eq!(
        told(&desk),
        Some((1, "running", false)),
        "it goes on after all"
    );
    desk.ask(Command::Abort, None).unwrap();
    assert_eq!(told(&desk), Some((1, "aborted", true)));
    desk.ask(Command::Retry, None).unwrap();
    assert_eq!(told(&desk), Some((2, "running", false)));
    let other = Split {
        canary: Some(fixture::upstream_name("v3")),
        ..shop(20)
    };
    desk.save(2, vec![other]);
    assert_eq!(told(&desk), Some((3, "running", false)));
    desk.save(3, vec![fixture::split("shop", "v1", None)]);
    assert_eq!(told(&desk), None, "no canary, no rollout");
}

#[tokio::test]
async fn an_end_that_could_not_be_written_is_written_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let mut desk = Desk::of(shop(10), state);
    desk.on_ask(Command::Abort).await.unwrap();
    drop(desk);
    let file = rusqlite::Connection::open(directory.path().join("serin.db")).unwrap();
    let lost = "UPDATE rollouts SET ended = NULL, result = 'running', why = ''";
    assert_eq!(file.execute(lost, []).unwrap(), 1);
    drop(file);
    drop(Desk::of(shop(10), state));
    let file = rusqlite::Connection::open(directory.path().join("serin.db")).unwrap();
    let read = "SELECT result, why FROM rollouts WHERE ended IS NOT NULL";
    let told: (String, String) = file
        .query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(
        told,
        (
            "rolled_back".to_owned(),
            "aborted by ann: no reason given".to_owned()
        )
    );
}

#[tokio::test]
async fn an_end_that_could_not_be_written_is_written_before_another_rollout_begins() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::of(shop(10), Some(directory.path()));
    desk.on_ask(Command::Abort).await.unwrap();
    let file = rusqlite::Connection::open(directory.path().join("serin.db")).unwrap();
    let lost = "UPDATE rollouts SET ended = NULL, result = 'running'";
    assert_eq!(file.execute(lost, []).unwrap(), 1);
    desk.on_ask(Command::Retry).await.unwrap();
    let read = "SELECT result FROM rollouts ORDER BY epoch";
    let mut results = file.prepare(read).unwrap();
    let results = results.query_map([], |row| row.get(0)).unwrap();
    let results: Vec<String> = results.map(Result::unwrap).collect();
    assert_eq!(results, ["aborted", "running"]);
}

#[test]
fn a_quiet_split_is_looked_at_twice_a_second_and_one_with_a_request_under_way_always() {
    let mut desk = Desk::of(ramp(), None);
    let looks = |desk: &mut Desk, times: u64| {
        let name = SplitName::new("shop").unwrap();
        let due = |desk: &Desk| {
            let under_way = desk.control.book.under_way();
            let course = desk.control.courses.get(&name).unwrap();
            course.is_due(|split| under_way.contains(&split), at(desk.now))
        };
        (0..times)
            .filter(|_| {
                desk.now += 100;
                let was_due = due(desk);
                desk.on(Event::Tick);
                was_due
            })
            .count()
    };
    desk.traffic(90, 10, 0);
    assert_eq!(looks(&mut desk, 20), 4, "twice a second");
    let (key, stage) = desk.in_force();
    let mut sample = Sample::default();
    let mut ages = crate::measure::Latencies::new();
    ages.record(Duration::from_secs(1));
    let in_flight = &mut sample.gauges.in_flight;
    in_flight.insert(cell_key(key, stage, Role::Canary), ages);
    desk.on(Event::Sampled(Box::new(sample)));
    assert_eq!(looks(&mut desk, 20), 20, "a request is under way");
    desk.on(Event::Sampled(Box::default()));
    assert_eq!(looks(&mut desk, 20), 4);
}
