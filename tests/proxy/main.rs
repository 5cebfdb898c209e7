//! The data plane over real sockets, a file a feature.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops where it stands, its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod access_log;
mod arrival;
mod assets;
mod behaviour;
mod breaker;
mod buffer;
mod classify;
mod conformance;
mod connections;
mod crew;
mod downgrade;
mod drain;
mod ejection;
mod faults;
mod forwarding;
mod h2;
mod hedge;
mod limits;
mod rescue;
mod retry;
mod ruby;
mod split;
mod streams;
mod table;
mod traces;
mod warm_up;
