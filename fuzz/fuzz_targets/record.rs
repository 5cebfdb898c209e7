//! A flight record: whatever the bytes, frames are read and judged, and it is told where they end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::record::{Frames, Replay};

fuzz_target!(|bytes: &[u8]| {
    let Ok((header, mut frames)) = Frames::open(bytes) else {
        return;
    };
    let mut replay = Replay::new(&header, &header.criteria);
    for frame in &mut frames {
        let Ok(frame) = frame else { break };
        let _ = replay.step(&frame);
    }
    if let Some(torn) = frames.torn() {
        assert_eq!(torn.at + torn.rest, bytes.len());
    }
});
