//! The audit log as JSON.

use serde::{Deserialize, Serialize};

use super::rfc3339;
use crate::control::{self, Subject};

/// `GET /v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The newest first.
    pub acts: Vec<Audited>,
}

/// An act, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// When.
    pub at: String,
    /// On which split.
    pub split: Option<String>,
    /// On an endpoint of which upstream; `null`: of all that have it.
    pub upstream: Option<String>,
    /// On which endpoint.
    pub endpoint: Option<String>,
    /// Who: what is proven of them, then what they say of themselves.
    pub who: String,
    /// What was done, or was to be done.
    pub act: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// `done` or `refused`, and more in words.
    pub result: String,
    /// Of the split, after it.
    pub epoch: Option<u64>,
    /// The canary's share before it.
    pub before: Option<String>,
    /// The canary's share after it.
    pub after: Option<String>,
}

impl From<Vec<control::Audit>> for Audit {
    fn from(lines: Vec<control::Audit>) -> Self {
        let acts = lines.into_iter().map(Audited::from).collect();
        Self { acts }
    }
}

impl From<control::Audit> for Audited {
    fn from(line: control::Audit) -> Self {
        let (split, upstream, endpoint) = match line.of {
            Subject::Split(split) => (Some(split.to_string()), None, None),
            Subject::Endpoint(upstream, address) => {
                let upstream = upstream.map(|upstream| upstream.to_string());
                (None, upstream, Some(address.to_string()))
            }
            Subject::Process => (None, None, None),
        };
        Self {
            at: rfc3339(line.at),
            split,
            upstream,
            endpoint,
            who: line.actor,
            act: line.command,
            reason: line.reason,
            result: line.result,
            epoch: line.moved.map(|moved| moved.epoch.0),
            before: line.moved.map(|moved| moved.before.to_string()),
            after: line.moved.map(|moved| moved.after.to_string()),
        }
    }
}
