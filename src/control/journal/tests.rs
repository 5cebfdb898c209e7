//! What is kept comes back; what is broken is told and put aside.

use std::fs;

use super::{
    store::{FILE, open},
    wire::{read_record, record_text},
    *,
};
use crate::{
    judge::Verdict,
    model::{Nonce, Share, VersionName},
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
    let judgement = Judgement {
        verdict: Verdict::Fail,
        cause: "error_rate".to_owned(),
        why: why.clone(),
        evidence: 120.0,
        threshold: 100.0,
        ..Judgement::default()
    };
    let entry = Entry {
        at: Moment::from_millis(5),
        what: "rolled_back",
        share: Share::ZERO,
        by: "judge".to_owned(),
        why,
    };
    Decision {
        split: name(),
        epoch: Epoch(1),
        entry,
        judgement: Some(judgement),
    }
}

#[test]
fn what_is_kept_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, kept) = Journal::open(Some(directory.path()), None);
    assert!(kept.is_unknown && kept.records.is_empty());
    journal.keep(&name(), Moment::from_millis(1), &record(1));
    journal.keep(&name(), Moment::from_millis(2), &record(2));
    let decision = decision();
    journal.decided(decision.clone());
    journal.asked(Audit {
        at: Moment::from_millis(3),
        split: name(),
        actor: "ann".to_owned(),
        command: "abort".to_owned(),
        reason: None,
        result: "done".to_owned(),
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
