//! What a bad canary may cost while its weight raises itself.

use serde::{Deserialize, Serialize};

use super::shown::finite;

/// Of a step `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HarmBudget {
    /// Canary requests that failed beyond what is tolerated.
    pub spent: f64,
    /// How many may.
    pub failed_requests: u64,
}

impl From<(f64, u64)> for HarmBudget {
    fn from((spent, failed_requests): (f64, u64)) -> Self {
        Self {
            spent: finite(spent),
            failed_requests,
        }
    }
}
