//! Tables, one row for a rule of RFC 9110, RFC 9112 or the contract that is stricter than they.

mod bodies;
mod differential;
mod requests;
mod responses;
mod rewriting;
mod understood;

use super::{HeadLimits, Parsed, Reject, RequestHead};

const LIMITS: HeadLimits = HeadLimits {
    max_bytes: 4096,
    max_fields: 20,
    max_line: 1024,
    max_target: 256,
};

/// Parses a whole head.
fn parse(bytes: &[u8]) -> Result<RequestHead, Reject> {
    let mut head = RequestHead::new();
    match head.parse(bytes, &LIMITS)? {
        Parsed::Complete(len) => assert_eq!(len, head.len()),
        Parsed::Partial => panic!("not all of {} is there", bytes.escape_ascii()),
    }
    Ok(head)
}
