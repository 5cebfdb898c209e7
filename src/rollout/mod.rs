//! The course of a rollout: a state machine.
//!
//! *Owns:* phases and their legal moves, steps, what a verdict leads to, what survives a restart.
//! *Does not know:* requests, plans, files, the clock (moments are brought).
//! *Invariants:* I2, I4, I7 (the canary's share rises only after a `Pass`, by a schedule or by a
//! person; any `Fail` takes it to zero; a finished rollout never moves by itself).
//! *Read next:* `state.rs` (what is joined and kept), `phase.rs`, then `crate::control`.

mod command;
mod history;

pub use self::{
    command::Command,
    history::{Entry, History},
};
