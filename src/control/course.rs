//! One split under way: its rollout, the stages that samples name, the judge's bench, and what is
//! shown of it.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use rustc_hash::FxHashSet;

use super::{
    analysis::{Analysis, InFlight, Known, Place},
    by_endpoint::{ByEndpoint, Excuse},
    gate::GateAnswer,
    ledger::Ledger,
    pasts::Pasts,
    recording::Recorder,
    remarks::Remarks,
    shadow::Shadow,
    stretch::Stretch,
    toll::Toll,
};
use crate::{
    config::Split,
    judge::{Baseline, Judgement, Verdict},
    measure::{AttemptLabel, Cell, CellKey, Repeat, RequestLabel, Sum, Tally, Window},
    model::{
        EndpointKey, Moment, Outcome, Role, Share, SplitKey, Stage, UpstreamName, VersionName,
        number::real,
    },
    plan::{self, Plan, Shift, Target},
    rollout::{Decisions, Event, Rollout, criteria},
};

/// How many stages late samples can still name. Older ones are counted where the oldest is.
const STRETCHES_MAX: usize = 64;
/// The shortest time between two looks of the judge.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The same for a split that is quiet.
const QUIET_LOOK_EVERY: Duration = Duration::from_millis(500);

/// One version's numbers.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) trials: u64,
    pub(super) failures: u64,
    pub(super) assigned_in_stage: u64,
    /// Since the rollout began.
    pub(super) attempts: Tally<AttemptLabel>,
    /// Requests that clients saw fail, since the rollout began.
    pub(super) answers_failed: u64,
    /// Requests whose failed attempt stable has made good, since the rollout began.
    pub(super) rescued: u64,
    pub(super) window: Window,
}

/// What a look of the judge has led to.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) decisions: Decisions,
    /// Endpoints of the canary that are bad among good ones: they are to get no requests.
    pub(super) out: Vec<SocketAddr>,
}

/// One split under way.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) key: SplitKey,
    pub(super) rollout: Rollout,
    pub(super) judgement: Option<Judgement>,
    pub(super) stable: Part,
    pub(super) canary: Part,
    /// What a webhook said last of a gate.
    pub(super) answer: Option<GateAnswer>,
    pub(super) by_endpoint: ByEndpoint,
    pub(super) shadow: Shadow,
    pub(super) ledger: Ledger,
    pub(super) remarks: Remarks,
    pub(super) toll: Toll,
    analysis: Option<Analysis>,
    recorder: Recorder,
    pasts: Pasts,
    stage: Stage,
    round: u32,
    stretches: VecDeque<(Stage, Stretch)>,
    looked: Moment,
    /// Whether anything was counted since then.
    has_news: bool,
}

impl Course {
    /// Begins where the rollout stands.
    pub(super) fn new(key: SplitKey, rollout: Rollout, recorder: Recorder, now: Moment) -> Self {
        Self {
            key,
            rollout,
            judgement: None,
            stable: Part::default(),
            canary: Part::default(),
            answer: None,
            by_endpoint: ByEndpoint::default(),
            shadow: Shadow::default(),
            ledger: Ledger::default(),
            remarks: Remarks::default(),
            toll: Toll::default(),
            analysis: None,
            recorder,
            pasts: Pasts::default(),
            stage: Stage::default(),
            round: 0,
            stretches: VecDeque::new(),
            looked: now,
            has_news: false,
        }
    }

    /// What is to be in force. A change of share, version, routes or epoch begins a stage.
    pub(super) fn align(&mut self, split: &Split, now: Moment) -> Shift {
        let state = self.rollout.state();
        let stretch = Stretch {
            epoch: state.epoch,
            nonce: state.nonce,
            share: state.share(),
            stable: VersionName::from(&split.stable),
            canary: split.canary.as_ref().map(VersionName::from),
            routes: split
                .routes
                .iter()
                .map(|route| route.name.clone())
                .collect(),
            round: self.round,
        };
        let shift = |stage| Shift {
            epoch: stretch.epoch,
            nonce: stretch.nonce,
            stage,
            share: stretch.share,
        };
        let before = self.stretch_now();
        let is_same = before == Some(&stretch);
        let is_same_trial = before.is_some_and(|before| before.is_of_trial(&stretch));
        if !is_same {
            self.stage = self.stage.next();
            if self.stretches.len() == STRETCHES_MAX {
                self.stretches.pop_front();
            }
        }
        let shift = shift(self.stage);
        self.pasts.align(&stretch.routes);
        self.prepare(split, (is_same_trial, is_same), stretch.share, now);
        if !is_same {
            self.stretches.push_back((self.stage, stretch));
        }
        shift
    }

    /// Sees to it that what is judged is this rollout in this stage by these criteria.
    fn prepare(&mut self, split: &Split, same: (bool, bool), share: Share, now: Moment) {
        let (is_same_trial, is_same_stage) = same;
        if !is_same_trial {
            self.analysis = None;
            self.judgement = None;
            (self.stable.trials, self.stable.failures) = (0, 0);
            self.stable.attempts = Tally::default();
            (self.stable.answers_failed, self.stable.rescued) = (0, 0);
            self.ledger.clear();
            self.toll = Toll::default();
            self.remarks = Remarks::default();
            self.canary = Part::default();
            self.by_endpoint.begin_trial();
        }
        if !is_same_stage {
            self.stable.assigned_in_stage = 0;
            self.canary.assigned_in_stage = 0;
        }
        if !self.rollout.is_judged() {
            self.analysis = None;
            return;
        }
        let wanted = criteria(split);
        let kept = self
            .analysis
            .take()
            .filter(|analysis| *analysis.criteria() == wanted);
        let is_new = kept.is_none();
        if is_new && share == Share::ZERO {
            return;
        }
        let Sum {
            trials,
            failures,
            latency,
        } = self.stable.window.sum();
        let baseline = Baseline {
            requests: trials,
            failures,
            latency,
            routes: self.pasts.baselines(),
        };
        let mut analysis = kept.unwrap_or_else(|| {
            let epoch = self.rollout.epoch();
            let told = (&wanted, &baseline);
            let recording = self.recorder.begin(split, epoch, told, now);
            Analysis::new(wanted, &baseline, recording, now)
        });
        if is_new {
            analysis.disperse(self.by_endpoint.divisor());
        }
        if is_new || !is_same_stage {
            analysis.begin_stage(self.stage, share, &baseline, now);
        }
        self.analysis = Some(analysis);
    }

    /// The stretch that a sample names, or the oldest that is remembered.
    pub(super) fn stretch(&self, stage: Stage) -> Option<&Stretch> {
        let named = self
            .stretches
            .iter()
            .rev()
            .find(|(known, _)| *known == stage);
        named
            .or_else(|| self.stretches.front())
            .map(|(_, stretch)| stretch)
    }

    /// The stretch under way.
    pub(super) fn stretch_now(&self) -> Option<&Stretch> {
        self.stretches.back().map(|(_, stretch)| stretch)
    }

    /// Counts what a worker hands over for one version, assigned in one stage, on one route.
    pub(super) fn count(&mut self, key: CellKey, cell: &Cell, now: Moment) {
        self.has_news = true;
        let CellKey {
            stage, role, route, ..
        } = key;
        let Some(current) = self.stretches.back().map(|(_, stretch)| stretch) else {
            return;
        };
        let stretch = self
            .stretches
            .iter()
            .rev()
            .find(|(known, _)| *known == stage);
        let stretch = stretch.map(|(_, stretch)| stretch);
        // Outcomes of an earlier epoch count in metrics only.
        let known = stretch.filter(|stretch| stretch.epoch == current.epoch);
        let known = known.filter(|stretch| stretch.stable == current.stable);
        let has_same_routes = stretch.is_some_and(|stretch| stretch.routes == current.routes);
        let is_current = stage == self.stage;
        let part = match role {
            Role::Stable => &mut self.stable,
            Role::Canary => &mut self.canary,
        };
        part.window.add(now, cell);
        if is_current {
            part.assigned_in_stage += cell.assigned;
        }
        if role == Role::Stable && has_same_routes {
            self.pasts.add(route.index(), cell, now);
        }
        let Some(known) = known else { return };
        part.trials += cell.trials;
        part.failures += cell.failures;
        part.attempts.merge(&cell.attempts);
        self.toll.count(role, cell);
        let is_failure = |label: &RequestLabel| label.outcome == Outcome::Failure;
        part.answers_failed += cell.requests.sum(is_failure);
        part.rescued += cell.repeats.sum(|label| label.repeat == Repeat::Rescue);
        // What began before the canary was judged anew is not held against it.
        if known.round == self.round
            && let Some(analysis) = &mut self.analysis
        {
            let name = known.routes.get(route.index());
            let place = Place {
                stage: (stage, known.share),
                role,
                route: name.map(|name| (route, name)),
            };
            analysis.add(place, cell);
        }
    }

    /// Whether there is something to judge, and the judge may look again. Where nothing is under
    /// way and nothing was counted only time passes: of a thousand splits most are quiet.
    pub(super) fn is_due(&self, is_under_way: impl FnOnce(SplitKey) -> bool, now: Moment) -> bool {
        let waited = now.since(self.looked);
        if !self.rollout.is_judged() || waited < LOOK_EVERY {
            return false;
        }
        waited >= QUIET_LOOK_EVERY || self.has_news || is_under_way(self.key)
    }

    /// Takes the endpoints of the plan in force; answers how many there are. Many new ones make the
    /// judge's slow tests rest.
    pub(super) fn meet(&mut self, plan: &Plan, split: &plan::Split, now: Moment) -> usize {
        let targets = |role| -> &[Target] {
            let version = split.version(role);
            let is_there = role == Role::Stable || split.canary.is_some();
            let upstream = plan.upstream(version.upstream).filter(|_| is_there);
            upstream.map_or(&[], |upstream| &upstream.endpoints)
        };
        let targets = [targets(Role::Stable), targets(Role::Canary)];
        let criteria = self.analysis.as_ref().map(Analysis::criteria);
        let warm_up = criteria.map_or(Duration::ZERO, |criteria| criteria.warm_up);
        let is_renewed = self
            .by_endpoint
            .meet(plan.generation, targets, warm_up, now);
        if let Some(analysis) = self.analysis.as_mut().filter(|_| is_renewed) {
            analysis.new_endpoints(now);
        }
        targets.iter().map(|targets| targets.len()).sum()
    }

    /// Tells the judge how many endpoints share each version's requests.
    pub(super) fn tell_endpoints(&mut self, usable: impl Fn(&UpstreamName) -> usize) {
        let current = self.stretches.back().map(|(_, stretch)| stretch);
        if let (Some(analysis), Some(stretch)) = (&mut self.analysis, current) {
            let count = |role| usable(&UpstreamName::from(stretch.version(role)));
            analysis.tell_endpoints(count(Role::Canary), count(Role::Stable));
        }
    }

    /// Lets the judge look, and the rollout hear what the judge says.
    pub(super) fn look(
        &mut self,
        in_flight: &InFlight,
        canary: Option<&plan::Upstream>,
        now: Moment,
    ) -> Looked {
        self.looked = now;
        self.has_news = false;
        if let Some(analysis) = &mut self.analysis {
            let stretches = self.stretches.iter();
            let stretches = stretches.filter(|(_, stretch)| stretch.round == self.round);
            let stages = stretches.map(|(stage, stretch)| Known {
                stage: *stage,
                share: stretch.share,
                routes: &stretch.routes,
            });
            let stages: Vec<_> = stages.collect();
            let mut judgement = analysis.look(in_flight, &stages, now);
            self.toll.looked(&judgement, now);
            let margin = analysis.criteria().errors;
            self.by_endpoint.name_suspect(&mut judgement, margin);
            let has_failed = judgement.verdict == Verdict::Fail && self.rollout.is_judged();
            // Where the file wants no endpoint to be ejected, a version answers for all of them.
            let canary = canary.filter(|canary| has_failed && canary.outlier_detection.is_some());
            let excuse = canary.and_then(|canary| {
                let out = canary.endpoints.iter();
                let out = out.filter(|target| target.vitals.is_ejected(now));
                let out: FxHashSet<EndpointKey> = out.map(|target| target.key).collect();
                let is_out = |endpoint| out.contains(&endpoint);
                self.by_endpoint.excuse(&judgement, margin, is_out)
            });
            if let Some(excuse) = excuse {
                return self.judge_anew(excuse, now);
            }
            self.judgement = Some(judgement);
        }
        Looked {
            decisions: self.rollout.on(Event::Judged(self.judgement.as_ref()), now),
            out: Vec::new(),
        }
    }

    /// Some endpoints are bad, and the version is not: it goes on without them, and nothing that
    /// was seen until now is held against it.
    fn judge_anew(&mut self, excuse: Excuse, now: Moment) -> Looked {
        self.round += 1;
        (self.analysis, self.judgement) = (None, None);
        self.toll.excuse();
        self.by_endpoint.begin_trial();
        let mut decisions = self.rollout.on(Event::Excused(&excuse.why), now);
        // A new stage begins, whatever the rollout makes of it.
        decisions.is_changed = true;
        Looked {
            decisions,
            out: excuse.out,
        }
    }

    /// The canary's share as seen in this stage.
    pub(super) fn observed(&self) -> Option<f64> {
        let canary = self.canary.assigned_in_stage;
        let all = canary + self.stable.assigned_in_stage;
        (all > 0).then(|| real(canary) / real(all))
    }
}
