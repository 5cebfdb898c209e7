//! What was seen of a rollout, tick by tick, and what it weighs.

use std::time::Duration;

use super::{
    bet::{Counts, Trials},
    criteria::Criteria,
    errors::{ErrorCounts, ErrorTests},
    estimate::Decay,
    latency::{LatencyTests, MARKS},
    restarts::Restarts,
    rules::Floor,
    safety::{Guard, Watched},
    stages::Stages,
    units::FailedUsers,
    weigh::{Failure, Weighed},
};
use crate::{
    measure::{Cell, Latencies},
    model::{Moment, RouteName, Share, Stage, number::real_len},
};

/// How often stakes are chosen anew.
const REFIT: Duration = Duration::from_secs(5);
/// Below this many requests a guess is young: stakes follow whenever it has doubled.
const YOUNG: f64 = 2_000.0;

/// Stable's recent past, before a stage; empty if there is none.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    /// Judged requests.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: Latencies,
    /// The same by route, in the order in which [`Evidence::absorb_route`] numbers them. With
    /// fewer than two nothing is judged by route.
    pub routes: Vec<RouteBaseline>,
}

/// One route's recent past on stable.
#[derive(Debug, Clone)]
pub struct RouteBaseline {
    /// Its name.
    pub name: RouteName,
    /// Judged requests.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: Latencies,
}

/// One version in one stratum of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// What was counted since the last tick.
    pub cell: &'a Cell,
    /// Ages of judged attempts under way at the end of the tick; `None`: none are.
    pub in_flight: Option<&'a Latencies>,
}

/// The requests of a tick that were assigned in one stage.
#[derive(Debug, Clone, Copy)]
pub struct Stratum<'a> {
    /// The stage of assignment.
    pub stage: Stage,
    /// The canary's share in it.
    pub share: Share,
    /// Of stable.
    pub stable: Arm<'a>,
    /// Of the canary.
    pub canary: Arm<'a>,
}

/// All that became known between two moments. Ticks may be of any length and must not overlap.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// The end of the tick before.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
    /// One a stage; normally one.
    pub strata: &'a [Stratum<'a>],
}

/// The evidence of one rollout. Made anew for a new rollout, a retry, or new criteria.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub(super) criteria: Criteria,
    pub(super) errors: ErrorTests,
    pub(super) latency: LatencyTests,
    pub(super) guards: [Guard; 3],
    pub(super) floors: Vec<Floor>,
    pub(super) stages: Stages,
    pub(super) weighed: Weighed,
    users: FailedUsers,
    /// Latencies of stable, until they suffice for thresholds.
    history: Latencies,
    /// How many times stable's endpoints are the canary's: a pause of one endpoint makes clumps.
    clumps: f64,
    is_warm: bool,
    restarts: Restarts,
    critical_restarts: Restarts,
    last_fit: Option<(Moment, f64)>,
}

/// A tick by slot, as the tests take it.
#[derive(Debug, Default)]
struct Observed {
    errors: Vec<(usize, ErrorCounts)>,
    latency: Vec<(usize, [Counts; MARKS])>,
    canary: u64,
    stable: u64,
}

impl Evidence {
    /// Nothing seen yet of a rollout that begins at `at`.
    pub fn new(criteria: &Criteria, baseline: &Baseline, at: Moment) -> Self {
        let times = criteria.restart.as_secs_f64() / criteria.critical_restart.as_secs_f64();
        let mut evidence = Self {
            errors: ErrorTests::new(criteria, baseline, at),
            latency: LatencyTests::new(criteria, at),
            guards: Guard::all(criteria),
            floors: criteria.rules.iter().copied().map(Floor::new).collect(),
            stages: Stages::default(),
            weighed: Weighed::new(at),
            users: FailedUsers::default(),
            history: Latencies::new(),
            clumps: 1.0,
            is_warm: false,
            restarts: Restarts::new(criteria.restart, criteria.restart_horizon, at),
            critical_restarts: Restarts::new(
                criteria.critical_restart,
                criteria.restart_horizon * times,
                at,
            ),
            last_fit: None,
            criteria: criteria.clone(),
        };
        evidence.remember(&baseline.latency);
        evidence
    }

    /// Begins a stage: the proof of safety begins anew, thresholds follow stable's recent past,
    /// and harm may begin here. The evidence of harm goes on.
    pub fn begin_stage(&mut self, stage: Stage, share: Share, baseline: &Baseline, at: Moment) {
        let _slot = self.stages.slot(stage, share);
        for guard in &mut self.guards {
            guard.restart();
        }
        if baseline.latency.count() >= self.criteria.latency_history {
            self.history = Latencies::new();
            self.remember(&baseline.latency);
        }
        self.restarts.force(at);
        self.critical_restarts.force(at);
        self.last_fit = None;
        self.weighed.begin_stage();
    }

    /// Tells how many endpoints share each version's requests; one each until told.
    pub fn tell_endpoints(&mut self, canary: usize, stable: usize) {
        self.clumps = real_len(stable.max(1)) / real_len(canary.max(1));
    }

    /// Takes a tick.
    pub fn absorb(&mut self, tick: &Tick<'_>) {
        let elapsed = tick.to.since(tick.from);
        let decay = Decay::after(elapsed, self.criteria.half_life);
        let observed = self.observe(tick, decay);
        self.weighed.count(tick, observed.canary, observed.stable);
        self.refit_if_due(tick.to);
        self.warm_up(tick.to);
        let fresh = self.restarts.due(tick.from);
        let critical = self.critical_restarts.due(tick.from);
        self.errors
            .absorb_critical(tick.from, critical, &observed.errors);
        self.errors.absorb(tick.from, fresh, &observed.errors);
        self.latency.absorb(tick.from, fresh, &observed.latency);
        if self.is_warm {
            self.absorb_guards(&observed);
        }
        for floor in &mut self.floors {
            floor.absorb(tick, self.is_warm);
        }
        let failure = self.accuse(tick.to);
        self.weighed.settle(failure, self.is_worse());
        self.errors.learn(&observed.errors, decay);
        let ends = (tick.from, tick.to);
        self.latency.learn(ends, &observed.latency, decay);
        self.remember_stable(tick);
    }

    /// When and why the canary failed; final.
    pub const fn failure(&self) -> Option<&Failure> {
        self.weighed.failure()
    }

    fn observe(&mut self, tick: &Tick<'_>, decay: Decay) -> Observed {
        let mut observed = Observed::default();
        let is_named = |stage| tick.strata.iter().any(|stratum| stratum.stage == stage);
        self.stages.rest(is_named);
        for stratum in tick.strata {
            let (canary, stable) = (stratum.canary.cell, stratum.stable.cell);
            observed.stable += stable.trials;
            let Some(slot) = self.stages.slot(stratum.stage, stratum.share) else {
                continue;
            };
            observed.canary += canary.trials;
            let requests = Counts {
                canary: Trials::new(canary.trials, canary.failures),
                stable: Trials::new(stable.trials, stable.failures),
            };
            let units = if self.criteria.is_sticky {
                Counts {
                    canary: self.users.count(canary),
                    stable: self.users.count(stable),
                }
            } else {
                requests
            };
            observed
                .errors
                .push((slot, ErrorCounts { requests, units }));
            let is_sticky = self.criteria.is_sticky;
            let newest = self.stages.newest_index();
            let Some(slot_state) = self.stages.get_mut(slot) else {
                continue;
            };
            if slot == newest && is_sticky {
                slot_state.see(units.canary.trials, units.stable.trials, decay);
            } else if slot == newest {
                slot_state.see(canary.assigned, stable.assigned, decay);
            }
            if let Some(thresholds) = self.latency.thresholds() {
                let of_canary = slot_state
                    .ageing
                    .0
                    .count(stratum.canary, &thresholds.canary);
                let of_stable = slot_state
                    .ageing
                    .1
                    .count(stratum.stable, &thresholds.stable);
                let pairs = of_canary.into_iter().zip(of_stable);
                let mut counts = [Counts::default(); MARKS];
                for (counts, (canary, stable)) in counts.iter_mut().zip(pairs) {
                    *counts = Counts { canary, stable };
                }
                observed.latency.push((slot, counts));
            }
        }
        observed
    }

    fn refit_if_due(&mut self, now: Moment) {
        let Some(newest) = self.stages.newest() else {
            return;
        };
        let trials = self.errors.guess().trials();
        let slot = self.stages.newest_index();
        let is_due = self.last_fit.is_none_or(|(at, before)| {
            let has_doubled = before < YOUNG && trials >= 2.0 * before;
            now.since(at) >= REFIT || self.weighed.fitted() != Some(newest.stage) || has_doubled
        });
        if !is_due {
            return;
        }
        let realised = newest.realised(self.criteria.is_sticky);
        let share = (!newest.is_full()).then_some(realised);
        self.weighed.fit(newest.stage);
        self.last_fit = Some((now, trials));
        self.errors.refit(slot, share);
        self.latency.refit(slot, share);
        if let Some(share) = share.filter(|_| self.criteria.tempers_latency) {
            self.latency.temper(self.clumps * share / (1.0 - share));
        }
        for guard in &mut self.guards {
            let Some(share) = share else {
                guard.rest(slot);
                continue;
            };
            match guard.watched {
                Watched::Errors => {
                    let rate = self.errors.guess().rate();
                    guard.refit(slot, share, rate, rate.min(0.95));
                }
                Watched::Latency(test, mark) => {
                    let guesses = self.latency.guess(test).zip(self.latency.beyond(mark));
                    let Some((stable, beyond)) = guesses else {
                        continue;
                    };
                    guard.refit(slot, share, stable.rate(), beyond.plain().max(1e-5));
                }
            }
        }
    }

    fn warm_up(&mut self, now: Moment) {
        let warm_up = self.criteria.warm_up;
        let since = self.weighed.first_canary();
        self.is_warm |= warm_up.is_zero() || since.is_some_and(|first| now.since(first) > warm_up);
        if self.is_warm {
            self.errors.start();
            self.latency.start();
        }
    }

    fn absorb_guards(&mut self, observed: &Observed) {
        for guard in &mut self.guards {
            match guard.watched {
                Watched::Errors => {
                    for (slot, counts) in &observed.errors {
                        guard.absorb(*slot, counts.units, self.criteria.dispersion.max(1.0));
                    }
                }
                Watched::Latency(test, mark) => {
                    for (slot, at) in &observed.latency {
                        let pair = at.get(mark).zip(at.get(test));
                        let Some((canary, stable)) = pair else {
                            continue;
                        };
                        let counts = Counts {
                            canary: canary.canary,
                            stable: stable.stable,
                        };
                        guard.absorb(*slot, counts, self.latency.divisor(test));
                    }
                }
            }
        }
    }

    fn is_worse(&self) -> bool {
        self.errors.worse().value() >= 1.0 / self.criteria.alpha_warn
    }

    fn remember_stable(&mut self, tick: &Tick<'_>) {
        if self.latency.thresholds().is_none() {
            for stratum in tick.strata {
                self.remember(&stratum.stable.cell.latency);
            }
        }
    }

    fn remember(&mut self, latency: &Latencies) {
        self.history.merge(latency);
        if self.history.count() >= self.criteria.latency_history.max(1)
            && self.latency.freeze(&self.history, &self.criteria)
        {
            self.history = Latencies::new();
            self.stages.forget_ages();
            self.last_fit = None;
        }
    }
}
