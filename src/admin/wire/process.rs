//! The process that answers.

use serde::{Deserialize, Serialize};

/// `GET /v1/process` and the answer to `POST /v1/process:upgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// `none`, `under_way`, `failed`.
    pub upgrade: String,
    /// Why the last upgrade was given up.
    pub problem: Option<String>,
}
