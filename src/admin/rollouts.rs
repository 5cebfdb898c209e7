//! Rollouts, past and present: a line each, and the evidence of one as JSON or as a page.

use axum::{
    Json,
    extract::{self, Path, Query},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use std::collections::HashMap;

use super::{
    State, evidence,
    guard::Denial,
    wire::{Evidence, Rollout, Rollouts},
};
use crate::model::{Epoch, SplitName};

type Shared = extract::State<State>;

/// `GET /v1/rollouts`, with `?split=` those of one split.
pub(super) async fn rollouts(
    extract::State(state): Shared,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Rollouts>, Denial> {
    let wanted = match query.get("split") {
        Some(name) => Some(SplitName::new(name).map_err(|_| unknown_split(name))?),
        None => None,
    };
    let known = state.handle.rollouts(wanted.as_ref()).await?;
    if let Some(name) = wanted.filter(|_| known.is_empty()) {
        let status = state.handle.status();
        // A split without a canary had no rollout: an empty list is the truth.
        let is_there = status.splits.iter().any(|split| split.name == name);
        if !is_there {
            return Err(unknown_split(name.as_str()));
        }
    }
    let rollouts = known.iter().map(Rollout::from).collect();
    Ok(Json(Rollouts { rollouts }))
}

/// `GET /v1/rollouts/{id}/evidence`, `evidence.json`, `evidence.html`.
pub(super) async fn show(
    extract::State(state): Shared,
    Path((id, what)): Path<(String, String)>,
) -> Result<Response, Denial> {
    let is_page = match what.as_str() {
        "evidence" | "evidence.json" => false,
        "evidence.html" => true,
        _ => {
            let message = format!("a rollout has no {what}");
            let help = "GET /v1/rollouts/SPLIT-EPOCH/evidence, evidence.json or evidence.html";
            return Err(Denial::new(
                StatusCode::NOT_FOUND,
                "not_found",
                message,
                help,
            ));
        }
    };
    let (split, epoch) = parse(&id).ok_or_else(|| unknown(&id))?;
    let dossier = state.handle.dossier(&split, epoch).await?;
    let dossier = dossier.ok_or_else(|| unknown(&id))?;
    let evidence = Evidence::from(&dossier);
    if is_page {
        return Ok(page(&evidence));
    }
    Ok(Json(evidence).into_response())
}

/// One file: nothing is loaded from elsewhere, and nothing in it can run.
fn page(evidence: &Evidence) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; \
                  base-uri 'none'; form-action 'none'";
    let headers = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
    ];
    (headers, Html(evidence::page(evidence))).into_response()
}

/// `SPLIT-EPOCH`; a split's name may have dashes of its own.
fn parse(id: &str) -> Option<(SplitName, Epoch)> {
    let (split, epoch) = id.rsplit_once('-')?;
    Some((SplitName::new(split).ok()?, Epoch(epoch.parse().ok()?)))
}

fn unknown(id: &str) -> Denial {
    let message = format!("there is no rollout `{id}`");
    let help = "GET /v1/rollouts (`serin rollouts`) lists those that are known, as SPLIT-EPOCH; \
                without a state directory that is the last one of each split";
    Denial::new(StatusCode::NOT_FOUND, "not_found", message, help)
}

fn unknown_split(name: &str) -> Denial {
    let message = format!("there is no split `{name}`, and no rollout of it was kept");
    let help = "GET /v1/splits lists the splits; GET /v1/rollouts lists all rollouts";
    Denial::new(StatusCode::NOT_FOUND, "not_found", message, help)
}
