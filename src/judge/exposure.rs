//! What a bad canary could still cost: requests that fail before it is found out.

use std::time::Duration;

use super::{Judgement, forecast::PRICE_FAIL, stats::kl};
use crate::model::number::real;

/// From the evidence to the last request that goes to the canary.
const REACTION: f64 = 0.75;
/// How often the interval of possible rates is halved: to a millionth of a millionth.
const HALVINGS: u32 = 40;

/// How bad a canary can be after all that was seen of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// Stable's rate of errors.
    stable: f64,
    /// How much more is tolerated.
    tolerated: f64,
    /// How much more the canary may have at worst.
    worst: f64,
    /// Evidence that rolls back, in nats, with what the tests pay for not knowing the rate.
    nats: f64,
}

impl Exposure {
    /// By what a judgement says of errors; `None`: it says nothing.
    pub fn of(judgement: &Judgement) -> Option<Self> {
        let mut metrics = judgement.metrics.iter();
        let errors = metrics.find(|metric| metric.metric == "error_rate")?;
        let (hits, trials) = errors.stable;
        let stable = if trials > 0 {
            real(hits) / real(trials)
        } else {
            0.0
        };
        Some(Self {
            stable,
            tolerated: errors.margin.max(0.0),
            worst: errors.interval.1.clamp(0.0, 1.0 - stable),
            nats: judgement.threshold.ln() + PRICE_FAIL,
        })
    }

    /// How much worse than stable the canary may be at worst, as a ratio of requests.
    pub const fn worst(&self) -> f64 {
        self.worst
    }

    /// Canary requests that fail beyond what is tolerated, at worst, if `pace` of them come each
    /// second and the share is thought over after `horizon`.
    ///
    /// A canary that is worse by `d` harms until its verdict or until the horizon, whichever comes
    /// first, and for the time of a reaction. A slight harm takes longest to be found, a great one
    /// costs most while it lasts: so the most lies where the verdict comes just at the horizon, or
    /// at the greatest harm that is possible.
    pub fn harm(&self, pace: f64, horizon: Duration) -> f64 {
        if self.worst <= self.tolerated {
            return 0.0;
        }
        let within = pace * horizon.as_secs_f64();
        let (mut slight, mut great) = (self.tolerated, self.worst);
        for _ in 0..HALVINGS {
            let excess = f64::midpoint(slight, great);
            if self.requests(excess) > within {
                slight = excess;
            } else {
                great = excess;
            }
        }
        let cost = |excess: f64| {
            let requests = self.requests(excess).min(within) + pace * REACTION;
            (excess - self.tolerated) * requests
        };
        cost(great).max(cost(self.worst))
    }

    /// Canary requests until the verdict on a canary that is worse by this.
    fn requests(&self, excess: f64) -> f64 {
        let edge = (self.stable + self.tolerated).max(f64::MIN_POSITIVE);
        self.nats / kl((self.stable + excess).min(1.0), edge.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::MetricJudgement;

    fn exposure(stable: (u64, u64), worst: f64) -> Exposure {
        let rate = real(stable.0) / real(stable.1);
        let errors = MetricJudgement {
            metric: "error_rate".to_owned(),
            verdict: crate::judge::Verdict::Inconclusive,
            canary: (0, 30),
            stable,
            estimate: 0.0,
            interval: (-0.1, worst),
            margin: 0.05 * rate + 0.0005,
            evidence: 1.0,
            is_dry_run: false,
        };
        let judgement = Judgement {
            threshold: 100.0,
            metrics: vec![errors],
            ..Judgement::default()
        };
        Exposure::of(&judgement).unwrap()
    }

    const HALF_A_MINUTE: Duration = Duration::from_secs(30);

    #[test]
    fn the_worst_case_is_the_worst_of_all_that_are_possible() {
        for (hits, worst) in [(0, 0.2), (50, 0.2), (50, 0.01), (2_000, 0.8), (9_000, 0.1)] {
            let exposure = exposure((hits, 10_000), worst);
            for pace in [0.01, 1.0, 100.0, 10_000.0] {
                let harm = exposure.harm(pace, HALF_A_MINUTE);
                let costs = (1..=2_000_u32).map(|step| {
                    let span = exposure.worst - exposure.tolerated;
                    let excess = exposure.tolerated + span * f64::from(step) / 2_000.0;
                    let requests = exposure.requests(excess).min(pace * 30.0) + pace * REACTION;
                    (excess - exposure.tolerated) * requests
                });
                let most = costs.fold(0.0, f64::max);
                assert!(
                    harm >= most * 0.999 && harm <= most * 1.02,
                    "{hits} {worst} {pace}: {harm} is not {most}"
                );
            }
        }
    }

    #[test]
    fn more_requests_and_less_knowledge_cost_more() {
        let vague = exposure((50, 10_000), 0.3);
        let known = exposure((50, 10_000), 0.01);
        for pace in [0.1, 1.0, 50.0, 2_000.0] {
            let (little, much) = (
                vague.harm(pace, HALF_A_MINUTE),
                vague.harm(2.0 * pace, HALF_A_MINUTE),
            );
            assert!(little > 0.0 && little <= much, "{pace}: {little} {much}");
            assert!(known.harm(pace, HALF_A_MINUTE) <= little);
        }
        let within = exposure((50, 10_000), 0.0007);
        assert!(
            within.harm(1e6, HALF_A_MINUTE).abs() < 1e-9,
            "within the margin there is no harm"
        );
    }

    #[test]
    fn a_judgement_without_errors_says_nothing() {
        assert_eq!(Exposure::of(&Judgement::default()), None);
    }
}
