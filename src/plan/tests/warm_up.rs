//! Endpoints that warm up: who does, who gets copies, and from when on they are used.

use super::{
    balance::{IDLE, SLOW_START, at, counts_at},
    *,
};
use crate::{
    config::{Policy, SafeMethod},
    plan::{Copied, Target},
};

const AGE: Duration = Duration::from_mins(1);
/// When the new ones come.
const CAME: u64 = 100;

/// A world in which `old` warms its endpoints up, and has so many of them.
fn world(count: usize) -> World {
    let mut world = World::new(vec![written_split("shop", None)]);
    let upstream = &mut world.config.upstreams[0];
    upstream.balance.slow_start = SLOW_START;
    upstream.warm_up = Some(config::WarmUp {
        mirror: 3,
        methods: vec![SafeMethod::Get],
        age: AGE,
    });
    world.now = at(50);
    has(&mut world, count);
    world
}

fn has(world: &mut World, count: usize) {
    let endpoints = weighted(&vec![1; count]);
    world.endpoints.insert("old".parse_name(), endpoints);
}

/// A plan in which the last of so many endpoints is new.
fn grown(world: &mut World, count: usize) -> Plan {
    has(world, count - 1);
    let first = world.plan();
    world.now = at(CAME);
    has(world, count);
    world.plan_after(Some(&first))
}

fn newest(upstream: &Upstream) -> &Target {
    upstream.endpoints.last().unwrap()
}

fn copy(upstream: &Upstream, seconds: u64) -> Option<Copied> {
    let found = upstream.copy_to(b"GET", 7, at(seconds));
    found.map(|(_, copied)| copied)
}

/// Whether the newest endpoint gets requests.
fn is_used(upstream: &Upstream, seconds: u64) -> bool {
    let found = counts_at(upstream, IDLE, (&[], at(seconds)), 2_000);
    *found.last().unwrap() > 0
}

#[test]
fn a_new_endpoint_gets_copies_first_then_a_little_then_its_part() {
    for policy in [Policy::P2c, Policy::RoundRobin, Policy::LeastRequest] {
        let mut world = world(4);
        world.config.upstreams[0].balance.policy = policy;
        let plan = grown(&mut world, 4);
        let upstream = &plan.upstreams[0];
        assert!(!is_used(upstream, CAME) && !is_used(upstream, CAME + 59));
        for _ in 0..3 {
            let (target, copied) = upstream.copy_to(b"GET", 7, at(CAME)).unwrap();
            assert_eq!(target.key, newest(upstream).key);
            assert!(upstream.is_warming(target, at(CAME + 5)));
            copied.answered(at(CAME + 5));
        }
        assert!(copy(upstream, CAME + 5).is_none(), "it has enough");
        assert!(is_used(upstream, CAME + 5));
        let warmth = |seconds| upstream.warmth(newest(upstream), at(seconds));
        assert_eq!((warmth(CAME + 5), warmth(CAME + 15)), (26, 256));
        let next = world.plan_after(Some(&plan));
        assert!(is_used(&next.upstreams[0], CAME + 5), "the next plan knows");
    }
}

#[test]
fn one_that_nobody_warms_is_used_all_the_same() {
    let mut world = world(4);
    let plan = grown(&mut world, 4);
    let upstream = &plan.upstreams[0];
    assert_eq!(plan.warming_until, at(CAME + 60));
    let warmth = |seconds| upstream.warmth(newest(upstream), at(seconds));
    assert_eq!([59, 60, 70].map(|age| warmth(CAME + age)), [0, 26, 256]);
    assert!(copy(upstream, CAME + 60).is_none());
}

#[test]
fn copies_are_few_at_a_time_and_only_of_what_is_named() {
    let mut world = world(4);
    let plan = grown(&mut world, 4);
    let upstream = &plan.upstreams[0];
    assert!(upstream.copy_to(b"HEAD", 7, at(CAME)).is_none());
    let first = copy(upstream, CAME).unwrap();
    let second = copy(upstream, CAME).unwrap();
    assert!(copy(upstream, CAME).is_none(), "two are under way");
    drop(first);
    let third = copy(upstream, CAME).expect("one has failed");
    second.answered(at(CAME));
    third.answered(at(CAME));
    drop((second, third));
    let last = copy(upstream, CAME);
    assert!(last.is_some() && copy(upstream, CAME).is_none(), "one more");
}

#[test]
fn one_that_answers_badly_is_left_alone_for_a_moment() {
    let mut world = world(4);
    let plan = grown(&mut world, 4);
    let upstream = &plan.upstreams[0];
    copy(upstream, CAME).unwrap().failed(at(CAME));
    let soon = at(CAME) + Duration::from_millis(99);
    assert!(upstream.copy_to(b"GET", 7, soon).is_none());
    assert!(copy(upstream, CAME + 1).is_some());
}

#[test]
fn those_of_the_start_do_not_warm_up_nor_where_most_are_new() {
    let mut world = world(2);
    let first = world.plan();
    assert!(copy(&first.upstreams[0], 50).is_none() && is_used(&first.upstreams[0], 50));
    assert_eq!(first.warming_until, Moment::ZERO);
    world.now = at(CAME);
    has(&mut world, 5);
    let second = world.plan_after(Some(&first));
    assert!(copy(&second.upstreams[0], CAME).is_none() && is_used(&second.upstreams[0], CAME));
    assert_eq!(second.warming_until, Moment::ZERO);
}

#[test]
fn one_that_comes_back_warms_up_anew() {
    let mut world = world(4);
    let plan = grown(&mut world, 4);
    for _ in 0..3 {
        copy(&plan.upstreams[0], CAME).unwrap().answered(at(CAME));
    }
    has(&mut world, 3);
    let without = world.plan_after(Some(&plan));
    world.now = at(CAME + 10);
    has(&mut world, 4);
    let back = world.plan_after(Some(&without));
    assert!(
        !is_used(&back.upstreams[0], CAME + 10) && copy(&back.upstreams[0], CAME + 10).is_some()
    );
}

#[test]
fn rather_a_cold_endpoint_than_one_that_is_ejected_or_was_tried() {
    let mut world = world(3);
    let plan = grown(&mut world, 3);
    let upstream = &plan.upstreams[0];
    let chosen = |avoid: &[usize]| counts_at(upstream, IDLE, (avoid, at(CAME)), 50);
    assert_eq!(chosen(&[0, 1]), [0, 0, 50]);
    upstream.eject(&upstream.endpoints[0], None);
    assert_eq!(chosen(&[]), [0, 50, 0]);
    upstream.eject(&upstream.endpoints[1], None);
    assert_eq!(chosen(&[]), [0, 0, 50]);
    upstream.eject(newest(upstream), None);
    assert!(
        copy(upstream, CAME).is_none(),
        "an ejected one gets nothing"
    );
}
