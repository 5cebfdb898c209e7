//! Amazon's APIs: who we are, how a question is signed, and what an answer that is none means.
//!
//! *Owns:* credentials and their renewal, signatures, errors told so that a person can mend them.
//! *Does not know:* tasks, instances, endpoints.
//! *Invariants:* no secret is shown, logged or part of an error.
//! *Read next:* `call.rs`, `credentials.rs`, `refusal.rs`; then `../ecs.rs`.

mod call;
mod container;
mod credentials;
mod environment;
mod metadata;
mod pace;
mod profile;
mod refusal;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

pub use self::environment::Environment;
pub(super) use self::{
    call::{Action, Caller, Service},
    pace::Pace,
    refusal::CallError,
};
