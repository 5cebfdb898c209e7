//! What counts as what, as the file says it.

use std::{sync::Arc, time::Duration};

use super::{Request, World, written_split};
use crate::{
    config,
    model::{GrpcStatus, Outcome},
    plan::{Classify, Ending, Split, explain},
};

const RULES: &str = "
      - { when: client_abort, as: ignored, unless_slower_than: 2s }
      - { when: { path: /healthz }, as: ignored }
      - { when: { path_prefix: /old/, status: 5xx }, as: ignored }
      - { when: { grpc_status: [UNAVAILABLE, NOT_FOUND] }, as: failure }
      - { when: { status: [501, 599] }, as: success }
      - { when: { status: [404, 409, 3xx] }, as: tracked }
      - { when: { path_prefix: /strict, status: 4xx }, as: failure }
      - { when: { path: /call, grpc_status: INTERNAL, status: 200 }, as: tracked }
";

fn rules(list: &str) -> Vec<config::ClassRule> {
    let text = format!(
        "listen: \"127.0.0.1:1\"\nupstreams: {{ a: {{ static: [\"127.0.0.1:9\"] }} }}\n\
         splits:\n  s:\n    stable: a\n    classify:{list}"
    );
    let loaded = config::load(&text, "x.yaml");
    let (config, problems) = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(problems.is_empty(), "{problems}");
    config.splits[0].classify.clone()
}

/// What the rules say of a request to a path that has ended so.
fn counted(rules: &Classify, path: &str, ending: Ending) -> Outcome {
    rules.outcome(rules.fitting(&Request::to("a.test", path)), ending)
}

fn answer(status: u16, grpc_status: Option<GrpcStatus>) -> Ending {
    let code = |status| GrpcStatus::ALL.iter().position(|it| *it == status);
    Ending::Answer {
        status,
        grpc_status: grpc_status
            .and_then(code)
            .map(|at| u8::try_from(at).unwrap()),
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    use Outcome::{ClientAbort, Failure, Ignored, Success, Tracked};
    let rules = Classify::new(&rules(RULES));
    let status = |status| answer(status, None);
    let call = |it| answer(200, Some(it));
    let left = |millis| Ending::ClientAbort(Duration::from_millis(millis));
    let table = [
        ("/", status(200), Success),
        ("/", status(500), Failure),
        ("/", status(501), Success),
        ("/", status(599), Success),
        ("/", status(404), Tracked),
        ("/", status(405), Success),
        ("/", status(301), Tracked),
        ("/", left(2_000), Ignored),
        ("/", left(2_001), ClientAbort),
        ("/healthz", status(500), Ignored),
        ("/healthz", status(200), Ignored),
        ("/healthz", left(5_000), Ignored),
        ("/./health%7A", status(500), Ignored),
        ("/healthz/", status(500), Failure),
        ("/old", status(503), Ignored),
        ("/old/x", status(503), Ignored),
        ("/older", status(503), Failure),
        ("/old/x", status(404), Tracked),
        ("/old/x", left(5_000), ClientAbort),
        ("/strict", status(404), Tracked),
        ("/strict/x", status(403), Failure),
        ("/call", call(GrpcStatus::Ok), Success),
        ("/call", call(GrpcStatus::Unavailable), Failure),
        ("/call", call(GrpcStatus::NotFound), Failure),
        ("/call", call(GrpcStatus::Internal), Tracked),
        ("/else", call(GrpcStatus::Internal), Failure),
        ("/call", call(GrpcStatus::PermissionDenied), Success),
        ("/healthz", call(GrpcStatus::Unavailable), Ignored),
    ];
    for (path, ending, expected) in table {
        assert_eq!(counted(&rules, path, ending), expected, "{path} {ending:?}");
    }
}

#[test]
fn without_a_rule_the_server_is_to_blame_for_what_only_it_can_mend() {
    let rules = Classify::default();
    let failures: Vec<_> = (0..=u8::MAX)
        .filter(|code| {
            let ending = Ending::Answer {
                status: 200,
                grpc_status: Some(*code),
            };
            counted(&rules, "/", ending) == Outcome::Failure
        })
        .collect();
    assert_eq!(failures, [2, 4, 13, 14, 15]);
    for (status, expected) in [(499, Outcome::Success), (500, Outcome::Failure)] {
        assert_eq!(counted(&rules, "/", answer(status, None)), expected);
    }
    let left = Ending::ClientAbort(Duration::ZERO);
    assert_eq!(counted(&rules, "/", left), Outcome::ClientAbort);
}

#[test]
fn the_last_of_the_most_rules_still_counts() {
    let many = (0..64).map(|i| format!("\n      - {{ when: {{ path: /{i} }}, as: tracked }}"));
    let rules = Classify::new(&rules(&many.collect::<String>()));
    for (path, expected) in [
        ("/0", Outcome::Tracked),
        ("/63", Outcome::Tracked),
        ("/64", Outcome::Success),
    ] {
        assert_eq!(counted(&rules, path, answer(200, None)), expected, "{path}");
    }
}

#[test]
fn only_what_is_ignored_whatever_comes_is_not_waited_for() {
    let rules = Classify::new(&rules(RULES));
    let ignored = ["/healthz", "/", "/old", "/strict"]
        .map(|path| rules.ignores_answers(rules.fitting(&Request::to("a.test", path))));
    assert_eq!(ignored, [true, false, false, false]);
}

#[test]
fn a_split_whose_rules_are_the_same_is_shared() {
    let mut split = written_split("shop", None);
    split.classify = rules(RULES);
    let mut world = World::new(vec![split]);
    let first = world.plan();
    let second = world.plan_after(Some(&first));
    let same = |a: &Arc<Split>, b: &Arc<Split>| Arc::ptr_eq(a, b);
    assert!(same(&first.splits[0], &second.splits[0]));
    world.config.splits[0].classify.pop();
    let third = world.plan_after(Some(&second));
    assert!(!same(&second.splits[0], &third.splits[0]));
}

#[test]
fn the_rules_that_are_open_to_a_request_are_told() {
    let mut split = written_split("shop", None);
    split.classify = rules(RULES);
    let plan = World::new(vec![split]).plan();
    let told = |path| explain(&plan, &Request::to("a.test", path), super::chance(1)).lines;
    let is_rule = |line: &String| line.starts_with("classify: ");
    let rules: Vec<_> = told("/call").into_iter().filter(is_rule).collect();
    let expected = [
        "classify: client_abort, unless slower than 2s, is ignored",
        "classify: grpc_status UNAVAILABLE or NOT_FOUND is a failure",
        "classify: status 501 or 599 is a success",
        "classify: status 404, 409 or 300 to 399 is tracked",
        "classify: status 200 and grpc_status INTERNAL is tracked",
    ];
    assert_eq!(rules, expected);
    assert!(told("/healthz").contains(&"classify: every answer is ignored".to_owned()));
}
