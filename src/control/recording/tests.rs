//! A record says what the judge was told, or that it ends early; it never holds up the loop.

#![expect(clippy::disallowed_methods, reason = "a test's own files")]

use std::{fs, sync::mpsc::Receiver, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::{
    measure::Cell,
    record::{Frames, Torn},
    rollout::fixture,
};

const NOW: Moment = Moment::from_millis(1_700_000_000_000);

const SMALL: Limits = Limits {
    record: 2_000,
    records: 3,
    total: 100_000,
};

fn begin(recorder: &Recorder, epoch: u64) -> Recording {
    let split = fixture::split("shop", "v1", Some("v2"));
    let told = (&Criteria::default(), &Baseline::default());
    recorder.begin(&split, Epoch(epoch), told, NOW)
}

fn tick(recording: &mut Recording, number: u64) {
    let at = |number: u64| NOW + Duration::from_millis(50 * number);
    let cell = Cell {
        assigned: 1,
        trials: 1,
        ..Cell::default()
    };
    let arm = crate::judge::Arm {
        cell: &cell,
        in_flight: None,
    };
    let stratum = crate::judge::Stratum {
        stage: Stage(1),
        share: Share::FULL,
        stable: arm,
        canary: arm,
    };
    let tick = Tick {
        from: at(number),
        to: at(number + 1),
        strata: &[stratum],
    };
    recording.absorb(None, &tick);
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path().join("records")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn read(directory: &TempDir, name: &str) -> (Vec<Frame>, Option<Torn>) {
    let bytes = fs::read(directory.path().join("records").join(name)).unwrap();
    let (_, mut frames) = Frames::open(&bytes).unwrap();
    let read = frames.by_ref().map(Result::unwrap).collect();
    (read, frames.torn())
}

fn ends(frames: &[Frame]) -> Vec<End> {
    let ends = frames.iter().filter_map(|frame| {
        let Frame::End(end) = frame else { return None };
        Some(*end)
    });
    ends.collect()
}

#[test]
fn a_record_has_a_name_of_its_own_and_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = Recordings::open(Some(directory.path()));
    let mut first = begin(&recordings.recorder(), 7);
    tick(&mut first, 0);
    recordings.flush();
    let (frames, torn) = read(&directory, "shop-7.rec");
    assert_eq!((frames.len(), torn), (1, None), "it is there as it goes");
    drop(first);
    drop(begin(&recordings.recorder(), 7));
    drop(recordings);
    assert_eq!(names(&directory), ["shop-7.2.rec", "shop-7.rec"]);
    let (frames, _) = read(&directory, "shop-7.rec");
    assert_eq!(ends(&frames), [End::Finished]);
}

#[test]
fn the_same_endpoints_are_no_news() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = Recordings::open(Some(directory.path()));
    let mut recording = begin(&recordings.recorder(), 1);
    for canary in [1, 1, 2, 2] {
        recording.tell_endpoints(canary, 3);
    }
    recordings.flush();
    assert_eq!(read(&directory, "shop-1.rec").0.len(), 2);
}

#[test]
fn a_record_that_is_full_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = Recordings::within(Some(directory.path()), SMALL);
    let mut recording = begin(&recordings.recorder(), 1);
    for number in 0..500 {
        tick(&mut recording, number);
    }
    drop(recording);
    recordings.flush();
    let (frames, torn) = read(&directory, "shop-1.rec");
    assert_eq!((ends(&frames), torn), (vec![End::Full], None));
    let path = directory.path().join("records/shop-1.rec");
    assert!(fs::metadata(path).unwrap().len() < 2_020);
    assert_eq!(recordings.failures(), 0, "that is no failure");
}

#[test]
fn the_newest_records_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = Recordings::within(Some(directory.path()), SMALL);
    let eldest = begin(&recordings.recorder(), 1);
    recordings.flush();
    fs::write(directory.path().join("records/notes.txt"), "mine").unwrap();
    for epoch in 2..=6 {
        drop(begin(&recordings.recorder(), epoch));
        recordings.flush();
    }
    let kept = ["notes.txt", "shop-1.rec", "shop-5.rec", "shop-6.rec"];
    let is_kept = |name: &str| names(&directory).iter().any(|there| there == name);
    assert!(
        kept.iter().all(|name| is_kept(name)),
        "{:?}",
        names(&directory)
    );
    assert!(!is_kept("shop-2.rec") && !is_kept("shop-3.rec"));
    drop((eldest, recordings));
    // Fewer bytes may be kept now than there are.
    let little = Limits { total: 10, ..SMALL };
    drop(Recordings::within(Some(directory.path()), little));
    assert_eq!(names(&directory), ["notes.txt"]);
}

#[test]
fn a_writer_that_does_not_keep_up_ends_the_record_and_never_waits() {
    let (writes, queue): (_, Receiver<Write>) = sync_channel(2);
    let recorder = Recorder {
        writes: Some(writes),
        shared: Arc::default(),
    };
    let mut recording = begin(&recorder, 1);
    for number in 0..10 {
        tick(&mut recording, number);
    }
    let failures = recorder.shared.failures.load(Ordering::Relaxed);
    assert_eq!(failures, 1);
    assert!(matches!(queue.try_recv(), Ok(Write::Begin(..))));
    tick(&mut recording, 10);
    drop(recording);
    let rest: Vec<Write> = queue.try_iter().collect();
    let [Write::More(..), Write::End(_, last)] = rest.as_slice() else {
        panic!("{rest:?}");
    };
    assert_eq!(*last, Encoder::end(End::Lost));
}

#[test]
fn what_cannot_be_written_is_told_and_changes_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("records"), "in the way").unwrap();
    let recordings = Recordings::open(Some(directory.path()));
    let mut recording = begin(&recordings.recorder(), 1);
    tick(&mut recording, 0);
    recordings.flush();
    assert_eq!(recordings.failures(), 1);
    let nowhere = Recordings::open(None);
    tick(&mut begin(&nowhere.recorder(), 1), 0);
    assert_eq!(nowhere.failures(), 0, "nothing is asked for");
}

#[test]
fn a_refused_write_ends_the_record_where_it_was_good() {
    let shared = Arc::<Shared>::default();
    let (writes, queue) = sync_channel(8);
    let directory = tempfile::tempdir().unwrap();
    let files = Files::full_disk(directory.path().join("records"), &shared);
    writes.send(Write::More(0, vec![1])).unwrap();
    writes.send(Write::More(0, vec![2])).unwrap();
    drop(writes);
    files.write_all(&queue);
    assert_eq!(shared.failures.load(Ordering::Relaxed), 1);
}
