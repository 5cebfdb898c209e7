//! Doors of HTTP/2 for `fuzz/`. In no other build.

use http::request;

use super::{
    fields,
    watch::{Limits, Watch},
};
use crate::model::{Moment, Rejection};

/// A request's head as HTTP/1.1; `None`: it is refused.
pub fn downgrade(parts: &request::Parts, has_body: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    fields::write_request(parts, has_body, 0, &mut out)
        .ok()
        .map(|()| out)
}

/// A head of HTTP/1.1 that the proxy has written, for an origin of HTTP/2.
pub fn upgrade(head: &[u8]) -> Option<http::Request<()>> {
    fields::read_request(head, "http").map(|read| read.head)
}

/// What there was too much of in the frames of a client, and whether it is in the middle of a head.
pub fn flood(pieces: &[&[u8]]) -> (Option<&'static str>, bool) {
    let limits = Limits {
        resets: 20,
        control_frames: 20,
        continuation_frames: 4,
    };
    let watch = Watch::new(limits, Moment::from_millis(0));
    for piece in pieces {
        watch.read(piece, Moment::from_millis(0));
    }
    (watch.flood().map(Rejection::as_str), watch.is_in_head())
}
