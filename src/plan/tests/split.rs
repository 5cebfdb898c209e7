//! Who gets the canary, and who keeps it.

use proptest::prelude::*;

use super::{Browser, Request, World, chance, shop, sticky, written_split};
use crate::{
    config::KeySource,
    model::{Point, Role, Share, SplitKey},
    plan::{Chance, Rotation, Split},
};

fn uid() -> Vec<KeySource> {
    vec![KeySource::Cookie("uid".to_owned())]
}

/// 2,000 users, by uid or by our cookie alone.
fn users(keyed: bool) -> Vec<Browser> {
    let uid = |n| keyed.then(|| format!("user-{n}"));
    (0..2_000)
        .map(|n| Browser {
            uid: uid(n),
            jar: None,
        })
        .collect()
}

/// How many of them are for the canary at their next request.
fn canaries(users: &mut [Browser], split: &Split) -> usize {
    let visits = users
        .iter_mut()
        .zip(0..)
        .map(|(user, n)| user.visit(split, n));
    visits
        .filter(|assignment| assignment.role == Role::Canary)
        .count()
}

#[test]
fn a_ramp_moves_users_one_way_and_a_rollback_moves_all() {
    for key in [uid(), Vec::new()] {
        let mut users = users(!key.is_empty());
        let mut before = vec![Role::Stable; users.len()];
        for points in [500_u16, 1_000, 2_000, 5_000] {
            let split = shop(Some(sticky(&key)), 1, points);
            let mut count = 0;
            for ((user, n), before) in users.iter_mut().zip(0..).zip(&mut before) {
                let first = user.visit(&split, n);
                let again = user.visit(&split, n + 1);
                assert!(
                    (*before, first.role) != (Role::Canary, Role::Stable),
                    "nobody goes back"
                );
                assert_eq!((again.role, again.user), (first.role, first.user));
                assert_eq!(again.remember, None, "it remembers already");
                *before = first.role;
                count += usize::from(first.role == Role::Canary);
            }
            let share = f64::from(u32::try_from(count).unwrap()) / 2_000.0;
            let asked = f64::from(points) / 10_000.0;
            assert!(
                (share - asked).abs() < 0.03,
                "{share} of the users, {asked} asked"
            );
        }
        let rolled_back = shop(Some(sticky(&key)), 2, 0);
        assert_eq!(canaries(&mut users, &rolled_back), 0);
        // The next rollout is no heir of the one before: only points decide.
        let retried = shop(Some(sticky(&key)), 3, 500);
        assert!(canaries(&mut users, &retried) < 160);
    }
}

#[test]
fn a_rollback_in_the_same_epoch_moves_all_too() {
    for key in [uid(), Vec::new()] {
        let mut users = users(!key.is_empty());
        assert!(canaries(&mut users, &shop(Some(sticky(&key)), 1, 5_000)) > 900);
        assert_eq!(canaries(&mut users, &shop(Some(sticky(&key)), 1, 0)), 0);
    }
}

#[test]
fn a_shrinking_share_keeps_those_who_have_the_canary() {
    for key in [uid(), Vec::new()] {
        let mut users = users(!key.is_empty());
        let at_half = canaries(&mut users, &shop(Some(sticky(&key)), 1, 5_000));
        assert_eq!(
            canaries(&mut users, &shop(Some(sticky(&key)), 1, 1)),
            at_half
        );
    }
}

#[test]
fn a_new_epoch_does_not_reshuffle_clients_without_a_key() {
    let mut users = users(false);
    let mut first = Vec::new();
    for (user, n) in users.iter_mut().zip(0..) {
        first.push(user.visit(&shop(Some(sticky(&[])), 1, 2_000), n));
    }
    let next = shop(Some(sticky(&[])), 2, 2_000);
    for ((user, n), first) in users.iter_mut().zip(5_000..).zip(first) {
        let second = user.visit(&next, n);
        assert_eq!((second.role, second.user), (first.role, first.user));
        assert!(
            second.remember.is_some(),
            "the cookie is of the rollout before"
        );
    }
}

#[test]
fn the_first_key_that_is_present_decides() {
    let keys = [
        KeySource::Cookie("uid".to_owned()),
        KeySource::Header("x-device-id".to_owned()),
        KeySource::ClientIp,
    ];
    let split = shop(Some(sticky(&keys)), 1, 0);
    let user = |request: &Request| split.assign(request, chance(1)).user.unwrap();
    let plain = || Request::to("h", "/");
    let by_cookie = user(&plain().with("cookie", "uid=7").with("x-device-id", "d"));
    assert_eq!(
        by_cookie,
        user(&plain().with("cookie", "a=b").with("cookie", "c; uid=7 ;d"))
    );
    let by_device = user(&plain().with("x-device-id", "d"));
    assert_eq!(
        by_device,
        user(
            &plain()
                .with("x-device-id", "d")
                .with("cookie", "uid=; uids=7")
        )
    );
    let mut mapped = plain();
    mapped.client = "::ffff:127.0.0.1".parse().unwrap();
    assert_eq!(user(&plain()), user(&mapped), "an address has one spelling");
    assert_eq!(user(&plain()), user(&plain().with("x-device-id", "")));
    let all = [by_cookie, by_device, user(&plain())];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
}

#[test]
fn splits_are_independent_draws() {
    let mut written = vec![written_split("a", Some(sticky(&uid())))];
    written.push(written_split("b", Some(sticky(&uid()))));
    let mut world = World::new(written);
    let plan = world.shift("a", 1, 5_000).shift("b", 1, 5_000).plan();
    let mut users = users(true);
    let both = users.iter_mut().filter_map(|user| {
        let [a, b] = [0, 1].map(|at: usize| plan.splits[at].assign(&user.request(), chance(0)));
        (a.role == b.role).then_some(())
    });
    let both = both.count();
    assert!((800..1_200).contains(&both), "{both} of 2,000");
}

#[test]
fn without_sticky_the_point_decides_and_nothing_is_remembered() {
    let split = shop(None, 1, 1_000);
    for (point, role) in [
        (0, Role::Canary),
        (999, Role::Canary),
        (1_000, Role::Stable),
    ] {
        let chance = Chance {
            point: Point::new(point).unwrap(),
            fresh: 1,
        };
        let assignment = split.assign(&Request::to("h", "/"), chance);
        assert_eq!((assignment.role, assignment.user), (role, None));
        assert_eq!(assignment.remember, None);
    }
}

#[test]
fn a_tenth_of_stable_is_the_shadow_whatever_the_share() {
    // Each request on its own: of those that the canary leaves to stable, a tenth.
    for points in [0, 2_000, 9_000] {
        let split = shop(None, 1, points);
        let (mut stable, mut shadow) = (0_u32, 0_u32);
        for n in 0..20_000 {
            let assignment = split.assign(&Request::to("h", "/"), chance(n));
            let is_of_stable = assignment.role == Role::Stable;
            assert!(is_of_stable || !assignment.is_shadow);
            stable += u32::from(is_of_stable);
            shadow += u32::from(assignment.is_shadow);
        }
        let tenth = stable / 10;
        assert!(
            shadow.abs_diff(tenth) < 4 * tenth.isqrt(),
            "{shadow} of {stable}"
        );
    }
    // A user stays in it, with a key or with our cookie alone.
    for key in [uid(), Vec::new()] {
        let mut users = users(!key.is_empty());
        let split = shop(Some(sticky(&key)), 1, 2_000);
        let mut visit = |round: u64| -> Vec<bool> {
            let visits = users.iter_mut().zip(round * 7_000..);
            visits
                .map(|(user, n)| user.visit(&split, n).is_shadow)
                .collect()
        };
        let (first, second) = (visit(1), visit(2));
        assert_eq!(first, second);
        let shadow = first.iter().filter(|is_shadow| **is_shadow).count();
        assert!((110..210).contains(&shadow), "{shadow} of 2,000");
    }
}

#[test]
fn without_a_canary_everything_is_stable_and_nothing_is_remembered() {
    for key in [uid(), Vec::new()] {
        let mut written = written_split("shop", Some(sticky(&key)));
        written.canary = None;
        let plan = World::new(vec![written]).shift("shop", 1, 10_000).plan();
        let split = &plan.splits[0];
        assert_eq!(split.share, Share::ZERO);
        assert_eq!(split.version(Role::Canary), &split.stable);
        let mut user = Browser {
            uid: Some("u".to_owned()),
            jar: None,
        };
        let assignment = user.visit(split, 1);
        assert_eq!((assignment.role, assignment.remember), (Role::Stable, None));
        assert_eq!(assignment.user.is_some(), !key.is_empty());
    }
}

#[test]
fn every_ten_thousand_requests_hit_every_point_once() {
    let mut rotation = Rotation::new(42);
    for split in [SplitKey(3), SplitKey(0), SplitKey(3)] {
        let mut seen = vec![false; 10_000];
        for _ in 0..10_000 {
            let point = rotation.next(split).value();
            assert!(!std::mem::replace(&mut seen[usize::from(point)], true));
        }
    }
    // Short runs are spread evenly too: a tenth of any hundred, give or take one or two.
    let tenth = Share::from_basis_points(1_000).unwrap();
    for _ in 0..1_000 {
        let hits = (0..100)
            .filter(|_| tenth.covers(rotation.next(SplitKey(1))))
            .count();
        assert!((8..=12).contains(&hits), "{hits} of 100");
    }
    assert_ne!(
        Rotation::new(1).next(SplitKey(0)),
        Rotation::new(2).next(SplitKey(0))
    );
}

proptest! {
    #![proptest_config(super::same_each_time())]

    #[test]
    fn a_growing_share_never_moves_a_settled_client(
        uid in prop::option::of("[a-z0-9-]{1,40}"),
        keyed in any::<bool>(),
        mut shares in prop::collection::vec(0_u16..=10_000, 2..6),
        seed in any::<u64>(),
    ) {
        shares.sort_unstable();
        let key = if keyed { self::uid() } else { Vec::new() };
        let mut user = Browser { uid, jar: None };
        let mut before = None;
        for (points, n) in shares.into_iter().zip(0_u64..) {
            let split = shop(Some(sticky(&key)), 1, points);
            let assignment = user.visit(&split, seed.wrapping_add(n));
            prop_assert!(points > 0 || assignment.role == Role::Stable);
            prop_assert!(points < 10_000 || assignment.role == Role::Canary);
            if let Some((role, who)) = before {
                prop_assert!((role, assignment.role) != (Role::Canary, Role::Stable));
                prop_assert_eq!(who, assignment.user);
            }
            before = Some((assignment.role, assignment.user));
        }
    }
}
