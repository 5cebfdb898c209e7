//! What a canary has cost, and the story of taking it back.

use super::*;
use crate::{
    config::{Cookie, SameSite, Sticky},
    measure::{Gauges, Latencies, Recorder},
};

/// The shop, whose clients are told apart.
fn told_apart() -> Split {
    let cookie = Cookie {
        name: "shop_ver".to_owned(),
        max_age: None,
        path: "/".to_owned(),
        domain: None,
        http_only: true,
        secure: false,
        same_site: SameSite::Lax,
    };
    Split {
        sticky: Some(Sticky {
            key: Vec::new(),
            cookie,
            secret_file: None,
        }),
        ..shop(10)
    }
}

/// A hash of its own for each user.
fn hash(user: u64) -> u64 {
    (user + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Desk {
    /// 90 requests of stable and 10 of the canary by these users; the canary fails some, the first
    /// of them so many milliseconds before the sample comes.
    fn users(&mut self, users: std::ops::Range<u64>, (failures, before): (u64, u64)) {
        self.now += 100;
        let (key, stage) = self.in_force();
        let mut recorder = Recorder::new();
        for user in users.clone() {
            recorder.expose(cell_key(key, stage, Role::Canary), hash(user));
        }
        let mut sample = recorder.take(0, at(self.now));
        let bad = Cell {
            failed_users: users.map(hash).take(failures.try_into().unwrap()).collect(),
            at_risk: 10,
            first_failure: (failures > 0).then(|| at(self.now - before)),
            ..cell(10, failures)
        };
        let good = Cell {
            at_risk: 90,
            ..cell(90, 0)
        };
        let cells = [(Role::Stable, good), (Role::Canary, bad)];
        let cells = cells.map(|(role, cell)| (cell_key(key, stage, role), cell));
        sample.cells.extend(cells);
        self.on(Event::Sampled(Box::new(sample)));
    }

    fn split(&mut self) -> SplitStatus {
        self.now += 300;
        self.on(Event::Tick);
        self.handle.status().splits[0].clone()
    }

    /// A worker that has so many requests of the canary under way.
    fn under_way(&mut self, requests: u64) {
        self.now += 200;
        let (key, stage) = self.in_force();
        let mut ages = Latencies::new();
        ages.record_n(Duration::from_secs(1), requests);
        let mut gauges = Gauges::default();
        if requests > 0 {
            let canary = cell_key(key, stage, Role::Canary);
            gauges.in_flight.insert(canary, ages);
        }
        let sample = Sample {
            gauges,
            ..Sample::default()
        };
        self.on(Event::Sampled(Box::new(sample)));
    }
}

#[test]
fn users_are_counted_once_in_a_rollout_and_not_at_all_if_they_are_not_told_apart() {
    let mut desk = Desk::of(told_apart(), None);
    desk.users(0..10, (0, 0));
    desk.users(5..15, (0, 0));
    let split = desk.split();
    let users = |split: &SplitStatus, role| split.arm(role).unwrap().users;
    assert_eq!(users(&split, Role::Canary), Some(15));
    assert_eq!(users(&split, Role::Stable), Some(0));
    let mut next = told_apart();
    next.canary = Some(crate::model::UpstreamName::new("v3").unwrap());
    desk.save(2, vec![next]);
    assert_eq!(users(&desk.split(), Role::Canary), Some(0));
    desk.users(0..3, (0, 0));
    assert_eq!(users(&desk.split(), Role::Canary), Some(3));

    let mut desk = Desk::of(shop(10), None);
    desk.users(0..10, (0, 0));
    assert_eq!(users(&desk.split(), Role::Canary), None);
}

#[test]
fn a_rollback_tells_when_it_broke_was_found_was_applied_and_was_over() {
    let mut desk = Desk::of(told_apart(), None);
    for round in 0..400 {
        // A failure now and then is not yet the one that counts.
        desk.users(0..10, (u64::from(round == 10), 7));
    }
    assert_eq!(desk.split().rollback, None);
    let broke = desk.now + 100 - 42;
    let mut rounds = 0;
    while desk.share_in_force() > Share::ZERO {
        rounds += 1;
        assert!(rounds <= 20, "within two seconds");
        desk.users(10 * rounds..10 * rounds + 10, (5, 42));
    }
    let found = at(desk.now);
    desk.under_way(1);
    let rollback = desk.split().rollback.unwrap();
    let expected = Rollback {
        epoch: rollback.epoch,
        cause: "critical",
        broke: at(broke),
        found,
        applied: found,
        complete: None,
        failed_requests: 5 * rounds + 1,
        users: Some(5 * rounds + 1),
    };
    assert_eq!(rollback, expected);
    desk.under_way(0);
    let over = at(desk.now + 300);
    assert_eq!(desk.split().rollback.unwrap().complete, Some(over));
    let (answer, answered) = oneshot::channel();
    desk.on(Event::Scraped(answer));
    let times = answered.blocking_recv().unwrap().rollback_times;
    let times = times
        .iter()
        .map(|(_, stage, times)| (*stage, times.count()));
    let expected = [("apply", 1), ("complete", 1), ("detect", 1)];
    assert_eq!(times.collect::<Vec<_>>(), expected);
    desk.ask(Command::Retry, None).unwrap();
    assert_eq!(desk.split().rollback, None, "another try is another story");
}

#[test]
fn what_an_operator_takes_back_broke_when_it_was_taken_back() {
    let mut desk = Desk::of(told_apart(), None);
    desk.users(0..10, (0, 0));
    desk.ask(Command::Abort, None).unwrap();
    let rollback = desk.split().rollback.unwrap();
    assert_eq!((rollback.cause, rollback.users), ("operator", Some(0)));
    assert_eq!(rollback.broke, rollback.found);
    assert_eq!(rollback.applied, rollback.found);
    assert_eq!(rollback.failed_requests, 0);
}
