//! Makes the snapshot that others read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    ArmStatus, ConfigStatus, Control, SplitStatus, Status, UpstreamStatus,
    course::{Course, Part},
    dossier::errors,
    gate::{self, Gate},
    outlook::Outlook,
};
use crate::{
    config::{Split, Step, Upstream},
    model::{Moment, Role, SplitName, UpstreamName, VersionName},
    rollout::step_text,
};

/// How often the snapshot is replaced when nothing has happened but traffic.
pub(super) const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Long-lived streams by split and version.
type Exposed = BTreeMap<(SplitName, VersionName), u64>;

impl Control {
    /// Whether a load balancer may send requests here. A canary whose source fails is no reason
    /// to send none: stable answers for it.
    fn is_ready(&self) -> bool {
        let endpoints = &self.in_force.endpoints;
        let mut splits = self.in_force.config.splits.iter();
        let are_known = splits.all(|split| {
            let mut canary = split.canary.iter();
            endpoints.is_ready(&split.stable) && canary.all(|name| endpoints.is_heard(name))
        });
        self.is_listening && !self.is_draining && are_known
    }

    /// Long-lived streams that are open now, of every version of every split.
    pub(super) fn exposed(&self) -> Exposed {
        let mut exposed = Exposed::new();
        for split in &self.in_force.config.splits {
            let Some(course) = self.courses.get(&split.name) else {
                continue;
            };
            let canary = course.rollout.record().canary.clone();
            for version in std::iter::once((&split.stable).into()).chain(canary) {
                exposed.insert((split.name.clone(), version), 0);
            }
        }
        for (key, count) in self.book.streams() {
            let split = self.names.get(&key.split);
            let course = split.and_then(|split| self.courses.get(split));
            let stretch = course.and_then(|course| course.stretch(key.stage));
            if let (Some(split), Some(stretch)) = (split, stretch) {
                let version = stretch.version(key.role).clone();
                *exposed.entry((split.clone(), version)).or_default() += count;
            }
        }
        exposed
    }

    /// Replaces the snapshot.
    pub(super) fn report(&mut self, now: Moment) {
        self.reported = now;
        for course in self.courses.values_mut() {
            course.mark(now);
            course.toll.recount();
        }
        let config = Arc::clone(&self.in_force.config);
        let exposed = self.exposed();
        let splits = config.splits.iter().filter_map(|split| {
            let course = self.courses.get(&split.name)?;
            let outlook = self.outlooks.get(&split.name);
            Some(split_status(split, course, outlook, (&exposed, now)))
        });
        let splits = splits.collect();
        let in_flight = self.in_flight();
        let upstreams: Vec<_> = config
            .upstreams
            .iter()
            .map(|upstream| self.upstream_status(upstream, &in_flight, now))
            .collect();
        let status = Status {
            as_of: now,
            generation: self.in_force.generation(),
            is_ready: self.is_ready(),
            is_draining: self.is_draining,
            config: ConfigStatus {
                hash: config.hash,
                ..self.file.clone()
            },
            splits,
            upstreams,
            certificates: self.certificate_ends(),
            workers: self.book.busy(),
        };
        self.outlets.status.send_replace(Arc::new(status));
    }

    fn upstream_status(
        &mut self,
        upstream: &Upstream,
        in_flight: &HashMap<UpstreamName, (u64, u64)>,
        now: Moment,
    ) -> UpstreamStatus {
        let states = self.states(&upstream.name, now);
        let known = self.in_force.endpoints.get(&upstream.name);
        let held = in_flight.get(&upstream.name);
        let (busy, idle) = held.copied().unwrap_or_default();
        UpstreamStatus {
            name: upstream.name.clone(),
            endpoints: self.in_force.endpoints.counts(&upstream.name),
            age: known
                .and_then(|known| known.answered)
                .map(|answered| now.since(answered)),
            problem: known.and_then(|known| known.problem.clone()),
            states,
            in_flight: busy,
            idle,
        }
    }
}

fn split_status(
    split: &Split,
    course: &Course,
    outlook: Option<&Outlook>,
    (exposed, now): (&Exposed, Moment),
) -> SplitStatus {
    let rollout = &course.rollout;
    let record = rollout.record();
    let count = rollout.strategy().steps.len();
    let position = record.state.position;
    let streams = |version: VersionName| {
        let streams = exposed.get(&(split.name.clone(), version));
        streams.copied().unwrap_or_default()
    };
    let users = |role| split.sticky.is_some().then(|| course.toll.users(role));
    SplitStatus {
        name: split.name.clone(),
        stable: (&split.stable).into(),
        canary: record.canary.clone(),
        epoch: rollout.epoch(),
        revision: position.revision,
        phase: rollout.phase().as_str(),
        phase_reason: gate::reason(course),
        step: (count > 0).then(|| ((position.step + 1).min(count), count)),
        step_text: rollout.step().map(step_text).unwrap_or_default(),
        step_ends: rollout.step_ends(),
        gate: Gate::of(rollout),
        configured: split.weight,
        share: rollout.share(),
        observed: course.observed(),
        judgement: course.judgement.clone(),
        harm_budget: harm_budget(course),
        forecast: outlook.and_then(|outlook| outlook.forecast.clone()),
        warnings: outlook.map_or_else(Vec::new, |outlook| outlook.warnings.clone()),
        rollback: course.rollback(split.sticky.is_some()),
        arms: [
            ArmStatus {
                users: users(Role::Stable),
                streams: streams((&split.stable).into()),
                ..arm(Role::Stable, &course.stable, now)
            },
            ArmStatus {
                users: users(Role::Canary),
                streams: record.canary.clone().map_or(0, streams),
                ..arm(Role::Canary, &course.canary, now)
            },
        ],
        dispersion: course.by_endpoint.index(),
        shadow: course.shadow.status(),
        history: rollout.history().to_vec(),
    }
}

/// What was spent of the budget of the step under way, and the budget.
fn harm_budget(course: &Course) -> Option<(f64, u64)> {
    let step = course.rollout.step().filter(|_| course.rollout.is_judged());
    let Some(Step::Auto(auto)) = step else {
        return None;
    };
    let harm = course.judgement.as_ref().map_or(0.0, |word| word.harm);
    Some((harm, auto.failed_requests))
}

fn arm(role: Role, part: &Part, now: Moment) -> ArmStatus {
    let minute = part.window.sum();
    ArmStatus {
        role,
        trials: part.trials,
        failures: part.failures,
        rate: part.window.rate(now),
        users: None,
        streams: 0,
        quantiles: minute.quantiles(),
        latency: Arc::new(minute.latency),
        errors: errors(&part.attempts),
        answers_failed: part.answers_failed,
        rescued: part.rescued,
    }
}
