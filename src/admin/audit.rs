//! The audit log, and the lines that admin adds to it: acts on the process, and what it refused.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{self, Query},
    http::StatusCode,
};

use super::{State, caller::Caller, guard::Denial, wire};
use crate::{
    clock,
    control::{self, Subject},
    model::SplitName,
};

/// Lines that are shown unless more are asked for.
const LINES: usize = 100;
/// Lines that are shown at most.
const LINES_MAX: usize = 1_000;

/// `GET /v1/audit`, with `?split=` and `?limit=`.
pub(super) async fn show(
    extract::State(state): extract::State<State>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<wire::Audit>, Denial> {
    let invalid = |message: String, help: &str| {
        Denial::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message, help)
    };
    let split = query.get("split").map(|name| SplitName::new(name));
    let split = split.transpose().map_err(|error| {
        let help = "GET /v1/splits lists those that there are";
        invalid(error.to_string(), help)
    })?;
    let limit = query.get("limit").map_or(Ok(LINES), |limit| limit.parse());
    let limit = limit.ok().filter(|limit| (1..=LINES_MAX).contains(limit));
    let limit = limit.ok_or_else(|| {
        let help = "such as `?limit=20`";
        invalid(
            format!("`limit` is not a number from 1 to {LINES_MAX}"),
            help,
        )
    })?;
    let lines = state.handle.audit(split.as_ref(), limit).await?;
    Ok(Json(wire::Audit::from(lines)))
}

/// Adds a line about the process.
pub(super) async fn note(state: &State, caller: &Caller, command: &str, result: String) {
    let audit = control::Audit {
        at: clock::now(),
        of: Subject::Process,
        actor: caller.actor(),
        command: command.to_owned(),
        reason: None,
        result,
        moved: None,
    };
    state.handle.note(audit).await;
}
