//! Reads of the snapshot, and the operator's acts.

use axum::{
    Extension, Json,
    extract::{self, Path},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    State,
    caller::Caller,
    guard::{Body, Denial},
    wire::{Act, Analysis, Done, Split, Splits, Upstreams, Weights, parse_share},
};
use crate::{
    control::{Asker, Command, SplitStatus, Status},
    model::{Epoch, SplitName},
};

type Shared = extract::State<State>;

/// `GET /v1/splits`.
pub(super) async fn splits(extract::State(state): Shared) -> Json<Splits> {
    Json(Splits::from(&*state.handle.status()))
}

/// `GET /v1/splits/{split}`; the `ETag` is the epoch.
pub(super) async fn split(
    extract::State(state): Shared,
    Path(name): Path<String>,
) -> Result<Response, Denial> {
    let status = state.handle.status();
    let split = find(&status, &name)?;
    Ok(with_epoch(split.epoch.0, Json(Split::from(split))))
}

/// `GET /v1/splits/{split}/analysis`.
pub(super) async fn analysis(
    extract::State(state): Shared,
    Path(name): Path<String>,
) -> Result<Response, Denial> {
    let status = state.handle.status();
    let split = find(&status, &name)?;
    let judgement = split.judgement.as_ref().ok_or_else(|| {
        let message = format!("nothing is judged in `{name}` yet");
        let help = "a split is judged while its canary has a share";
        Denial::new(StatusCode::NOT_FOUND, "no_analysis", message, help)
    })?;
    Ok(with_epoch(split.epoch.0, Json(Analysis::from(judgement))))
}

/// `GET /v1/upstreams`.
pub(super) async fn upstreams(extract::State(state): Shared) -> Json<Upstreams> {
    Json(Upstreams::from(&*state.handle.status()))
}

/// `PUT /v1/splits/{split}/weights`.
pub(super) async fn set_weights(
    extract::State(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(weights): Body<Weights>,
) -> Result<Response, Denial> {
    let share = parse_share(&weights.canary).map_err(|message| {
        let help = "give a share with its unit, such as 5% or 0.25%";
        Denial::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message, help)
    })?;
    let asker = asker(&caller, &headers, weights.reason)?;
    ask(&state, &name, Command::SetWeight(share), asker).await
}

/// `POST /v1/splits/{split}:promote`, `:pause`, `:resume`, `:abort`, `:retry`, `:undo`,
/// `:open-gate`, `:close-gate`.
pub(super) async fn act(
    extract::State(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(target): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Act>,
) -> Result<Response, Denial> {
    let (name, verb) = target.rsplit_once(':').unwrap_or((&target, ""));
    let command = match verb {
        "promote" => Command::Promote {
            full: body.full.unwrap_or(false),
        },
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "abort" => Command::Abort,
        "retry" => Command::Retry,
        "undo" => Command::Undo,
        "open-gate" => Command::OpenGate { step: None },
        "close-gate" => Command::CloseGate,
        _ => {
            let message = format!("`{verb}` is not an act on a split");
            let help = "POST /v1/splits/NAME:promote, :pause, :resume, :abort, :retry, :undo, \
                        :open-gate or :close-gate";
            return Err(Denial::new(
                StatusCode::NOT_FOUND,
                "unknown_act",
                message,
                help,
            ));
        }
    };
    let asker = asker(&caller, &headers, body.reason)?;
    ask(&state, name, command, asker).await
}

async fn ask(
    state: &State,
    name: &str,
    command: Command,
    asker: Asker,
) -> Result<Response, Denial> {
    let split = find(&state.handle.status(), name)?.name.clone();
    let done = state.handle.ask(split.clone(), command, asker).await?;
    Ok(with_epoch(done.epoch.0, Json(Done::new(&split, &done))))
}

fn find<'a>(status: &'a Status, name: &str) -> Result<&'a SplitStatus, Denial> {
    status
        .splits
        .iter()
        .find(|split| split.name.as_str() == name)
        .ok_or_else(|| {
            let names = status
                .splits
                .iter()
                .map(|split| SplitName::as_str(&split.name));
            let help = match names.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "the file in force has no splits".to_owned(),
                names => format!("there are: {names}"),
            };
            let message = format!("there is no split `{name}`");
            Denial::new(StatusCode::NOT_FOUND, "not_found", message, help)
        })
}

fn with_epoch(epoch: u64, answer: impl IntoResponse) -> Response {
    ([(header::ETAG, format!("\"{epoch}\""))], answer).into_response()
}

/// Who acts, why, and under what condition.
pub(super) fn asker(
    caller: &Caller,
    headers: &HeaderMap,
    reason: Option<String>,
) -> Result<Asker, Denial> {
    Ok(Asker {
        actor: caller.actor(),
        reason: reason.filter(|reason| !reason.trim().is_empty()),
        if_epoch: if_match(headers)?,
    })
}

/// `If-Match`: an epoch, in quotes or not; `*` and nothing: any.
fn if_match(headers: &HeaderMap) -> Result<Option<Epoch>, Denial> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    bare.parse().map(|epoch| Some(Epoch(epoch))).map_err(|_| {
        let message = format!("If-Match is `{text}`, which is not an epoch");
        let help = "send the number that GET /v1/splits/NAME has as `epoch`, or leave it out";
        Denial::new(StatusCode::BAD_REQUEST, "malformed", message, help)
    })
}
