//! Which attempts are followed by another one, and where that goes.

use crate::{
    config::{OnUnhealthy, RescueOn, RetryOn, RetryPolicy},
    model::Role,
    plan::{Again, Asked, Retry, Standing, Trouble},
};

/// After the first attempt of a canary's request.
const FIRST: Standing = Standing {
    role: Role::Canary,
    attempts: 1,
    has_others: true,
};
const FAILED: Trouble = answer(503, true);

const fn answer(status: u16, is_failure: bool) -> Trouble {
    Trouble::Answer {
        status,
        grpc_status: None,
        is_failure,
    }
}

const fn unavailable() -> Trouble {
    Trouble::Answer {
        status: 200,
        grpc_status: Some(14),
        is_failure: true,
    }
}

/// After one attempt, with another endpoint left.
fn after(policy: &RetryPolicy, method: &str, role: Role, trouble: Trouble) -> Option<Again> {
    let standing = Standing { role, ..FIRST };
    let retry = Retry::new(policy, OnUnhealthy::FallbackToStable);
    retry.again(trouble, asked(method), standing)
}

fn asked(method: &str) -> Asked<'_> {
    Asked {
        method: method.as_bytes(),
        is_idempotent: !["POST", "PATCH"].contains(&method),
        is_overridden: false,
    }
}

#[test]
fn what_is_safe_is_repeated_by_default_and_a_canary_is_rescued() {
    use Again::{Same, Stable};
    use Trouble::{Broken, Late, Unsent};
    let cases = [
        ("GET", Unsent, Some(Stable), Some(Same)),
        ("GET", Broken, Some(Stable), Some(Same)),
        ("GET", Late, Some(Stable), None),
        ("GET", FAILED, Some(Stable), None),
        ("GET", answer(404, false), None, None),
        ("GET", answer(503, false), None, None),
        ("HEAD", FAILED, Some(Stable), None),
        ("OPTIONS", Late, Some(Stable), None),
        ("PUT", Unsent, Some(Stable), Some(Same)),
        ("PUT", Broken, Some(Stable), Some(Same)),
        ("PUT", Late, None, None),
        ("DELETE", FAILED, None, None),
        ("POST", Unsent, Some(Stable), Some(Same)),
        ("POST", Broken, None, None),
        ("POST", Late, None, None),
        ("POST", FAILED, None, None),
        ("POST", unavailable(), None, None),
    ];
    let policy = RetryPolicy::default();
    for (method, trouble, of_canary, of_stable) in cases {
        let found = after(&policy, method, Role::Canary, trouble);
        assert_eq!(found, of_canary, "canary: {method}, {trouble:?}");
        let found = after(&policy, method, Role::Stable, trouble);
        assert_eq!(found, of_stable, "stable: {method}, {trouble:?}");
    }
}

#[test]
fn written_conditions_and_methods_hold_for_both_versions() {
    let policy = RetryPolicy {
        retry_on: Some(vec![RetryOn::Status(503..=503), RetryOn::GrpcUnavailable]),
        methods: Some(vec!["PUT".to_owned()]),
        ..RetryPolicy::default()
    };
    let cases = [
        ("PUT", FAILED, true),
        ("PUT", answer(503, false), true),
        ("PUT", answer(500, true), false),
        ("PUT", Trouble::Broken, false),
        ("PUT", Trouble::Late, false),
        ("GET", FAILED, false),
        ("POST", unavailable(), true),
        ("POST", FAILED, false),
    ];
    for (method, trouble, is_repeated) in cases {
        let canary = after(&policy, method, Role::Canary, trouble);
        assert_eq!(canary.is_some(), is_repeated, "{method}, {trouble:?}");
        let stable = after(&policy, method, Role::Stable, trouble);
        assert_eq!(stable.is_some(), is_repeated, "{method}, {trouble:?}");
    }
    let unsent = after(&policy, "GET", Role::Stable, Trouble::Unsent);
    assert_eq!(unsent, None, "it is not in the list");
    let unsent = after(&policy, "GET", Role::Canary, Trouble::Unsent);
    assert_eq!(unsent, Some(Again::Stable), "that is `on_unhealthy`");
}

/// Where all attempts of a canary's GET go that fail in the same way, after the first.
fn course(policy: &RetryPolicy, on_unhealthy: OnUnhealthy, trouble: Trouble) -> Vec<Again> {
    let retry = Retry::new(policy, on_unhealthy);
    let (mut standing, mut course) = (FIRST, Vec::new());
    while let Some(again) = retry.again(trouble, asked("GET"), standing) {
        course.push(again);
        standing.attempts += 1;
        if again == Again::Stable {
            standing.role = Role::Stable;
        }
    }
    course
}

#[test]
fn the_last_attempt_of_a_canarys_request_is_stables() {
    use Again::{Same, Stable};
    let policy = |attempts, rescue_on| RetryPolicy {
        attempts,
        rescue_on,
        ..RetryPolicy::default()
    };
    let (stable, none) = (RescueOn::Stable, RescueOn::None);
    let (falls_back, fails) = (OnUnhealthy::FallbackToStable, OnUnhealthy::Fail);
    let (unsent, broken) = (Trouble::Unsent, Trouble::Broken);
    let cases: [(u8, RescueOn, OnUnhealthy, Trouble, &[Again]); 7] = [
        (2, stable, falls_back, FAILED, &[Stable]),
        (2, stable, falls_back, unsent, &[Stable]),
        (4, stable, falls_back, broken, &[Same, Same, Stable]),
        (2, none, falls_back, broken, &[Same]),
        (2, none, fails, unsent, &[Same]),
        (1, none, falls_back, unsent, &[Stable]),
        (1, none, falls_back, broken, &[]),
    ];
    for (attempts, rescue_on, on_unhealthy, trouble, expected) in cases {
        let found = course(&policy(attempts, rescue_on), on_unhealthy, trouble);
        assert_eq!(
            found, expected,
            "{attempts}, {rescue_on:?}, {on_unhealthy:?}, {trouble:?}"
        );
    }
}

#[test]
fn who_has_asked_for_a_version_sees_what_it_says() {
    let retry = Retry::new(&RetryPolicy::default(), OnUnhealthy::FallbackToStable);
    let standing = Standing {
        has_others: false,
        ..FIRST
    };
    let tester = Asked {
        is_overridden: true,
        ..asked("GET")
    };
    assert_eq!(retry.again(FAILED, tester, standing), None);
    assert_eq!(
        retry.again(Trouble::Unsent, tester, standing),
        Some(Again::Stable)
    );
}
