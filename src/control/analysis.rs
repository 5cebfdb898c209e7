//! One rollout before the judge: samples in, a judgement out.

use std::collections::BTreeMap;

use crate::{
    judge::{Arm, Baseline, Criteria, Evidence, Judgement, Stratum, Tick, judge},
    measure::{Cell, Latencies},
    model::{Moment, Role, Share, Stage},
};

/// What became known since the last look, by stage of assignment: the share then, stable, canary.
#[derive(Debug, Default)]
struct Pending {
    share: Share,
    stable: Cell,
    canary: Cell,
}

/// Ages of attempts under way: stable's and the canary's, by stage.
pub(super) type InFlight = BTreeMap<Stage, [Latencies; 2]>;

/// The evidence of one rollout and what is not yet weighed.
#[derive(Debug)]
pub(super) struct Analysis {
    criteria: Criteria,
    evidence: Evidence,
    looked: Moment,
    pending: BTreeMap<Stage, Pending>,
}

impl Analysis {
    /// Nothing seen yet.
    pub(super) fn new(criteria: Criteria, baseline: &Baseline, now: Moment) -> Self {
        let evidence = Evidence::new(&criteria, baseline, now);
        Self {
            criteria,
            evidence,
            looked: now,
            pending: BTreeMap::new(),
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
        self.evidence.begin_stage(stage, share, baseline, now);
    }

    /// Tells how many endpoints share each version's requests.
    pub(super) fn tell_endpoints(&mut self, canary: usize, stable: usize) {
        self.evidence.tell_endpoints(canary, stable);
    }

    /// Takes what a worker has counted for one version in one stage.
    pub(super) fn add(&mut self, stage: Stage, share: Share, role: Role, cell: &Cell) {
        let pending = self.pending.entry(stage).or_default();
        pending.share = share;
        match role {
            Role::Stable => pending.stable.merge(cell),
            Role::Canary => pending.canary.merge(cell),
        }
    }

    /// Weighs what has become known, and judges.
    pub(super) fn look(
        &mut self,
        in_flight: &InFlight,
        shares: &[(Stage, Share)],
        now: Moment,
    ) -> Judgement {
        // A stage with nothing but attempts under way is looked at, too: a hung canary is silent.
        for (stage, share) in shares {
            if in_flight.contains_key(stage) {
                self.pending.entry(*stage).or_default().share = *share;
            }
        }
        let pending = std::mem::take(&mut self.pending);
        let strata: Vec<Stratum<'_>> = pending
            .iter()
            .map(|(stage, counted)| {
                let [stable, canary] = match in_flight.get(stage) {
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
            })
            .collect();
        self.evidence.absorb(&Tick {
            from: self.looked,
            to: now,
            strata: &strata,
        });
        self.looked = now;
        judge(&self.evidence, &self.criteria)
    }
}
