//! What a forecast says: how many canary requests and seconds a verdict will take, for differences
//! of a given size; and the planning numbers of docs/judge.md, which need no traffic. How it is
//! made is `outlook.rs`.

use super::{bet::Margin, criteria::Criteria, stats::kl};
use crate::model::number::whole;

/// What the tests pay for not knowing the alternative, in nats; measured.
pub(super) const PRICE_FAIL: f64 = 3.5;
const PRICE_PASS: f64 = 1.0;

/// A difference between the versions that a forecast is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// The canary fails every request.
    AllFail,
    /// Five points more errors than stable.
    ErrorsPlus5Pp,
    /// Twice stable's errors; if that is hardly more than what is tolerated, half as much again as
    /// is tolerated.
    ErrorsX2,
    /// Every request takes twice as long.
    LatencyX2,
    /// Every request takes a fifth longer.
    LatencyPlus20Pct,
    /// The slowest twentieth takes twice as long; nothing else changes.
    P99X2,
}

impl Effect {
    /// All, as they are shown.
    pub const ALL: [Self; 6] = [
        Self::AllFail,
        Self::ErrorsPlus5Pp,
        Self::ErrorsX2,
        Self::LatencyX2,
        Self::LatencyPlus20Pct,
        Self::P99X2,
    ];

    /// The word for it in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllFail => "all_fail",
            Self::ErrorsPlus5Pp => "errors_plus_5pp",
            Self::ErrorsX2 => "errors_x2",
            Self::LatencyX2 => "latency_x2",
            Self::LatencyPlus20Pct => "latency_plus_20pct",
            Self::P99X2 => "p99_x2",
        }
    }

    /// The canary's error rate when stable's is `stable`; `None`: this is no effect on errors.
    pub fn error_rate(self, criteria: &Criteria, stable: f64) -> Option<f64> {
        match self {
            Self::AllFail => Some(1.0),
            Self::ErrorsPlus5Pp => Some((stable + 0.05).min(1.0)),
            Self::ErrorsX2 => {
                let tolerated = criteria.errors.edge(stable);
                Some((2.0 * stable).max(1.5 * tolerated).min(1.0))
            }
            Self::LatencyX2 | Self::LatencyPlus20Pct | Self::P99X2 => None,
        }
    }
}

/// What a verdict takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Requests of the canary until then.
    pub requests: u64,
    /// Seconds until then.
    pub seconds: f64,
}

/// How long verdicts will take, half of the time; `None`: never, or longer than a month.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forecast {
    /// Until a canary with this effect is rolled back; empty if nothing can be said.
    pub to_fail: Vec<(Effect, Option<Need>)>,
    /// Until a canary that is as good as stable passes.
    pub to_pass: Option<Need>,
}

impl Forecast {
    /// What finding this effect takes.
    pub fn to_find(&self, effect: Effect) -> Option<Need> {
        let mut found = self.to_fail.iter();
        found.find(|(known, _)| *known == effect)?.1
    }
}

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

/// Canary requests until a canary with the rate `canary` passes, by the margin to prove; `None`:
/// never.
pub fn requests_to_pass(
    criteria: &Criteria,
    margin: Margin,
    canary: f64,
    stable: f64,
) -> Option<u64> {
    let edge = margin.edge(stable);
    let nats = (1.0 / criteria.alpha_pass).ln() + PRICE_PASS;
    (edge > canary && edge < 1.0).then(|| whole((nats / kl(canary, edge)).ceil()))
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
                requests_to_pass(&criteria, criteria.pass_errors, rate, rate),
                expected,
            );
        }
        // p99 of a lognormal with spread 0.5: so many of stable are above 1.2 times its p99.
        let beyond = 0.003_56;
        near(
            requests_to_pass(&criteria, criteria.pass_latency(), beyond, 0.01),
            1_160,
        );
    }
}
