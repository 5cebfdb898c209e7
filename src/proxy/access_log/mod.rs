//! The access log: a line a request, made by the worker, written by another thread.
//!
//! A worker never waits for the log: when the writer's queue is full, lines are dropped and
//! counted. Successes may be sampled; everything else is written.

mod file;
mod line;

use std::{cell::Cell, io, sync::Arc, thread::JoinHandle};

pub(super) use self::line::{Line, Routed};
use self::{file::Output, line::Layout};
use super::{
    outlet::{Outlet, Way, way},
    text::Stamps,
};
use crate::{
    measure::Counter,
    model::{Outcome, Share},
    plan::{AccessLog, LogField},
};

/// A worker's end of the log.
#[derive(Debug)]
pub(crate) struct Log {
    outlet: Outlet,
    settings: Arc<Settings>,
    stamps: Stamps,
    turn: Cell<u16>,
}

/// The way to the writer; one for all workers.
#[derive(Debug, Clone)]
pub struct Sink {
    way: Way,
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Settings {
    layout: Layout,
    success: Share,
    failure: Share,
    keeps_query: bool,
    has_words: bool,
}

impl Sink {
    /// Starts the writer; lines that are lost are counted in `dropped`. It ends when the last
    /// worker has let go of its end, and not before what it writes to lets it.
    pub fn start(settings: &AccessLog, dropped: Counter) -> io::Result<(Self, JoinHandle<()>)> {
        let output = Output::open(&settings.path)?;
        let (way, queue) = way(dropped.clone());
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || file::write(&queue, output, &dropped))?;
        let layout = Layout::new(&settings.format);
        let has_words = layout.has(LogField::UserAgent) || layout.has(LogField::Referer);
        let settings = Settings {
            layout,
            success: settings.success,
            failure: settings.failure,
            keeps_query: settings.keeps_query,
            has_words,
        };
        let settings = Arc::new(settings);
        Ok((Self { way, settings }, thread))
    }
}

impl Log {
    /// A worker's end of this log.
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            outlet: Outlet::new(sink.way),
            settings: sink.settings,
            stamps: Stamps::default(),
            turn: Cell::new(0),
        }
    }

    /// Whether a line about this outcome is wanted now.
    pub(crate) fn wants(&self, outcome: Outcome) -> bool {
        let share = if outcome == Outcome::Success {
            self.settings.success
        } else {
            self.settings.failure
        };
        // A step coprime with 10,000 visits every point once: exact shares without chance.
        let turn = (self.turn.get() + 6_181) % 10_000;
        self.turn.set(turn);
        turn < share.basis_points()
    }

    /// Whether a line may say what the client says of itself.
    pub(crate) fn wants_words(&self) -> bool {
        self.settings.has_words
    }

    /// Whether the query of a target is written.
    pub(crate) fn keeps_query(&self) -> bool {
        self.settings.keeps_query
    }

    /// Adds a line.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let layout = &self.settings.layout;
        self.outlet
            .add(1, |out| layout.write(line, &self.stamps, out));
    }

    /// Hands the lines to the writer.
    pub(crate) fn flush(&self) {
        self.outlet.flush();
    }
}
