//! What each endpoint of a split's versions has answered, which of them are new, and how clumped
//! stable's failures are.
//!
//! The judge weighs versions. Endpoints matter in three ways: failures of one endpoint share a
//! fate, so evidence is divided by how clumped stable's are; a cold endpoint is slow for reasons
//! that say nothing of its version; and one bad endpoint is not a bad version.

use std::{net::SocketAddr, time::Duration};

use rustc_hash::FxHashMap;

use crate::{
    judge::{Dispersion, Judgement, Margin, Suspect, Trials, Verdict, is_excused, suspect},
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
/// With fewer endpoints a version has no good ones that a bad one could be told from.
const EXCUSING_MIN: usize = 3;
/// At most one endpoint in so many is out while the others are judged, and one in any case.
const OUT_PART: usize = 3;
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

/// Why a canary that the judge calls bad goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excuse {
    /// The endpoints that are to get no requests.
    pub(super) out: Vec<SocketAddr>,
    /// In words.
    pub(super) why: String,
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

    /// Why the canary is not rolled back all the same: what it has against it was done by the
    /// suspect and by endpoints that were ejected or are gone, and the others are as good as
    /// stable. Too many that are out are the version's fault.
    pub(super) fn excuse(
        &self,
        judgement: &Judgement,
        margin: Margin,
        is_ejected: impl Fn(EndpointKey) -> bool,
    ) -> Option<Excuse> {
        let is_slow = judgement.cause.contains("latency");
        let stable = self.stable.sum(|known| known.total);
        let slow = is_slow.then(|| slow_from(&stable));
        let suspect = judgement.suspect.as_ref().map(|suspect| suspect.address);
        let (mut counts_out, mut counts_others) = (Trials::default(), Trials::default());
        let (mut out, mut gone, mut others) = (Vec::new(), 0, 0);
        for (key, known) in &self.canary.0 {
            let counts = trials(&known.total, slow);
            let is_bad = is_ejected(*key) || suspect == Some(known.address);
            match (known.is_gone, is_bad) {
                (true, _) if counts.hits > 0 => gone += 1,
                (true, _) => {}
                (false, true) => out.push(known.address),
                (false, false) => others += 1,
            }
            if is_bad || (known.is_gone && counts.hits > 0) {
                counts_out.add(counts);
            } else {
                counts_others.add(counts);
            }
        }
        let count = out.len() + gone;
        let all = count + others;
        let is_few = count > 0 && all >= EXCUSING_MIN && count <= (all / OUT_PART).max(1);
        if !is_few || !is_excused(counts_out, counts_others, trials(&stable, slow), margin) {
            return None;
        }
        out.sort_unstable();
        let names: Vec<String> = out.iter().map(ToString::to_string).collect();
        let names = match (names.as_slice(), gone) {
            ([], _) => format!("{gone} that are gone"),
            (names, 0) => names.join(", "),
            (names, _) => format!("{} and {gone} that are gone", names.join(", ")),
        };
        let what = if is_slow { "slow requests" } else { "failures" };
        let why = format!(
            "{count} of {all} endpoints ({names}) had {} of the canary's {} {what}; the others are \
             as good as stable and are judged anew without them. {}",
            counts_out.hits,
            counts_out.hits + counts_others.hits,
            judgement.why
        );
        Some(Excuse { out, why })
    }

    /// The suspect, and of how many endpoints with requests it is one.
    fn suspect(&self, chosen: Chosen, is_slow: bool, margin: Margin) -> Option<(Suspect, usize)> {
        let stable = self.stable.sum(chosen);
        let slow = is_slow.then(|| slow_from(&stable));
        let canary = self.canary.0.values();
        let canary = canary.map(|known| (known.address, trials(&chosen(known), slow)));
        let canary: Vec<_> = canary.filter(|(_, counts)| counts.trials > 0).collect();
        let found = suspect(&canary, trials(&stable, slow), margin)?;
        Some((found, canary.len()))
    }
}

/// Requests, and how many of them failed; or were as slow as that bucket, if there is one.
fn trials(counts: &EndpointCounts, slow: Option<usize>) -> Trials {
    let hits = slow.map_or(counts.failures, |bucket| counts.slower(bucket));
    Trials::new(counts.trials, hits)
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
mod tests;
