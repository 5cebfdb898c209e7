//! The one writer: every change is an [`Event`] into one loop, which publishes plans.
//!
//! *Owns:* what is in force and why; the publisher; the journal; what others may read.
//! *Does not know:* sockets, HTTP, requests.
//! *Invariants:* I1 (only here plans are published), I8 (the last good value stays), I10 (publish
//! first, tell later).
//! *Read next:* `event.rs`, `status.rs`, then `crate::rollout`.

mod announce;
mod event;
mod handle;
mod reload;
mod status;

use std::path::PathBuf;

use tokio::sync::mpsc;

pub use self::{
    announce::News,
    event::{Ask, Command, Done, Event, Refusal, RefusalKind},
    handle::{Asker, Handle},
    reload::{Loaded, read_config},
    status::{
        ArmStatus, ConfigStatus, Entry, SeriesKey, SplitStatus, Status, Totals, UpstreamStatus,
    },
};
use crate::{measure::Sample, plan};

/// What control begins with.
#[derive(Debug)]
pub struct Setup {
    /// The file to watch; `None`: nothing is watched (the demo).
    pub path: Option<PathBuf>,
    /// What was read at the start.
    pub loaded: Loaded,
    /// Where rollout state is kept; `None`: in memory only.
    pub state_dir: Option<PathBuf>,
    /// Begin rollouts of which no state is known (`run --start-rollouts`, the demo). Without it
    /// they wait at stable 100 % for a person, see docs/decisions/0001-unknown-state.md.
    pub start_rollouts: bool,
}

/// Control ready to run, and the ends that other rooms hold.
#[derive(Debug)]
pub struct Opened {
    /// The loop.
    pub control: Control,
    /// For admin and app.
    pub handle: Handle,
    /// The first reader; workers get clones.
    pub reader: plan::Reader,
    /// Where workers hand over samples. Bounded: a worker that finds it full keeps merging.
    pub samples: mpsc::Sender<Box<Sample>>,
}

/// The one writer.
#[derive(Debug)]
pub struct Control {}

impl Control {
    /// Puts a first plan in force and makes the channels.
    pub fn open(_setup: Setup) -> Opened {
        todo!()
    }

    /// Runs until [`Event::Closing`].
    pub async fn run(self) {
        todo!()
    }
}
