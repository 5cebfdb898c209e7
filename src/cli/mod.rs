//! What a person types.
//!
//! *Owns:* subcommands and how they print.
//! *Does not know:* what a config means, how a request is forwarded.
//! *Invariants:* every error says where, what and how to mend.
//! *Read next:* `crate::app`.

pub mod replay;
