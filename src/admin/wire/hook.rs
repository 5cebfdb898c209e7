//! What a webhook is asked.

use serde::{Deserialize, Serialize};

use super::shown::verdict;
use crate::control::{Gate, SplitStatus};

/// The body of the question whether a gate may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateQuestion {
    /// On which split.
    pub split: String,
    /// Of its rollout.
    pub epoch: u64,
    /// `confirm_rollout`, `confirm_traffic_increase`, `confirm_promotion`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The gate's number among the steps, from 1.
    pub step: usize,
    /// The canary's share in force.
    pub weight: String,
    /// The version users have today.
    pub stable: String,
    /// The version being tried.
    pub canary: Option<String>,
    /// Where the rollout stands.
    pub phase: String,
    /// What the judge says; `null` if nothing is judged yet.
    pub verdict: Option<String>,
}

impl GateQuestion {
    /// Of a split that waits at a gate.
    pub fn new(split: &SplitStatus, gate: &Gate) -> Self {
        let judgement = split.judgement.as_ref();
        Self {
            split: split.name.to_string(),
            epoch: split.epoch.0,
            kind: gate.kind.to_owned(),
            step: gate.step + 1,
            weight: split.share.to_string(),
            stable: split.stable.to_string(),
            canary: split.canary.as_ref().map(ToString::to_string),
            phase: split.phase.to_owned(),
            verdict: judgement.map(|judgement| verdict(judgement.verdict).to_owned()),
        }
    }
}
