//! What a person asks of a split, and what it has led to.

use serde::{Deserialize, Serialize};

/// What an act has led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// On which split.
    pub split: String,
    /// The epoch now.
    pub epoch: u64,
    /// The canary's share now in force.
    pub weight: String,
    /// One sentence.
    pub message: String,
}

/// The body of an act.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Act {
    /// Why, for the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only for `:promote`: to 100 % at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<bool>,
}

/// The body of `PUT /v1/splits/{split}/weights`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The canary's share, such as `5%`.
    pub canary: String,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
