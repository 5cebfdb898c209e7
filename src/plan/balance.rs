//! Which endpoint of a version answers.
//!
//! The power of two choices: of two endpoints drawn by weight, the one with fewer requests under
//! way for its weight. Nearly as good as asking all of them, and the herd that runs to "the
//! least loaded" of a moment ago does not form.

use std::net::SocketAddr;

use super::rotation::mix;
use crate::model::EndpointKey;

/// An endpoint that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The same in every plan.
    pub key: EndpointKey,
    /// Where it listens.
    pub address: SocketAddr,
    /// Relative weight, at least 1.
    pub weight: u32,
    /// The sum of the weights up to and with this one: drawing by weight is a binary search.
    upto: u64,
}

impl Target {
    /// A list that may be chosen from, out of key, address and weight of each.
    pub fn list(
        endpoints: impl IntoIterator<Item = (EndpointKey, SocketAddr, u32)>,
    ) -> Box<[Self]> {
        let mut upto = 0_u64;
        let target = |(key, address, weight): (_, _, u32)| {
            let weight = weight.max(1);
            upto = upto.saturating_add(u64::from(weight));
            Self {
                key,
                address,
                weight,
                upto,
            }
        };
        endpoints.into_iter().map(target).collect()
    }
}

/// Chooses an endpoint; `None` if there is none that is not to be avoided.
///
/// `loads` tells the requests under way at an endpoint, `random` is 64 random bits, `avoid` are the
/// endpoints that were already tried.
pub fn choose<'a>(
    targets: &'a [Target],
    mut loads: impl FnMut(EndpointKey) -> u32,
    random: u64,
    avoid: &[EndpointKey],
) -> Option<&'a Target> {
    let (first, second) = if avoid.is_empty() {
        draw_two(targets, random)?
    } else {
        draw_two_but(targets, random, avoid)?
    };
    if first.key == second.key {
        return Some(first);
    }
    // Requests for each unit of weight, compared without dividing. Equal loads leave the first
    // draw in place, which is by weight.
    let mut load = |of: EndpointKey, other: &Target| u64::from(loads(of)) * u64::from(other.weight);
    let second_is_freer = load(second.key, first) < load(first.key, second);
    Some(if second_is_freer { second } else { first })
}

/// Two different endpoints by weight; the same one twice if there is only one.
fn draw_two(targets: &[Target], random: u64) -> Option<(&Target, &Target)> {
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
fn at(targets: &[Target], weight: u64) -> Option<&Target> {
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

/// The same for the few requests that are tried again: they may look at every endpoint.
fn draw_two_but<'a>(
    targets: &'a [Target],
    random: u64,
    avoid: &[EndpointKey],
) -> Option<(&'a Target, &'a Target)> {
    let free = |but: Option<EndpointKey>| {
        let free = move |target: &&Target| !avoid.contains(&target.key) && but != Some(target.key);
        targets.iter().filter(free)
    };
    let draw = |but, random| {
        let total = free(but).map(|target| u64::from(target.weight)).sum();
        let mut left = below(random, total);
        free(but).find(|target| {
            let found = left < u64::from(target.weight);
            left = left.saturating_sub(u64::from(target.weight));
            found
        })
    };
    let first: &Target = draw(None, random)?;
    Some((first, draw(Some(first.key), mix(random)).unwrap_or(first)))
}

/// A random number below `end`, without the cost of a division; 0 if `end` is 0.
fn below(random: u64, end: u64) -> u64 {
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
        Target::list(
            weights
                .iter()
                .zip(0..)
                .map(|(w, n)| (EndpointKey(n), address, *w)),
        )
    }

    /// How often each is chosen in `rounds` draws over fixed loads.
    fn counts(weights: &[u32], loads: &[u32], avoid: &[EndpointKey], rounds: u64) -> Vec<u32> {
        let targets = targets(weights);
        let mut counts = vec![0; weights.len()];
        for n in 0..rounds {
            let load = |key: EndpointKey| loads[key.index()];
            counts[choose(&targets, load, mix(n), avoid).unwrap().key.index()] += 1;
        }
        counts
    }

    #[test]
    fn idle_endpoints_are_chosen_by_weight() {
        for avoid in [&[][..], &[EndpointKey(9)]] {
            let counts = counts(&[1, 2, 5], &[0, 0, 0], avoid, 8_000);
            for (count, expected) in counts.iter().zip([1_000_u32, 2_000, 5_000]) {
                assert!(count.abs_diff(expected) < 150, "{counts:?}");
            }
        }
    }

    #[test]
    fn the_busier_of_two_is_left_alone() {
        let equal = counts(&[1, 1], &[3, 2], &[], 100);
        assert_eq!(equal, [0, 100]);
        let weighted = counts(&[1, 4], &[1, 3], &[], 100);
        assert_eq!(weighted, [0, 100], "fewer requests for its weight");
        let of_many = counts(&[1; 10], &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 1_000);
        assert_eq!(of_many[0], 0);
        assert!(of_many[1..].iter().all(|count| *count > 50), "{of_many:?}");
    }

    #[test]
    fn what_was_tried_is_avoided_until_nothing_is_left() {
        let two = [EndpointKey(0), EndpointKey(2)];
        assert_eq!(counts(&[1, 1, 1], &[0, 9, 0], &two, 50), [0, 50, 0]);
        let all = [EndpointKey(0), EndpointKey(1)];
        assert_eq!(choose(&targets(&[1, 1]), |_| 0, 1, &all), None);
        assert_eq!(choose(&[], |_| 0, 1, &[]), None);
        assert_eq!(counts(&[7], &[0], &[], 5), [5]);
    }

    proptest! {
        #![proptest_config(crate::plan::tests::same_each_time())]

        #[test]
        fn there_is_a_choice_while_there_is_an_endpoint(
            weights in prop::collection::vec(prop_oneof![0_u32..5, Just(u32::MAX)], 1..40),
            random in any::<u64>(),
            loads in any::<u32>(),
        ) {
            let targets = targets(&weights);
            let load = |key: EndpointKey| loads.rotate_left(key.0);
            prop_assert!(choose(&targets, load, random, &[]).is_some());
            let tried = [EndpointKey(0)];
            let again = choose(&targets, load, random, &tried);
            prop_assert_eq!(again.is_some(), weights.len() > 1);
            prop_assert!(again.is_none_or(|target| target.key != tried[0]));
        }

        #[test]
        fn every_number_falls_where_the_weights_say(
            weights in prop::collection::vec(prop_oneof![Just(3_u32), 1_u32..9], 1..40),
            random in any::<u64>(),
        ) {
            let targets = targets(&weights);
            let number = below(random, targets.last().unwrap().upto);
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
