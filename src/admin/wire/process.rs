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

/// `PUT /v1/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFilter {
    /// `info`, `debug`, or with parts: `info,serin::control=debug`.
    pub filter: String,
}

/// `POST /v1/config:validate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// Whether it could come into force.
    pub valid: bool,
    /// As `serin validate --json` has them.
    pub problems: serde_json::Value,
}
