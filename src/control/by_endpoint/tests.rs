//! Endpoints that come, fail and go.

use super::*;

const WARM_UP: Duration = Duration::from_secs(30);

/// Endpoints of the canary from time to time: which second, how many old ones and new ones are
/// there then, and whether slow tests rest.
#[track_caller]
fn check(plans: &[(u64, std::ops::Range<u32>, bool)]) {
    let mut by_endpoint = ByEndpoint::default();
    let address = ([10, 0, 0, 1], 80).into();
    for ((second, endpoints, expected), generation) in plans.iter().zip(1..) {
        let target = |key| Target::new(EndpointKey(key), address, 1);
        let targets = Target::list(endpoints.clone().map(target));
        let now = Moment::from_millis(second * 1_000);
        let generation = Generation(generation);
        let mut meet = || by_endpoint.meet(generation, [&[], &targets], WARM_UP, now);
        assert_eq!(meet(), *expected, "second {second} of {plans:?}");
        assert!(!meet(), "the same plan brings nothing");
    }
}

#[test]
fn a_batch_of_new_endpoints_lets_slow_tests_rest() {
    check(&[(0, 0..20, false), (9, 0..23, true)]);
    check(&[(0, 0..20, false), (9, 0..40, true), (20, 0..60, false)]);
    check(&[(0, 0..0, false), (9, 0..4, true)]);
    check(&[(0, 0..20, false), (9, 0..10, false), (20, 0..20, false)]);
}

#[test]
fn one_in_twenty_is_no_batch_but_two_within_the_warm_up_are() {
    check(&[(0, 0..20, false), (9, 0..21, false), (99, 0..22, false)]);
    check(&[(0, 0..18, false), (9, 0..19, false), (20, 0..20, true)]);
}

#[test]
fn churn_cannot_blind_the_judge_for_ever() {
    let seconds = (0..600_u64).step_by(10);
    let mut by_endpoint = ByEndpoint::default();
    let mut rests = 0;
    for (second, number) in seconds.zip(0..) {
        let address = ([10, 0, 0, 1], 80).into();
        let targets =
            Target::list((number..number + 4).map(|key| Target::new(EndpointKey(key), address, 1)));
        let now = Moment::from_millis(second * 1_000);
        let generation = Generation(second);
        rests += u32::from(by_endpoint.meet(generation, [&[], &targets], WARM_UP, now));
    }
    assert_eq!(rests, 10, "every other 30 seconds of ten minutes");
}

#[test]
fn counts_of_other_trials_endpoints_are_left_out_and_places_are_bounded() {
    let mut by_endpoint = ByEndpoint::default();
    let address = ([10, 0, 0, 1], 80).into();
    let list = |keys: std::ops::Range<u32>| {
        Target::list(keys.map(|key| Target::new(EndpointKey(key), address, 1)))
    };
    let mut counts = EndpointCounts::default();
    counts.record(true, Duration::ZERO);
    by_endpoint.meet(Generation(1), [&[], &list(0..5_000)], WARM_UP, Moment::ZERO);
    for key in [0, 4_999, 9_000] {
        by_endpoint.count(Role::Canary, EndpointKey(key), &counts);
    }
    assert_eq!(by_endpoint.canary.0.len(), ENDPOINTS_MAX);
    assert_eq!(by_endpoint.canary.sum(|known| known.total).failures, 1);
    by_endpoint.meet(
        Generation(2),
        [&[], &list(6_000..6_004)],
        WARM_UP,
        Moment::ZERO,
    );
    assert_eq!(by_endpoint.canary.0.len(), 4, "gone ones make room");
    by_endpoint.begin_trial();
    by_endpoint.count(Role::Canary, EndpointKey(6_000), &counts);
    assert_eq!(by_endpoint.canary.sum(|known| known.total).failures, 0);
}

/// A canary of so many endpoints, of which these have so many failures and requests; stable has
/// one failure in a hundred.
fn seen(count: u32, answers: &[(u32, u64, u64)]) -> ByEndpoint {
    let mut by_endpoint = ByEndpoint::default();
    let targets = |first: u32, count: u32| {
        let target = |n| {
            let port = u16::try_from(n).unwrap();
            Target::new(EndpointKey(n), ([10, 0, 0, 1], port).into(), 1)
        };
        Target::list((first..first + count).map(target))
    };
    let both = [&targets(100, 8)[..], &targets(0, count)[..]];
    by_endpoint.meet(Generation(1), both, WARM_UP, Moment::ZERO);
    let stable = (100..108).map(|key| (Role::Stable, key, 1, 100));
    let canary = answers.iter().copied();
    let canary = canary.map(|(key, failures, trials)| (Role::Canary, key, failures, trials));
    for (role, key, failures, trials) in stable.chain(canary) {
        let mut counts = EndpointCounts::default();
        for n in 0..trials {
            counts.record(n < failures, Duration::from_millis(5));
        }
        by_endpoint.count(role, EndpointKey(key), &counts);
    }
    by_endpoint
}

const MARGIN: Margin = Margin {
    ratio: 1.05,
    absolute: 0.0005,
};

fn fail(suspect: Option<Suspect>) -> Judgement {
    Judgement {
        verdict: Verdict::Fail,
        cause: "error_rate".to_owned(),
        why: "It failed.".to_owned(),
        suspect,
        ..Judgement::default()
    }
}

/// The ports of the endpoints that are taken out, if these are ejected already.
#[track_caller]
fn excused(by_endpoint: &ByEndpoint, ejected: &[u32]) -> Option<Vec<u16>> {
    let is_ejected = |key: EndpointKey| ejected.contains(&key.0);
    let excuse = by_endpoint.excuse(&fail(None), MARGIN, is_ejected)?;
    assert!(excuse.why.ends_with(" It failed."), "{}", excuse.why);
    Some(excuse.out.iter().map(SocketAddr::port).collect())
}

#[test]
fn a_canary_is_not_rolled_back_for_what_ejected_endpoints_have_done() {
    let one_bad = seen(8, &[(3, 3, 3), (0, 0, 4), (1, 0, 5)]);
    assert_eq!(excused(&one_bad, &[3]), Some(vec![3]));
    assert_eq!(excused(&one_bad, &[]), None, "nobody is out");
    let all_bad: Vec<_> = (0..8).map(|key| (key, 3, 3)).collect();
    assert_eq!(
        excused(&seen(8, &all_bad), &[2, 5]),
        None,
        "the others are bad, too"
    );
    assert_eq!(
        excused(&one_bad, &[1, 2, 3]),
        None,
        "more than a third is out"
    );
    let of_two = seen(2, &[(0, 3, 3), (1, 0, 50)]);
    assert_eq!(excused(&of_two, &[0]), None, "one of two is no exception");
}

#[test]
fn a_suspect_is_taken_out_though_it_was_not_ejected() {
    let by_endpoint = seen(8, &[(3, 40, 100), (0, 1, 300), (1, 0, 300)]);
    let mut judgement = fail(None);
    by_endpoint.name_suspect(&mut judgement, MARGIN);
    let excuse = by_endpoint.excuse(&judgement, MARGIN, |_| false).unwrap();
    assert_eq!(excuse.out, [([10, 0, 0, 1], 3).into()]);
    assert!(
        excuse.why.starts_with(
            "1 of 8 endpoints (10.0.0.1:3) had 40 of the canary's 41 failures; the others are as \
             good as stable and are judged anew without them. It failed."
        ),
        "{}",
        excuse.why
    );
}

#[test]
fn an_endpoint_that_is_gone_excuses_and_many_do_not() {
    let mut by_endpoint = seen(8, &[(3, 3, 3), (0, 0, 40)]);
    let address = ([10, 0, 0, 1], 80).into();
    let left = |but: &[u32]| {
        let keys: Vec<u32> = (0..8).filter(|key| !but.contains(key)).collect();
        Target::list(
            keys.into_iter()
                .map(move |key| Target::new(EndpointKey(key), address, 1)),
        )
    };
    by_endpoint.meet(Generation(2), [&[], &left(&[3])], WARM_UP, Moment::ZERO);
    assert_eq!(excused(&by_endpoint, &[]), Some(vec![]));
    let mut crashing = seen(8, &[(3, 3, 3), (4, 3, 3), (5, 3, 3), (0, 0, 40)]);
    crashing.meet(
        Generation(2),
        [&[], &left(&[3, 4, 5])],
        WARM_UP,
        Moment::ZERO,
    );
    assert_eq!(excused(&crashing, &[]), None);
}
