//! What was seen of a rollout, tick by tick, and what it weighs.

use super::{
    bet::Counts,
    counted::{Counted, Extent},
    criteria::Criteria,
    estimate::Decay,
    routes::Routes,
    rules::Floor,
    safety::{Guard, Watched},
    stages::Stages,
    strand::{Past, Strand},
    told::{Baseline, Tick},
    weigh::{Failure, Weighed},
};
use crate::model::{Moment, Share, Stage, number::real_len};

/// The evidence of one rollout. Made anew for a new rollout, a retry, or new criteria.
///
/// All that the judge ever learns reaches it through the methods here that take `&mut self`: the
/// same calls give the same evidence, bit for bit.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub(super) criteria: Criteria,
    pub(super) whole: Strand,
    pub(super) routes: Routes,
    pub(super) guards: [Guard; 3],
    pub(super) floors: Vec<Floor>,
    pub(super) stages: Stages,
    pub(super) weighed: Weighed,
    /// How many times stable's endpoints are the canary's: a pause of one endpoint makes clumps.
    clumps: f64,
    is_warm: bool,
    /// When a batch of new endpoints came.
    renewed: Option<Moment>,
}

impl Baseline {
    fn past(&self) -> Past<'_> {
        Past {
            requests: self.requests,
            failures: self.failures,
            latency: &self.latency,
        }
    }
}

impl Evidence {
    /// Nothing seen yet of a rollout that begins at `at`.
    pub fn new(criteria: &Criteria, baseline: &Baseline, at: Moment) -> Self {
        Self {
            whole: Strand::new(Extent::Whole, criteria, baseline.past(), at),
            routes: Routes::new(criteria, &baseline.routes, at),
            guards: Guard::all(criteria),
            floors: criteria.rules.iter().copied().map(Floor::new).collect(),
            stages: Stages::default(),
            weighed: Weighed::new(at),
            clumps: 1.0,
            is_warm: false,
            renewed: None,
            criteria: criteria.clone(),
        }
    }

    /// Begins a stage: the proof of safety begins anew, thresholds follow stable's recent past,
    /// and harm may begin here. The evidence of harm goes on.
    pub fn begin_stage(&mut self, stage: Stage, share: Share, baseline: &Baseline, at: Moment) {
        self.open(stage, share);
        for guard in &mut self.guards {
            guard.restart();
        }
        let criteria = &self.criteria;
        self.whole.begin_stage(&baseline.latency, criteria, at);
        self.routes.begin_stage(&baseline.routes, criteria, at);
        self.weighed.begin_stage();
    }

    /// Tells how many endpoints share each version's requests; one each until told.
    pub fn tell_endpoints(&mut self, canary: usize, stable: usize) {
        self.clumps = real_len(stable.max(1)) / real_len(canary.max(1));
    }

    /// From now on the evidence of errors is divided by this index, at least 1: stable's failures
    /// come in clumps of about this size.
    pub fn disperse(&mut self, index: f64) {
        self.criteria.dispersion = index.max(1.0);
        self.whole.errors.disperse(self.criteria.dispersion);
        self.routes.disperse(self.criteria.dispersion);
    }

    /// A batch of new endpoints has come at `at`: the slow tests leave requests alone for the
    /// warm-up. The choice is made before anything is seen of them, so it is fair.
    pub const fn new_endpoints(&mut self, at: Moment) {
        self.renewed = Some(at);
    }

    /// Takes a tick: all requests together.
    pub fn absorb(&mut self, tick: &Tick<'_>) {
        for stratum in tick.strata {
            self.open(stratum.stage, stratum.share);
        }
        let decay = Decay::after(tick.to.since(tick.from), self.criteria.half_life);
        let counted = self.whole.count(tick, &self.stages, &self.criteria);
        self.see_assignments(tick, &counted, decay);
        self.weighed.count(tick, &self.stages);
        self.refit_if_due(tick.to);
        let is_resting = self.warm_up(tick.to);
        self.whole.absorb(tick.from, &counted, is_resting);
        self.whole.settle(&self.criteria);
        if self.is_warm && !is_resting {
            self.absorb_guards(&counted);
        }
        for floor in &mut self.floors {
            floor.absorb(tick, self.is_warm && !is_resting);
        }
        self.conclude(tick.to);
        self.whole.learn(tick, &counted, (&self.criteria, decay));
    }

    /// Takes a tick of one route, by its place in [`Baseline::routes`]; all of them in turn. Its
    /// ticks may be longer than those of the whole.
    pub fn absorb_route(&mut self, route: usize, tick: &Tick<'_>) {
        let decay = Decay::after(tick.to.since(tick.from), self.criteria.half_life);
        let is_resting = self.is_resting(tick.to);
        let coin = self.coin();
        let Some(strand) = self.routes.strand(route) else {
            return;
        };
        let counted = strand.count(tick, &self.stages, &self.criteria);
        if let Some(coin) = coin
            && strand.refit_if_due(tick.to, coin)
        {
            strand.latency.disperse(self.whole.latency.divisors());
        }
        if self.is_warm {
            strand.start();
        }
        strand.absorb(tick.from, &counted, is_resting);
        strand.settle(&self.criteria);
        strand.learn(tick, &counted, (&self.criteria, decay));
        self.routes.settle();
        self.conclude(tick.to);
        if route + 1 == self.routes.len() {
            self.blame_route(tick.to);
        }
    }

    /// When and why the canary failed; final.
    pub const fn failure(&self) -> Option<&Failure> {
        self.weighed.failure()
    }

    /// How many routes are judged by themselves.
    pub fn routes(&self) -> usize {
        self.routes.len()
    }

    fn open(&mut self, stage: Stage, share: Share) {
        if self.stages.open(stage, share) {
            self.whole.shift();
            self.routes.each(Strand::shift);
            for guard in &mut self.guards {
                guard.shift();
            }
        }
    }

    fn see_assignments(&mut self, tick: &Tick<'_>, counted: &[Counted], decay: Decay) {
        let is_sticky = self.criteria.is_sticky;
        let Some(newest) = self.stages.newest_mut() else {
            return;
        };
        let Some(stratum) = tick.strata.iter().find(|at| at.stage == newest.stage) else {
            return;
        };
        let units = counted.iter().find(|at| at.slot == 0);
        match units.map(|at| at.errors.units).filter(|_| is_sticky) {
            Some(Counts { canary, stable }) => newest.see(canary.trials, stable.trials, decay),
            None => newest.see(
                stratum.canary.cell.assigned,
                stratum.stable.cell.assigned,
                decay,
            ),
        }
    }

    /// The stage under way and the canary's realised share of it; `None`: it has everything.
    fn coin(&self) -> Option<(Stage, Option<f64>)> {
        let newest = self.stages.newest()?;
        let share = newest.realised(self.criteria.is_sticky);
        Some((newest.stage, (!newest.is_full()).then_some(share)))
    }

    fn refit_if_due(&mut self, now: Moment) {
        let Some(coin) = self.coin() else { return };
        if !self.whole.refit_if_due(now, coin) {
            return;
        }
        if let Some(share) = coin.1.filter(|_| self.criteria.tempers_latency) {
            let clumps = self
                .whole
                .latency
                .clumps(self.clumps * share / (1.0 - share));
            self.whole.latency.disperse(clumps);
        }
        for guard in &mut self.guards {
            let Some(share) = coin.1 else {
                guard.rest();
                continue;
            };
            match guard.watched {
                Watched::Errors => {
                    let rate = self.whole.errors.guess().rate();
                    guard.refit(share, rate, rate.min(0.95));
                }
                Watched::Latency(test, mark) => {
                    let latency = &self.whole.latency;
                    let guesses = latency.guess(test).zip(latency.guess(mark));
                    let known = guesses.filter(|_| latency.is_settled());
                    if let Some((stable, beyond)) = known {
                        guard.refit(share, stable.rate(), beyond.plain().max(1e-5));
                    }
                }
            }
        }
    }

    /// Begins the slow tests if it is time; true while they rest again.
    fn warm_up(&mut self, now: Moment) -> bool {
        let warm_up = self.criteria.warm_up;
        let since = self.weighed.first_canary();
        self.is_warm |= warm_up.is_zero() || since.is_some_and(|first| now.since(first) > warm_up);
        if self.is_warm {
            self.whole.start();
        }
        self.is_resting(now)
    }

    fn is_resting(&self, now: Moment) -> bool {
        let is_new = |at: Moment| now.since(at) <= self.criteria.warm_up;
        !self.criteria.warm_up.is_zero() && self.renewed.is_some_and(is_new)
    }

    fn absorb_guards(&mut self, counted: &[Counted]) {
        for guard in &mut self.guards {
            for at in counted {
                match (guard.watched, &at.latency) {
                    (Watched::Errors, _) => {
                        let divisor = self.criteria.dispersion.max(1.0);
                        guard.absorb(at.slot, at.errors.units, divisor);
                    }
                    (Watched::Latency(test, mark), Some(latency)) => {
                        let pair = latency.get(mark).zip(latency.get(test));
                        let Some((canary, stable)) = pair else {
                            continue;
                        };
                        let counts = Counts {
                            canary: canary.canary,
                            stable: stable.stable,
                        };
                        guard.absorb(at.slot, counts, self.whole.latency.divisor(test));
                    }
                    (Watched::Latency(..), None) => {}
                }
            }
        }
    }

    fn conclude(&mut self, at: Moment) {
        let failure = self.accuse(at);
        let is_worse = self.whole.errors.worse() >= 1.0 / self.criteria.alpha_warn;
        self.weighed.settle(failure, is_worse);
    }
}
