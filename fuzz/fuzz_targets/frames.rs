//! The frames of HTTP/2 and of WebSockets, as they are counted while they pass, and what gRPC
//! says in fields: the same whole and in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::proxy::fuzzing::{flood, grpc_status, grpc_timeout, websocket_is_between};
use serin_fuzz::cut;

fuzz_target!(|bytes: &[u8]| {
    let Some((whole, pieces)) = cut(bytes) else {
        return;
    };
    assert_eq!(flood(&[whole]), flood(&pieces));
    assert_eq!(
        websocket_is_between(&[whole]),
        websocket_is_between(&pieces)
    );
    if let Some(timeout) = grpc_timeout(whole) {
        // Eight digits of hours are the most.
        assert!(whole.len() <= 9 && timeout.as_secs() <= 99_999_999 * 3_600);
    }
    let _ = grpc_status(whole);
});
