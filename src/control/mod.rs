//! The one writer: every change is an [`Event`] into one loop, which publishes plans.
//!
//! *Owns:* what is in force and why; the publisher; the journal; what others may read.
//! *Does not know:* sockets, HTTP, requests.
//! *Invariants:* I1 (only here plans are published), I8 (the last good value stays), I10 (publish
//! first, tell later: `turn.rs`).
//! *Read next:* `event.rs`, `turn.rs`, `course.rs`, `status.rs`, then `crate::rollout`.

mod admission;
mod ahead;
mod analysis;
mod announce;
mod asks;
mod audit;
mod by_endpoint;
mod carried;
mod certificates;
mod course;
mod dossier;
mod ejections;
mod endpoints;
mod event;
mod files;
mod gate;
mod handle;
mod journal;
mod ledger;
mod open;
mod outlook;
mod pasts;
mod publish;
mod recall;
mod recording;
mod reload;
mod remarks;
mod report;
mod samples;
mod secret;
mod shadow;
mod status;
mod stretch;
mod survey;
mod toll;
mod totals;
mod trail;
mod turn;
mod wellbeing;
mod written;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

pub use self::{
    admission::{Admission, Tokens, is_name},
    ahead::{Ahead, Traffic, ahead, roughly, until_found},
    announce::News,
    audit::{Audit, Moved, Subject},
    dossier::{Dossier, Findings, Measured, Summary, curve},
    ejections::{EndpointAsk, EndpointCommand},
    event::{Ask, Command, Done, Event, Recall, Refusal, RefusalKind},
    files::at_next_start,
    gate::{Gate, GateAnswer},
    handle::{Asker, Handle},
    journal::read_record,
    reload::{Loaded, read_config},
    status::{
        ArmStatus, ConfigStatus, EndpointStatus, Entry, RepeatKey, SeriesKey, ShadowStatus,
        SplitStatus, Status, Totals, UpstreamStatus,
    },
    toll::Rollback,
    trail::{Line, Spot, Trail},
    written::tried,
};
use self::{
    announce::Announcer, course::Course, ejections::Ejections, journal::Journal, outlook::Outlooks,
    publish::InForce, recording::Recordings, totals::Book, turn::Turn,
};
use crate::{
    clock,
    config::Config,
    discover::{self, Checked, Checks, Discovered},
    measure::Sample,
    model::{Moment, SplitKey, SplitName},
    plan,
    rollout::Record,
};

/// How often time passes for control.
const TICK: Duration = Duration::from_millis(50);

/// What control begins with.
#[derive(Debug)]
pub struct Setup {
    /// The file to watch; `None`: nothing is watched (the demo).
    pub path: Option<PathBuf>,
    /// What was read at the start.
    pub loaded: Loaded,
    /// Where rollout state is kept; `None`: in memory only.
    pub state_dir: Option<PathBuf>,
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
pub struct Control {
    in_force: InForce,
    courses: HashMap<SplitName, Course>,
    /// Of every split that ever was in the file of this process.
    names: HashMap<SplitKey, SplitName>,
    /// What is kept of splits that the file does not have now.
    dormant: HashMap<SplitName, Record>,
    book: Book,
    ejections: Ejections,
    journal: Journal,
    /// What was done last.
    audited: audit::Lines,
    /// Of the file in force.
    tokens: Tokens,
    /// After the courses, whose records it ends.
    recordings: Recordings,
    announcer: Announcer,
    file: ConfigStatus,
    outlooks: Outlooks,
    path: Option<PathBuf>,
    inlets: Option<Inlets>,
    outlets: Outlets,
    /// What time it is when an event has led to something; `None`: as when it came.
    clock: Option<fn() -> Moment>,
    sources: Option<discover::Sources>,
    checks: Option<Checks>,
    is_listening: bool,
    is_draining: bool,
    is_closed: bool,
    meeting: samples::Meeting,
    reported: Moment,
    kept_again: Moment,
    certificates_told: Moment,
    failures_seen: u64,
    /// The place of the split whose shadow is looked at next.
    next_shadow: usize,
}

/// Where events come from.
#[derive(Debug)]
struct Inlets {
    events: mpsc::Receiver<Event>,
    samples: mpsc::Receiver<Box<Sample>>,
    reloads: mpsc::Receiver<()>,
    to_self: mpsc::Sender<Event>,
}

/// Where others read.
#[derive(Debug)]
struct Outlets {
    status: watch::Sender<Arc<Status>>,
    config: watch::Sender<Arc<Config>>,
    admission: watch::Sender<Arc<Admission>>,
}

impl Control {
    /// Puts a first plan in force and makes the channels.
    pub fn open(setup: Setup) -> Opened {
        open::open(setup, clock::now())
    }

    /// Like [`Control::open`], for those who bring the time themselves.
    pub fn open_at(setup: Setup, now: Moment) -> Opened {
        open::open(setup, now)
    }

    /// Runs until [`Event::Closing`]: watches the file, asks the sources, takes samples, judges.
    pub async fn run(mut self) {
        let Some(Inlets {
            mut events,
            mut samples,
            reloads,
            to_self,
        }) = self.inlets.take()
        else {
            return;
        };
        self.clock = Some(clock::now);
        let (found, mut discovered) = mpsc::channel::<Discovered>(64);
        self.sources = Some(discover::spawn(&self.in_force.config.upstreams, found));
        let (word, mut checked) = mpsc::channel::<Checked>(64);
        self.checks = Some(Checks::new(word));
        self.check_endpoints();
        let watching = self.path.clone().map(|path| {
            let last = self.loaded();
            tokio::spawn(reload::watch(path, last, reloads, to_self))
        });
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_closed {
            let event = tokio::select! {
                biased;
                Some(sample) = samples.recv() => Event::Sampled(sample),
                Some(event) = events.recv() => event,
                Some(found) = discovered.recv() => Event::Discovered(found),
                Some(checked) = checked.recv() => Event::Checked(checked),
                _ = tick.tick() => Event::Tick,
            };
            self.on(event, clock::now());
        }
        if let Some(watching) = watching {
            watching.abort();
        }
    }

    /// What one event leads to. Never waits.
    pub fn on(&mut self, event: Event, now: Moment) {
        let mut turn = Turn::default();
        match event {
            Event::Configured(loaded) => self.configured(*loaded, now, &mut turn),
            Event::Rejected(problems) => self.rejected(&problems, now, &mut turn),
            Event::Discovered(found) => self.discovered(&found, now, &mut turn),
            Event::Checked(checked) => self.checked(&checked, now, &mut turn),
            Event::Sampled(sample) => self.sampled(*sample, now, &mut turn),
            Event::Tick => self.ticked(now, &mut turn),
            Event::Asked(ask) => self.asked(ask, now, &mut turn),
            Event::Answered(answer) => self.answered(answer, now, &mut turn),
            Event::AskedOfEndpoint(ask) => self.asked_of_endpoint(ask, now, &mut turn),
            Event::Surveyed(answer) => {
                // Whoever asked may be gone.
                let _gone = answer.send(self.survey(now));
            }
            Event::Scraped(answer) => {
                // Whoever asked may be gone.
                let _gone = answer.send(Totals {
                    record_failures: self.recordings.failures(),
                    ejections: self.ejections.counts.clone().into_iter().collect(),
                    checks: self.checks.as_ref().map_or_else(Vec::new, Checks::counts),
                    streams: self.exposed().into_iter().collect(),
                    ..self.book.totals(self.journal.failures())
                });
            }
            Event::Recalled(recall) => self.recalled(recall, now),
            Event::Noted(audit) => self.audit(*audit),
            Event::Listening => {
                self.is_listening = true;
                turn.is_status_stale = true;
            }
            Event::Draining => {
                self.is_draining = true;
                turn.is_status_stale = true;
            }
            Event::Lending(done) => self.journal.lend(done),
            Event::Leaving(answer) => {
                self.is_draining = !self.journal.is_owed();
                turn.is_status_stale = true;
                // Whoever asked may be gone.
                let _gone = answer.send(self.is_draining);
            }
            Event::TakingBack => {
                self.is_draining = false;
                turn.is_status_stale = true;
                self.journal.take_back();
            }
            Event::Closing(done) => {
                self.journal.flush();
                self.recordings.flush();
                self.is_closed = true;
                // Whoever asked may be gone.
                let _gone = done.send(());
            }
        }
        self.close(turn, now);
    }
}
