//! HTTP/1.1 messages as bytes: heads parsed in place, bodies framed, heads built anew.
//!
//! *Owns:* what a well-formed message is (RFC 9110, RFC 9112, read strictly), where it ends, and
//! the bytes that are forwarded instead of it.
//! *Does not know:* sockets, tasks, time, plans. Every function is of its arguments.
//! *Invariants:* what another parser could read in another way is refused with a [`Reject`] or a
//! [`Malformed`]; Content-Length, Transfer-Encoding, Connection and Upgrade are never copied but
//! written anew from what was understood; nothing here panics, whatever the bytes.
//! *Read next:* `request.rs`, `response.rs`, then `body.rs`, then `rewrite.rs`.

mod body;
mod chunked;
pub(crate) mod copy;
pub(crate) mod deadlines;
mod download;
pub(crate) mod downstream;
mod fields;
mod framing;
pub(crate) mod gather;
mod head;
pub(crate) mod io;
mod notes;
mod opening;
pub(crate) mod outgoing;
mod reject;
mod reply;
mod request;
mod response;
pub mod rewrite;
mod scan;
mod span;
mod target;
mod upload;
pub(crate) mod upstream;

pub(crate) use self::io::poll_read_piece;
pub use self::{
    body::{BodyError, BodyRelay, Step},
    fields::{Field, FieldKind, list},
    framing::{Framing, Outgoing},
    head::{HeadLimits, MAX_FIELDS, Parsed, Version},
    reject::{Malformed, Reject},
    request::RequestHead,
    response::{Asked, ResponseHead},
    span::Span,
};

#[cfg(test)]
mod tests;
