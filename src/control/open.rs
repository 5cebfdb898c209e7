//! The beginning: what was kept is read, a first plan is put in force, channels are made.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{broadcast, mpsc, watch};

use super::{
    Admission, Announcer, Book, ConfigStatus, Control, Course, Handle, Inlets, Loaded, News,
    Opened, Outlets, Setup, Status, Turn,
    announce::NEWS_MAX,
    ejections::Ejections,
    endpoints::Endpoints,
    files::about_file,
    journal::{Archive, Journal, Kept},
    outlook::Outlooks,
    publish::InForce,
    recording::Recordings,
    samples::Meeting,
    secret,
    turn::Before,
};
use crate::{
    config::{Config, Problems, Split},
    discover,
    measure::Sample,
    model::{Epoch, Generation, Moment, Nonce, Share, SplitKey, SplitName},
    plan::{Keys, Secrets, Shift},
    rollout::{Decisions, Origin, Phase, Rollout},
};

/// How many events may wait.
const EVENTS: usize = 256;
/// How many samples may wait; workers keep merging when there is no room.
const SAMPLES: usize = 64;

/// What every split begins with.
#[derive(Debug, Default)]
struct Beginning {
    courses: HashMap<SplitName, Course>,
    shifts: HashMap<SplitName, Shift>,
    decisions: Vec<(SplitName, Decisions)>,
    keys: Keys,
}

/// Both ends of every channel.
#[derive(Debug)]
struct Channels {
    handle: Handle,
    inlets: Inlets,
    outlets: Outlets,
    sampled: mpsc::Sender<Box<Sample>>,
}

pub(super) fn open(setup: Setup, now: Moment) -> Opened {
    let state_dir = setup.state_dir.as_deref();
    let Loaded {
        config,
        secrets: files,
        tls,
        tokens,
        warnings,
    } = setup.loaded;
    let admission = Admission::of(&config, &tokens, &tls);
    let (journal, mut kept) = Journal::open(state_dir, setup.path.as_deref());
    let default = secret::cookie_secret(state_dir);
    let secrets = Secrets { default, files };
    let mut endpoints = Endpoints::default();
    know_at_once(&mut endpoints, &config, now);
    let recordings = Recordings::open(state_dir);
    let first = begin(&config, &mut kept, &recordings, now);
    let in_force = InForce::begin(config, (secrets, tls), endpoints, first.shifts, first.keys);
    let file = ConfigStatus {
        hash: in_force.config.hash,
        loaded_at: now,
        reloads: (0, 0),
        problem: None,
    };
    let archive = state_dir.map(Archive::new);
    let ends = channels(
        &in_force.config,
        admission,
        archive,
        empty_status(&file, now),
    );
    let reader = in_force.reader();
    let mut control = Control {
        in_force,
        names: names(&first.courses),
        courses: first.courses,
        dormant: kept.records,
        book: Book::default(),
        ejections: Ejections::default(),
        journal,
        audited: super::audit::Lines::default(),
        tokens,
        recordings,
        announcer: Announcer::new(ends.handle.news.clone()),
        file,
        outlooks: Outlooks::default(),
        path: setup.path,
        inlets: Some(ends.inlets),
        outlets: ends.outlets,
        clock: None,
        sources: None,
        checks: None,
        is_listening: false,
        is_draining: false,
        is_closed: false,
        meeting: Meeting::default(),
        reported: now,
        kept_again: now,
        certificates_told: now,
        failures_seen: 0,
        next_shadow: 0,
    };
    control.first_turn(&warnings, first.decisions, now);
    Opened {
        control,
        handle: ends.handle,
        reader,
        samples: ends.sampled,
    }
}

impl Control {
    /// Tells what the beginning has led to.
    fn first_turn(
        &mut self,
        warnings: &Problems,
        decisions: Vec<(SplitName, Decisions)>,
        now: Moment,
    ) {
        let mut turn = Turn {
            is_status_stale: true,
            news: told(warnings, now),
            ..Turn::default()
        };
        for (split, decisions) in decisions {
            let before = Before {
                phase: Phase::Idle,
                epoch: Epoch::default(),
                share: Share::ZERO,
            };
            self.decided(&split, &before, decisions, &mut turn);
        }
        self.close(turn, now);
    }
}

/// What is odd about the file at the start.
fn told(warnings: &Problems, now: Moment) -> Vec<News> {
    if warnings.list.is_empty() {
        return Vec::new();
    }
    let text = format!("the file is in force; with warnings:\n{warnings}");
    vec![about_file(now, "config_loaded", text, true)]
}

fn begin(config: &Config, kept: &mut Kept, recordings: &Recordings, now: Moment) -> Beginning {
    let mut beginning = Beginning::default();
    for split in &config.splits {
        let name = &split.name;
        let (rollout, decisions) = first(split, kept, now);
        let key = beginning.keys.split(name);
        let mut course = Course::new(key, rollout, recordings.recorder(), now);
        course.ledger.summary = kept.rollouts.remove(name);
        beginning
            .shifts
            .insert(name.clone(), course.align(split, now));
        beginning.courses.insert(name.clone(), course);
        beginning.decisions.push((name.clone(), decisions));
    }
    beginning
}

fn names(courses: &HashMap<SplitName, Course>) -> HashMap<SplitKey, SplitName> {
    courses
        .iter()
        .map(|(name, course)| (course.key, name.clone()))
        .collect()
}

fn channels(
    config: &Arc<Config>,
    admission: Admission,
    archive: Option<Archive>,
    status: Status,
) -> Channels {
    let (to_self, events) = mpsc::channel(EVENTS);
    let (worker_end, samples) = mpsc::channel(SAMPLES);
    let (reload, reloads) = mpsc::channel(1);
    let (news, _nobody_yet) = broadcast::channel(NEWS_MAX);
    let (status, shown) = watch::channel(Arc::new(status));
    let (written, read) = watch::channel(Arc::clone(config));
    let (admits, admission) = watch::channel(Arc::new(admission));
    let events_in = to_self.clone();
    Channels {
        handle: Handle {
            events: events_in,
            reloads: reload,
            status: shown,
            config: read,
            news,
            archive,
            admission,
        },
        inlets: Inlets {
            events,
            samples,
            reloads,
            to_self,
        },
        outlets: Outlets {
            status,
            config: written,
            admission: admits,
        },
        sampled: worker_end,
    }
}

/// Takes up a rollout where it was kept, or begins it.
fn first(split: &Split, kept: &mut Kept, now: Moment) -> (Rollout, Decisions) {
    // A plain weight says what the person wants now, in one number; steps may have been written
    // long before the rollback.
    let is_automatic = split.rollout.is_some();
    let rolled_back = kept.rolled_back.remove(&split.name);
    let record = kept.records.remove(&split.name);
    let origin = match record.or(rolled_back.filter(|_| is_automatic)) {
        Some(record) => Origin::Kept(Box::new(record)),
        None => Origin::New,
    };
    let (mut rollout, decisions) = Rollout::new(split, origin, nonce(), now);
    let earlier = kept.history.remove(&split.name).unwrap_or_default();
    rollout.recall(&earlier);
    (rollout, decisions)
}

/// Endpoints that are written in the file serve from the first plan on.
pub(super) fn know_at_once(endpoints: &mut Endpoints, config: &Config, now: Moment) {
    endpoints.configure(config);
    for upstream in &config.upstreams {
        let is_new = endpoints
            .get(&upstream.name)
            .is_some_and(|known| known.answered.is_none());
        if let Some(found) = discover::at_once(upstream).filter(|_| is_new) {
            let found = discover::Discovered {
                as_of: now,
                ..found
            };
            // The answer is in `endpoints`; what became of it matters to later answers only.
            let _believed = endpoints.discovered(&found);
        }
    }
}

/// 128 random bits for a new epoch.
pub(super) fn nonce() -> Nonce {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(%error, "the system has no randomness; epochs are told apart less well");
        return Nonce(fastrand::u128(..));
    }
    Nonce(u128::from_le_bytes(bytes))
}

fn empty_status(file: &ConfigStatus, now: Moment) -> Status {
    Status {
        as_of: now,
        generation: Generation(1),
        is_ready: false,
        is_draining: false,
        config: file.clone(),
        splits: Vec::new(),
        upstreams: Vec::new(),
        certificates: Vec::new(),
        workers: Vec::new(),
    }
}
