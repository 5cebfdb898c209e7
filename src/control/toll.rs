//! What a canary has cost: the users that met each version, those that it failed, and, once it was
//! taken back, the story of that: when it broke, was found, was out of the traffic, was gone.
//!
//! Nothing is decided by it.

use std::time::Duration;

use super::{Control, course::Course, stretch::Stretch, turn::Turn};
use crate::{
    judge::Judgement,
    measure::{Cell, Latencies, Seen, StreamKey, Users},
    model::{Epoch, Moment, Role, SplitName},
    rollout::Entry,
};

/// A sample that comes so long after the new plan was taken under it.
const HEARD_AFTER: Duration = Duration::from_millis(100);

/// How a canary was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Of the rollout.
    pub epoch: Epoch,
    /// `verdict`, `critical`, `absolute`, `operator`.
    pub cause: &'static str,
    /// The first failed request of those that led to the verdict, or when slowness began to count.
    pub broke: Moment,
    /// The verdict, or what the operator did.
    pub found: Moment,
    /// From here on no request was assigned to it.
    pub applied: Moment,
    /// Its last request and its last stream have ended; `None`: some are left.
    pub complete: Option<Moment>,
    /// Judged requests that failed.
    pub failed_requests: u64,
    /// Different users among them; `None`: users are not told apart.
    pub users: Option<u64>,
}

/// Users, and how many that makes.
#[derive(Debug, Default)]
struct Met {
    users: Users,
    count: u64,
    is_new: bool,
}

impl Met {
    fn see(&mut self, is_news: bool) {
        self.is_new |= is_news;
    }

    fn recount(&mut self) {
        if std::mem::take(&mut self.is_new) {
            self.count = self.users.count();
        }
    }
}

/// What a fair bet has won before it was played: less is no evidence of anything.
const NOTHING: f64 = 1.0;

/// Since when there has been something against the canary: since the evidence was at its lowest,
/// which is where a change is to be looked for. Evidence that came to nothing is forgotten.
#[derive(Debug)]
struct Onset {
    lowest: f64,
    since: Moment,
    failed: Option<Moment>,
    /// There has been evidence since.
    is_up: bool,
}

impl Default for Onset {
    fn default() -> Self {
        Self {
            lowest: NOTHING,
            since: Moment::ZERO,
            failed: None,
            is_up: false,
        }
    }
}

/// Of one split's rollout.
#[derive(Debug, Default)]
pub(super) struct Toll {
    stable: Met,
    canary: Met,
    failed: Met,
    onset: Onset,
    rollback: Option<Rollback>,
}

impl Toll {
    /// How many users have met a version.
    pub(super) const fn users(&self, role: Role) -> u64 {
        match role {
            Role::Stable => self.stable.count,
            Role::Canary => self.canary.count,
        }
    }

    /// Users were assigned.
    pub(super) fn meet(&mut self, role: Role, seen: &[Seen]) {
        let met = match role {
            Role::Stable => &mut self.stable,
            Role::Canary => &mut self.canary,
        };
        for seen in seen {
            let is_news = met.users.add(*seen);
            met.see(is_news);
        }
    }

    /// What became of requests.
    pub(super) fn count(&mut self, role: Role, cell: &Cell) {
        if role == Role::Stable {
            return;
        }
        for user in &cell.failed_users {
            let is_news = self.failed.users.see(*user).is_some();
            self.failed.see(is_news);
        }
        let known = self.onset.failed.into_iter();
        self.onset.failed = known.chain(cell.first_failure).min();
    }

    /// The judge has looked.
    pub(super) fn looked(&mut self, judgement: &Judgement, now: Moment) {
        let has_come_to_nothing = self.onset.is_up && judgement.evidence <= NOTHING;
        self.onset.is_up |= judgement.evidence > NOTHING;
        if judgement.evidence <= self.onset.lowest || has_come_to_nothing {
            self.onset = Onset {
                lowest: judgement.evidence,
                since: now,
                failed: None,
                is_up: false,
            };
        }
    }

    /// The canary is judged anew.
    pub(super) fn excuse(&mut self) {
        self.onset = Onset::default();
    }

    /// Makes the numbers of users that are shown.
    pub(super) fn recount(&mut self) {
        for met in [&mut self.stable, &mut self.canary, &mut self.failed] {
            met.recount();
        }
    }

    /// When it broke, if the judge says so `now` because of this.
    fn broke(&self, cause: &str, now: Moment) -> Moment {
        let Onset { since, failed, .. } = self.onset;
        let since = (since != Moment::ZERO).then_some(since);
        let begin = if cause.contains("latency") {
            since
        } else {
            failed.or(since)
        };
        begin.map_or(now, |begin| begin.min(now))
    }
}

impl Course {
    /// How the canary was taken back, if it was.
    pub(super) fn rollback(&self, are_users_known: bool) -> Option<Rollback> {
        let rollback = self.toll.rollback.clone()?;
        Some(Rollback {
            failed_requests: self.canary.failures,
            users: are_users_known.then_some(self.toll.failed.count),
            ..rollback
        })
    }

    /// The canary is taken back.
    pub(super) fn roll_back(&mut self, entry: &Entry, cause: &'static str) {
        let found = entry.at;
        let broke = match (&self.judgement, cause) {
            (Some(judgement), cause) if cause != "operator" => {
                self.toll.broke(&judgement.cause, found)
            }
            _ => found,
        };
        self.toll.rollback = Some(Rollback {
            epoch: self.rollout.epoch(),
            cause,
            broke,
            found,
            applied: found,
            complete: None,
            failed_requests: 0,
            users: None,
        });
    }
}

impl Course {
    /// Users were assigned to a version.
    pub(super) fn meet_users(&mut self, key: StreamKey, seen: &[Seen]) {
        let current = self.stretch_now();
        let is_of_trial = |stretch: &Stretch| current.is_some_and(|it| it.is_of_trial(stretch));
        if self.stretch(key.stage).is_some_and(is_of_trial) {
            self.toll.meet(key.role, seen);
        }
    }
}

impl Control {
    /// What this turn has taken back is in force `now`.
    pub(super) fn applied(&mut self, turn: &Turn, now: Moment) {
        for split in &turn.rolled_back {
            let course = self.courses.get_mut(split);
            let Some(rollback) = course.and_then(|course| course.toll.rollback.as_mut()) else {
                continue;
            };
            rollback.applied = self.clock.map_or(now, |clock| clock());
            if rollback.cause != "operator" {
                let detect = rollback.found.since(rollback.broke);
                self.book.took(split, "detect", detect);
            }
            let apply = rollback.applied.since(rollback.found);
            self.book.took(split, "apply", apply);
        }
    }

    /// Looks whether anything is left at canaries that were taken back.
    pub(super) fn complete_rollbacks(&mut self, now: Moment) {
        for (split, course) in &mut self.courses {
            let key = course.key;
            let rollback = course.toll.rollback.as_mut();
            let Some(rollback) = rollback.filter(|it| it.complete.is_none()) else {
                continue;
            };
            let since = rollback.applied + HEARD_AFTER;
            if self.book.is_heard_since(since) && !self.book.is_at_canary(key) {
                rollback.complete = Some(now);
                let complete = now.since(rollback.applied);
                self.book.took(split, "complete", complete);
            }
        }
    }
}

/// Durations of rollbacks by split and stage.
pub(super) type Durations = Vec<(SplitName, &'static str, Latencies)>;
