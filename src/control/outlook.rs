//! How long verdicts will take at the present traffic, once a second for each split on trial; and
//! who plans a step that cannot decide in its time is told so, once.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    Control, News, Traffic,
    ahead::ahead,
    analysis::criteria,
    course::{Course, LOOK_EVERY},
    turn::Turn,
};
use crate::{
    config::{Split, Step},
    judge::{Forecast, Need, Situation, Verdict},
    model::{Epoch, Moment, Share, SplitName, number::real},
    rollout::Phase,
};

/// How often a forecast is made.
const EVERY: Duration = Duration::from_secs(1);
/// For how long traffic must have been seen before its rate is believed.
const KNOWN_AFTER: Duration = Duration::from_secs(10);

/// The forecasts of all splits.
#[derive(Debug, Default)]
pub(super) struct Outlooks {
    made: Option<Moment>,
    splits: HashMap<SplitName, Outlook>,
}

/// Of one split.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// At the share in force, or at the first one that the steps give.
    pub(super) forecast: Option<Forecast>,
    /// About steps that are not over.
    pub(super) warnings: Vec<String>,
    /// Since when it has traffic.
    seen_since: Option<Moment>,
    /// When the canary was first seen to have traffic in this epoch.
    first_canary: Option<(Epoch, Moment)>,
    told: BTreeSet<Told>,
}

/// What was told: the step, in which epoch and since which load of the file.
type Told = (Epoch, usize, Moment);

impl Outlooks {
    /// Of this split.
    pub(super) fn get(&self, split: &SplitName) -> Option<&Outlook> {
        self.splits.get(split)
    }

    /// The file is another: forecasts are made anew at once.
    pub(super) fn expire(&mut self) {
        self.made = None;
    }
}

impl Control {
    /// Makes the forecasts, if it is time.
    pub(super) fn look_ahead(&mut self, now: Moment, turn: &mut Turn) {
        let is_fresh = self
            .outlooks
            .made
            .is_some_and(|made| now.since(made) < EVERY);
        if is_fresh || self.is_draining {
            return;
        }
        self.outlooks.made = Some(now);
        let config = &self.in_force.config;
        let is_there = |name: &SplitName| config.splits.iter().any(|split| split.name == *name);
        self.outlooks.splits.retain(|name, _| is_there(name));
        for split in &config.splits {
            let Some(course) = self.courses.get(&split.name) else {
                continue;
            };
            let outlook = self.outlooks.splits.entry(split.name.clone()).or_default();
            for (step, warning) in outlook.renew(split, course, now) {
                let epoch = course.rollout.epoch();
                if outlook.told.insert((epoch, step, self.file.loaded_at)) {
                    turn.news.push(news(split, course, warning, now));
                }
            }
        }
    }
}

impl Outlook {
    /// Looks at a split; returns the steps that cannot decide in their time.
    fn renew(&mut self, split: &Split, course: &Course, now: Moment) -> Vec<(usize, String)> {
        (self.forecast, self.warnings) = (None, Vec::new());
        let rate = course.stable.window.rate(now) + course.canary.window.rate(now);
        if rate <= 0.0 {
            self.seen_since = None;
            return Vec::new();
        }
        let since = *self.seen_since.get_or_insert(now);
        let Some(share) = share_on_trial(course) else {
            return Vec::new();
        };
        let sum = course.stable.window.sum();
        let error_rate = real(sum.failures) / real(sum.trials.max(1));
        let traffic = Traffic {
            rate,
            error_rate,
            latency: sum.latency,
        };
        self.forecast = Some(self.forecast_at(share, split, course, (&traffic, now)));
        if now.since(since) < KNOWN_AFTER {
            return Vec::new();
        }
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
        Step::Pause(_) | Step::Analysis { .. } | Step::Bake(_) => None,
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
