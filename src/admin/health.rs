//! Probes: alive, ready, started. Plain text, for machines that look at the status code and
//! people who look at the words.

use std::sync::atomic::Ordering;

use axum::{extract, http::StatusCode};

use super::State;
use crate::control::Status;

type Answer = (StatusCode, String);

/// 200 while the process lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 while traffic may be sent here; else 503 with the reasons.
pub(super) async fn readyz(extract::State(state): extract::State<State>) -> Answer {
    let reasons = reasons(&state.handle.status());
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("not ready\n{reasons}"),
    )
}

/// 200 once the process was ready for the first time; else 503 with the reasons.
pub(super) async fn startupz(extract::State(state): extract::State<State>) -> Answer {
    let status = state.handle.status();
    if status.is_ready || status.is_draining {
        state.started.store(true, Ordering::Relaxed);
    }
    if state.started.load(Ordering::Relaxed) {
        return (StatusCode::OK, "started\n".to_owned());
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("starting\n{}", reasons(&status)),
    )
}

/// One line for each thing that is missing; empty if nothing is.
fn reasons(status: &Status) -> String {
    if status.is_draining {
        return "the process is going down\n".to_owned();
    }
    if status.is_ready {
        return String::new();
    }
    let waiting = status
        .upstreams
        .iter()
        .filter(|upstream| upstream.age.is_none());
    let mut lines: Vec<String> = waiting
        .map(|upstream| {
            let why = upstream
                .problem
                .as_deref()
                .unwrap_or("its source has not answered yet");
            format!("upstream `{}` has no endpoints: {why}\n", upstream.name)
        })
        .collect();
    if lines.is_empty() {
        lines.push("the listeners are not open yet\n".to_owned());
    }
    lines.concat()
}
