//! Rollouts, past and present, and what they rested on.

use serde::{Deserialize, Serialize};

use super::{Analysis, Decision, rfc3339};
use crate::{
    control::{Dossier, Findings, Line, Summary},
    model::{CodeClass, Moment, Reason, Role, number::millis},
};

/// `GET /v1/rollouts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollouts {
    /// The newest first.
    pub rollouts: Vec<Rollout>,
}

/// One rollout in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `SPLIT-EPOCH`.
    pub id: String,
    /// Of which split.
    pub split: String,
    /// Its number.
    pub epoch: u64,
    /// The version that users had.
    pub stable: String,
    /// The version on trial.
    pub canary: String,
    /// When it began.
    pub started: String,
    /// When it ended; `null`: it has not.
    pub ended: Option<String>,
    /// How long it took; `null`: it has not ended.
    pub seconds: Option<f64>,
    /// `running`, `promoted`, `rolled_back`, `aborted`, `undone`, `superseded`.
    pub result: String,
    /// What ended it: a cause as the judge names it, or `operator`.
    pub cause: String,
    /// Why, in words, with the numbers.
    pub why: String,
}

/// `GET /v1/rollouts/{id}/evidence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it was.
    pub rollout: Rollout,
    /// Of which moment the numbers are: of the last decision, or of now.
    pub at: Option<String>,
    /// What the judge said then.
    pub analysis: Option<Analysis>,
    /// Stable's and the canary's requests.
    pub versions: Vec<Measured>,
    /// How the numbers moved until then.
    pub trail: Trail,
    /// What was decided, newest last.
    pub decisions: Vec<Decided>,
    /// The files on Serin's machine that `serin replay` judges it again from, newest last.
    pub records: Vec<String>,
}

/// The requests of one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `stable` or `canary`.
    pub role: String,
    /// Its name.
    pub version: String,
    /// Judged requests since the rollout began.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Failed attempts by what came and why, the most frequent first.
    pub errors: Vec<Errors>,
    /// Over the last minute: quantile (0 to 1) and latency in milliseconds, ascending.
    pub latency_ms: Vec<(f64, f64)>,
}

/// Failed attempts of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// `5xx`, ...; `none`: no answer came.
    pub code_class: String,
    /// `reset`, `response_timeout`, ...; `none`: a plain answer.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// How the numbers of a rollout moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// The metrics, in the order of the lines of a point.
    pub metrics: Vec<String>,
    /// In the order of time.
    pub points: Vec<Spot>,
}

/// What was known at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spot {
    /// Since the rollout began.
    pub seconds: f64,
    /// All evidence against the canary.
    pub evidence: f64,
    /// One metric each: the difference, where it lies (from, to), what is tolerated; `null`: it
    /// was not known then.
    pub lines: Vec<Option<[f64; 4]>>,
}

/// A decision, and how far the rollout was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Since the rollout began.
    pub seconds: f64,
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
}

impl From<&Summary> for Rollout {
    fn from(summary: &Summary) -> Self {
        Self {
            id: format!("{}-{}", summary.split, summary.epoch),
            split: summary.split.to_string(),
            epoch: summary.epoch.0,
            stable: summary.stable.to_string(),
            canary: summary.canary.to_string(),
            started: rfc3339(summary.started),
            ended: summary.ended.map(rfc3339),
            seconds: summary.ended.map(|at| seconds(summary.started, at)),
            result: summary.result.to_owned(),
            cause: summary.cause.clone(),
            why: summary.why.clone(),
        }
    }
}

impl From<&Dossier> for Evidence {
    fn from(dossier: &Dossier) -> Self {
        let rollout = &dossier.rollout;
        let found = dossier.findings.as_deref();
        let decisions = dossier.decisions.iter();
        Self {
            rollout: rollout.into(),
            at: found.map(|found| rfc3339(found.at)),
            analysis: found
                .and_then(|found| found.judgement.as_ref())
                .map(Analysis::from),
            versions: found
                .map(|found| versions(rollout, found))
                .unwrap_or_default(),
            trail: found.map_or_else(Trail::empty, |found| Trail::of(rollout, found)),
            decisions: decisions
                .map(|entry| Decided {
                    seconds: seconds(rollout.started, entry.at),
                    decision: entry.into(),
                })
                .collect(),
            records: dossier
                .records
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        }
    }
}

fn versions(rollout: &Summary, found: &Findings) -> Vec<Measured> {
    let versions = found.versions.iter();
    versions
        .map(|version| Measured {
            role: version.role.to_string(),
            version: match version.role {
                Role::Stable => rollout.stable.to_string(),
                Role::Canary => rollout.canary.to_string(),
            },
            requests: version.requests,
            failures: version.failures,
            errors: version.errors.iter().map(Errors::from).collect(),
            latency_ms: version
                .curve
                .iter()
                .map(|(quantile, latency)| (*quantile, latency.as_secs_f64() * 1_000.0))
                .collect(),
        })
        .collect()
}

impl From<&(CodeClass, Reason, u64)> for Errors {
    fn from((code_class, reason, count): &(CodeClass, Reason, u64)) -> Self {
        Self {
            code_class: code_class.to_string(),
            reason: reason.to_string(),
            count: *count,
        }
    }
}

impl Trail {
    fn empty() -> Self {
        Self {
            metrics: Vec::new(),
            points: Vec::new(),
        }
    }

    fn of(rollout: &Summary, found: &Findings) -> Self {
        let line = |line: Line| [line.estimate, line.low, line.high, line.margin];
        let points = found.trail.points.iter();
        Self {
            metrics: found.trail.metrics.clone(),
            points: points
                .map(|spot| Spot {
                    seconds: seconds(rollout.started, spot.at),
                    evidence: super::shown::finite(spot.evidence),
                    lines: spot.lines.iter().map(|known| known.map(line)).collect(),
                })
                .collect(),
        }
    }
}

fn seconds(from: Moment, to: Moment) -> f64 {
    crate::model::number::real(millis(to.since(from))) / 1_000.0
}
