//! Where a rollout stands, in the words of the field, and what a person may do there.

use super::Command;
use crate::model::Moment;

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The canary has nothing, and nothing happens by itself.
    Idle,
    /// The weight is judged, and steps go on by themselves.
    Progressing {
        /// The step under way, from 0.
        step: usize,
        /// Since when.
        since: Moment,
    },
    /// The weight is held and judged until a person says more.
    Paused {
        /// The step under way, from 0.
        step: usize,
    },
    /// The canary has everything; finished.
    Promoted,
    /// The canary was taken to 0; finished until `retry` or another version.
    RolledBack {
        /// Why, in words.
        reason: String,
    },
}

impl Phase {
    /// The word as status, metrics and logs spell it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Progressing { .. } => "progressing",
            Self::Paused { .. } => "paused",
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolled_back",
        }
    }

    /// Whether a person may do this here; if not, what is the matter and what to do instead.
    ///
    /// The whole table. `abort` is legal everywhere: the lever that takes users off the canary
    /// works whatever happened before.
    pub const fn allows(&self, command: Command) -> Result<(), (&'static str, &'static str)> {
        use Command::{Abort, CloseGate, OpenGate, Pause, Promote, Resume, Retry, SetWeight, Undo};
        match (self, command) {
            (_, Abort)
            | (Self::Idle | Self::Progressing { .. } | Self::Paused { .. }, Promote { .. })
            | (Self::Idle | Self::Paused { .. }, Resume)
            | (
                Self::Progressing { .. } | Self::Paused { .. },
                Pause | OpenGate { .. } | CloseGate,
            )
            | (Self::Promoted, Undo)
            | (Self::RolledBack { .. } | Self::Promoted, Retry)
            | (
                Self::Idle | Self::Progressing { .. } | Self::Paused { .. } | Self::Promoted,
                SetWeight(_),
            ) => Ok(()),
            (
                Self::RolledBack { .. },
                SetWeight(_) | Promote { .. } | Pause | Resume | Undo | OpenGate { .. } | CloseGate,
            ) => Err((
                "the canary was rolled back",
                "`serin retry` starts a new epoch of it",
            )),
            (Self::Promoted, Promote { .. } | Pause | Resume | OpenGate { .. } | CloseGate) => {
                Err(("the rollout is finished", "`serin retry` starts it again"))
            }
            (Self::Idle | Self::Progressing { .. } | Self::Paused { .. }, Undo) => Err((
                "the canary was not promoted",
                "`serin abort` takes it to 0 now",
            )),
            (Self::Progressing { .. }, Resume) => Err((
                "the rollout is not paused",
                "it goes on by itself; see `serin status`",
            )),
            (Self::Idle, Pause | OpenGate { .. } | CloseGate) => {
                Err(("nothing is under way", "`serin resume` begins the rollout"))
            }
            (Self::Idle | Self::Progressing { .. } | Self::Paused { .. }, Retry) => Err((
                "the rollout was neither rolled back nor finished",
                "`serin promote` or `serin resume` goes on with it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Share;

    #[test]
    fn what_a_person_may_do_where() {
        let commands = [
            Command::SetWeight(Share::ZERO),
            Command::Promote { full: false },
            Command::Pause,
            Command::Resume,
            Command::Abort,
            Command::Retry,
            Command::Undo,
            Command::OpenGate { step: None },
            Command::CloseGate,
        ];
        // In the order of `commands`: y is legal.
        let cases = [
            (Phase::Idle, "yynyynnnn"),
            (
                Phase::Progressing {
                    step: 0,
                    since: Moment::ZERO,
                },
                "yyynynnyy",
            ),
            (Phase::Paused { step: 0 }, "yyyyynnyy"),
            (Phase::Promoted, "ynnnyyynn"),
            (
                Phase::RolledBack {
                    reason: String::new(),
                },
                "nnnnyynnn",
            ),
        ];
        for (phase, legal) in cases {
            for (command, legal) in commands.into_iter().zip(legal.chars()) {
                assert_eq!(
                    phase.allows(command).is_ok(),
                    legal == 'y',
                    "{phase:?} {command:?}"
                );
            }
        }
    }
}
