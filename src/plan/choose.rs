//! Which endpoint of an upstream answers.
//!
//! Usually by the power of two choices: of two endpoints drawn by weight, the one with fewer
//! requests under way for its weight. Nearly as good as asking all of them, and the herd that runs
//! to "the least loaded" of a moment ago does not form. Latency counts where it differs for sure,
//! by more than twofold and not by noise: then requests under way are weighed with it, so that a
//! slow endpoint gets fewer; endpoints that are alike stay alike.
//!
//! An endpoint that is ejected or warms up is passed over while there is another; one that is new
//! is chosen less often than its weight says. That is looked at only while there is such an
//! endpoint.

use std::{cell::LazyCell, time::Duration};

use super::{
    Target, Upstream,
    balance::{at, below, draw, draw_two, total},
    rotation::mix,
};
use crate::{
    config::Policy,
    model::{
        EndpointKey, Moment,
        number::{long, micros},
    },
};

/// The whole weight of an endpoint; an endpoint that is new has a part of it.
const WHOLE: u64 = 256;
/// What it begins with: a tenth.
const FIRST: u64 = 26;
/// How often a draw is repeated before all endpoints are looked at.
const DRAWS: u64 = 16;
/// Latencies count if one is more than so many times the other.
const CLEARLY: u32 = 2;
/// What is faster than this, in microseconds, is as fast as this: the rest is noise.
const NOISE: u32 = 2_000;

/// By key, an endpoint has no more than so many times what it would have if all had the same...
const BOUND: (u128, u128) = (5, 4);
/// ...but so few requests are never too many: a key is worth more where it was before.
const FEW: u32 = 4;

/// What an endpoint has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests under way.
    pub requests: u32,
    /// How long its answers take, in microseconds; 0: nobody knows.
    pub latency: u32,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// 64 random bits.
    pub random: u64,
    /// A number that rises with each question.
    pub turn: u64,
    /// Of the key by which one is chosen, if the request has one.
    pub hash: Option<u64>,
    /// When it is asked.
    pub now: Moment,
    /// Endpoints that were already tried.
    pub avoid: &'a [EndpointKey],
    /// With so many requests an endpoint is full; `None`: none ever is.
    pub most: Option<u32>,
}

/// Who may be chosen, by and by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// Nobody who was tried, is ejected or warms up.
    Good,
    /// Nobody who was tried or is ejected.
    Cold,
    /// Nobody who was tried.
    Untried,
    /// Anybody.
    Any,
}

impl Wants {
    const ALL: [Self; 4] = [Self::Good, Self::Cold, Self::Untried, Self::Any];
}

impl Upstream {
    /// Chooses an endpoint; `loads` tells what each has to do. One that was tried or is ejected is
    /// chosen only if there is no other. `None`: there is none at all.
    pub fn choose(&self, loads: impl Fn(EndpointKey) -> Load, ask: &Ask<'_>) -> Option<&Target> {
        let is_calm = self.is_calm(ask.now) && ask.avoid.is_empty();
        let is_plain = self.balance.policy == Policy::P2c && ask.most.is_none();
        if is_calm && is_plain && self.near.is_none() {
            let (first, second) = draw_two(&self.endpoints, ask.random)?;
            return Some(freer((first, WHOLE), (second, WHOLE), &loads));
        }
        let near = self.near.as_ref().filter(|_| self.ring.is_empty());
        let near = near.map(|near| near.pick(ask.random));
        let near = near.and_then(|near| self.choose_of(near, &loads, (ask, Wants::Good)));
        near.or_else(|| {
            let mut wants = Wants::ALL.into_iter();
            wants.find_map(|wants| self.choose_of(&self.endpoints, &loads, (ask, wants)))
        })
    }

    /// Whether all endpoints may be chosen by their weight.
    fn is_calm(&self, now: Moment) -> bool {
        now >= self.new_until && self.ward.is_calm(now, self.balance.slow_start)
    }

    fn choose_of<'a>(
        &'a self,
        targets: &'a [Target],
        loads: &impl Fn(EndpointKey) -> Load,
        (ask, wants): (&Ask<'_>, Wants),
    ) -> Option<&'a Target> {
        let part = |target: &Target| self.part(target, ask, wants);
        match (&self.balance.policy, ask.hash) {
            (Policy::RoundRobin, _) => in_turn(targets, ask, part),
            (Policy::LeastRequest, _) => freest(targets, ask, part, loads),
            // Where endpoints may be full, two draws are not enough to find room.
            (Policy::P2c, _) if ask.most.is_some() => freest(targets, ask, part, loads),
            (Policy::RingHash(_), Some(hash)) => self.nearest(hash, part, loads),
            (Policy::P2c | Policy::RingHash(_), _) => {
                let first = draw_one(targets, ask.random, part)?;
                let second = draw_one(targets, mix(ask.random), |target: &Target| {
                    if target.key == first.0.key {
                        0
                    } else {
                        part(target)
                    }
                });
                Some(second.map_or(first.0, |second| freer(first, second, loads)))
            }
        }
    }

    /// The next one on the ring that takes the key. One that is new takes a part of its keys, ever
    /// the same ones and more; one that has more to do than others leaves its keys to the next
    /// (Mirrokni, Thorup and Zadimoghaddam: consistent hashing with bounded loads, 2016).
    fn nearest(
        &self,
        hash: u64,
        part: impl Fn(&Target) -> u64,
        loads: &impl Fn(EndpointKey) -> Load,
    ) -> Option<&Target> {
        let own = |target: &Target| u64::from(target.weight) * part(target);
        let all = LazyCell::new(|| {
            let used = self.endpoints.iter().map(|target| (target, own(target)));
            let used = used.filter(|(_, own)| *own > 0);
            used.fold((1, 0), |(requests, weight), (target, own)| {
                let load = u128::from(loads(target.key).requests);
                (requests + load, weight + u128::from(own))
            })
        });
        let has_room = |target: &Target| {
            let requests = loads(target.key).requests;
            if requests < FEW {
                return true;
            }
            let (of_all, weight) = *all;
            let (times, of) = BOUND;
            u128::from(requests) * weight * of < of_all * u128::from(own(target)) * times
        };
        let walk = || self.ring.walk(hash);
        let walk = || walk().filter_map(|place| self.endpoints.get(place));
        let first = walk().find(|target| part(target) > 0)?;
        let takes = |target: &&Target| mix(hash) % WHOLE < part(target) && has_room(target);
        Some(walk().find(takes).unwrap_or(first))
    }

    /// The part of its weight that an endpoint is chosen by, of [`WHOLE`]; 0: it is not.
    fn part(&self, target: &Target, ask: &Ask<'_>, wants: Wants) -> u64 {
        let is_tried = wants != Wants::Any && ask.avoid.contains(&target.key);
        let vitals = &target.vitals;
        let is_well = matches!(wants, Wants::Good | Wants::Cold);
        if is_tried || is_well && vitals.is_ejected(ask.now) {
            return 0;
        }
        let came = if ask.now < self.new_until {
            target.ready(self.warm_up.as_ref())
        } else {
            Moment::ZERO
        };
        let came = vitals.until().map_or(came, |until| came.max(until));
        if came == Moment::ZERO || wants != Wants::Good {
            return WHOLE;
        }
        if ask.now < came {
            return 0;
        }
        grown(ask.now.since(came), self.balance.slow_start)
    }

    /// The part of its weight that an endpoint has now because it is new, of 256.
    pub fn warmth(&self, target: &Target, now: Moment) -> u64 {
        let ask = Ask {
            random: 0,
            turn: 0,
            hash: None,
            now,
            avoid: &[],
            most: None,
        };
        self.part(target, &ask, Wants::Good)
    }
}

/// What part of its weight a new endpoint has after this time.
fn grown(age: Duration, slow_start: Duration) -> u64 {
    if age >= slow_start {
        return WHOLE;
    }
    let more = (WHOLE - FIRST).saturating_mul(micros(age)) / micros(slow_start).max(1);
    FIRST + more
}

/// Of two endpoints, each with the part of its weight that counts, the one with less to do. Equal
/// loads leave the first draw in place, which is by weight.
fn freer<'a>(
    (first, first_part): (&'a Target, u64),
    (second, second_part): (&'a Target, u64),
    loads: &impl Fn(EndpointKey) -> Load,
) -> &'a Target {
    if first.key == second.key {
        return first;
    }
    let mine = (loads(first.key), u64::from(first.weight) * first_part);
    let theirs = (loads(second.key), u64::from(second.weight) * second_part);
    if is_freer(theirs, mine) {
        second
    } else {
        first
    }
}

/// Whether the first has less to do for its weight than the second; compared without dividing.
fn is_freer((first, first_weight): (Load, u64), (second, second_weight): (Load, u64)) -> bool {
    let heard = |load: Load| load.latency.max(NOISE);
    let (a, b) = (heard(first), heard(second));
    let are_known = first.latency > 0 && second.latency > 0;
    let is_clear = a > b.saturating_mul(CLEARLY) || b > a.saturating_mul(CLEARLY);
    if is_clear && are_known {
        let weighed = |load: Load, weight: u64| {
            let requests = u64::from(load.requests) + 1;
            requests
                .saturating_mul(u64::from(heard(load)))
                .saturating_mul(weight)
        };
        return weighed(first, second_weight) < weighed(second, first_weight);
    }
    let weighed = |load: Load, weight: u64| u64::from(load.requests).saturating_mul(weight);
    weighed(first, second_weight) < weighed(second, first_weight)
}

/// An endpoint by its weight and the part of it that counts.
fn draw_one(
    targets: &[Target],
    random: u64,
    part: impl Fn(&Target) -> u64,
) -> Option<(&Target, u64)> {
    let mut chance = random;
    if long(targets.len()) > DRAWS {
        for _ in 0..DRAWS {
            let target = draw(targets, chance)?;
            chance = mix(chance);
            let part = part(target);
            if chance % WHOLE < part {
                return Some((target, part));
            }
        }
    }
    let parts = || targets.iter().map(|target| (target, part(target)));
    let weight = |(target, part): &(&Target, u64)| u64::from(target.weight) * part;
    let total = parts().map(|it| weight(&it)).sum();
    let mut left = below(chance, total);
    parts().find(|it| {
        let found = left < weight(it);
        left = left.saturating_sub(weight(it));
        found
    })
}

/// The next one. Where weights differ, each gets its turns evenly spread: multiples of the golden
/// ratio leave the most even gaps.
fn in_turn<'a>(
    targets: &'a [Target],
    ask: &Ask<'_>,
    part: impl Fn(&Target) -> u64,
) -> Option<&'a Target> {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let count = long(targets.len());
    let are_alike = total(targets) == count;
    let nth = |step: u64| {
        let turn = ask.turn.wrapping_add(step);
        if are_alike {
            targets.get(usize::try_from(turn.checked_rem(count)?).ok()?)
        } else {
            at(targets, below(turn.wrapping_mul(GOLDEN), total(targets)))
        }
    };
    let mut chance = ask.random;
    let mut turns = (0..count.max(DRAWS)).filter_map(nth);
    let next = turns.find(|target| {
        chance = mix(chance);
        chance % WHOLE < part(target)
    });
    next.or_else(|| draw_one(targets, chance, part).map(|(target, _)| target))
}

/// The one with the least to do of all, and with room if any has; of several, any.
fn freest<'a>(
    targets: &'a [Target],
    ask: &Ask<'_>,
    part: impl Fn(&Target) -> u64,
    loads: &impl Fn(EndpointKey) -> Load,
) -> Option<&'a Target> {
    let is_full = |load: Load| ask.most.is_some_and(|most| load.requests >= most);
    let start = usize::try_from(below(ask.random, long(targets.len()))).unwrap_or(0);
    let (before, from) = targets.split_at_checked(start)?;
    let mut best: Option<(&Target, (Load, u64))> = None;
    for target in from.iter().chain(before) {
        let weight = u64::from(target.weight) * part(target);
        if weight == 0 {
            continue;
        }
        let load = (loads(target.key), weight);
        let is_better = |known: (Load, u64)| match (is_full(load.0), is_full(known.0)) {
            (false, true) => true,
            (true, false) => false,
            (true, true) | (false, false) => is_freer(load, known),
        };
        if best.is_none_or(|(_, known)| is_better(known)) {
            best = Some((target, load));
        }
    }
    best.map(|(target, _)| target)
}
