//! What a sample and the passing of time lead to: counts, looks of the judge, snapshots.

use std::{sync::Arc, time::Duration};

use super::{
    Control, News, RepeatKey, SeriesKey,
    journal::Note,
    report::REPORT_EVERY,
    turn::{Before, Turn},
};
use crate::{
    measure::{Repeat, Sample},
    model::{Generation, Moment, Role, SplitName},
};

/// How long after a failed write all state is written again.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// How many endpoints are looked through in one turn, about: a millisecond or two.
const MET_MAX: usize = 10_000;

/// How far the splits have come to know the endpoints of the plan in force.
#[derive(Debug, Default)]
pub(super) struct Meeting {
    plan: Option<Generation>,
    /// The split that was the last; plans that follow each other go on behind it.
    next: usize,
    /// How many splits do not know them yet.
    pub(super) left: usize,
}

impl Control {
    /// A worker hands over what it counted. The judge looks at once if it may.
    pub(super) fn sampled(&mut self, sample: Sample, now: Moment, turn: &mut Turn) {
        self.meet(now);
        self.count(&sample, now);
        self.ejected(&sample.ejections, turn);
        self.book.hold(sample, now);
        self.look(now, turn);
    }

    /// Time has passed.
    pub(super) fn ticked(&mut self, now: Moment, turn: &mut Turn) {
        self.in_force.free_retired();
        self.meet(now);
        self.look(now, turn);
        self.complete_rollbacks(now);
        self.look_at_shadows(now, turn);
        self.compare_endpoints(now, turn);
        self.believe_insistent(now, turn);
        self.readmit_due(now, turn);
        self.look_ahead(now, turn);
        self.remind_of_certificates(now, turn);
        if now.since(self.reported) >= REPORT_EVERY {
            turn.is_status_stale = true;
        }
        let failures = self.journal.failures();
        if failures > self.failures_seen && now.since(self.kept_again) >= KEEP_AGAIN {
            (self.kept_again, self.failures_seen) = (now, failures);
            turn.changed.extend(self.courses.keys().cloned());
            let ledgers = self.courses.values().map(|course| &course.ledger);
            let known = ledgers.filter_map(|ledger| ledger.summary.clone());
            turn.notes
                .extend(known.map(|summary| Note::Changed(Box::new(summary))));
        }
    }

    fn count(&mut self, sample: &Sample, now: Moment) {
        let lines_max = self.in_force.config.metrics.max_series;
        for (key, cell) in &sample.cells {
            // A split that has left the file since is counted no more.
            let Some(split) = self.names.get(&key.split) else {
                continue;
            };
            let Some(course) = self.courses.get_mut(split) else {
                continue;
            };
            course.count(*key, cell, now);
            if key.role == Role::Stable {
                course.shadow.add(key.is_shadow, cell);
            }
            let Some(stretch) = course.stretch(key.stage) else {
                continue;
            };
            let Some(route) = stretch.routes.get(key.route.index()) else {
                continue;
            };
            for (label, count) in cell.repeats.iter() {
                let role = match label.repeat {
                    Repeat::Rescue => Role::Stable,
                    Repeat::Asset => key.role.other(),
                    Repeat::Retry | Repeat::Denied | Repeat::HedgeLost | Repeat::HedgeWon => {
                        key.role
                    }
                };
                let repeated = RepeatKey {
                    split: split.clone(),
                    from: stretch.version(key.role).clone(),
                    to: stretch.version(role).clone(),
                    label,
                };
                self.book.repeated(repeated, count);
            }
            let series = SeriesKey {
                split: split.clone(),
                version: stretch.version(key.role).clone(),
                role: key.role,
                route: route.clone(),
            };
            self.book.count(series, cell, lines_max);
        }
        for (key, seen) in &sample.exposed {
            let split = self.names.get(&key.split);
            if let Some(course) = split.and_then(|split| self.courses.get_mut(split)) {
                course.meet_users(*key, seen);
            }
        }
        for (label, counts) in &sample.endpoints {
            let split = self.names.get(&label.split);
            if let Some(course) = split.and_then(|split| self.courses.get_mut(split)) {
                course.by_endpoint.count(label.role, label.endpoint, counts);
            }
        }
    }

    /// Each split learns which endpoints its versions have, whenever the plan has changed: where
    /// many have thousands, some in each turn.
    fn meet(&mut self, now: Moment) {
        let plan = self.in_force.plan();
        let (meeting, count) = (&mut self.meeting, plan.splits.len());
        if meeting.plan.replace(plan.generation) != Some(plan.generation) {
            meeting.left = count;
        }
        let mut may_meet = MET_MAX;
        while meeting.left > 0 && may_meet > 0 {
            meeting.left -= 1;
            meeting.next = (meeting.next + 1) % count;
            let split = plan.splits.get(meeting.next);
            let course = split.and_then(|split| self.courses.get_mut(&split.name));
            if let (Some(split), Some(course)) = (split, course) {
                let met = course.meet(&plan, split, now);
                may_meet = may_meet.saturating_sub(met);
            }
        }
    }

    /// Failures of stable's endpoints are compared, once a second.
    fn compare_endpoints(&mut self, now: Moment, turn: &mut Turn) {
        for (split, course) in &mut self.courses {
            if let Some(text) = course.by_endpoint.pass(now) {
                turn.news.push(News {
                    at: now,
                    what: "clumped_failures",
                    split: Some(split.clone()),
                    epoch: Some(course.rollout.epoch()),
                    share: None,
                    by: "judge".to_owned(),
                    text,
                    is_warning: true,
                });
            }
        }
    }

    fn look(&mut self, now: Moment, turn: &mut Turn) {
        if self.is_draining {
            return;
        }
        let under_way = self.book.under_way();
        let is_under_way = |split| under_way.contains(&split);
        let courses = self.courses.iter();
        let due = courses.filter(|(_, course)| course.is_due(is_under_way, now));
        let due: Vec<SplitName> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            let Some(course) = self.courses.get_mut(&name) else {
                continue;
            };
            let in_flight = self.book.in_flight(course.key);
            let before = Before {
                phase: course.rollout.phase(),
                epoch: course.rollout.epoch(),
                share: course.rollout.share(),
            };
            let endpoints = &self.in_force.endpoints;
            course.tell_endpoints(|upstream| endpoints.counts(upstream).0);
            let plan = self.in_force.plan();
            let mut splits = plan.splits.iter();
            let canary = splits.find(|split| split.key == course.key);
            let canary = canary.and_then(|split| split.canary.as_ref());
            let canary = canary.and_then(|canary| plan.upstream(canary.upstream));
            let looked = course.look(&in_flight, canary.map(Arc::as_ref), now);
            turn.news.extend(course.remarks(&name, now));
            self.decided(&name, &before, looked.decisions, turn);
            if let Some(canary) = canary {
                self.put_out((&name, canary), &looked.out, now, turn);
            }
        }
    }
}
