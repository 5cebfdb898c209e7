//! Endpoints as they are now, and acts on them.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Extension, Json,
    extract::{self, Path},
    http::{HeaderMap, StatusCode},
};

use super::{
    State,
    api::asker,
    caller::Caller,
    guard::{Body, Denial},
    wire::{EndpointAct, EndpointDone, Endpoints},
};
use crate::{control::EndpointCommand, model::UpstreamName};

/// `GET /v1/endpoints`.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
) -> Result<Json<Endpoints>, Denial> {
    let all = state.handle.endpoints().await.ok_or_else(|| {
        let message = "the control loop has ended";
        let help = "the process ends";
        Denial::new(StatusCode::SERVICE_UNAVAILABLE, "closing", message, help)
    })?;
    Ok(Json(Endpoints::from(all)))
}

/// `POST /v1/endpoints/{address}:eject` and `:uneject`.
pub(super) async fn act(
    extract::State(state): extract::State<State>,
    Extension(caller): Extension<Caller>,
    Path(target): Path<String>,
    headers: HeaderMap,
    Body(body): Body<EndpointAct>,
) -> Result<Json<EndpointDone>, Denial> {
    let (address, verb) = target.rsplit_once(':').unwrap_or((&target, ""));
    let command = match verb {
        "eject" => EndpointCommand::Eject(body.seconds.map(Duration::from_secs)),
        "uneject" => EndpointCommand::Uneject,
        _ => {
            let message = format!("`{verb}` is not an act on an endpoint");
            let help = "POST /v1/endpoints/ADDRESS:eject or :uneject";
            return Err(Denial::new(
                StatusCode::NOT_FOUND,
                "unknown_act",
                message,
                help,
            ));
        }
    };
    let address: SocketAddr = address.parse().map_err(|_| {
        let message = format!("`{address}` is not an address and a port");
        let help = "GET /v1/endpoints lists those that there are";
        Denial::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message, help)
    })?;
    let upstream = body.upstream.as_deref().map(UpstreamName::new);
    let upstream = upstream.transpose().map_err(|error| {
        let help = "GET /v1/upstreams lists those that there are";
        Denial::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            error.to_string(),
            help,
        )
    })?;
    let asker = asker(&caller, &headers, body.reason)?;
    let at = (upstream, address);
    let message = state.handle.ask_of_endpoint(at, command, asker).await?;
    Ok(Json(EndpointDone { message }))
}
