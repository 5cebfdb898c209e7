//! What is kept comes back; what is broken is told and put aside.

use std::{fs, time::Duration};

use super::{
    archive::Archive,
    store::FILE,
    tables::{open, open_first},
    wire::{read_record, record_text},
    *,
};
use crate::{
    control::{Measured, Subject, Trail},
    judge::{Invalid, Judgement, MetricJudgement, Part, Suspect, Verdict},
    model::{CodeClass, Nonce, Reason, Role, Share, VersionName},
    rollout::{Position, Standing, State},
};

fn name() -> SplitName {
    SplitName::new("shop").unwrap()
}

fn record(epoch: u64) -> Record {
    let position = Position {
        revision: 3,
        step: 2,
        rung: 4,
        standing: Standing::Held,
        share: Share::from_basis_points(1_250).unwrap(),
    };
    let v2 = VersionName::new("v2").unwrap();
    let state = State {
        epoch: Epoch(epoch),
        nonce: Nonce(u128::MAX - 1),
        aborted: true,
        position,
        barred: [v2.clone()].into(),
    };
    Record {
        state,
        canary: Some(v2),
        configured: None,
        steps: vec!["set_weight 5%".to_owned(), "pause".to_owned()],
        since: Moment::from_millis(77),
        why: "the canary's \"errors\"".to_owned(),
        fail_told: true,
    }
}

fn decision() -> Decision {
    let why = "12 of 40 failed".to_owned();
    let entry = Entry {
        at: Moment::from_millis(5),
        what: "rolled_back",
        share: Share::ZERO,
        by: "judge".to_owned(),
        why,
    };
    Decision {
        split: name(),
        epoch: Epoch(2),
        entry,
        findings: Some(Arc::new(findings())),
    }
}

/// Everything that can be known, each field with a value of its own.
fn findings() -> Findings {
    let checkout = crate::model::RouteName::new("checkout").ok();
    let judgement = Judgement {
        verdict: Verdict::Fail,
        cause: "error_rate".to_owned(),
        why: "12 of 40 failed".to_owned(),
        evidence: 120.0,
        threshold: 100.0,
        metrics: vec![MetricJudgement {
            metric: "error_rate".to_owned(),
            verdict: Verdict::Fail,
            canary: (12, 40),
            stable: (1, 400),
            estimate: 0.2975,
            interval: (0.125, 0.5),
            margin: 0.0005,
            evidence: 119.0,
            is_dry_run: true,
        }],
        is_worse: true,
        invalid: Some(Invalid::StableSilent),
        canary_requests: 40,
        canary_requests_needed: Some(77),
        route: checkout.clone(),
        parts: vec![Part {
            cause: "critical:error_rate".to_owned(),
            route: checkout,
            evidence: 99.5,
            hits: 12,
        }],
        harm: 11.5,
        pace: 4.25,
        first_failed: vec![u64::MAX, 1],
        suspect: Some(Suspect {
            address: "127.0.0.1:81".parse().unwrap(),
            counts: (11, 20),
            others: (1, 20),
        }),
    };
    let mut trail = Trail::default();
    trail.add(&judgement, Moment::from_millis(1));
    trail.add(&Judgement::default(), Moment::from_millis(2_001));
    let version = |role, failures| Measured {
        role,
        requests: 400,
        failures,
        errors: vec![(CodeClass::ServerError, Reason::Reset, failures)],
        curve: vec![
            (0.0, Duration::from_micros(7)),
            (0.9, Duration::from_millis(3)),
        ],
    };
    Findings {
        at: Moment::from_millis(5),
        judgement: Some(judgement),
        versions: [version(Role::Stable, 1), version(Role::Canary, 12)],
        trail,
    }
}

fn summary(epoch: u64, started: u64) -> Summary {
    Summary {
        split: name(),
        epoch: Epoch(epoch),
        nonce: Nonce(epoch.into()),
        stable: VersionName::new("v1").unwrap(),
        canary: VersionName::new("v2").unwrap(),
        started: Moment::from_millis(started),
        ended: None,
        result: "running",
        cause: String::new(),
        why: String::new(),
    }
}

fn begun(epoch: u64, started: u64) -> Note {
    let summary = summary(epoch, started);
    Note::Begun {
        split: name(),
        at: summary.started,
        summary: Some(Box::new(summary)),
    }
}

#[test]
fn a_rollout_that_is_over_comes_back_with_everything_it_rested_on() {
    let directory = tempfile::tempdir().unwrap();
    let archive = Archive::new(directory.path());
    assert_eq!(archive.rollouts(None).unwrap(), [], "nothing was ever kept");
    let (mut journal, _) = Journal::open(Some(directory.path()), None);
    journal.noted(begun(1, 3));
    journal.noted(begun(2, 4));
    journal.decided(decision());
    let ended = Summary {
        ended: Some(Moment::from_millis(5)),
        result: "rolled_back",
        cause: "error_rate".to_owned(),
        why: "12 of 40 failed".to_owned(),
        ..summary(2, 4)
    };
    journal.noted(Note::Changed(Box::new(ended.clone())));
    journal.flush();
    let superseded = Summary {
        ended: Some(Moment::from_millis(4)),
        result: "superseded",
        ..summary(1, 3)
    };
    // Read while the writer has the file.
    let all = archive.rollouts(None).unwrap();
    assert_eq!(all, [ended.clone(), superseded.clone()]);
    assert_eq!(archive.rollouts(Some(&name())).unwrap(), all);
    let other = SplitName::new("other").unwrap();
    assert_eq!(archive.rollouts(Some(&other)).unwrap(), []);
    let dossier = archive.dossier(&name(), Epoch(2)).unwrap().unwrap();
    assert_eq!(dossier.rollout, ended);
    assert_eq!(dossier.decisions, [decision().entry]);
    assert_eq!(dossier.findings.as_deref(), Some(&findings()));
    let dossier = archive.dossier(&name(), Epoch(1)).unwrap().unwrap();
    assert_eq!((dossier.rollout, dossier.findings), (superseded, None));
    assert_eq!(archive.dossier(&name(), Epoch(3)).unwrap(), None);
    // What began once keeps its beginning and its end, whatever a later start believes.
    journal.noted(begun(2, 99));
    drop(journal);
    let (_journal, kept) = Journal::open(Some(directory.path()), None);
    assert_eq!(archive.rollouts(None).unwrap()[0], ended);
    assert_eq!(kept.rollouts.get(&name()), None, "of a split with no state");
}

#[test]
fn a_file_of_the_first_shape_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let first = open_first(&directory.path().join(FILE));
    let record_text = record_text(&record(2));
    let judgement = "{\"verdict\":\"fail\",\"cause\":\"error_rate\",\"why\":\"bad\",\
                     \"evidence\":2e3,\"threshold\":1e3,\"metrics\":[]}";
    first
        .execute(
            "INSERT INTO splits VALUES ('shop', 2, 9, ?1)",
            [record_text],
        )
        .unwrap();
    first
        .execute(
            "INSERT INTO decisions VALUES
                (7, 3000, 'shop', 2, 'rolled_back', 0, 'judge', 'bad', ?1)",
            [judgement],
        )
        .unwrap();
    first
        .execute(
            "INSERT INTO audit VALUES (1, 1, 'shop', 'ann', 'abort', NULL, 'done')",
            [],
        )
        .unwrap();
    drop(first);
    let (mut journal, kept) = Journal::open(Some(directory.path()), None);
    assert_eq!(kept.records.get(&name()), Some(&record(2)));
    assert_eq!(kept.history[&name()].len(), 1);
    journal.noted(begun(2, 90));
    drop(journal);
    let dossier = Archive::new(directory.path()).dossier(&name(), Epoch(2));
    let dossier = dossier.unwrap().unwrap();
    let started = dossier.rollout.started;
    assert_eq!(started.millis(), 3, "with its first decision");
    let judgement = dossier.findings.as_ref().unwrap().judgement.as_ref();
    assert!((judgement.unwrap().evidence - 2_000.0).abs() < 1e-9);
    assert_eq!(dossier.decisions.len(), 1);
    let again = open(&directory.path().join(FILE)).unwrap();
    let acts: i64 = again
        .query_row("SELECT count(*) FROM audit", [], |row| row.get(0))
        .unwrap();
    assert_eq!(acts, 1);
}

#[test]
fn what_is_kept_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, kept) = Journal::open(Some(directory.path()), None);
    assert!(kept.is_unknown && kept.records.is_empty());
    journal.keep(&name(), Moment::from_millis(1), &record(1));
    journal.keep(&name(), Moment::from_millis(2), &record(2));
    let decision = decision();
    journal.decided(decision.clone());
    journal.asked(Audit {
        at: Moment::from_millis(3),
        of: Subject::Split(name()),
        actor: "ann".to_owned(),
        command: "abort".to_owned(),
        reason: None,
        result: "done".to_owned(),
        moved: None,
    });
    drop(journal);
    let (journal, kept) = Journal::open(Some(directory.path()), None);
    assert!(!kept.is_unknown);
    assert_eq!(kept.records.get(&name()), Some(&record(2)));
    assert_eq!(kept.history.get(&name()), Some(&vec![decision.entry]));
    assert_eq!(journal.failures(), 0);
}

#[test]
fn a_record_of_an_older_build_is_read() {
    let text = record_text(&record(1));
    let older = text.replace("\"rung\":4,", "");
    assert_ne!(older, text);
    let mut expected = record(1);
    expected.state.position.rung = 0;
    assert_eq!(read_record(&older), Some(expected));
}

#[test]
fn a_later_epoch_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Some(directory.path()), None);
    journal.keep(&name(), Moment::ZERO, &record(5));
    journal.keep(&name(), Moment::ZERO, &record(1));
    journal.flush();
    assert_eq!(journal.failures(), 1, "an alarm");
    drop(journal);
    let (_journal, kept) = Journal::open(Some(directory.path()), None);
    assert_eq!(kept.records.get(&name()), Some(&record(5)));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test breaks the file on purpose"
)]
fn a_corrupt_file_is_put_aside_and_nothing_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Some(directory.path()), None);
    journal.keep(&name(), Moment::ZERO, &record(1));
    drop(journal);
    let path = directory.path().join(FILE);
    fs::write(
        &path,
        "this is no database, whatever its name says".repeat(100),
    )
    .unwrap();
    let (journal, kept) = Journal::open(Some(directory.path()), None);
    assert!(kept.is_unknown && kept.records.is_empty());
    assert!(path.with_extension("db.corrupt").exists());
    journal.keep(&name(), Moment::ZERO, &record(1));
    drop(journal);
    let (_journal, kept) = Journal::open(Some(directory.path()), None);
    assert_eq!(kept.records.len(), 1, "a new one has taken its place");
}

#[test]
fn a_state_that_cannot_be_understood_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let connection = open(&directory.path().join(FILE)).unwrap();
    connection
        .execute("INSERT INTO splits VALUES ('shop', 1, 0, '{}')", [])
        .unwrap();
    drop(connection);
    let (_journal, kept) = Journal::open(Some(directory.path()), None);
    assert!(kept.is_unknown && kept.records.is_empty());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test bars the way on purpose"
)]
fn a_failed_write_is_an_alarm_and_no_stop() {
    let directory = tempfile::tempdir().unwrap();
    let barred = directory.path().join("file");
    fs::write(&barred, "not a directory").unwrap();
    let (journal, kept) = Journal::open(Some(&barred), None);
    assert!(kept.is_unknown);
    journal.keep(&name(), Moment::ZERO, &record(1));
    journal.flush();
    assert_eq!(journal.failures(), 2);
    fs::remove_file(&barred).unwrap();
    journal.keep(&name(), Moment::ZERO, &record(1));
    journal.flush();
    assert_eq!(journal.failures(), 2, "it is mended when the way is free");
}

#[test]
fn without_a_directory_nothing_is_kept() {
    let (journal, kept) = Journal::open(None, None);
    assert!(kept.is_unknown);
    journal.keep(&name(), Moment::ZERO, &record(1));
    journal.flush();
    assert_eq!(journal.failures(), 0);
}

#[test]
fn what_comes_up_while_another_process_has_the_file_is_written_when_it_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let written = || {
        let (_journal, kept) = Journal::open(Some(directory.path()), None);
        kept.rollouts.len() + kept.history.len()
    };
    let (mut journal, _) = Journal::open(Some(directory.path()), None);
    let (done, lent) = oneshot::channel();
    journal.lend(done);
    lent.blocking_recv().unwrap();
    journal.flush();
    assert!(journal.is_lent() && !journal.is_owed());
    let shop = SplitName::new("shop").unwrap();
    journal.keep(&shop, Moment::from_millis(1), &record(1));
    assert!(!journal.is_owed(), "state alone is made again by the other");
    journal.noted(begun(1, 3));
    assert!(journal.is_owed());
    assert_eq!(written(), 0);
    journal.take_back();
    journal.flush();
    assert!(!journal.is_lent());
    assert_ne!(written(), 0);

    let (done, lent) = oneshot::channel();
    journal.lend(done);
    lent.blocking_recv().unwrap();
    let before = written();
    journal.keep(&shop, Moment::from_millis(2), &record(2));
    drop(journal);
    assert_eq!(written(), before, "the end writes nothing");
}

#[test]
fn without_a_directory_there_is_nothing_to_wait_for() {
    let (mut journal, _) = Journal::open(None, None);
    let (done, lent) = oneshot::channel();
    journal.lend(done);
    lent.blocking_recv().unwrap();
}
