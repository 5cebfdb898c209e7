//! Every path, the role that it takes, and what all of them have in common: limits, and the shape
//! of refusals.

use std::{sync::Arc, time::Duration};

use axum::{
    Router, error_handling::HandleErrorLayer, extract::DefaultBodyLimit, handler::Handler as _,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{
    ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer,
    timeout::TimeoutLayer,
};

use super::{
    State, api, audit, config, endpoints, guard, health, in_force, metrics,
    pace::Pace,
    page,
    process::{self, Process},
    rollouts,
    routes::{Route, Routes},
    stream, whoami,
};
use crate::control::Handle;

/// The longest body of a request.
const BODY_MAX: usize = 64 << 10;
/// The longest time until the head of an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Requests at a time; more are turned away with 503.
const REQUESTS_MAX: usize = 64;

/// What serves all paths.
pub(super) fn router(state: State) -> Router {
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(guard::overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(REQUESTS_MAX))
        .layer(TimeoutLayer::new(ANSWER_WITHIN));
    table(state.clone())
        .into_router()
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(layers)
        .with_state(state)
}

/// Every path, and the role that it takes.
fn table(state: State) -> Routes {
    use crate::model::Access::{Admin, Operate, Read};
    let validate = config::validate.layer(DefaultBodyLimit::max(config::TEXT_MAX));
    Routes::new(state)
        .open("/healthz", health::healthz)
        .open("/readyz", health::readyz)
        .open("/startupz", health::startupz)
        .open("/v1/whoami", whoami::show)
        .open("/", page::index)
        .open("/page/{file}", page::file)
        .read("/metrics", metrics::scrape)
        .read("/v1/splits", api::splits)
        .read("/v1/splits/{split}", api::split)
        .act(Operate, "/v1/splits/{split}", api::act)
        .read("/v1/splits/{split}/analysis", api::analysis)
        .set(Operate, "/v1/splits/{split}/weights", api::set_weights)
        .read("/v1/rollouts", rollouts::rollouts)
        .read("/v1/rollouts/{id}/{what}", rollouts::show)
        .read("/v1/audit", audit::show)
        .read("/v1/upstreams", api::upstreams)
        .read("/v1/endpoints", endpoints::list)
        .act(Operate, "/v1/endpoints/{act}", endpoints::act)
        .read("/v1/config", config::show)
        .show(Operate, "/v1/config/in-force", in_force::show)
        .show(Admin, "/v1/config/file", config::file)
        .act(Read, "/v1/config:validate", validate)
        .act(Admin, "/v1/config:reload", config::reload)
        .read("/v1/events", stream::events)
        .read("/v1/process", process::show)
        .act(Admin, "/v1/process:upgrade", process::upgrade)
        .act(Admin, "/v1/drain", process::drain)
        .set(Admin, "/v1/log", process::log)
}

/// Every path that is served, and the role that it takes.
pub fn routes(handle: Handle) -> Vec<Route> {
    let state = State {
        handle,
        process: Process::default(),
        started: Arc::default(),
        streams: Arc::new(Semaphore::new(0)),
        pace: Pace::new().0,
        socket: None,
        feed: Arc::default(),
        ending: CancellationToken::new(),
    };
    table(state).into_all()
}
