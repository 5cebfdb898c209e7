//! The file in force and what was decided, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/config/in-force`: what another file would be compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    /// Of the text in force.
    pub hash: String,
    /// The text, without what may be secret in addresses.
    pub text: String,
    /// By split: what is kept of its rollout.
    pub records: BTreeMap<String, Value>,
}
