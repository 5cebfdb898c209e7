//! Sources of endpoints over real sockets: stand-ins for what clusters say, and what becomes of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test stops where it stands"
)]

#[path = "../support/mod.rs"]
mod support;

mod deployment;
mod marathon;
mod sources;
