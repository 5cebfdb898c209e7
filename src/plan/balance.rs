//! Endpoints that may be chosen, and drawing some of them by weight.
//!
//! How one of them is chosen is in `choose.rs`.

use std::{net::SocketAddr, sync::Arc};

use super::{Vitals, Warmth, rotation::mix};
use crate::model::{EndpointKey, Moment, number::index};

/// An endpoint that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The same in every plan.
    pub key: EndpointKey,
    /// Where it listens.
    pub address: SocketAddr,
    /// Relative weight, at least 1.
    pub weight: u32,
    /// When it came; [`Moment::ZERO`] if it was there from the start.
    pub since: Moment,
    /// How it fares; the same in every plan.
    pub vitals: Arc<Vitals>,
    /// How far it has warmed up, if it came to an upstream where that is wanted.
    pub(super) warmth: Option<Arc<Warmth>>,
    /// Its place among the upstream's endpoints.
    pub(super) place: u32,
    /// The sum of the weights up to and with this one: drawing by weight is a binary search.
    pub(super) upto: u64,
}

impl Target {
    /// One that was there from the start and of which nothing is known.
    pub fn new(key: EndpointKey, address: SocketAddr, weight: u32) -> Self {
        Self {
            key,
            address,
            weight: weight.max(1),
            since: Moment::ZERO,
            vitals: Arc::default(),
            warmth: None,
            place: 0,
            upto: 0,
        }
    }

    /// A list that may be chosen from: the endpoints of an upstream.
    pub fn list(targets: impl IntoIterator<Item = Self>) -> Box<[Self]> {
        let placed = targets.into_iter().zip(0..);
        Self::part(placed.map(|(target, place)| Self { place, ..target }))
    }

    /// A list of some of them.
    pub(super) fn part(targets: impl IntoIterator<Item = Self>) -> Box<[Self]> {
        let mut upto = 0_u64;
        let summed = targets.into_iter().map(|target| {
            upto = upto.saturating_add(u64::from(target.weight));
            Self { upto, ..target }
        });
        summed.collect()
    }

    /// Its place among the upstream's endpoints.
    pub fn place(&self) -> usize {
        index(self.place)
    }
}

/// Two different endpoints by weight; the same one twice if there is only one.
pub(super) fn draw_two(targets: &[Target], random: u64) -> Option<(&Target, &Target)> {
    if let [only] = targets {
        return Some((only, only));
    }
    let total = targets.last()?.upto;
    let first = at(targets, below(random, total))?;
    // The second is drawn from the rest: the stretch of the first is cut out.
    let width = u64::from(first.weight);
    let rest = below(mix(random), total.saturating_sub(width));
    let cut = first.upto.saturating_sub(width);
    let second = if rest < cut {
        rest
    } else {
        rest.saturating_add(width)
    };
    Some((first, at(targets, second)?))
}

/// The endpoint in whose stretch a number below the sum of all weights falls. Where weights are
/// equal it is found at once, however many there are; else by a binary search.
pub(super) fn at(targets: &[Target], weight: u64) -> Option<&Target> {
    let total = targets.last()?.upto;
    let count = u64::try_from(targets.len()).ok()?;
    let guess = weight.saturating_mul(count) / total.max(1);
    let guessed = usize::try_from(guess).ok().and_then(|it| targets.get(it));
    let is_it = |target: &&Target| {
        weight < target.upto && target.upto.saturating_sub(u64::from(target.weight)) <= weight
    };
    guessed
        .filter(is_it)
        .or_else(|| targets.get(targets.partition_point(|target| target.upto <= weight)))
}

/// One endpoint by weight.
pub(super) fn draw(targets: &[Target], random: u64) -> Option<&Target> {
    at(targets, below(random, total(targets)))
}

/// The sum of all weights.
pub(super) fn total(targets: &[Target]) -> u64 {
    targets.last().map_or(0, |target| target.upto)
}

/// A random number below `end`, without the cost of a division; 0 if `end` is 0.
pub(super) fn below(random: u64, end: u64) -> u64 {
    let wide = u128::from(random).wrapping_mul(u128::from(end)) >> 64;
    u64::try_from(wide).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn targets(weights: &[u32]) -> Box<[Target]> {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
        let numbered = weights.iter().zip(0..);
        Target::list(numbered.map(|(weight, n)| Target::new(EndpointKey(n), address, *weight)))
    }

    proptest! {
        #![proptest_config(crate::plan::tests::same_each_time())]

        #[test]
        fn every_number_falls_where_the_weights_say(
            weights in prop::collection::vec(prop_oneof![Just(3_u32), 1_u32..9], 1..40),
            random in any::<u64>(),
        ) {
            let targets = targets(&weights);
            let number = below(random, total(&targets));
            let found = at(&targets, number).unwrap();
            let mut before = targets.iter().take_while(|target| target.key < found.key);
            prop_assert!(before.all(|target| target.upto <= number) && number < found.upto);
        }

        #[test]
        fn two_draws_are_two_endpoints(
            weights in prop::collection::vec(1_u32..9, 2..9),
            random in any::<u64>(),
        ) {
            let targets = targets(&weights);
            let (first, second) = draw_two(&targets, random).unwrap();
            prop_assert_ne!(first.key, second.key);
        }
    }
}
