//! One bad endpoint, told apart from a bad version.
//!
//! A version that is bad is bad on all of its endpoints; a host with a full disk is bad alone. The
//! canary's hits are shared out: if its endpoints were alike, each hit would fall on an endpoint
//! as likely as a request does. One endpoint is named if its part of the hits is far beyond that,
//! and the others together are as good as stable.
//!
//! A canary that looks bad only for endpoints that get no requests any more is not rolled back:
//! what is left of it is as good as stable, as far as is known, and is judged anew. That this is
//! wrong for a bad version costs one more detection, and no more than a part of the endpoints is
//! ever taken out.

use std::net::SocketAddr;

use super::{Suspect, bet::Margin, bet::Trials, stats::kl};
use crate::model::number::{real, real_len};

/// With fewer endpoints that have answered, "one of several" means nothing.
const ENDPOINTS_MIN: usize = 3;
/// The probability that any endpoint of a version that is bad on all is named.
const ALPHA: f64 = 1e-4;
/// The others are worse than stable if chance explains them at most so well.
const OTHERS_ALPHA: f64 = 0.05;
/// The part of the canary's surplus of hits that it must have.
const SURPLUS_MIN: f64 = 0.5;

/// The one endpoint of the canary that is bad among good ones, if there is one: out of the hits of
/// each, those of stable, and how much worse the canary may be.
pub fn suspect(
    endpoints: &[(SocketAddr, Trials)],
    stable: Trials,
    margin: Margin,
) -> Option<Suspect> {
    let answered = endpoints.iter().filter(|(_, counts)| counts.trials > 0);
    let edge = margin.edge(stable.rate());
    let parts: Vec<_> = answered
        .map(|(of, counts)| Part {
            of: *of,
            counts: *counts,
            edge,
        })
        .collect();
    if parts.len() < ENDPOINTS_MIN {
        return None;
    }
    let (own, others) = alone(&parts)?;
    Some(Suspect {
        address: own.of,
        counts: (own.counts.hits, own.counts.trials),
        others: (others.hits, others.trials),
    })
}

/// Whether the canary's hits are those of the endpoints that are out, which get no requests any
/// more: the others together are as good as stable, as far as chance lets one say so.
pub fn is_excused(out: Trials, others: Trials, stable: Trials, margin: Margin) -> bool {
    let edge = margin.edge(stable.rate());
    let part = |counts| Part {
        of: (),
        counts,
        edge,
    };
    let (out, others) = (part(out), part(others));
    let surplus = out.surplus() + others.surplus().max(0.0);
    let is_most = surplus > 0.0 && out.surplus() >= SURPLUS_MIN * surplus;
    is_most && others.counts.trials > 0 && tail(others.counts, edge) > OTHERS_ALPHA
}

/// A part of the canary's requests: one endpoint's, one route's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<T> {
    /// Whose.
    pub of: T,
    /// What was counted.
    pub counts: Trials,
    /// The rate of hits that is tolerated.
    pub edge: f64,
}

impl<T> Part<T> {
    /// Hits beyond what is tolerated.
    fn surplus(&self) -> f64 {
        real(self.counts.hits) - self.tolerated()
    }

    fn tolerated(&self) -> f64 {
        self.edge.clamp(1e-6, 1.0 - 1e-6) * real(self.counts.trials)
    }
}

/// The one part that is bad among good ones, and the counts of the others together.
pub(super) fn alone<T>(parts: &[Part<T>]) -> Option<(&Part<T>, Trials)> {
    let own = parts
        .iter()
        .max_by(|a, b| a.surplus().total_cmp(&b.surplus()))?;
    let mut all = Trials::default();
    for part in parts {
        all.add(part.counts);
    }
    let others = Trials::new(all.trials - own.counts.trials, all.hits - own.counts.hits);
    let edge = |tolerated: f64, trials: u64| tolerated / real(trials.max(1));
    let tolerated: f64 = parts.iter().map(Part::tolerated).sum();

    // Given all hits, those of one part among alike ones are a coin tossed for each.
    let count = real_len(parts.len());
    let size = edge(real(own.counts.trials), all.trials);
    let chance = count * tail(Trials::new(all.hits, own.counts.hits), size);
    let own_edge = edge(own.tolerated(), own.counts.trials);
    let is_beyond = count * tail(own.counts, own_edge) < ALPHA;
    let others_edge = edge(tolerated - own.tolerated(), others.trials);
    let is_alone = tail(others, others_edge) > OTHERS_ALPHA;
    let is_most = own.surplus() >= SURPLUS_MIN * (real(all.hits) - tolerated);
    (chance < ALPHA && is_beyond && is_alone && is_most).then_some((own, others))
}

/// At least the probability of so many hits or more, each at this rate (Chernoff's bound).
fn tail(counts: Trials, rate: f64) -> f64 {
    if counts.rate() <= rate {
        return 1.0;
    }
    (-real(counts.trials) * kl(counts.rate(), rate)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Margin = Margin {
        ratio: 1.05,
        absolute: 0.0005,
    };

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 3], port).into()
    }

    /// The port of the endpoint that is named, given hits and trials of each, stable having 1 %.
    fn named(endpoints: &[(u64, u64)]) -> Option<u16> {
        let endpoints: Vec<_> = endpoints
            .iter()
            .zip(0..)
            .map(|((hits, trials), port)| (address(port), Trials::new(*trials, *hits)))
            .collect();
        let found = suspect(&endpoints, Trials::new(10_000, 100), MARGIN);
        found.map(|suspect| suspect.address.port())
    }

    #[test]
    fn one_bad_endpoint_among_good_ones_is_named() {
        let cases = [
            (vec![(1, 100), (40, 100), (0, 100)], Some(1)),
            (
                vec![(8, 8), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8)],
                Some(0),
            ),
            // A hit or two may be anybody's.
            (vec![(2, 8), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8)], None),
            // A bad version.
            (vec![(40, 100), (45, 100), (38, 100)], None),
            // Worse than the others, which are bad as well.
            (vec![(80, 100), (20, 100), (20, 100)], None),
            // Two bad ones.
            (vec![(40, 100), (40, 100), (0, 100), (1, 100)], None),
            // One of two.
            (vec![(40, 100), (0, 100), (0, 0)], None),
            // All as good as stable, one luckier.
            (vec![(3, 100), (0, 100), (0, 100)], None),
            (vec![], None),
        ];
        for (endpoints, expected) in cases {
            assert_eq!(named(&endpoints), expected, "{endpoints:?}");
        }
    }

    #[test]
    fn what_is_said_of_a_suspect_are_its_counts_and_the_rest() {
        let endpoints = [(0, 100), (40, 110), (1, 120)]
            .map(|(hits, trials)| (address(7), Trials::new(trials, hits)));
        let found = suspect(&endpoints, Trials::new(1_000, 0), MARGIN).unwrap();
        assert_eq!((found.counts, found.others), ((40, 110), (1, 220)));
    }

    #[test]
    fn what_endpoints_that_are_out_have_done_is_excused_if_the_others_are_good() {
        let cases = [
            // Three refused in a row, and few requests elsewhere yet.
            ((3, 3), (0, 5), true),
            ((3, 24), (0, 160), true),
            // The others fail as well.
            ((3, 3), (2, 5), false),
            ((6, 6), (12, 12), false),
            ((40, 100), (20, 700), false),
            // As much as stable does, and a little by chance.
            ((40, 100), (9, 700), true),
            // Not theirs at all.
            ((0, 100), (40, 700), false),
            ((1, 100), (1, 700), false),
            // Nothing is known of the others.
            ((3, 3), (0, 0), false),
        ];
        for (out, others, expected) in cases {
            let counts = |(hits, trials)| Trials::new(trials, hits);
            let stable = Trials::new(10_000, 100);
            let found = is_excused(counts(out), counts(others), stable, MARGIN);
            assert_eq!(found, expected, "{out:?} {others:?}");
        }
    }

    #[test]
    fn a_bad_version_is_never_taken_for_one_bad_endpoint() {
        let mut random = fastrand::Rng::with_seed(11);
        let (mut right, mut wrong) = (0, 0);
        for _ in 0..2_000 {
            let rate = [0.02, 0.05, 0.2, 1.0][random.usize(0..4)];
            let fault = 0.3 + 0.7 * random.f64();
            let (mut version, mut single) = ([(0, 0); 8], [(0, 0); 8]);
            for _ in 0..random.u32(60..2_000) {
                let at = random.usize(0..8);
                version[at].1 += 1;
                version[at].0 += u64::from(random.f64() < rate);
                single[at].1 += 1;
                let rate = if at == 5 { fault } else { 0.01 };
                single[at].0 += u64::from(random.f64() < rate);
            }
            wrong += u32::from(named(&version).is_some());
            wrong += u32::from(named(&single).is_some_and(|port| port != 5));
            right += u32::from(named(&single) == Some(5));
        }
        assert_eq!(wrong, 0);
        assert!(right >= 1_900, "{right} of 2,000");
    }
}
