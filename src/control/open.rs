//! The beginning: what was kept is read, a first plan is put in force, channels are made.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{broadcast, mpsc, watch};

use super::{
    Announcer, Book, ConfigStatus, Control, Course, Handle, Inlets, Loaded, Opened, Outlets, Setup,
    Status, Turn,
    announce::NEWS_MAX,
    endpoints::Endpoints,
    journal::{Journal, Kept},
    publish::InForce,
    secret,
    turn::Before,
};
use crate::{
    config::{Config, OnStart, Split},
    discover,
    model::{Epoch, Generation, Moment, Nonce},
    plan::{Keys, Secrets},
    rollout::{Act, Command, Event as RolloutEvent, Origin, Phase, Rollout, Standing},
};

/// How many events may wait.
const EVENTS: usize = 256;
/// How many samples may wait; workers keep merging when there is no room.
const SAMPLES: usize = 64;

pub(super) fn open(setup: Setup, now: Moment) -> Opened {
    let Setup {
        path,
        loaded,
        state_dir,
        start_rollouts,
    } = setup;
    let Loaded {
        config, secrets, ..
    } = loaded;
    let (journal, mut kept) = Journal::open(state_dir.as_deref());
    let default = secret::cookie_secret(state_dir.as_deref());
    let secrets = Secrets {
        default,
        files: secrets,
    };
    let mut endpoints = Endpoints::default();
    know_at_once(&mut endpoints, &config, now);

    let mut keys = Keys::default();
    let mut turn = Turn::default();
    let mut courses = HashMap::new();
    let mut shifts = HashMap::new();
    let mut begun = Vec::new();
    for split in &config.splits {
        let (rollout, decisions) = first(split, &mut kept, start_rollouts, now);
        let mut course = Course::new(keys.split(&split.name), rollout, now);
        shifts.insert(split.name.clone(), course.align(split, now));
        courses.insert(split.name.clone(), course);
        begun.push((split.name.clone(), decisions));
    }
    let in_force = InForce::begin(config, secrets, endpoints, shifts, keys);

    let (to_self, events) = mpsc::channel(EVENTS);
    let (sampled, samples) = mpsc::channel(SAMPLES);
    let (reload, reloads) = mpsc::channel(1);
    let (news, _nobody_yet) = broadcast::channel(NEWS_MAX);
    let file = ConfigStatus {
        hash: in_force.config.hash,
        loaded_at: now,
        reloads: (0, 0),
        problem: None,
    };
    let (status, status_reader) = watch::channel(Arc::new(empty_status(&file, now)));
    let (written, config_reader) = watch::channel(Arc::clone(&in_force.config));
    let handle = Handle {
        events: to_self.clone(),
        reloads: reload,
        status: status_reader,
        config: config_reader,
        news: news.clone(),
    };
    let reader = in_force.reader();
    let mut control = Control {
        in_force,
        courses,
        dormant: kept.records,
        book: Book::default(),
        journal,
        announcer: Announcer::new(news),
        file,
        path,
        inlets: Some(Inlets {
            events,
            samples,
            reloads,
            to_self,
        }),
        outlets: Outlets {
            status,
            config: written,
        },
        sources: None,
        is_listening: false,
        is_draining: false,
        is_closed: false,
        reported: now,
        kept_again: now,
        failures_seen: 0,
    };
    for (split, decisions) in begun {
        let before = Before {
            phase: Phase::Idle,
            epoch: Epoch::default(),
        };
        control.decided(&split, &before, decisions, &mut turn);
    }
    turn.is_status_stale = true;
    control.close(turn, now);
    Opened {
        control,
        handle,
        reader,
        samples: sampled,
    }
}

/// Takes up a rollout where it was kept, or begins it.
fn first(
    split: &Split,
    kept: &mut Kept,
    start_rollouts: bool,
    now: Moment,
) -> (Rollout, crate::rollout::Decisions) {
    let origin = match kept.records.remove(&split.name) {
        Some(record) => Origin::Kept(Box::new(record)),
        None if kept.is_unknown && !start_rollouts => Origin::Unknown,
        None => Origin::New,
    };
    let (mut rollout, mut decisions) = Rollout::new(split, origin, nonce(), now);
    rollout.recall(kept.history.remove(&split.name).unwrap_or_default());
    let is_waiting = rollout.state().position.standing == Standing::Waiting
        && rollout.phase() == Phase::Idle
        && rollout.strategy().on_start == OnStart::NewVersion
        && split.canary.is_some();
    if start_rollouts && is_waiting {
        let by = "run --start-rollouts".to_owned();
        let act = Act {
            command: Command::Resume,
            by,
            reason: None,
        };
        let begun = rollout.on(RolloutEvent::Asked(&act, nonce()), now);
        decisions.entries.extend(begun.entries);
    }
    (rollout, decisions)
}

/// Endpoints that are written in the file serve from the first plan on.
pub(super) fn know_at_once(endpoints: &mut Endpoints, config: &Config, now: Moment) {
    endpoints.configure(&config.upstreams);
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
    }
}
