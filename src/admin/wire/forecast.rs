//! How long verdicts will take, as JSON.

use serde::{Deserialize, Serialize};

use crate::judge;

/// How long verdicts will take at the present traffic, half of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Until a canary with an effect is rolled back, one for each effect.
    pub to_fail: Vec<Finding>,
    /// Until a canary that is as good as stable passes; `null`: never, or in more than a month.
    pub to_pass: Option<Need>,
}

/// What finding one effect takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `all_fail`, `errors_plus_5pp`, `errors_x2`, `latency_x2`, `latency_plus_20pct`, `p99_x2`.
    pub effect: String,
    /// `null`: never, or in more than a month.
    pub need: Option<Need>,
}

/// What a verdict takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// Requests of the canary until then.
    pub requests: u64,
    /// Seconds until then.
    pub seconds: f64,
}

impl From<&judge::Forecast> for Forecast {
    fn from(forecast: &judge::Forecast) -> Self {
        let finding = |(effect, need): &(judge::Effect, Option<judge::Need>)| Finding {
            effect: effect.as_str().to_owned(),
            need: need.map(Need::from),
        };
        Self {
            to_fail: forecast.to_fail.iter().map(finding).collect(),
            to_pass: forecast.to_pass.map(Need::from),
        }
    }
}

impl From<judge::Need> for Need {
    fn from(need: judge::Need) -> Self {
        Self {
            requests: need.requests,
            seconds: (need.seconds * 100.0).round() / 100.0,
        }
    }
}
