//! Which endpoint answers: by weight, by load, by key; which one is spared and which passed over.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    config::{KeySource, Policy},
    model::{
        EndpointKey, Zone,
        number::{real, real_len},
    },
    plan::{Ask, Load, rotation::mix},
};

pub(super) const SLOW_START: Duration = Duration::from_secs(10);

pub(super) fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1_000)
}

fn ask(n: u64, avoid: &[EndpointKey], now: Moment) -> Ask<'_> {
    Ask {
        random: mix(n),
        turn: n,
        hash: Some(mix(!n)),
        now,
        avoid,
        most: None,
    }
}

/// How often each endpoint is chosen in so many questions at a moment.
pub(super) fn counts_at(
    upstream: &Upstream,
    loads: impl Fn(usize) -> Load,
    (avoid, now): (&[usize], Moment),
    rounds: u64,
) -> Vec<u32> {
    let keys = || upstream.endpoints.iter().map(|target| target.key);
    let avoid: Vec<_> = avoid.iter().map(|nth| keys().nth(*nth).unwrap()).collect();
    let mut counts = vec![0; upstream.endpoints.len()];
    for n in 0..rounds {
        let load = |key| loads(keys().position(|known| known == key).unwrap());
        let chosen = upstream.choose(load, &ask(n, &avoid, now)).unwrap();
        counts[chosen.place()] += 1;
    }
    counts
}

/// The same with these requests under way.
fn counts(weights: &[u32], requests: &[u32], avoid: &[usize], rounds: u64) -> Vec<u32> {
    let upstream = balanced(weights, |_| ());
    counts_at(&upstream, busy(requests), (avoid, at(0)), rounds)
}

fn busy(requests: &[u32]) -> impl Fn(usize) -> Load {
    |nth| Load {
        requests: requests[nth],
        latency: 0,
    }
}

pub(super) const IDLE: fn(usize) -> Load = |_| Load {
    requests: 0,
    latency: 0,
};

/// Counts are these, about.
#[track_caller]
fn close(counts: &[u32], expected: &[u32]) {
    let all: u32 = expected.iter().sum();
    for (count, wanted) in counts.iter().zip(expected) {
        assert!(
            count.abs_diff(*wanted) < all / 40,
            "{counts:?}, not {expected:?}"
        );
    }
}

#[test]
fn idle_endpoints_are_chosen_by_weight() {
    for policy in [Policy::P2c, Policy::RoundRobin] {
        let upstream = balanced(&[1, 2, 5], |it| it.balance.policy = policy);
        let found = counts_at(&upstream, IDLE, (&[], at(0)), 8_000);
        close(&found, &[1_000, 2_000, 5_000]);
    }
    close(
        &counts(&[1, 2, 5, 9], &[0, 0, 0, 0], &[3], 8_000)[..3],
        &[1_000, 2_000, 5_000],
    );
}

#[test]
fn the_busier_of_two_is_left_alone() {
    assert_eq!(counts(&[1, 1], &[3, 2], &[], 100), [0, 100]);
    let weighted = counts(&[1, 4], &[1, 3], &[], 100);
    assert_eq!(weighted, [0, 100], "fewer requests for its weight");
    let of_many = counts(&[1; 10], &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 1_000);
    assert_eq!(of_many[0], 0);
    assert!(of_many[1..].iter().all(|count| *count > 50), "{of_many:?}");
}

#[test]
fn latency_counts_where_it_differs_for_sure() {
    let upstream = balanced(&[1, 1], |_| ());
    let counted = |requests: [u32; 2], latency: [u32; 2]| {
        let load = |nth: usize| Load {
            requests: requests[nth],
            latency: latency[nth],
        };
        counts_at(&upstream, load, (&[], at(0)), 1_000)
    };
    close(&counted([0, 0], [10_000, 19_000]), &[500, 500]);
    assert_eq!(counted([0, 0], [10_000, 21_000]), [1_000, 0]);
    assert_eq!(counted([1, 0], [10_000, 19_000]), [0, 1_000]);
    assert_eq!(
        counted([1, 0], [10_000, 30_000]),
        [1_000, 0],
        "2 x 10 is less than 1 x 30"
    );
    assert_eq!(counted([3, 0], [10_000, 30_000]), [0, 1_000]);
    close(&counted([0, 0], [0, 30_000]), &[500, 500]);
    close(&counted([0, 0], [100, 3_900]), &[500, 500]);
}

#[test]
fn what_was_tried_is_avoided_until_nothing_is_left() {
    for policy in [
        Policy::P2c,
        Policy::RoundRobin,
        Policy::LeastRequest,
        hashed(),
    ] {
        let upstream = balanced(&[1, 1, 1], |it| it.balance.policy = policy);
        let found = counts_at(&upstream, busy(&[0, 9, 0]), (&[0, 2], at(0)), 50);
        assert_eq!(found, [0, 50, 0]);
        let all = counts_at(&upstream, IDLE, (&[0, 1, 2], at(0)), 50);
        assert_eq!(all.iter().sum::<u32>(), 50);
        let none = balanced(&[], |_| ());
        assert!(
            none.choose(|_| Load::default(), &ask(1, &[], at(0)))
                .is_none()
        );
    }
}

#[test]
fn round_robin_takes_turns_and_least_request_takes_the_least() {
    let upstream = balanced(&[1; 5], |it| it.balance.policy = Policy::RoundRobin);
    assert_eq!(counts_at(&upstream, IDLE, (&[], at(0)), 500), [100; 5]);
    let upstream = balanced(&[1; 40], |it| it.balance.policy = Policy::LeastRequest);
    let load = |nth| Load {
        requests: u32::from(nth != 17),
        latency: 0,
    };
    assert_eq!(counts_at(&upstream, load, (&[], at(0)), 50)[17], 50);
}

fn hashed() -> Policy {
    Policy::RingHash(vec![KeySource::Cookie("uid".to_owned())])
}

/// Where each of so many keys goes.
fn places(upstream: &Upstream, keys: u64) -> Vec<u16> {
    let port = |n| {
        let chosen = upstream.choose(|_| Load::default(), &ask(n, &[], at(0)));
        chosen.unwrap().address.port()
    };
    (0..keys).map(port).collect()
}

#[test]
fn the_same_key_goes_to_the_same_endpoint_and_few_move() {
    let ring = |weights: &[u32]| balanced(weights, |it| it.balance.policy = hashed());
    let before = places(&ring(&[1; 10]), 10_000);
    assert_eq!(before, places(&ring(&[1; 10]), 10_000));
    for port in 1..=10 {
        let own = before.iter().filter(|known| **known == port).count();
        assert!(
            (700..1_300).contains(&own),
            "port {port} has {own} of 10,000"
        );
    }
    let after = places(&ring(&[1; 11]), 10_000);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    assert!(
        moved.iter().all(|(_, port)| **port == 11),
        "only to the new one"
    );
    assert!((500..1_300).contains(&moved.len()), "{}", moved.len());
    let after = places(&ring(&[1; 9]), 10_000);
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
    assert!(
        moved.map(|(port, _)| port).all(|port| *port == 10),
        "only from the one that went"
    );
    let heavy = places(&ring(&[1, 3]), 10_000);
    let own = heavy.iter().filter(|port| **port == 2).count();
    assert!((6_500..8_500).contains(&own), "{own}");
}

#[test]
fn a_key_is_read_where_the_file_says() {
    let sources = vec![
        KeySource::Header("x-user".to_owned()),
        KeySource::Cookie("uid".to_owned()),
    ];
    let upstream = balanced(&[1], |it| it.balance.policy = Policy::RingHash(sources));
    let hash = |fields: &[(&str, &str)]| {
        let request = fields
            .iter()
            .fold(Request::to("a.test", "/"), |request, (name, value)| {
                request.with(name, value)
            });
        upstream.hash(&request)
    };
    assert_eq!(hash(&[]), None);
    let header = hash(&[("x-user", "ada")]);
    assert!(header.is_some());
    assert_eq!(hash(&[("x-user", "ada"), ("cookie", "uid=bob")]), header);
    assert_eq!(hash(&[("cookie", "uid=ada")]), header);
    assert_ne!(hash(&[("cookie", "uid=bob")]), header);
    assert_eq!(
        balanced(&[1], |_| ()).hash(&Request::to("a.test", "/")),
        None
    );
}

#[test]
fn an_ejected_endpoint_is_passed_over_while_there_is_another() {
    for policy in [
        Policy::P2c,
        Policy::RoundRobin,
        Policy::LeastRequest,
        hashed(),
    ] {
        for count in [3, 40] {
            let upstream = balanced(&vec![1; count], |it| it.balance.policy = policy.clone());
            upstream.eject(&upstream.endpoints[1], Some(at(60)));
            let found = counts_at(&upstream, IDLE, (&[], at(59)), 1_000);
            assert_eq!(found[1], 0, "{policy:?}");
            let found = counts_at(&upstream, IDLE, (&[], at(60)), 2_000);
            assert!(found[1] > 0, "{policy:?}: it is back");
            for target in &upstream.endpoints {
                upstream.eject(target, None);
            }
            let found = counts_at(&upstream, IDLE, (&[0], at(99)), 50);
            assert_eq!(found[0], 0, "{policy:?}: rather ejected than tried");
        }
    }
}

#[test]
fn a_new_endpoint_is_spared_at_first() {
    for (policy, count) in [(Policy::P2c, 4), (Policy::P2c, 40), (Policy::RoundRobin, 4)] {
        let mut world = World::new(vec![written_split("shop", None)]);
        world.config.upstreams[0].balance.policy = policy.clone();
        world.config.upstreams[0].balance.slow_start = SLOW_START;
        let name: UpstreamName = "old".parse_name();
        world
            .endpoints
            .insert(name.clone(), weighted(&vec![1; count - 1]));
        world.now = at(50);
        let first = world.plan();
        world.endpoints.insert(name, weighted(&vec![1; count]));
        world.now = at(100);
        let second = world.plan_after(Some(&first));
        let upstream = &second.upstreams[0];
        let part = |seconds| {
            let rounds = 20_000;
            let found = counts_at(upstream, IDLE, (&[], at(seconds)), rounds);
            let expected = real(rounds) / real_len(count);
            f64::from(found[count - 1]) / expected
        };
        let parts = [100, 105, 110].map(part);
        let expected = [0.12, 0.62, 1.0];
        for (part, expected) in parts.iter().zip(expected) {
            assert!(
                (part - expected).abs() < 0.12,
                "{policy:?} of {count}: {parts:?}"
            );
        }
        let newest = upstream.endpoints.last().unwrap();
        assert_eq!(upstream.warmth(newest, at(105)), 141);
        let third = world.plan_after(Some(&second));
        assert!(
            Arc::ptr_eq(upstream, &third.upstreams[0]),
            "it stays as new as it is"
        );
    }
}

#[test]
fn keys_move_to_an_endpoint_that_comes_back_one_by_one_and_stay() {
    let upstream = balanced(&[1; 5], |it| {
        it.balance.policy = hashed();
        it.balance.slow_start = SLOW_START;
    });
    let target = &upstream.endpoints[2];
    upstream.eject(target, Some(at(100)));
    let places = |seconds| {
        let chosen = |n| upstream.choose(|_| Load::default(), &ask(n, &[], at(seconds)));
        (0..2_000)
            .map(|n| chosen(n).unwrap().place())
            .collect::<Vec<_>>()
    };
    let (mut before, mut own, mut counts) = (places(99), 0, Vec::new());
    for seconds in 100..=110 {
        let after = places(seconds);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *after == 2, "{before} to {after}");
        }
        let has = after.iter().filter(|place| **place == 2).count();
        assert!(has > own, "{has} of {own} at {seconds} s");
        counts.push(has);
        (before, own) = (after, has);
    }
    assert_eq!(before, places(1_000), "all that are its own");
    assert!(counts[0] * 5 < own, "a tenth at first: {counts:?}");
    assert!((own / 3..own * 3 / 4).contains(&counts[5]), "{counts:?}");
}

#[test]
fn a_key_that_everybody_asks_for_goes_to_several() {
    let upstream = balanced(&[1, 1, 1, 1, 2, 1, 1, 1, 1, 2], |it| {
        it.balance.policy = hashed();
    });
    let weights: u32 = 12;
    let question = ask(7, &[], at(0));
    let mut requests = [0_u32; 10];
    let one_more = |requests: &mut [u32; 10]| {
        let keys = || upstream.endpoints.iter().map(|target| target.key);
        let nth = |key| keys().position(|known| known == key).unwrap();
        let load = |key| busy(requests)(nth(key));
        let place = upstream.choose(load, &question).unwrap().place();
        requests[place] += 1;
        place
    };
    let home = one_more(&mut requests);
    for _ in 0..3 {
        assert_eq!(one_more(&mut requests), home, "a few are no crowd");
    }
    for all in 5..=600_u32 {
        one_more(&mut requests);
        for (target, requests) in upstream.endpoints.iter().zip(requests) {
            let bound = (all * target.weight * 5).div_ceil(weights * 4).max(4);
            assert!(requests <= bound, "{requests} of {all}, at most {bound}");
        }
    }
    requests = [1; 10];
    assert_eq!(one_more(&mut requests), home, "the crowd has gone");
}

#[test]
fn nobody_is_spared_where_most_are_new() {
    let mut world = World::new(vec![written_split("shop", None)]);
    world.config.upstreams[0].balance.slow_start = SLOW_START;
    let name: UpstreamName = "old".parse_name();
    world.endpoints.insert(name.clone(), weighted(&[1]));
    world.now = at(50);
    let first = world.plan();
    world.endpoints.insert(name, weighted(&[1, 1, 1, 1]));
    world.now = at(100);
    let second = world.plan_after(Some(&first));
    let found = counts_at(&second.upstreams[0], IDLE, (&[], at(100)), 4_000);
    close(&found, &[1_000; 4]);
}

#[test]
fn an_endpoint_that_comes_back_is_spared_too() {
    let upstream = ward(4, 3_000);
    let target = &upstream.endpoints[0];
    upstream.eject(target, Some(at(100)));
    let part = |seconds| counts_at(&upstream, IDLE, (&[], at(seconds)), 4_000)[0];
    assert_eq!(part(99), 0);
    assert!((50..250).contains(&part(100)), "{}", part(100));
    assert!(part(110) > 800);
}

#[test]
fn the_own_zone_is_preferred_as_far_as_it_carries() {
    let zone = |name: &str| Some(Zone::new(name));
    // Zones of endpoints, and the part of requests that stays in zone a, in percent.
    for (zones, expected) in [
        (&["a", "a", "b", "b"][..], 100),
        (&["a", "b", "b", "b"], 50),
        (&["a", "b", "c"], 100),
        (&["a", "b", "b", "c", "c"], 60),
        (&["a", "a", "a", "b"], 100),
        (&["b", "c"], 0),
        (&["a", "a"], 100),
    ] {
        let mut world = World::new(vec![written_split("shop", None)]);
        world.config.upstreams[0].balance.zone = zone("a");
        let endpoints = zones.iter().zip(1..).map(|(name, port)| Endpoint {
            zone: zone(name),
            ..Endpoint::new(address(port))
        });
        world
            .endpoints
            .insert("old".parse_name(), endpoints.collect());
        let plan = world.plan();
        let found = counts_at(&plan.upstreams[0], IDLE, (&[], at(0)), 10_000);
        let own = zones.iter().zip(&found).filter(|(zone, _)| **zone == "a");
        let own: u32 = own.map(|(_, count)| count / 100).sum();
        assert!(own.abs_diff(expected) <= 2, "{zones:?}: {own} %");
    }
}

#[test]
fn another_zone_serves_when_the_own_one_is_ejected() {
    let mut world = World::new(vec![written_split("shop", None)]);
    world.config.upstreams[0].balance.zone = Some(Zone::new("a"));
    let endpoints = ["a", "b"].iter().zip(1..).map(|(name, port)| Endpoint {
        zone: Some(Zone::new(name)),
        ..Endpoint::new(address(port))
    });
    world
        .endpoints
        .insert("old".parse_name(), endpoints.collect());
    let plan = world.plan();
    let upstream = &plan.upstreams[0];
    assert_eq!(counts_at(upstream, IDLE, (&[], at(0)), 50), [50, 0]);
    upstream.eject(&upstream.endpoints[0], None);
    assert_eq!(counts_at(upstream, IDLE, (&[], at(0)), 50), [0, 50]);
}

proptest! {
    #![proptest_config(same_each_time())]

    #[test]
    fn there_is_a_choice_while_there_is_an_endpoint(
        weights in prop::collection::vec(prop_oneof![1_u32..5, Just(u32::MAX)], 1..40),
        policy in prop_oneof![
            Just(Policy::P2c), Just(Policy::RoundRobin), Just(Policy::LeastRequest), Just(hashed()),
        ],
        random in any::<u64>(),
        requests in any::<u32>(),
        latency in any::<u32>(),
        ejected in any::<u64>(),
        tried in any::<u64>(),
    ) {
        let upstream = balanced(&weights, |it| it.balance.policy = policy);
        let is_in = |set: u64, place: usize| set >> place & 1 == 1;
        for target in upstream.endpoints.iter().filter(|it| is_in(ejected, it.place())) {
            upstream.eject(target, None);
        }
        let avoid: Vec<_> = upstream.endpoints.iter()
            .filter(|it| is_in(tried, it.place()))
            .map(|it| it.key)
            .collect();
        let load = |key: EndpointKey| Load {
            requests: requests.rotate_left(key.0),
            latency: latency.rotate_right(key.0),
        };
        let found = upstream.choose(load, &ask(random, &avoid, at(9))).unwrap();
        let bad = |place| is_in(ejected, place) || is_in(tried, place);
        let has_good = (0..weights.len()).any(|place| !bad(place));
        prop_assert!(!has_good || !bad(found.place()));
        let has_untried = (0..weights.len()).any(|place| !is_in(tried, place));
        prop_assert!(!has_untried || !is_in(tried, found.place()));
    }
}
