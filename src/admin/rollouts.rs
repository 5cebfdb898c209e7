//! Rollouts, past and present: a line each, and the evidence of one as JSON, as a page, or as the
//! record that it can be judged again from.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
};

use axum::{
    Json,
    body::Body,
    extract::{self, Path, Query},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    State, evidence,
    guard::Denial,
    wire::{Evidence, Rollout, Rollouts},
};
use crate::model::{Epoch, SplitName};

/// Of a record that is sent at once.
const PIECE: u64 = 64 << 10;

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

/// `GET /v1/rollouts/{id}/evidence`, `evidence.json`, `evidence.html`, `evidence.rec`.
pub(super) async fn show(
    extract::State(state): Shared,
    Path((id, what)): Path<(String, String)>,
) -> Result<Response, Denial> {
    if !matches!(
        what.as_str(),
        "evidence" | "evidence.json" | "evidence.html" | "evidence.rec"
    ) {
        let message = format!("a rollout has no {what}");
        let help = "GET /v1/rollouts/SPLIT-EPOCH/evidence, evidence.json, evidence.html or \
                    evidence.rec";
        return Err(missing(message, help));
    }
    let (split, epoch) = parse(&id).ok_or_else(|| unknown(&id))?;
    if what == "evidence.rec" {
        return record(&state, &split, epoch).await;
    }
    let dossier = state.handle.dossier(&split, epoch).await?;
    let dossier = dossier.ok_or_else(|| unknown(&id))?;
    let evidence = Evidence::from(&dossier);
    if what == "evidence.html" {
        return Ok(page(&evidence));
    }
    Ok(Json(evidence).into_response())
}

/// The newest record, as `serin replay` reads it.
async fn record(state: &State, split: &SplitName, epoch: Epoch) -> Result<Response, Denial> {
    let found = state.handle.record(split, epoch).await?;
    let Some((name, file)) = found else {
        let message = format!("no record of `{split}-{}` is kept", epoch.0);
        let help = "the newest 32 are kept, in `records` in the state directory";
        return Err(missing(message, help));
    };
    let permit = state.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        let message = "too many event streams and downloads are open";
        let help = "close one, then ask again";
        Denial::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, help)
    })?;
    let (into, pieces) = mpsc::channel(1);
    tokio::spawn(send(file, into, permit));
    let headers = [
        ("content-type", "application/octet-stream".to_owned()),
        (
            "content-disposition",
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    let body = Body::from_stream(ReceiverStream::new(pieces));
    Ok((headers, body).into_response())
}

/// Piece by piece: a slow reader holds no thread.
async fn send(
    mut file: File,
    into: mpsc::Sender<io::Result<Vec<u8>>>,
    _permit: OwnedSemaphorePermit,
) {
    loop {
        let read = move || {
            let mut piece = Vec::new();
            let read = (&file).take(PIECE).read_to_end(&mut piece);
            (file, read.map(|_| piece))
        };
        let Ok((rest, piece)) = tokio::task::spawn_blocking(read).await else {
            return;
        };
        file = rest;
        let is_last = piece.as_ref().map_or(true, Vec::is_empty);
        // Whoever asked may be gone.
        if into.send(piece).await.is_err() || is_last {
            return;
        }
    }
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
    missing(message, help)
}

fn unknown_split(name: &str) -> Denial {
    let message = format!("there is no split `{name}`, and no rollout of it was kept");
    let help = "GET /v1/splits lists the splits; GET /v1/rollouts lists all rollouts";
    missing(message, help)
}

fn missing(message: String, help: &'static str) -> Denial {
    Denial::new(StatusCode::NOT_FOUND, "not_found", message, help)
}
