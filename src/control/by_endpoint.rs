//! What each endpoint of a split's versions has answered, which of them are new, and how clumped
//! stable's failures are.
//!
//! The judge weighs versions. Endpoints matter in three ways: failures of one endpoint share a
//! fate, so evidence is divided by how clumped stable's are; a cold endpoint is slow for reasons
//! that say nothing of its version; and one bad endpoint is not a bad version.

use std::{net::SocketAddr, time::Duration};

use rustc_hash::FxHashMap;

use crate::{
    judge::{Dispersion, Judgement, Margin, Suspect, Trials, Verdict, suspect},
    measure::{EndpointCounts, LATENCY_BUCKETS},
    model::{EndpointKey, Generation, Moment, Role},
    plan::Target,
};

/// How many endpoints of one version are known.
const ENDPOINTS_MAX: usize = 4_096;
/// How long counts of failures are gathered before endpoints are compared.
const SECOND: Duration = Duration::from_secs(1);
/// How long recent counts are gathered before they become those before.
const RECENT: Duration = Duration::from_secs(30);
/// One endpoint in so many of a version is a batch.
const BATCH_PART: usize = 10;
/// Clumps above this are told, and told again only after they were below the other.
const TOLD_ABOVE: f64 = 3.0;
const UNTOLD_BELOW: f64 = 2.0;
/// From this part of a rollback's evidence on a suspect is looked for.
const SUSPICION: f64 = 0.1;
/// At most this part of stable's requests is in the buckets that count as slow.
const SLOW_PART: u64 = 20;

/// The endpoints of one split's two versions.
#[derive(Debug, Default)]
pub(super) struct ByEndpoint {
    stable: Arm,
    canary: Arm,
    met: Option<Generation>,
    second: Moment,
    recent: Moment,
    rested: Option<Moment>,
    dispersion: Dispersion,
    is_told: bool,
}

/// The endpoints of one version.
#[derive(Debug, Default)]
struct Arm(FxHashMap<EndpointKey, Known>);

/// One endpoint in a trial.
#[derive(Debug)]
struct Known {
    address: SocketAddr,
    /// When it came; `None`: it was there when the trial began.
    came: Option<Moment>,
    is_gone: bool,
    /// Requests and failures of the second under way.
    second: (u64, u64),
    recent: EndpointCounts,
    before: EndpointCounts,
    total: EndpointCounts,
}

/// Which of an endpoint's counts.
type Chosen = fn(&Known) -> EndpointCounts;

impl ByEndpoint {
    /// Another trial begins; what is known of clumps stays.
    pub(super) fn begin_trial(&mut self) {
        (self.stable, self.canary) = (Arm::default(), Arm::default());
        (self.met, self.rested) = (None, None);
    }

    /// Takes the endpoints of a plan, stable's and the canary's; true if so many are new that slow
    /// tests should rest for `warm_up`. Not too often, or churn would blind the judge for ever.
    pub(super) fn meet(
        &mut self,
        generation: Generation,
        targets: [&[Target]; 2],
        warm_up: Duration,
        now: Moment,
    ) -> bool {
        let before = self.met.replace(generation);
        if before == Some(generation) {
            return false;
        }
        let came = before.map(|_| now);
        let [stable, canary] = targets;
        self.stable.meet(stable, came);
        self.canary.meet(canary, came);
        let may_rest = self
            .rested
            .is_none_or(|rested| now.since(rested) >= 2 * warm_up);
        let has_batch = [&self.stable, &self.canary]
            .iter()
            .any(|arm| arm.has_batch(self.rested, warm_up, now));
        if may_rest && has_batch {
            self.rested = Some(now);
            return true;
        }
        false
    }

    /// The plan whose endpoints are known.
    #[cfg(test)]
    pub(super) const fn met(&self) -> Option<Generation> {
        self.met
    }

    /// Counts what a worker hands over.
    pub(super) fn count(&mut self, role: Role, endpoint: EndpointKey, counts: &EndpointCounts) {
        let arm = match role {
            Role::Stable => &mut self.stable,
            Role::Canary => &mut self.canary,
        };
        // An endpoint of another trial's version is not known.
        if let Some(known) = arm.0.get_mut(&endpoint) {
            known.second.0 += counts.trials;
            known.second.1 += counts.failures;
            known.recent.merge(counts);
            known.total.merge(counts);
        }
    }

    /// Time has passed. Says in words, once, that stable's failures are clumped.
    pub(super) fn pass(&mut self, now: Moment) -> Option<String> {
        if now.since(self.recent) >= RECENT {
            self.recent = now;
            for known in self.stable.0.values_mut().chain(self.canary.0.values_mut()) {
                known.before = std::mem::take(&mut known.recent);
            }
        }
        let elapsed = now.since(self.second);
        if elapsed < SECOND {
            return None;
        }
        self.second = now;
        let of_second = |known: &mut Known| std::mem::take(&mut known.second);
        let counts: Vec<_> = self.stable.0.values_mut().map(of_second).collect();
        self.dispersion.fade(elapsed);
        self.dispersion.absorb(&counts);
        self.tell()
    }

    fn tell(&mut self) -> Option<String> {
        let index = self.dispersion.index()?;
        if index < UNTOLD_BELOW {
            self.is_told = false;
        }
        if self.is_told || index <= TOLD_ABOVE {
            return None;
        }
        self.is_told = true;
        Some(format!(
            "failures of single stable endpoints come in clumps of about {index:.0}: the judge is \
             slower by that"
        ))
    }

    /// How clumped stable's failures are; `None` while too little is known.
    pub(super) fn index(&self) -> Option<f64> {
        self.dispersion.index()
    }

    /// By what the evidence of errors is to be divided.
    pub(super) fn divisor(&self) -> f64 {
        self.dispersion.divisor()
    }

    /// Names the one endpoint that makes the canary look bad, if there is one. What has broken
    /// lately is looked for first: long healthy times would hide it.
    pub(super) fn name_suspect(&self, judgement: &mut Judgement, margin: Margin) {
        let is_close = judgement.verdict == Verdict::Fail
            || judgement.evidence >= SUSPICION * judgement.threshold;
        if !is_close {
            return;
        }
        let is_slow = judgement.cause.contains("latency");
        let chosen: [Chosen; 2] = [Known::lately, |known| known.total];
        let mut found = chosen.iter();
        let found = found.find_map(|chosen| self.suspect(*chosen, is_slow, margin));
        let Some((suspect, count)) = found else {
            return;
        };
        let all = suspect.counts.0 + suspect.others.0;
        let what = if is_slow { "slow requests" } else { "failures" };
        let words = format!(
            "; one endpoint of {count}, {}, has {} of its {all} {what}: the others are as good as \
             stable",
            suspect.address, suspect.counts.0
        );
        judgement.why.push_str(&words);
        judgement.suspect = Some(suspect);
    }

    /// The suspect, and of how many endpoints with requests it is one.
    fn suspect(&self, chosen: Chosen, is_slow: bool, margin: Margin) -> Option<(Suspect, usize)> {
        let stable = self.stable.sum(chosen);
        let slow = is_slow.then(|| slow_from(&stable));
        let trials = |counts: &EndpointCounts| {
            let hits = slow.map_or(counts.failures, |bucket| counts.slower(bucket));
            Trials::new(counts.trials, hits)
        };
        let canary = self.canary.0.values();
        let canary = canary.map(|known| (known.address, trials(&chosen(known))));
        let canary: Vec<_> = canary.filter(|(_, counts)| counts.trials > 0).collect();
        let found = suspect(&canary, trials(&stable), margin)?;
        Some((found, canary.len()))
    }
}

/// The first bucket of latency from which on requests count as slow.
fn slow_from(stable: &EndpointCounts) -> usize {
    let is_rare = |bucket: &usize| stable.slower(*bucket) * SLOW_PART <= stable.trials;
    (0..LATENCY_BUCKETS)
        .find(is_rare)
        .unwrap_or(LATENCY_BUCKETS)
}

impl Known {
    fn lately(&self) -> EndpointCounts {
        let mut counts = self.before;
        counts.merge(&self.recent);
        counts
    }
}

impl Arm {
    fn meet(&mut self, targets: &[Target], came: Option<Moment>) {
        for known in self.0.values_mut() {
            known.is_gone = true;
        }
        let mut fresh = Vec::new();
        for target in targets {
            match self.0.get_mut(&target.key) {
                Some(known) => known.is_gone = false,
                None => fresh.push(target),
            }
        }
        // Once, however many are over the bound: it looks at all of them.
        if self.0.len() + fresh.len() > ENDPOINTS_MAX {
            self.0.retain(|_, known| !known.is_gone);
        }
        for target in fresh {
            if self.0.len() < ENDPOINTS_MAX {
                self.0.insert(target.key, Known::new(target.address, came));
            }
        }
    }

    /// Whether the endpoints that came within the warm-up, and since slow tests last began to
    /// rest, are a batch.
    fn has_batch(&self, rested: Option<Moment>, warm_up: Duration, now: Moment) -> bool {
        let is_fresh = |known: &&Known| {
            known.came.is_some_and(|came| {
                now.since(came) < warm_up && rested.is_none_or(|rested| came > rested)
            })
        };
        let present = || self.0.values().filter(|known| !known.is_gone);
        let fresh = present().filter(is_fresh).count();
        fresh > 0 && fresh * BATCH_PART >= present().count()
    }

    fn sum(&self, chosen: Chosen) -> EndpointCounts {
        let mut sum = EndpointCounts::default();
        self.0.values().for_each(|known| sum.merge(&chosen(known)));
        sum
    }
}

impl Known {
    fn new(address: SocketAddr, came: Option<Moment>) -> Self {
        Self {
            address,
            came,
            is_gone: false,
            second: (0, 0),
            recent: EndpointCounts::default(),
            before: EndpointCounts::default(),
            total: EndpointCounts::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARM_UP: Duration = Duration::from_secs(30);

    /// Endpoints of the canary from time to time: which second, how many old ones and new ones are
    /// there then, and whether slow tests rest.
    #[track_caller]
    fn check(plans: &[(u64, std::ops::Range<u32>, bool)]) {
        let mut by_endpoint = ByEndpoint::default();
        let address = ([10, 0, 0, 1], 80).into();
        for ((second, endpoints, expected), generation) in plans.iter().zip(1..) {
            let target = |key| Target::new(EndpointKey(key), address, 1);
            let targets = Target::list(endpoints.clone().map(target));
            let now = Moment::from_millis(second * 1_000);
            let generation = Generation(generation);
            let mut meet = || by_endpoint.meet(generation, [&[], &targets], WARM_UP, now);
            assert_eq!(meet(), *expected, "second {second} of {plans:?}");
            assert!(!meet(), "the same plan brings nothing");
        }
    }

    #[test]
    fn a_batch_of_new_endpoints_lets_slow_tests_rest() {
        check(&[(0, 0..20, false), (9, 0..23, true)]);
        check(&[(0, 0..20, false), (9, 0..40, true), (20, 0..60, false)]);
        check(&[(0, 0..0, false), (9, 0..4, true)]);
        check(&[(0, 0..20, false), (9, 0..10, false), (20, 0..20, false)]);
    }

    #[test]
    fn one_in_twenty_is_no_batch_but_two_within_the_warm_up_are() {
        check(&[(0, 0..20, false), (9, 0..21, false), (99, 0..22, false)]);
        check(&[(0, 0..18, false), (9, 0..19, false), (20, 0..20, true)]);
    }

    #[test]
    fn churn_cannot_blind_the_judge_for_ever() {
        let seconds = (0..600_u64).step_by(10);
        let mut by_endpoint = ByEndpoint::default();
        let mut rests = 0;
        for (second, number) in seconds.zip(0..) {
            let address = ([10, 0, 0, 1], 80).into();
            let targets = Target::list(
                (number..number + 4).map(|key| Target::new(EndpointKey(key), address, 1)),
            );
            let now = Moment::from_millis(second * 1_000);
            let generation = Generation(second);
            rests += u32::from(by_endpoint.meet(generation, [&[], &targets], WARM_UP, now));
        }
        assert_eq!(rests, 10, "every other 30 seconds of ten minutes");
    }

    #[test]
    fn counts_of_other_trials_endpoints_are_left_out_and_places_are_bounded() {
        let mut by_endpoint = ByEndpoint::default();
        let address = ([10, 0, 0, 1], 80).into();
        let list = |keys: std::ops::Range<u32>| {
            Target::list(keys.map(|key| Target::new(EndpointKey(key), address, 1)))
        };
        let mut counts = EndpointCounts::default();
        counts.record(true, Duration::ZERO);
        by_endpoint.meet(Generation(1), [&[], &list(0..5_000)], WARM_UP, Moment::ZERO);
        for key in [0, 4_999, 9_000] {
            by_endpoint.count(Role::Canary, EndpointKey(key), &counts);
        }
        assert_eq!(by_endpoint.canary.0.len(), ENDPOINTS_MAX);
        assert_eq!(by_endpoint.canary.sum(|known| known.total).failures, 1);
        by_endpoint.meet(
            Generation(2),
            [&[], &list(6_000..6_004)],
            WARM_UP,
            Moment::ZERO,
        );
        assert_eq!(by_endpoint.canary.0.len(), 4, "gone ones make room");
        by_endpoint.begin_trial();
        by_endpoint.count(Role::Canary, EndpointKey(6_000), &counts);
        assert_eq!(by_endpoint.canary.sum(|known| known.total).failures, 0);
    }
}
