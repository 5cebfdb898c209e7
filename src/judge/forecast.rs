//! How many canary requests a verdict will take: planning numbers, before and during a rollout.

use super::{bet::Margin, criteria::Criteria, stats::kl};
use crate::model::number::whole;

/// What the tests pay for not knowing the alternative, in nats; measured.
pub(super) const PRICE_FAIL: f64 = 3.5;
const PRICE_PASS: f64 = 1.0;

/// Canary requests until a canary with the rate `canary` is rolled back; `None`: never.
pub fn requests_to_fail(
    criteria: &Criteria,
    margin: Margin,
    canary: f64,
    stable: f64,
) -> Option<u64> {
    let edge = margin.edge(stable);
    let nats = criteria.threshold().ln() + PRICE_FAIL;
    (canary > edge && edge > 0.0).then(|| whole((nats / kl(canary, edge)).ceil()))
}

/// Canary requests until a canary as good as stable passes, by the margin to prove; `None`: never.
pub fn requests_to_pass(criteria: &Criteria, margin: Margin, rate: f64) -> Option<u64> {
    let edge = margin.edge(rate);
    let nats = (1.0 / criteria.alpha_pass).ln() + PRICE_PASS;
    (edge > rate && edge < 1.0).then(|| whole((nats / kl(rate, edge)).ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planning_numbers_are_those_of_the_document() {
        let criteria = Criteria::default();
        let fail = |stable, canary| requests_to_fail(&criteria, criteria.errors, canary, stable);
        let near = |found: Option<u64>, expected: u64| {
            let found = found.unwrap();
            assert!(
                found.abs_diff(expected) <= 1 + expected / 20,
                "{found} is not {expected}"
            );
        };
        near(fail(0.005, 0.01), 6_300);
        near(fail(0.001, 0.01), 790);
        near(fail(0.01, 0.05), 216);
        near(fail(0.005, 0.20), 15);
        assert_eq!(fail(0.01, 0.01), None);
        for (rate, expected) in [(0.001, 2_500), (0.005, 2_600), (0.01, 2_100)] {
            near(
                requests_to_pass(&criteria, criteria.pass_errors, rate),
                expected,
            );
        }
    }
}
