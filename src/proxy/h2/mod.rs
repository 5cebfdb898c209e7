//! HTTP/2, both sides, on top of the `h2` crate.
//!
//! *Owns:* connections and streams of HTTP/2; the way between its fields and frames and the
//! HTTP/1.1 messages that the rest of the proxy reads and writes; what a client may do to a
//! connection before it is cut off.
//! *Does not know:* plans, versions, retries, records: a stream goes through `handle.rs` like any
//! other request.
//! *Invariants:* a request that came by HTTP/2 is read by the same strict parser as every other:
//! its head is written as HTTP/1.1 first, and refused if that cannot be done without changing its
//! meaning; a message that is broken off is never ended, its stream is reset.
//! *Read next:* `downstream.rs`, `stream.rs`, `upstream.rs`, then `watch.rs`.

pub(crate) mod downstream;
mod fields;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod inbox;
mod link;
mod outbox;
pub(crate) mod upstream;
mod watch;
