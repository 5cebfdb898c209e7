//! What is forwarded of a client's bytes, read strictly, is exactly what was accepted: the same
//! requests, fields and bodies, however the bytes come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin_fuzz::{canon, cut, relay::relay, unambiguous::check_unambiguous};

fuzz_target!(|bytes: &[u8]| {
    let Some((whole, pieces)) = cut(bytes) else {
        return;
    };
    let (whole, pieces) = (relay(&[whole]), relay(&pieces));
    for relayed in [&whole, &pieces] {
        assert_eq!(check_unambiguous(relayed), Ok(()));
    }
    assert_eq!(whole.requests, pieces.requests);
    assert_eq!(whole.heads, pieces.heads);
    let (one, other) = (
        canon::parse(&whole.forwarded),
        canon::parse(&pieces.forwarded),
    );
    for (one, other) in one.requests.iter().zip(&other.requests) {
        assert_eq!(
            (&one.fields, one.incomplete),
            (&other.fields, other.incomplete)
        );
        assert!(one.incomplete || one.body == other.body);
    }
});
