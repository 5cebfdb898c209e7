//! The one writer: every change is an [`Event`] into one loop, which publishes plans.
//!
//! *Owns:* what is in force and why; the publisher; the journal; what others may read.
//! *Does not know:* sockets, HTTP, requests.
//! *Invariants:* I1 (only here plans are published), I8 (the last good value stays), I10 (publish
//! first, tell later).
//! *Read next:* `event.rs`, `status.rs`, then `crate::rollout`.

mod event;
mod status;

pub use self::{
    event::{Ask, Command, Done, Event, Refusal, RefusalKind},
    status::{
        ArmStatus, ConfigStatus, Entry, SeriesKey, SplitStatus, Status, Totals, UpstreamStatus,
    },
};
