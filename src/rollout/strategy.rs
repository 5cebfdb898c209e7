//! The shape of a rollout, as the file has it.

use std::time::Duration;

pub use crate::config::{Gate, Step};
use crate::{
    config::{self, Auto, OnFailure, OnInconclusive, OnStart},
    model::Share,
};

/// What happens in which order, and what a bad or missing verdict does.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// In order; none: the weight in the file is held and judged for ever.
    pub steps: Vec<Step>,
    /// When the steps begin.
    pub on_start: OnStart,
    /// What a `fail` does.
    pub on_failure: OnFailure,
    /// What a stage does whose time is over without a decision.
    pub on_inconclusive: OnInconclusive,
    /// What a stage does that saw no traffic.
    pub on_no_data: OnInconclusive,
    /// The canary's share in the file, if one is written.
    pub weight: Option<Share>,
}

impl Strategy {
    /// Whether steps decide the weight; else the file's weight does.
    pub fn is_automatic(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether the first `count` steps are the same in both.
    pub(super) fn agrees(&self, texts: &[String], count: usize) -> bool {
        let ours = self.steps.iter().map(step_text);
        ours.take(count).eq(texts.iter().take(count).cloned())
    }

    /// The steps in words, to tell whether they were changed while we were away.
    pub fn texts(&self) -> Vec<String> {
        self.steps.iter().map(step_text).collect()
    }
}

impl From<&config::Split> for Strategy {
    fn from(split: &config::Split) -> Self {
        let Some(rollout) = &split.rollout else {
            return Self {
                steps: Vec::new(),
                on_start: OnStart::NewVersion,
                on_failure: OnFailure::Rollback,
                on_inconclusive: OnInconclusive::Pause,
                on_no_data: OnInconclusive::Pause,
                weight: split.weight,
            };
        };
        Self {
            steps: rollout.steps.clone(),
            on_start: rollout.on_start,
            on_failure: rollout.on_failure,
            on_inconclusive: rollout.on_inconclusive,
            on_no_data: rollout.on_no_data,
            weight: split.weight,
        }
    }
}

/// A step as the file has it: `set_weight 5%`, `pause 10m`.
pub fn step_text(step: &Step) -> String {
    match step {
        Step::SetWeight(share) => format!("set_weight {share}"),
        Step::Pause(None) => "pause".to_owned(),
        Step::Pause(Some(time)) => format!("pause {}", duration_text(*time)),
        Step::Bake(time) => format!("bake {}", duration_text(*time)),
        Step::Auto(auto) => auto_text(auto),
        Step::Gate(gate) => gate_text(gate),
        Step::Analysis { max, min } => {
            let min = min.map(|time| format!(", min {}", duration_text(time)));
            let min = min.unwrap_or_default();
            format!("analysis until decided{min}{}", at_most(*max))
        }
    }
}

fn auto_text(auto: &Auto) -> String {
    let Auto {
        from,
        to,
        failed_requests,
        min_step,
        max,
    } = auto;
    let min_step = duration_text(*min_step);
    format!(
        "auto {from} to {to}, harm_budget {failed_requests}, min_step {min_step}{}",
        at_most(*max)
    )
}

fn gate_text(gate: &Gate) -> String {
    let asked = gate.webhook.as_ref().map_or_else(
        || "manual".to_owned(),
        |hook| format!("{} {}", hook.kind.as_str(), place(&hook.url)),
    );
    format!("gate {asked}{}", at_most(gate.max))
}

fn at_most(max: Option<Duration>) -> String {
    let max = max.map(|time| format!(", max {}", duration_text(time)));
    max.unwrap_or_default()
}

/// An address as it may be shown: what follows the host may be a secret.
pub(super) fn place(url: &str) -> &str {
    let scheme = url.find("://").map_or(0, |end| end + 3);
    let rest = url.get(scheme..).unwrap_or_default();
    let host = rest.find(['/', '?']).unwrap_or(rest.len());
    url.get(..scheme + host).unwrap_or(url)
}

/// A duration as the file has it: `1h30m`, `250ms`.
pub(super) fn duration_text(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), u64::from(duration.subsec_millis()));
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (millis, "ms"),
    ];
    let written = parts.iter().filter(|(count, _)| *count > 0);
    let text: Vec<String> = written
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text.concat()
    }
}

/// A time that was measured: from a second on, what is less says nothing.
pub(super) fn waited_text(waited: Duration) -> String {
    let seconds = waited.as_secs();
    let is_short = seconds == 0;
    duration_text(if is_short {
        waited
    } else {
        Duration::from_secs(seconds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_written() {
        let cases = [
            (0, "0s"),
            (250, "250ms"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
        assert_eq!(
            step_text(&Step::Pause(Some(Duration::from_mins(10)))),
            "pause 10m"
        );
        let bounds = Step::Analysis {
            max: Some(Duration::from_mins(5)),
            min: None,
        };
        assert_eq!(step_text(&bounds), "analysis until decided, max 5m");
        let auto = Step::Auto(Auto {
            from: Share::from_basis_points(10).unwrap(),
            to: Share::from_basis_points(5_000).unwrap(),
            failed_requests: 200,
            min_step: Duration::from_secs(30),
            max: Some(Duration::from_hours(2)),
        });
        assert_eq!(
            step_text(&auto),
            "auto 0.1% to 50%, harm_budget 200, min_step 30s, max 2h"
        );
        let mut gate = Gate {
            webhook: None,
            max: None,
        };
        assert_eq!(step_text(&Step::Gate(gate.clone())), "gate manual");
        gate.webhook = Some(config::Webhook {
            url: "http://deploy:9000/ok?key=secret".to_owned(),
            kind: config::GateKind::ConfirmPromotion,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        });
        gate.max = Some(Duration::from_hours(1));
        assert_eq!(
            step_text(&Step::Gate(gate)),
            "gate confirm_promotion http://deploy:9000, max 1h"
        );
    }

    #[test]
    fn a_time_that_was_measured_has_no_more_digits_than_it_deserves() {
        let cases = [(0, "0s"), (32, "32ms"), (5_032, "5s"), (125_900, "2m5s")];
        for (millis, text) in cases {
            assert_eq!(waited_text(Duration::from_millis(millis)), text);
        }
    }
}
