//! How a canary was taken back, and what it had cost.

use serde::{Deserialize, Serialize};

use super::shown::rfc3339;
use crate::{control, model::SplitName};

/// Of the rollout that was taken back last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Of the rollout.
    pub epoch: u64,
    /// `verdict`, `critical`, `absolute`, `operator`.
    pub cause: String,
    /// The first failed request of those that led to the verdict, or when slowness began to count.
    pub broke_at: String,
    /// The verdict, or what the operator did.
    pub found_at: String,
    /// From here on no request was assigned to it.
    pub applied_at: String,
    /// Its last request and its last stream have ended; `null`: some are left.
    pub complete_at: Option<String>,
    /// Judged requests that failed.
    pub failed_requests: u64,
    /// Different users among them; `null`: users are not told apart.
    pub users: Option<u64>,
    /// Where the evidence is, on the admin address.
    pub evidence: String,
}

impl Rollback {
    /// Of this split.
    pub(super) fn of(split: &SplitName, rollback: &control::Rollback) -> Self {
        let epoch = rollback.epoch.0;
        Self {
            epoch,
            cause: rollback.cause.to_owned(),
            broke_at: rfc3339(rollback.broke),
            found_at: rfc3339(rollback.found),
            applied_at: rfc3339(rollback.applied),
            complete_at: rollback.complete.map(rfc3339),
            failed_requests: rollback.failed_requests,
            users: rollback.users,
            evidence: format!("/v1/rollouts/{split}-{epoch}/evidence.html"),
        }
    }
}
