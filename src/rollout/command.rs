//! What a person can do to a split.

use crate::model::Share;

/// What a person can do to a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Gives the canary this share and holds it there.
    SetWeight(Share),
    /// Goes to the next step; `full`: to 100 % at once.
    Promote {
        /// To 100 % at once.
        full: bool,
    },
    /// Holds the weight; analysis goes on.
    Pause,
    /// Goes on.
    Resume,
    /// Takes the canary to 0.
    Abort,
    /// Starts a new epoch of the same canary version.
    Retry,
    /// Takes back a promotion: the canary to 0.
    Undo,
    /// Goes on past a gate.
    OpenGate {
        /// Only at this step, from 0, and only while it waits there: what a webhook was asked.
        step: Option<usize>,
    },
    /// Holds the rollout at its gate.
    CloseGate,
}
