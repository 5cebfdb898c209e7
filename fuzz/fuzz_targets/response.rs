//! What an origin sends: refused, or passed on as exactly one answer, the same whole and in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::proxy::h1::{
    Asked, BodyRelay, HeadLimits, Parsed, ResponseHead, Version,
    rewrite::{ResponseEdits, response},
};
use serin_fuzz::{canon, cut};

const LIMITS: &HeadLimits = &HeadLimits::RESPONSE;

fuzz_target!(|bytes: &[u8]| {
    let Some((whole, pieces)) = cut(bytes) else {
        return;
    };
    let asked = Asked {
        head: bytes[0] & 1 == 1,
        websocket: bytes[0] & 2 == 2,
    };
    let mut head = ResponseHead::new();
    let at_once = head.parse(whole, LIMITS, asked);
    let mut in_pieces = Ok(Parsed::Partial);
    let (mut again, mut so_far) = (ResponseHead::new(), Vec::new());
    for piece in pieces {
        so_far.extend_from_slice(piece);
        in_pieces = again.parse(&so_far, LIMITS, asked);
        if in_pieces != Ok(Parsed::Partial) {
            break;
        }
    }
    match (at_once, in_pieces) {
        // A line is judged when it ends.
        (Err(_), Err(_) | Ok(Parsed::Partial)) => {}
        (one, other) => assert_eq!(one, other),
    }
    // Interim answers and switches have no body of ours to read.
    if let Ok(Parsed::Complete(len)) = at_once
        && head.status() >= 200
    {
        pass_on(&head, whole, len, asked.head);
    }
});

fn pass_on(head: &ResponseHead, whole: &[u8], len: usize, is_to_head: bool) {
    let outgoing = head.framing().towards(Version::Http11, true);
    let edits = ResponseEdits {
        client: Version::Http11,
        outgoing,
        date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        lines: b"",
    };
    let mut out = Vec::new();
    response(head, whole, &edits, &mut out);
    let mut relay = BodyRelay::new(head.framing(), outgoing.framing);
    let mut body = &whole[len..];
    while let Ok(step) = relay.step(body, &mut out) {
        out.extend_from_slice(&body[step.forward]);
        out.extend_from_slice(step.suffix);
        body = &body[step.consumed..];
        if step.consumed == 0 || step.done {
            break;
        }
    }
    let is_whole = relay.end(b"", &mut out).is_ok();
    let method: &[u8] = if is_to_head { b"HEAD" } else { b"GET" };
    let answers = canon::answers(&out, &[method.to_vec()]).expect("what is sent is strict");
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (answers[0].whole, answers[0].status),
        (is_whole, head.status())
    );
}
