//! Merging: whatever the order and the grouping, the sum is the same.

use std::time::Duration;

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;
use crate::model::{
    CodeClass, EndpointKey, Moment, Outcome, Reason, Role, RouteId, SplitKey, Stage,
};

/// One attempt as it may come: which outcome, how long, which user, which endpoint.
type Spec = (usize, u64, Option<u64>, u32);

fn key() -> CellKey {
    CellKey {
        split: SplitKey(0),
        stage: Stage(1),
        role: Role::Canary,
        route: RouteId(0),
        is_shadow: false,
    }
}

fn attempt((outcome, micros, user, endpoint): Spec) -> Attempt {
    let outcome = Outcome::ALL[outcome];
    let (code_class, reason) = if outcome == Outcome::Failure {
        (CodeClass::ServerError, Reason::Reset)
    } else {
        (CodeClass::Success, Reason::None)
    };
    let total = Duration::from_micros(micros);
    Attempt {
        key: key(),
        label: AttemptLabel {
            code_class,
            outcome,
            reason,
        },
        first_byte: (micros % 2 == 0).then_some(total / 2),
        total,
        ended: Moment::from_micros(micros),
        judged: true,
        user,
        request_id: micros,
        endpoint: Some(EndpointKey(endpoint)),
    }
}

/// What a worker hands over after these attempts.
fn sample(specs: &[Spec]) -> Sample {
    let mut recorder = Recorder::new();
    for spec in specs {
        recorder.assign(key());
        recorder.attempt(&attempt(*spec));
    }
    recorder.take(0, Moment::ZERO)
}

/// Everything that a sample says, in an order of its own.
fn content(sample: &Sample) -> String {
    let mut endpoints: Vec<_> = sample.endpoints.iter().collect();
    endpoints.sort_by_key(|(label, _)| **label);
    let cells: Vec<_> = sample.cells.values().map(cell_content).collect();
    format!("{cells:?} {endpoints:?}")
}

fn cell_content(cell: &Cell) -> String {
    let mut attempts: Vec<_> = cell.attempts.iter().collect();
    attempts.sort_unstable();
    let buckets = [&cell.latency, &cell.abandoned, &cell.first_byte]
        .map(|latencies| latencies.buckets().collect::<Vec<_>>());
    let (mut users, mut ids) = (cell.failed_users.clone(), cell.failed_requests.clone());
    users.sort_unstable();
    ids.sort_unstable();
    let counts = [cell.assigned, cell.trials, cell.failures, cell.at_risk];
    // Which comes first within one sample is not a matter of merging.
    let has_failure = cell.first_failure.is_some();
    format!("{counts:?} {has_failure} {attempts:?} {buckets:?} {users:?} {ids:?}")
}

/// Both together, as a worker does when its first sample could not be handed over.
fn merged(left: &Sample, right: &Sample) -> Sample {
    let mut recorder = Recorder::new();
    recorder.put_back(left);
    recorder.put_back(right);
    recorder.take(0, Moment::ZERO)
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let user = prop::option::of(0..5_u64);
    let spec = (0..Outcome::ALL.len(), 0..5_000_000_u64, user, 0..4_u32);
    prop::collection::vec(spec, 0..12)
}

fn same_each_time() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(same_each_time())]

    #[test]
    fn merging_is_commutative_and_associative(a in specs(), b in specs(), c in specs()) {
        let (a, b, c) = (sample(&a), sample(&b), sample(&c));
        prop_assert_eq!(content(&merged(&a, &b)), content(&merged(&b, &a)));
        let left = merged(&merged(&a, &b), &c);
        let right = merged(&a, &merged(&b, &c));
        prop_assert_eq!(content(&left), content(&right));
    }

    #[test]
    fn endpoints_add_up_to_their_version(specs in specs()) {
        let sample = sample(&specs);
        let of_version = sample.cells.values().fold((0, 0), |(trials, failures), cell| {
            (trials + cell.trials, failures + cell.failures)
        });
        let of_endpoints = sample.endpoints.values().fold((0, 0), |(trials, failures), counts| {
            (trials + counts.trials, failures + counts.failures)
        });
        prop_assert_eq!(of_version, of_endpoints);
    }
}
