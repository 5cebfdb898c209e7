//! The last good endpoints of every upstream, and what to believe of a new answer (I8).
//!
//! An error or an empty answer never removes working endpoints. An answer that has lost more than
//! half of them at once is suspicious: it is kept out until the source insists.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::wellbeing::Wellbeing;
use crate::{
    config::{Config, Source},
    discover::{Checked, Discovered},
    model::{Endpoint, Moment, UpstreamName},
};

/// A new answer with less than this part of the usable endpoints is suspicious.
const BELIEVED_PART_MIN: usize = 2;
/// How many suspicious answers in a row are believed...
const INSISTS_ANSWERS: u32 = 3;
/// ...or after how long without another answer.
const INSISTS_AFTER: Duration = Duration::from_secs(30);

/// What became of an answer: the `result` label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// New endpoints are in force.
    Believed,
    /// They are the ones in force.
    Unchanged,
    /// The source did not answer.
    Error,
    /// The last good ones stay in force.
    Suspicious,
}

impl Belief {
    /// The label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Believed => "ok",
            Self::Unchanged => "unchanged",
            Self::Error => "error",
            Self::Suspicious => "suspicious",
        }
    }
}

/// What is known of one upstream.
#[derive(Debug, Clone)]
pub(super) struct Known {
    source: Source,
    /// When the source last answered well.
    pub(super) answered: Option<Moment>,
    /// What is wrong, in words.
    pub(super) problem: Option<Arc<str>>,
    pending: Option<Pending>,
    /// The source has said something, be it that it knows nothing.
    is_heard: bool,
    /// The source is new: its first answer is what a person wants.
    is_fresh: bool,
    /// What is known of its endpoints' health.
    pub(super) health: Wellbeing,
}

#[derive(Debug, Clone)]
struct Pending {
    endpoints: Arc<[Endpoint]>,
    since: Moment,
    answers: u32,
}

/// Of every upstream in the file.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    /// In force, for the compiler of plans: what sources said last, with the word of checks.
    pub(super) good: HashMap<UpstreamName, Arc<[Endpoint]>>,
    /// What sources said last that is believed.
    said: HashMap<UpstreamName, Arc<[Endpoint]>>,
    known: HashMap<UpstreamName, Known>,
}

impl Endpoints {
    /// After a reload: gone upstreams are forgotten; what has another source begins anew, and its
    /// old endpoints serve until the new source has answered.
    pub(super) fn configure(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.known);
        for upstream in &config.upstreams {
            let kept = before.remove(&upstream.name);
            let kept = kept.filter(|known| known.source == upstream.source);
            let mut known = kept.unwrap_or_else(|| Known {
                source: upstream.source.clone(),
                answered: None,
                problem: None,
                pending: None,
                is_heard: false,
                is_fresh: true,
                health: Wellbeing::default(),
            });
            known.health.configure(upstream, &config.splits);
            self.known.insert(upstream.name.clone(), known);
        }
        self.good.retain(|name, _| self.known.contains_key(name));
        self.said.retain(|name, _| self.known.contains_key(name));
        for upstream in &config.upstreams {
            self.settle(&upstream.name);
        }
    }

    /// The word of checks on an endpoint has changed; `true`: so have the endpoints in force.
    pub(super) fn checked(&mut self, checked: &Checked) -> bool {
        let Some(known) = self.known.get_mut(&checked.upstream) else {
            return false;
        };
        known.health.checked(checked);
        self.settle(&checked.upstream)
    }

    /// Puts the word of checks over what the source said; `true`: that changes something.
    fn settle(&mut self, upstream: &UpstreamName) -> bool {
        let (Some(said), Some(known)) = (self.said.get(upstream), self.known.get_mut(upstream))
        else {
            return false;
        };
        let judged = known.health.judge(said);
        let old = self.good.get(upstream);
        let is_new = old.is_none_or(|old| **old != *judged);
        if is_new {
            self.good.insert(upstream.clone(), judged);
        }
        is_new
    }

    /// What sources said last of an upstream, whatever checks say.
    pub(super) fn said(&self, upstream: &UpstreamName) -> &[Endpoint] {
        self.said.get(upstream).map_or(&[], |list| list)
    }

    /// What is known of one upstream.
    pub(super) fn get(&self, upstream: &UpstreamName) -> Option<&Known> {
        self.known.get(upstream)
    }

    /// The endpoints of an upstream that are in force.
    pub(super) fn in_force(&self, upstream: &UpstreamName) -> &[Endpoint] {
        self.good.get(upstream).map_or(&[], |list| list)
    }

    /// Endpoints that may be chosen, and all.
    pub(super) fn counts(&self, upstream: &UpstreamName) -> (usize, usize) {
        let Some(endpoints) = self.good.get(upstream) else {
            return (0, 0);
        };
        (usable(endpoints), endpoints.len())
    }

    /// Whether the upstream has endpoints, or its source has answered once.
    pub(super) fn is_ready(&self, upstream: &UpstreamName) -> bool {
        let has_answered = self
            .known
            .get(upstream)
            .is_some_and(|known| known.answered.is_some());
        has_answered || self.counts(upstream).0 > 0
    }

    /// Whether the upstream has endpoints, or its source has said anything at all.
    pub(super) fn is_heard(&self, upstream: &UpstreamName) -> bool {
        let is_heard = self.known.get(upstream).is_some_and(|known| known.is_heard);
        is_heard || self.counts(upstream).0 > 0
    }

    /// A source has answered, or failed to. `None`: nobody asked for it any more.
    pub(super) fn discovered(&mut self, found: &Discovered) -> Option<Belief> {
        let known = self.known.get_mut(&found.upstream)?;
        known.is_heard = true;
        let endpoints = match &found.result {
            Ok(endpoints) => endpoints,
            Err(error) => {
                known.problem = Some(error.to_string().into());
                return Some(Belief::Error);
            }
        };
        known.answered = Some(found.as_of);
        let old = self.said.get(&found.upstream);
        if old.is_some_and(|old| old == endpoints) {
            known.settle();
            return Some(Belief::Unchanged);
        }
        if let Some(old) = old
            && let Some(doubt) = known.doubt(old, endpoints, found.as_of)
        {
            known.problem = Some(doubt.into());
            return Some(Belief::Suspicious);
        }
        known.settle();
        if endpoints.is_empty() {
            known.problem = Some("the source names no endpoint".into());
        }
        self.said
            .insert(found.upstream.clone(), Arc::clone(endpoints));
        self.settle(&found.upstream);
        Some(Belief::Believed)
    }

    /// Believes what a source has said for long enough without taking it back.
    pub(super) fn tick(&mut self, now: Moment) -> Vec<UpstreamName> {
        let mut believed = Vec::new();
        for (name, known) in &mut self.known {
            let is_due = |pending: &mut Pending| now.since(pending.since) >= INSISTS_AFTER;
            if let Some(pending) = known.pending.take_if(is_due) {
                known.settle();
                self.said.insert(name.clone(), pending.endpoints);
                believed.push(name.clone());
            }
        }
        for name in &believed {
            self.settle(name);
        }
        believed
    }
}

impl Known {
    fn settle(&mut self) {
        self.problem = None;
        self.pending = None;
        self.is_fresh = false;
    }

    /// Why an answer is kept out for now; `None`: it is believed.
    fn doubt(&mut self, old: &[Endpoint], new: &Arc<[Endpoint]>, now: Moment) -> Option<String> {
        let (had, has) = (usable(old), usable(new));
        if had == 0 {
            return None;
        }
        if new.is_empty() {
            // However often it is said: a source that has lost its data says so, too.
            self.pending = None;
            return Some(format!(
                "the source names no endpoint; the last {had} stay in force"
            ));
        }
        if self.is_fresh || has * BELIEVED_PART_MIN >= had {
            return None;
        }
        let pending = self.pending.take();
        let answers = pending.as_ref().map_or(0, |pending| pending.answers) + 1;
        let since = pending.map_or(now, |pending| pending.since);
        if answers >= INSISTS_ANSWERS || now.since(since) >= INSISTS_AFTER {
            return None;
        }
        self.pending = Some(Pending {
            endpoints: Arc::clone(new),
            since,
            answers,
        });
        Some(format!(
            "the source names {has} usable endpoints after {had}; the last good ones stay in \
             force unless it insists"
        ))
    }
}

fn usable(endpoints: &[Endpoint]) -> usize {
    endpoints
        .iter()
        .filter(|endpoint| endpoint.is_usable())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{discover::DiscoverError, rollout::fixture};

    fn of(count: u16) -> Arc<[Endpoint]> {
        (1..=count)
            .map(|port| Endpoint::new(([127, 0, 0, 1], port).into()))
            .collect()
    }

    fn said(second: u64, count: u16) -> Discovered {
        Discovered {
            upstream: fixture::upstream_name("v1"),
            as_of: Moment::from_millis(second * 1_000),
            result: Ok(of(count)),
        }
    }

    /// What becomes of answers at these seconds with so many endpoints, and how many serve then.
    #[track_caller]
    fn check(answers: &[(u64, u16)], expected: &[(&str, usize)]) {
        let config = fixture::config(1, vec![fixture::split("shop", "v1", None)]);
        let mut endpoints = Endpoints::default();
        endpoints.configure(&config);
        let name = fixture::upstream_name("v1");
        let found: Vec<_> = answers
            .iter()
            .map(|(second, count)| {
                let belief = endpoints.discovered(&said(*second, *count)).unwrap();
                (belief.as_str(), endpoints.counts(&name).0)
            })
            .collect();
        assert_eq!(found, expected, "{answers:?}");
    }

    #[test]
    fn an_empty_answer_is_never_believed() {
        check(
            &[(0, 4), (1, 0), (2, 0), (3, 0), (99, 0), (100, 4)],
            &[
                ("ok", 4),
                ("suspicious", 4),
                ("suspicious", 4),
                ("suspicious", 4),
                ("suspicious", 4),
                ("unchanged", 4),
            ],
        );
    }

    #[test]
    fn a_shrunken_answer_is_believed_when_the_source_insists() {
        check(&[(0, 4), (1, 2)], &[("ok", 4), ("ok", 2)]);
        check(
            &[(0, 4), (1, 1), (2, 1), (3, 1)],
            &[("ok", 4), ("suspicious", 4), ("suspicious", 4), ("ok", 1)],
        );
        check(
            &[(0, 4), (1, 1), (31, 1)],
            &[("ok", 4), ("suspicious", 4), ("ok", 1)],
        );
        check(
            &[(0, 4), (1, 1), (2, 4), (3, 1)],
            &[
                ("ok", 4),
                ("suspicious", 4),
                ("unchanged", 4),
                ("suspicious", 4),
            ],
        );
    }

    #[test]
    fn silence_after_a_shrunken_answer_is_insistence() {
        let config = fixture::config(1, vec![fixture::split("shop", "v1", None)]);
        let mut endpoints = Endpoints::default();
        endpoints.configure(&config);
        for (second, count) in [(0, 4), (1, 1)] {
            endpoints.discovered(&said(second, count));
        }
        assert_eq!(endpoints.tick(Moment::from_millis(30_000)), []);
        let name = fixture::upstream_name("v1");
        assert_eq!(
            endpoints.tick(Moment::from_millis(31_000)),
            std::slice::from_ref(&name)
        );
        assert_eq!(endpoints.counts(&name), (1, 1));
    }

    #[test]
    fn an_error_keeps_the_last_good_ones_and_says_so() {
        let config = fixture::config(1, vec![fixture::split("shop", "v1", None)]);
        let mut endpoints = Endpoints::default();
        endpoints.configure(&config);
        let name = fixture::upstream_name("v1");
        assert!(!endpoints.is_ready(&name));
        endpoints.discovered(&said(0, 4));
        assert!(endpoints.is_ready(&name));
        let error = DiscoverError::Unreachable("no answer".to_owned());
        let failed = Discovered {
            result: Err(error),
            ..said(1, 0)
        };
        assert_eq!(endpoints.discovered(&failed), Some(Belief::Error));
        assert_eq!(endpoints.counts(&name), (4, 4));
        assert_eq!(
            endpoints.get(&name).unwrap().problem.as_deref(),
            Some("no answer")
        );
    }
}
