//! One rollout before the judge: samples in, a judgement out.
//!
//! All requests together are looked at with every sample; the routes by themselves each quarter of
//! a second, which keeps hundreds of them cheap.

use std::{collections::BTreeMap, time::Duration};

use super::recording::Recording;
use crate::{
    judge::{Arm, Baseline, Criteria, Evidence, Judgement, Stratum, Tick, judge},
    measure::{Cell, Latencies},
    model::{Moment, Role, RouteId, RouteName, Share, Stage},
    record::Frame,
};

/// The shortest time between two looks at the routes.
const ROUTES_EVERY: Duration = Duration::from_millis(250);

/// Ages of attempts under way: stable's and the canary's, by stage.
type Ages = BTreeMap<Stage, [Latencies; 2]>;

/// Ages of attempts under way, of all together and by route.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    whole: Ages,
    routes: BTreeMap<(Stage, RouteId), [Latencies; 2]>,
}

impl InFlight {
    /// Adds what one worker has under way.
    pub(super) fn add(&mut self, (stage, route): (Stage, RouteId), role: Role, ages: &Latencies) {
        let of = |arms: &mut [Latencies; 2]| {
            let [stable, canary] = arms;
            match role {
                Role::Stable => stable.merge(ages),
                Role::Canary => canary.merge(ages),
            }
        };
        of(self.whole.entry(stage).or_default());
        of(self.routes.entry((stage, route)).or_default());
    }
}

/// A stage that outcomes may still belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) stage: Stage,
    /// The canary's share in it.
    pub(super) share: Share,
    /// The split's routes in it.
    pub(super) routes: &'a [RouteName],
}

/// What became known in one stage of assignment: the share then, stable, canary.
#[derive(Debug, Default)]
struct Pending {
    share: Share,
    stable: Cell,
    canary: Cell,
}

/// What became known since the last look.
#[derive(Debug, Default)]
struct Pile(BTreeMap<Stage, Pending>);

impl Pile {
    fn add(&mut self, (stage, share): (Stage, Share), role: Role, cell: &Cell) {
        let pending = self.0.entry(stage).or_default();
        pending.share = share;
        match role {
            Role::Stable => pending.stable.merge(cell),
            Role::Canary => pending.canary.merge(cell),
        }
    }

    /// A stage with nothing but attempts under way is looked at, too: a hung canary is silent.
    fn await_flights(&mut self, ages: &Ages, stages: &[Known<'_>]) {
        for known in stages.iter().filter(|at| ages.contains_key(&at.stage)) {
            self.0.entry(known.stage).or_default().share = known.share;
        }
    }

    fn strata<'a>(&'a self, ages: &'a Ages) -> Vec<Stratum<'a>> {
        let stratum = |(stage, counted): (&Stage, &'a Pending)| {
            let [stable, canary] = match ages.get(stage) {
                Some([stable, canary]) => [Some(stable), Some(canary)],
                None => [None, None],
            };
            Stratum {
                stage: *stage,
                share: counted.share,
                stable: Arm {
                    cell: &counted.stable,
                    in_flight: stable,
                },
                canary: Arm {
                    cell: &counted.canary,
                    in_flight: canary,
                },
            }
        };
        self.0.iter().map(stratum).collect()
    }
}

/// The evidence of one rollout and what is not yet weighed.
#[derive(Debug)]
pub(super) struct Analysis {
    criteria: Criteria,
    evidence: Evidence,
    /// Hears all that the evidence is told.
    recording: Recording,
    looked: Moment,
    whole: Pile,
    routes: Routes,
}

/// The routes that are judged by themselves.
#[derive(Debug)]
struct Routes {
    looked: Moment,
    names: Vec<RouteName>,
    piles: Vec<Pile>,
}

impl Routes {
    /// The place of a route, which the split has at `at` now.
    fn place(&self, at: RouteId, name: &RouteName) -> Option<usize> {
        let is_there = self.names.get(at.index()) == Some(name);
        let search = || self.names.iter().position(|known| known == name);
        is_there.then(|| at.index()).or_else(search)
    }
}

/// Where a cell belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The stage of assignment, and the canary's share in it.
    pub(super) stage: (Stage, Share),
    /// The version's part.
    pub(super) role: Role,
    /// The route's place in the split then, and its name.
    pub(super) route: Option<(RouteId, &'a RouteName)>,
}

impl Analysis {
    /// Nothing seen yet.
    pub(super) fn new(
        criteria: Criteria,
        baseline: &Baseline,
        recording: Recording,
        now: Moment,
    ) -> Self {
        let evidence = Evidence::new(&criteria, baseline, now);
        let names = baseline.routes.iter().map(|route| route.name.clone());
        let names: Vec<_> = names.take(evidence.routes()).collect();
        Self {
            criteria,
            evidence,
            recording,
            looked: now,
            whole: Pile::default(),
            routes: Routes {
                looked: now,
                piles: names.iter().map(|_| Pile::default()).collect(),
                names,
            },
        }
    }

    /// The numbers that are judged by.
    pub(super) const fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    /// A stage begins. What came before it is weighed first.
    pub(super) fn begin_stage(
        &mut self,
        stage: Stage,
        share: Share,
        baseline: &Baseline,
        now: Moment,
    ) {
        self.recording.begin_stage(stage, share, baseline, now);
        self.evidence.begin_stage(stage, share, baseline, now);
    }

    /// Tells how many endpoints share each version's requests.
    pub(super) fn tell_endpoints(&mut self, canary: usize, stable: usize) {
        self.recording.tell_endpoints(canary, stable);
        self.evidence.tell_endpoints(canary, stable);
    }

    /// The evidence of errors is divided by this from now on.
    pub(super) fn disperse(&mut self, divisor: f64) {
        self.recording.tell(&Frame::Dispersion(divisor));
        self.evidence.disperse(divisor);
    }

    /// A batch of new endpoints has come: slow tests rest.
    pub(super) fn new_endpoints(&mut self, now: Moment) {
        self.recording.tell(&Frame::Fresh(now));
        self.evidence.new_endpoints(now);
    }

    /// Takes what a worker has counted for one version, in one stage, on one route.
    pub(super) fn add(&mut self, place: Place<'_>, cell: &Cell) {
        self.whole.add(place.stage, place.role, cell);
        let route = place
            .route
            .and_then(|(at, name)| self.routes.place(at, name));
        if let Some(pile) = route.and_then(|at| self.routes.piles.get_mut(at)) {
            pile.add(place.stage, place.role, cell);
        }
    }

    /// Weighs what has become known, and judges.
    pub(super) fn look(
        &mut self,
        in_flight: &InFlight,
        stages: &[Known<'_>],
        now: Moment,
    ) -> Judgement {
        let mut whole = std::mem::take(&mut self.whole);
        whole.await_flights(&in_flight.whole, stages);
        let tick = Tick {
            from: self.looked,
            to: now,
            strata: &whole.strata(&in_flight.whole),
        };
        self.recording.absorb(None, &tick);
        let is_known = self.evidence.failure().is_some();
        self.evidence.absorb(&tick);
        self.looked = now;
        // A failure may be that of one route: what the routes have until now is needed at once.
        let is_found = !is_known && self.evidence.failure().is_some();
        if is_found || now.since(self.routes.looked) >= ROUTES_EVERY {
            self.look_at_routes(in_flight, stages, now);
        }
        let judgement = judge(&self.evidence, &self.criteria);
        self.recording.judged(&judgement, now);
        judgement
    }

    fn look_at_routes(&mut self, in_flight: &InFlight, stages: &[Known<'_>], now: Moment) {
        let mut flights: Vec<Ages> = self.routes.piles.iter().map(|_| Ages::new()).collect();
        for ((stage, route), ages) in &in_flight.routes {
            let known = stages.iter().find(|at| at.stage == *stage);
            let name = known.and_then(|at| at.routes.get(route.index()));
            let place = name.and_then(|name| self.routes.place(*route, name));
            if let Some(flights) = place.and_then(|place| flights.get_mut(place)) {
                flights.insert(*stage, ages.clone());
            }
        }
        let piles = self.routes.piles.iter_mut().zip(&flights);
        for (route, (pile, ages)) in piles.enumerate() {
            let mut pile = std::mem::take(pile);
            pile.await_flights(ages, stages);
            let tick = Tick {
                from: self.routes.looked,
                to: now,
                strata: &pile.strata(ages),
            };
            self.recording.absorb(Some(route), &tick);
            self.evidence.absorb_route(route, &tick);
        }
        self.routes.looked = now;
    }
}
