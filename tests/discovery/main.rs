//! Sources of endpoints over real sockets: stand-ins of what they ask, and Serin behind them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes the files that it edits"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../../src/discover/mutation.rs"]
mod mutation;

mod deployment;
mod ecs;
mod marathon;
mod sources;
