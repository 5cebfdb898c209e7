//! Which endpoints are well: what the source says, with the word of checks over it.
//!
//! The word of a check wins. An endpoint that is new waits for its first good answer, unless
//! nothing else is there. And health itself is doubted: if so few endpoints are well that those
//! left could not carry it all, more likely than not it is the checks that fail (their network,
//! a dependency that all have in common), and health is not believed. That is the panic threshold;
//! endpoints that never were well do not count for it, so that a fleet may grow by any number.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

use crate::{
    config::{OnUnhealthy, Split, Upstream},
    discover::Checked,
    model::{Endpoint, Health, Share, number::long},
};

/// Of an endpoint that no check has an answer of.
const NOT_ASKED: &str = "no health check has passed yet";

/// Of the endpoints of one upstream.
#[derive(Debug, Clone, Default)]
pub(super) struct Wellbeing {
    /// Whether they are checked.
    is_checked: bool,
    /// If less than this part is well, health is not believed.
    panic_threshold: Share,
    /// Stable answers if none is well.
    has_fallback: bool,
    /// The word of checks, and the last answer if it was a bad one.
    words: HashMap<SocketAddr, (bool, Arc<str>)>,
    /// Those that were well once.
    proven: HashSet<SocketAddr>,
    /// Health is not believed now: of how many, how many are well.
    pub(super) panics: Option<(usize, usize)>,
}

impl Wellbeing {
    /// After a reload.
    pub(super) fn configure(&mut self, upstream: &Upstream, splits: &[Split]) {
        self.is_checked = upstream.health_check.is_some();
        self.panic_threshold = upstream.balance.panic_threshold;
        let name = &upstream.name;
        let is_stable = splits.iter().any(|split| split.stable == *name);
        let mut canaries = splits
            .iter()
            .filter(|split| split.canary.as_ref() == Some(name));
        let falls_back = |split: &Split| split.on_unhealthy != OnUnhealthy::Fail;
        self.has_fallback = !is_stable && canaries.all(falls_back);
        if !self.is_checked {
            self.words.clear();
        }
    }

    /// The word on one endpoint has changed.
    pub(super) fn checked(&mut self, checked: &Checked) {
        let word = (checked.is_healthy, checked.why.as_str().into());
        self.words.insert(checked.address, word);
    }

    /// Why an endpoint is not used; `None`: checks have nothing to do with it.
    pub(super) fn why(&self, address: SocketAddr) -> Option<Arc<str>> {
        match self.words.get(&address) {
            Some((is_healthy, why)) => (!is_healthy).then(|| Arc::clone(why)),
            None => self.is_checked.then(|| NOT_ASKED.into()),
        }
    }

    /// Endpoints as they are to be used.
    pub(super) fn judge(&mut self, said: &Arc<[Endpoint]>) -> Arc<[Endpoint]> {
        let mut judged: Vec<Endpoint> = said.to_vec();
        let present: HashSet<_> = judged.iter().map(|endpoint| endpoint.address).collect();
        self.words.retain(|address, _| present.contains(address));
        self.proven.retain(|address| present.contains(address));
        if self.is_checked {
            self.overrule(&mut judged);
        }
        let well = judged.iter().filter(|endpoint| endpoint.is_usable());
        self.proven.extend(well.map(|endpoint| endpoint.address));
        self.doubt(&mut judged);
        if *judged == **said {
            return Arc::clone(said);
        }
        judged.into()
    }

    fn overrule(&self, judged: &mut [Endpoint]) {
        let word = |endpoint: &Endpoint| self.words.get(&endpoint.address).map(|it| it.0);
        let is_well = |endpoint: &Endpoint| {
            let is_said = endpoint.health == Health::Healthy;
            !endpoint.draining && word(endpoint).unwrap_or(is_said)
        };
        let is_any_well = !self.proven.is_empty() || judged.iter().any(is_well);
        for endpoint in judged {
            endpoint.health = match (word(endpoint), endpoint.health) {
                (Some(true), _) => Health::Healthy,
                (Some(false), _) => Health::Unhealthy,
                (None, Health::Unknown) if is_any_well => Health::Unhealthy,
                (None, said) => said,
            };
        }
    }

    /// Health is not believed if it leaves too few.
    fn doubt(&mut self, judged: &mut [Endpoint]) {
        let counts = |endpoint: &&Endpoint| {
            let is_there = !endpoint.draining && endpoint.weight > 0;
            is_there && self.proven.contains(&endpoint.address)
        };
        let all = judged.iter().filter(counts).count();
        let well = judged
            .iter()
            .filter(counts)
            .filter(|one| one.is_usable())
            .count();
        let needed = long(all) * u64::from(self.panic_threshold.basis_points());
        let panics = long(well) * 10_000 < needed && !(well == 0 && self.has_fallback);
        self.panics = panics.then_some((well, all));
        if !panics {
            return;
        }
        for endpoint in judged {
            let is_ill = endpoint.health == Health::Unhealthy;
            if is_ill && self.proven.contains(&endpoint.address) {
                endpoint.health = Health::Unknown;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: char, health: Health) -> Endpoint {
        Endpoint {
            health,
            ..Endpoint::new(([10, 0, 0, 1], u16::try_from(u32::from(name)).unwrap()).into())
        }
    }

    /// What a source says: endpoints by letter, healthy (`+`), unhealthy (`-`) or unknown.
    fn said(text: &str) -> Arc<[Endpoint]> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        let one = |word: &str| {
            let health = match word.chars().nth(1) {
                Some('+') => Health::Healthy,
                Some('-') => Health::Unhealthy,
                _ => Health::Unknown,
            };
            endpoint(word.chars().next().unwrap(), health)
        };
        words.map(one).collect()
    }

    fn checked() -> Wellbeing {
        Wellbeing {
            is_checked: true,
            panic_threshold: Share::from_basis_points(5_000).unwrap(),
            ..Wellbeing::default()
        }
    }

    fn word(wellbeing: &mut Wellbeing, words: &str) {
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            wellbeing.checked(&Checked {
                upstream: crate::rollout::fixture::upstream_name("v1"),
                address: endpoint(word.chars().next().unwrap(), Health::Unknown).address,
                is_healthy: word.ends_with('+'),
                why: "it answers 503".to_owned(),
            });
        }
    }

    /// Which endpoints are used.
    fn used(wellbeing: &mut Wellbeing, list: &str) -> String {
        let judged = wellbeing.judge(&said(list));
        let used = judged.iter().filter(|endpoint| endpoint.is_usable());
        used.filter_map(|endpoint| char::from_u32(endpoint.address.port().into()))
            .collect()
    }

    #[test]
    fn the_word_of_a_check_wins() {
        let mut health = checked();
        word(&mut health, "a+ b- c+ d+");
        assert_eq!(used(&mut health, "a- b+ c d"), "acd");
        let address = endpoint('b', Health::Unknown).address;
        assert_eq!(health.why(address).as_deref(), Some("it answers 503"));
        word(&mut health, "b+");
        assert_eq!(used(&mut health, "a- b+ c d"), "abcd");
    }

    #[test]
    fn a_new_endpoint_waits_for_its_first_good_answer_unless_nothing_else_is_there() {
        let mut health = checked();
        assert_eq!(used(&mut health, "a b"), "ab", "nothing else is there");
        word(&mut health, "a+");
        assert_eq!(used(&mut health, "a b"), "a", "b has not answered yet");
        let address = endpoint('b', Health::Unknown).address;
        assert_eq!(health.why(address).as_deref(), Some(NOT_ASKED));
        word(&mut health, "b+");
        assert_eq!(
            used(&mut health, "a b c d e f"),
            "ab",
            "however many are new"
        );
        assert_eq!(
            used(&mut health, "a b c+"),
            "abc",
            "the source vouches for it"
        );
        assert_eq!(used(&mut checked(), "a+ b"), "a");
    }

    #[test]
    fn if_too_few_are_well_health_is_not_believed() {
        let mut health = checked();
        word(&mut health, "a+ b+ c+ d+");
        assert_eq!(used(&mut health, "a b c d"), "abcd");
        word(&mut health, "a- b-");
        assert_eq!(used(&mut health, "a b c d"), "cd", "half is enough");
        word(&mut health, "c-");
        assert_eq!(used(&mut health, "a b c d"), "abcd");
        assert_eq!(health.panics, Some((1, 4)));
        word(&mut health, "d-");
        assert_eq!(
            used(&mut health, "a b c d"),
            "abcd",
            "the checks' own network"
        );
        assert_eq!(
            used(&mut health, "a b c d e f"),
            "abcd",
            "new ones were never well"
        );
        word(&mut health, "a+ b+");
        assert_eq!(used(&mut health, "a b c d"), "ab");
        assert_eq!(health.panics, None);
    }

    #[test]
    fn where_stable_can_answer_nobody_is_used_who_is_ill() {
        let mut health = checked();
        health.has_fallback = true;
        word(&mut health, "a+ b+ c+");
        assert_eq!(used(&mut health, "a b c"), "abc");
        word(&mut health, "a- b-");
        assert_eq!(used(&mut health, "a b c"), "abc");
        word(&mut health, "c-");
        assert_eq!(used(&mut health, "a b c"), "");
    }

    #[test]
    fn a_source_that_says_who_is_well_is_doubted_in_the_same_way() {
        let mut health = Wellbeing {
            panic_threshold: Share::from_basis_points(5_000).unwrap(),
            ..Wellbeing::default()
        };
        assert_eq!(used(&mut health, "a+ b+ c-"), "ab");
        assert_eq!(
            used(&mut health, "a+ b+ c- d- e- f-"),
            "ab",
            "new ones that are not ready"
        );
        assert_eq!(used(&mut health, "a- b-"), "ab");
        assert_eq!(used(&mut health, "c- d-"), "", "they never were well");
    }
}
