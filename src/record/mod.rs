//! The flight record of a rollout: all that the judge is told, call by call, and judging it again.
//!
//! *Owns:* frames, their bytes, the replay. One record is one [`crate::judge::Evidence`]: it begins
//! with what that was made from, so the same criteria give the same judgement, bit for bit.
//! *Does not know:* files (control writes them, the command line reads them), the clock, rollouts.
//! *Invariants:* I2; of a record that was cut anywhere all whole frames are read.
//! *Read next:* `frame.rs`, `decision.rs`, `replay.rs`, then `bytes.rs` and `wire.rs`.

mod bytes;
mod decision;
mod frame;
mod name;
mod replay;
mod sums;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    bytes::{Encoder, Frames, ReadError, Torn},
    decision::{Decision, Said, Watch},
    frame::{Counted, End, Frame, Header, Part, Ticked},
    name::Name,
    replay::{Replay, Seen},
    sums::{Sum, Sums},
};
