//! The file: which one is in force, what it says, and whether another text could come into force.

use axum::{
    Extension, Json, extract,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{
    State, audit,
    caller::Caller,
    guard::Denial,
    wire::{Config, Validated},
};
use crate::control;

/// The longest text that is tried: as long as a file may be.
pub(super) const TEXT_MAX: usize = 4 << 20;

type Shared = extract::State<State>;

/// `GET /v1/config`; the `ETag` is the hash.
pub(super) async fn show(extract::State(state): Shared) -> Response {
    let config = Config::from(&state.handle.status().config);
    let tag = format!("\"{}\"", config.hash);
    ([(header::ETAG, tag)], Json(config)).into_response()
}

/// `GET /v1/config/file`: what the file in force says, without secrets.
pub(super) async fn file(extract::State(state): Shared) -> Response {
    // A long file takes a while.
    let written = tokio::task::spawn_blocking(move || state.handle.written()).await;
    written.map_or_else(
        |error| broken_off(&error).into_response(),
        |written| Json(written).into_response(),
    )
}

/// `POST /v1/config:reload`: reads the file now; what comes of it is in `GET /v1/config`.
pub(super) async fn reload(
    extract::State(state): Shared,
    Extension(caller): Extension<Caller>,
) -> (StatusCode, Json<Config>) {
    state.handle.reload();
    audit::note(&state, &caller, "config reload", "done".to_owned()).await;
    (
        StatusCode::ACCEPTED,
        Json(Config::from(&state.handle.status().config)),
    )
}

/// `POST /v1/config:validate`: the body is the text of a file.
pub(super) async fn validate(text: String) -> Result<Json<Validated>, Denial> {
    // A long text takes a while.
    let tried = tokio::task::spawn_blocking(move || control::tried(&text)).await;
    let (valid, problems) = tried.map_err(|error| broken_off(&error))?;
    Ok(Json(Validated { valid, problems }))
}

fn broken_off(error: &impl ToString) -> Denial {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Denial::new(status, "broken_off", error.to_string(), "look at the log")
}
