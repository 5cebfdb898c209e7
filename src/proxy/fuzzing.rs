//! Doors to what the proxy reads of strangers and keeps to itself, for `fuzz/`. In no other build.

use std::time::Duration;

use super::{grpc, websocket::Frames};

pub use super::h2::fuzzing::{downgrade, flood, upgrade};

/// What a `grpc-timeout` says.
pub fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    grpc::timeout(value)
}

/// The `grpc-status` among some field lines.
pub fn grpc_status(lines: &[u8]) -> Option<u8> {
    grpc::status_in(lines)
}

/// Whether the next byte of a WebSocket begins a frame, after these pieces.
pub fn websocket_is_between(pieces: &[&[u8]]) -> bool {
    let mut frames = Frames::default();
    for piece in pieces {
        frames.feed(piece);
    }
    frames.is_between()
}
