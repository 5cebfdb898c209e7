//! How long verdicts will take at the present traffic, every two seconds for a split on trial; and
//! who plans a step that cannot decide in its time is told so, once.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    Control, News, Traffic,
    ahead::ahead,
    course::{Course, LOOK_EVERY},
    turn::Turn,
};
use crate::{
    config::{Split, Step},
    judge::{Forecast, Need, Situation, Verdict},
    model::{Epoch, Moment, Share, SplitName, number::real},
    rollout::{Phase, criteria},
};

/// How often a split's forecast is made.
const EVERY: Duration = Duration::from_secs(2);
/// How often all of its steps are looked through.
const WALK_EVERY: Duration = Duration::from_secs(10);
/// For how long traffic must have been seen before its rate is believed.
const KNOWN_AFTER: Duration = Duration::from_secs(10);

/// The forecasts of all splits.
#[derive(Debug, Default)]
pub(super) struct Outlooks(HashMap<SplitName, Outlook>);

/// Of one split.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// At the share in force, or at the first one that the steps give.
    pub(super) forecast: Option<Forecast>,
    /// About steps that are not over.
    pub(super) warnings: Vec<String>,
    made: Option<Moment>,
    walked: Option<Moment>,
    /// Since when it has traffic.
    seen_since: Option<Moment>,
    /// When the canary was first seen to have traffic in this epoch.
    first_canary: Option<(Epoch, Moment)>,
    told: BTreeSet<Told>,
}

/// What was told: the step, in which epoch and since which load of the file.
type Told = (Epoch, Moment, usize);

impl Outlooks {
    /// Of this split.
    pub(super) fn get(&self, split: &SplitName) -> Option<&Outlook> {
        self.0.get(split)
    }

    /// The file is another: everything is made anew, at once.
    pub(super) fn expire(&mut self, splits: &[Split]) {
        self.0
            .retain(|name, _| splits.iter().any(|split| split.name == *name));
        for outlook in self.0.values_mut() {
            (outlook.made, outlook.walked) = (None, None);
        }
    }

    /// The split that waits longest for a forecast that is due.
    fn due<'a>(&self, splits: &'a [Split], now: Moment) -> Option<&'a Split> {
        let made = |split: &Split| self.get(&split.name).and_then(|outlook| outlook.made);
        let is_due = |split: &&Split| made(split).is_none_or(|made| now.since(made) >= EVERY);
        splits.iter().filter(is_due).min_by_key(|split| made(split))
    }
}

impl Control {
    /// Makes one split's forecast, if it is time. One a turn: it takes longer than a look of the
    /// judge, and a verdict must not wait for many.
    pub(super) fn look_ahead(&mut self, now: Moment, turn: &mut Turn) {
        let config = &self.in_force.config;
        let due = self.outlooks.due(&config.splits, now);
        let Some(split) = due.filter(|_| !self.is_draining) else {
            return;
        };
        let outlook = self.outlooks.0.entry(split.name.clone()).or_default();
        outlook.made = Some(now);
        let Some(course) = self.courses.get(&split.name) else {
            return;
        };
        let key = (course.rollout.epoch(), self.file.loaded_at);
        outlook
            .told
            .retain(|(epoch, load, _)| (*epoch, *load) == key);
        for (step, warning) in outlook.renew(split, course, now) {
            if outlook.told.insert((key.0, key.1, step)) {
                turn.news.push(news(split, course, warning, now));
            }
        }
    }
}

impl Outlook {
    /// Looks at a split; returns the steps that were found not to decide in their time.
    fn renew(&mut self, split: &Split, course: &Course, now: Moment) -> Vec<(usize, String)> {
        self.forecast = None;
        let rate = course.stable.window.rate(now) + course.canary.window.rate(now);
        self.seen_since = self.seen_since.or(Some(now)).filter(|_| rate > 0.0);
        let on_trial = share_on_trial(course).zip(self.seen_since);
        let Some((share, since)) = on_trial else {
            self.warnings.clear();
            self.walked = None;
            return Vec::new();
        };
        let sum = course.stable.window.sum();
        let traffic = Traffic {
            rate,
            error_rate: real(sum.failures) / real(sum.trials.max(1)),
            latency: sum.latency,
        };
        self.forecast = Some(self.forecast_at(share, split, course, (&traffic, now)));
        let is_walked = self
            .walked
            .is_some_and(|walked| now.since(walked) < WALK_EVERY);
        if is_walked || now.since(since) < KNOWN_AFTER {
            return Vec::new();
        }
        self.walked = Some(now);
        let under_way = course.rollout.record().state.position.step;
        let steps = ahead(split, &traffic);
        let ahead = steps.into_iter().filter(|step| step.number > under_way);
        let warned: Vec<(usize, String)> = ahead
            .filter_map(|step| Some((step.number, step.warning?)))
            .collect();
        self.warnings = warned.iter().map(|(_, warning)| warning.clone()).collect();
        warned
    }

    fn forecast_at(
        &mut self,
        share: Share,
        split: &Split,
        course: &Course,
        (traffic, now): (&Traffic, Moment),
    ) -> Forecast {
        let criteria = criteria(split);
        let epoch = course.rollout.epoch();
        if self.first_canary.is_none_or(|(known, _)| known != epoch) {
            self.first_canary = (course.canary.trials > 0).then_some((epoch, now));
        }
        let first = self.first_canary.map(|(_, first)| first);
        let age = first.map_or(Duration::ZERO, |first| now.since(first));
        let situation = Situation {
            criteria: &criteria,
            share,
            rate: traffic.rate,
            error_rate: traffic.error_rate,
            latency: Some(&traffic.latency),
            tick: LOOK_EVERY,
            age,
        };
        let mut forecast = situation.forecast();
        // Part of the proof may be there already.
        let needed = course
            .judgement
            .as_ref()
            .filter(|word| word.verdict != Verdict::NoData)
            .and_then(|word| word.canary_requests_needed);
        let canary_rate = traffic.rate * share.ratio();
        if let (Some(pass), Some(requests)) = (&mut forecast.to_pass, needed) {
            let warm_up = criteria.warm_up.saturating_sub(age).as_secs_f64();
            let seconds = warm_up + real(requests) / canary_rate;
            *pass = Need { requests, seconds };
        }
        forecast
    }
}

/// The share that verdicts are awaited at; `None`: nothing is on trial.
fn share_on_trial(course: &Course) -> Option<Share> {
    let rollout = &course.rollout;
    let canary = rollout.record().canary.as_ref();
    let steps = &rollout.strategy().steps;
    let first = steps.iter().find_map(|step| match step {
        Step::SetWeight(share) => Some(*share),
        Step::Auto(auto) => Some(auto.from),
        Step::Pause(_) | Step::Analysis { .. } | Step::Gate(_) | Step::Bake(_) => None,
    });
    let share = match rollout.phase() {
        Phase::Idle => first,
        Phase::Progressing { .. } | Phase::Paused { .. } if rollout.share() == Share::ZERO => first,
        Phase::Progressing { .. } | Phase::Paused { .. } => Some(rollout.share()),
        Phase::Promoted | Phase::RolledBack { .. } => None,
    };
    share.filter(|share| canary.is_some() && *share > Share::ZERO)
}

fn news(split: &Split, course: &Course, text: String, now: Moment) -> News {
    News {
        at: now,
        what: "warning",
        split: Some(split.name.clone()),
        epoch: Some(course.rollout.epoch()),
        share: Some(course.rollout.share()),
        by: "forecast".to_owned(),
        text,
        is_warning: true,
    }
}
