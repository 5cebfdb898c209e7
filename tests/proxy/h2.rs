//! HTTP/2 on either side, over real sockets.

mod abuse;
mod bodies;
mod ends;
mod grpc;
mod heads;
mod websocket;

use serin::model::Role;

use crate::support::{
    h2_origin::H2Origin,
    origin::Origin,
    proxy::{Proxy, edge},
};

/// To an origin of HTTP/1.1.
fn to_h1(origin: &Origin) -> Proxy {
    to_h1_by(origin, "")
}

/// The same, with these keys more of the listener.
fn to_h1_by(origin: &Origin, listener: &str) -> Proxy {
    Proxy::with_workers(1, edge(listener, "", ""), &[origin.address], &[], 0)
}

/// To an origin of HTTP/2.
fn to_h2c(origin: &H2Origin) -> Proxy {
    let config = edge("", "protocol: h2c", "");
    Proxy::with_workers(1, config, &[origin.address], &[], 0)
}

/// Trials and failures of stable, once so many requests have ended.
async fn counted(proxy: &mut Proxy, requests: u64) -> (u64, u64) {
    let is_enough = |cell: &serin::measure::Cell| cell.requests.sum(|_| true) == requests;
    let cell = proxy.counted(Role::Stable, is_enough).await;
    (cell.trials, cell.failures)
}
