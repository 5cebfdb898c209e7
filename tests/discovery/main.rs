//! Sources of endpoints over real sockets: stand-ins for what clusters say, and what becomes of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it stands"
)]

#[path = "../support/mod.rs"]
mod support;

mod marathon;
mod sources;
