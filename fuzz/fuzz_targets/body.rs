//! Chunked bodies, unwrapped and passed on: the same payload and end, whole and in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::proxy::h1::{BodyError, BodyRelay, Framing};
use serin_fuzz::cut;

/// The payload or the chunks that were passed on, what was left, and how it ended.
type Passed = (Vec<u8>, usize, Result<bool, BodyError>);

fuzz_target!(|bytes: &[u8]| {
    let Some((whole, pieces)) = cut(bytes) else {
        return;
    };
    let (plain, left, end) = pass(&[whole], Framing::UntilClose);
    let (plain_in_pieces, _, end_in_pieces) = pass(&pieces, Framing::UntilClose);
    assert_eq!(end.is_err(), end_in_pieces.is_err());
    if end == Ok(true) {
        assert_eq!((&plain, end), (&plain_in_pieces, end_in_pieces));
        // What is passed on in chunks says the same to the next reader, and nothing behind it.
        let (chunks, same_left, _) = pass(&pieces, Framing::Chunked);
        assert_eq!(left, same_left);
        assert_eq!(pass(&[&chunks], Framing::UntilClose), (plain, 0, Ok(true)));
    }
});

fn pass(pieces: &[&[u8]], outgoing: Framing) -> Passed {
    let mut relay = BodyRelay::new(Framing::Chunked, outgoing);
    let (mut passed, mut waiting) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        while !waiting.is_empty() && !relay.is_done() {
            let step = match relay.step(&waiting, &mut passed) {
                Ok(step) => step,
                Err(error) => return (passed, waiting.len(), Err(error)),
            };
            passed.extend_from_slice(&waiting[step.forward]);
            passed.extend_from_slice(step.suffix);
            waiting.drain(..step.consumed);
            if step.consumed == 0 {
                break;
            }
        }
    }
    (passed, waiting.len(), Ok(relay.is_done()))
}
