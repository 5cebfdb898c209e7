//! Which tasks are endpoints, and what is known of their health: a function of what Marathon says
//! and of what it has said before.
//!
//! - Health: an app with checks whose task has no result is no news. What was known of the task
//!   holds (results vanish after an election); a task that was never seen stays out until the first
//!   result. All checks alive is healthy, any dead is unhealthy. Without checks nobody has said.
//! - At the first answer nothing is known of anybody: tasks of an app without a single result are
//!   taken as they are, for they are rather results that were lost than an app that just began.
//! - Readiness counts while a deployment is under way, and once: a ready task stays in.
//! - A task whose agent is cut off may serve on: it stays, and nobody has said how it is.
//! - A task that is being killed gets no new requests.

use std::collections::HashMap;

use super::wire::{App, State, Task, shown};
use crate::{
    config::{Marathon, TaskHalf},
    model::{Health, VersionKey, Zone},
};

/// For how many answers a task that is not in them is remembered.
const REMEMBERED: u32 = 60;

/// An endpoint whose host may be a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) health: Health,
    pub(super) is_draining: bool,
    pub(super) zone: Option<Zone>,
    pub(super) version: Option<VersionKey>,
}

impl Found {
    fn is_usable(&self) -> bool {
        !self.is_draining && self.health != Health::Unhealthy
    }
}

/// What one answer comes to.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) found: Vec<Found>,
    /// Why a task that runs is no endpoint, if it is for the want of an address.
    pub(super) skipped: Option<String>,
    /// Marathon lists the tasks that there should be: what is missing is missing on purpose.
    pub(super) is_whole: bool,
}

/// What is remembered of tasks from one answer to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<String, Known>,
    /// The configuration of each app of which tasks were last seen.
    begun: HashMap<String, Option<String>>,
    has_answer: bool,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    health: Health,
    /// In how many answers since it has not been.
    missed: u32,
}

impl Memory {
    /// Picks the endpoints from an answer.
    pub(super) fn select(&mut self, apps: &[App], how: &Marathon) -> Selection {
        self.known.retain(|_, known| {
            known.missed = known.missed.saturating_add(1);
            known.missed <= REMEMBERED
        });
        let mut selection = Selection {
            found: Vec::new(),
            skipped: None,
            is_whole: apps.iter().all(App::is_whole),
        };
        for app in apps {
            let (mut old, mut new) = (Vec::new(), Vec::new());
            for task in &app.tasks {
                let Some(health) = self.admit(app, task, how) else {
                    continue;
                };
                match app.ports.of(task, &how.port) {
                    Ok(at) => {
                        let is_new = app.is_new(task);
                        let found = app.found(task, at, health);
                        if is_new { &mut new } else { &mut old }.push(found);
                    }
                    Err(reason) => {
                        let words = || format!("task `{}` is left out: {reason}", shown(&task.id));
                        selection.skipped.get_or_insert_with(words);
                    }
                }
            }
            let is_begun = self.is_begun(app, &new);
            selection.found.extend(half(old, new, is_begun, how.tasks));
        }
        self.has_answer |= !apps.is_empty();
        selection
    }

    /// The health of a task that is an endpoint; `None`: it is none.
    fn admit(&mut self, app: &App, task: &Task, how: &Marathon) -> Option<Health> {
        let known = self.known.get(&task.id).map(|known| known.health);
        let (shown, kept) = match task.state {
            State::Absent => return None,
            // What nobody can check, nobody has said.
            State::Unreachable => (Health::Unknown, known.unwrap_or_default()),
            State::Killing => (known.unwrap_or_default(), known.unwrap_or_default()),
            State::Running => {
                let is_waited_for = how.ready_only && known.is_none();
                if is_waited_for && !self.is_ready(app, task) {
                    return None;
                }
                let health = self.health(app, task).or(known)?;
                (health, health)
            }
        };
        let known = Known {
            health: kept,
            missed: 0,
        };
        self.known.insert(task.id.clone(), known);
        Some(shown)
    }

    /// What Marathon says; `None`: nothing.
    fn health(&self, app: &App, task: &Task) -> Option<Health> {
        if !app.has_checks {
            return Some(Health::Unknown);
        }
        if task.alive.is_empty() {
            let is_lost = app.tasks.iter().all(|task| task.alive.is_empty());
            return (is_lost && !self.has_answer).then_some(Health::Unknown);
        }
        let is_alive = task.alive.iter().all(|alive| *alive);
        Some(if is_alive {
            Health::Healthy
        } else {
            Health::Unhealthy
        })
    }

    /// Whether tasks of the present configuration are there, or have been.
    fn is_begun(&mut self, app: &App, new: &[Found]) -> bool {
        if new.iter().any(|found| !found.is_draining) {
            self.begun.insert(app.id.clone(), app.current.clone());
        }
        self.begun.get(&app.id) == Some(&app.current)
    }

    fn is_ready(&self, app: &App, task: &Task) -> bool {
        if !app.is_deploying || !app.has_readiness {
            return true;
        }
        match app.ready.get(&task.id) {
            Some(is_ready) => *is_ready,
            // A new task that was not asked yet, or an old one that needs not be.
            None => !self.has_answer || !app.is_new(task),
        }
    }
}

impl App {
    /// Tasks that are being replaced may be missing for a moment.
    fn is_whole(&self) -> bool {
        let tasks = u64::try_from(self.tasks.len()).unwrap_or(u64::MAX);
        tasks.saturating_mul(2) >= self.instances
    }

    /// Whether a task has the present configuration. A change of scale makes a version, too, so
    /// that versions alone would make a release of it. Times of one form compare as texts.
    fn is_new(&self, task: &Task) -> bool {
        match (&task.version, &self.current) {
            (Some(version), Some(current)) => version >= current,
            (None, _) | (_, None) => true,
        }
    }

    fn found(&self, task: &Task, (host, port): (String, u16), health: Health) -> Found {
        let version = if self.is_new(task) {
            self.current.as_ref()
        } else {
            task.version.as_ref()
        };
        Found {
            host,
            port,
            health,
            is_draining: task.state == State::Killing,
            zone: task.zone.as_deref().map(Zone::new),
            version: version.map(|version| VersionKey::new(version)),
        }
    }
}

/// One half of a deployment. A half on which nobody is left to serve is everybody: the old half
/// when the deployment is over, the new half before its first task is there. Once it was there, the
/// new half stays as it is, be its tasks ill or gone: that is what is to be judged.
fn half(old: Vec<Found>, new: Vec<Found>, is_begun: bool, half: TaskHalf) -> Vec<Found> {
    match half {
        TaskHalf::Old if old.iter().any(Found::is_usable) => old,
        TaskHalf::New if is_begun => new,
        TaskHalf::All | TaskHalf::Old | TaskHalf::New => old.into_iter().chain(new).collect(),
    }
}
