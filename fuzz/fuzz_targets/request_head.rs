//! The head of a request: the verdict is the same whole and in pieces, and all that may be asked
//! of a head can be answered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::proxy::h1::{Parsed, Reject, RequestHead};
use serin_fuzz::{cut, relay::LIMITS};

fuzz_target!(|bytes: &[u8]| {
    let Some((whole, pieces)) = cut(bytes) else {
        return;
    };
    let mut head = RequestHead::new();
    let at_once = head.parse(whole, &LIMITS);
    if let Ok(Parsed::Complete(len)) = at_once {
        assert!(len <= whole.len() && len == head.len());
        assert!(whole[..len].ends_with(b"\r\n\r\n"));
        let target = head.target(whole).concat();
        assert!(target.starts_with(b"/") || target == b"*");
        let _ = (head.host(whole), head.authority(whole));
        let _ = (head.field(whole, "cookie"), head.cookies(whole).count());
    }
    let in_pieces = parse(&pieces);
    match (at_once, in_pieces) {
        // A line is judged when it ends; one that never does is refused for its length, or late.
        (Err(_), Err(_) | Ok(Parsed::Partial)) => {}
        (one, other) => assert_eq!(one, other),
    }
});

fn parse(pieces: &[&[u8]]) -> Result<Parsed, Reject> {
    let mut head = RequestHead::new();
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend_from_slice(piece);
        match head.parse(&bytes, &LIMITS) {
            Ok(Parsed::Partial) => {}
            said => return said,
        }
    }
    Ok(Parsed::Partial)
}
