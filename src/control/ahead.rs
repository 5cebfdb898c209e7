//! What lies ahead of a rollout: how long each step will take at a given traffic, and which steps
//! cannot decide in their time. `serin plan` and the running proxy ask the same.

use std::time::Duration;

use super::course::LOOK_EVERY;
use crate::{
    config::{Auto, Split, Step},
    judge::{Criteria, Forecast, Need, Situation},
    measure::Latencies,
    model::Share,
    rollout::{criteria, step_text, time_to_climb},
};

/// The traffic of a split.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Requests a second, of both versions.
    pub rate: f64,
    /// Stable's error rate.
    pub error_rate: f64,
    /// Stable's latencies; if they are few, the shape of many services stands in.
    pub latency: Latencies,
}

/// One step, and what it will take.
#[derive(Debug, Clone)]
pub struct Ahead {
    /// From 1; 0 stands for a plain weight without steps.
    pub number: usize,
    /// As the file has it.
    pub text: String,
    /// The canary's share in it.
    pub share: Share,
    /// Requests of the canary a second.
    pub canary_rate: f64,
    /// How long verdicts take at this share; `None`: there is nothing to judge.
    pub forecast: Option<Forecast>,
    /// How long the step takes if all is well; `None`: until a person acts, or for ever.
    pub takes: Option<Duration>,
    /// Why the step cannot decide in its time.
    pub warning: Option<String>,
}

/// Every step of a split. The rollout begins with the first of them.
pub fn ahead(split: &Split, traffic: &Traffic) -> Vec<Ahead> {
    let criteria = criteria(split);
    let mut walk = Walk {
        criteria: &criteria,
        traffic,
        share: Share::ZERO,
        age: Duration::ZERO,
        in_stage: Duration::ZERO,
        forecast: None,
    };
    let Some(rollout) = &split.rollout else {
        let share = split.weight.unwrap_or(Share::ZERO);
        walk.shift(share);
        let text = format!("weight {share}");
        return vec![walk.ahead(0, text, (None, None))];
    };
    let numbered = (1..).zip(&rollout.steps);
    let steps = numbered.map(|(number, step)| walk.step(number, step));
    steps.collect()
}

/// How long until a canary with this share is found that fails this part of its requests from its
/// first one on; `None`: never, or longer than a month.
pub fn until_found(
    split: &Split,
    share: Share,
    traffic: &Traffic,
    error_rate: f64,
) -> Option<Need> {
    let criteria = criteria(split);
    let situation = Situation {
        criteria: &criteria,
        share,
        rate: traffic.rate,
        error_rate: traffic.error_rate,
        latency: Some(&traffic.latency),
        tick: LOOK_EVERY,
        age: Duration::ZERO,
    };
    situation.until_found(error_rate)
}

/// A duration in words that are short and say no more than is known: `0.8s`, `41s`, `12m`, `3h`.
pub fn roughly(seconds: f64) -> String {
    match seconds {
        short if short < 9.95 => format!("{short:.1}s"),
        middle if middle < 179.5 => format!("{middle:.0}s"),
        long if long < 5_970.0 => format!("{:.0}m", long / 60.0),
        longer if longer < 171_000.0 => format!("{:.0}h", longer / 3_600.0),
        longest => format!("{:.0}d", longest / 86_400.0),
    }
}

/// Where one stands on the way through the steps.
struct Walk<'a> {
    criteria: &'a Criteria,
    traffic: &'a Traffic,
    share: Share,
    /// How long the canary had been used when the share was last changed.
    age: Duration,
    /// The time since then.
    in_stage: Duration,
    forecast: Option<Forecast>,
}

impl Walk<'_> {
    fn step(&mut self, number: usize, step: &Step) -> Ahead {
        let told = match step {
            Step::SetWeight(share) => {
                self.shift(*share);
                (Some(Duration::ZERO), None)
            }
            Step::Pause(time) => (*time, None),
            Step::Bake(time) => (Some(*time), None),
            Step::Analysis { max, min } => self.analysis(number, *max, *min),
            Step::Auto(auto) => self.climb(number, auto),
            Step::Gate(_) => (None, None),
        };
        let longest = match step {
            Step::Analysis { max, .. } => *max,
            Step::Auto(auto) => auto.max,
            Step::Gate(gate) => gate.max,
            Step::SetWeight(_) | Step::Pause(_) | Step::Bake(_) => None,
        };
        self.in_stage += told.0.or(longest).unwrap_or(Duration::ZERO);
        self.ahead(number, step_text(step), told)
    }

    fn ahead(
        &self,
        number: usize,
        text: String,
        (takes, warning): (Option<Duration>, Option<String>),
    ) -> Ahead {
        Ahead {
            number,
            text,
            share: self.share,
            canary_rate: self.traffic.rate * self.share.ratio(),
            forecast: self.forecast.clone(),
            takes,
            warning,
        }
    }

    fn shift(&mut self, share: Share) {
        if share == self.share {
            return;
        }
        if self.share > Share::ZERO {
            self.age += self.in_stage;
        }
        (self.share, self.in_stage) = (share, Duration::ZERO);
        let situation = Situation {
            criteria: self.criteria,
            share,
            rate: self.traffic.rate,
            error_rate: self.traffic.error_rate,
            latency: Some(&self.traffic.latency),
            tick: LOOK_EVERY,
            age: self.age,
        };
        self.forecast = (share > Share::ZERO).then(|| situation.forecast());
    }

    /// How long an analysis takes, and whether it takes too long. Its proof has been growing since
    /// the share was changed.
    fn analysis(
        &self,
        number: usize,
        max: Option<Duration>,
        min: Option<Duration>,
    ) -> (Option<Duration>, Option<String>) {
        let pass = self.forecast.as_ref().and_then(|forecast| forecast.to_pass);
        let Some(pass) = pass else {
            return (None, Some(self.cannot(number)));
        };
        let seconds = pass.seconds - self.in_stage.as_secs_f64();
        let least = min.unwrap_or(Duration::ZERO);
        let takes = Duration::from_secs_f64(seconds.max(0.0)).max(least);
        let what = format!("step {number}: analysis at {}", self.share);
        self.within(takes, max, (&what, "raise the weight or the max"))
    }

    /// How long a weight that raises itself takes to its last pass, if no harm holds it back.
    fn climb(&mut self, number: usize, auto: &Auto) -> (Option<Duration>, Option<String>) {
        let climb = time_to_climb(auto, self.share, self.traffic.rate);
        self.shift(auto.from.max(self.share));
        self.in_stage += climb.unwrap_or_default();
        self.shift(auto.to);
        let pass = self.forecast.as_ref().and_then(|forecast| forecast.to_pass);
        let pass = pass.and_then(|pass| Duration::try_from_secs_f64(pass.seconds).ok());
        let Some((climb, pass)) = climb.zip(pass) else {
            return (None, Some(self.cannot(number)));
        };
        let what = format!("step {number}: auto to {}", auto.to);
        let remedy = "begin higher or raise the max";
        self.within(climb + pass, auto.max, (&what, remedy))
    }

    /// The time that a step takes, or that it is more than it has.
    fn within(
        &self,
        takes: Duration,
        max: Option<Duration>,
        (what, remedy): (&str, &str),
    ) -> (Option<Duration>, Option<String>) {
        let Some(max) = max.filter(|max| takes > *max) else {
            return (Some(takes), None);
        };
        let warning = format!(
            "{what} needs about {} at {} requests a second, its max is {}: {remedy}",
            roughly(takes.as_secs_f64()),
            self.rate(),
            roughly(max.as_secs_f64()),
        );
        (None, Some(warning))
    }

    fn cannot(&self, number: usize) -> String {
        let (share, rate) = (self.share, self.rate());
        let what = if share == Share::FULL {
            "has no stable to compare with: analyse below 100%".to_owned()
        } else if share == Share::ZERO {
            "has no canary requests: set a weight before it".to_owned()
        } else {
            format!("proves nothing within a month at {rate} requests a second: raise the weight")
        };
        format!("step {number}: analysis at {share} {what}")
    }

    fn rate(&self) -> String {
        let rate = self.traffic.rate;
        if rate < 9.95 {
            format!("{rate:.1}")
        } else {
            format!("{rate:.0}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{OnFailure, OnInconclusive, OnStart, Rollout},
        rollout::fixture,
    };

    fn share(percent: u16) -> Share {
        Share::from_basis_points(percent * 100).unwrap()
    }

    fn analysis(max: u64) -> Step {
        Step::Analysis {
            max: Some(Duration::from_mins(max)),
            min: None,
        }
    }

    fn check(rate: f64, steps: &[Step], expected: &[Option<&str>]) {
        let rollout = Rollout {
            steps: steps.to_vec(),
            on_start: OnStart::NewVersion,
            on_failure: OnFailure::Rollback,
            on_inconclusive: OnInconclusive::Pause,
            on_no_data: OnInconclusive::Pause,
        };
        let split = Split {
            rollout: Some(rollout),
            ..fixture::split("shop", "v1", Some("v2"))
        };
        let traffic = Traffic {
            rate,
            error_rate: 0.005,
            latency: Latencies::new(),
        };
        let steps = ahead(&split, &traffic);
        let found: Vec<_> = steps.iter().map(|step| step.warning.as_deref()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_step_that_cannot_decide_in_time_is_told() {
        let at = |percent| Step::SetWeight(share(percent));
        check(1_000.0, &[at(10), analysis(10)], &[None, None]);
        check(
            40.0,
            &[at(1), analysis(10), at(50), analysis(10)],
            &[
                None,
                Some(
                    "step 2: analysis at 1% needs about 92m at 40 requests a second, its max is \
                     10m: raise the weight or the max",
                ),
                None,
                None,
            ],
        );
        let bake = Step::Bake(Duration::from_mins(90));
        check(40.0, &[at(1), bake, analysis(10)], &[None, None, None]);
        check(
            40.0,
            &[analysis(10), at(100), analysis(10)],
            &[
                Some("step 1: analysis at 0% has no canary requests: set a weight before it"),
                None,
                Some("step 3: analysis at 100% has no stable to compare with: analyse below 100%"),
            ],
        );
    }

    #[test]
    fn durations_say_no_more_than_is_known() {
        let cases = [
            (0.35, "0.3s"),
            (9.96, "10s"),
            (61.6, "62s"),
            (170.0, "170s"),
            (2_460.0, "41m"),
            (7_200.0, "2h"),
            (259_200.0, "3d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(roughly(seconds), text);
        }
    }
}
