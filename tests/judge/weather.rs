//! What befalls both versions or single processes, whatever was deployed.

use fastrand::Rng;
use serin::judge::Dispersion;

use super::chance::{binomial, wait};

/// Instances of a service with blips; one of them is the canary.
const INSTANCES: usize = 10;
/// Seconds from blip to blip of an instance.
const EVERY: f64 = 300.0;
/// How many of a blip's requests fail.
const BLIP_ERRORS: f64 = 0.5;
/// Seconds before the rollout in which blips were watched.
const WATCHED: f64 = 600.0;

/// What may befall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weather {
    Calm,
    /// Once a minute, for 0.5 to 3 s, a fifth of the requests of both versions fails, and they
    /// take three times as long.
    Bursts,
    /// Once in every five minutes, for so many seconds, half of the requests of one instance fail.
    Blips(f64),
    /// The same at random moments, so that two may follow each other at once.
    RandomBlips(f64),
    /// Each version's only process pauses for 20 ms on average, once in five seconds.
    Pauses,
}

/// When it befell: from and to.
type Spells = Vec<(f64, f64)>;

/// The weather of one life.
#[derive(Debug)]
pub(crate) struct Sky {
    weather: Weather,
    /// Of both together, of stable and the canary, or of each instance (the canary is the last).
    spells: Vec<Spells>,
}

impl Sky {
    /// Of a life that ends at this second; it had a past.
    pub(crate) fn new(random: &mut Rng, weather: Weather, seconds: u32) -> Self {
        let mut spells = |mean: f64, length: &dyn Fn(&mut Rng) -> f64| {
            let (mut spells, mut now) = (Spells::new(), -WATCHED);
            while now < f64::from(seconds) {
                let begin = now + wait(random, mean);
                now = begin + length(random);
                spells.push((begin, now));
            }
            spells
        };
        let spells = match weather {
            Weather::Calm => Vec::new(),
            Weather::Bursts => vec![spells(60.0, &|random| 0.5 + 2.5 * random.f64())],
            Weather::RandomBlips(length) => {
                (0..INSTANCES).map(|_| spells(EVERY, &|_| length)).collect()
            }
            Weather::Blips(length) => (0..INSTANCES)
                .map(|_| regular(random, length, seconds))
                .collect(),
            Weather::Pauses => (0..2)
                .map(|_| spells(5.0, &|random| wait(random, 0.02)))
                .collect(),
        };
        Self { weather, spells }
    }

    /// Errors that come on top in a stretch of time: of stable and the canary.
    pub(crate) fn errors(&self, from: f64, to: f64) -> [f64; 2] {
        match (self.weather, self.spells.as_slice()) {
            (Weather::Bursts, _) if self.is_burst(from, to) => [0.2; 2],
            (Weather::Blips(_) | Weather::RandomBlips(_), [stable @ .., canary]) => {
                let sum: f64 = stable.iter().map(|spells| overlap(spells, from, to)).sum();
                let mean = sum / stable.len() as f64;
                [mean, overlap(canary, from, to)].map(|part| BLIP_ERRORS * part)
            }
            _ => [0.0; 2],
        }
    }

    /// How many times as long requests take.
    pub(crate) fn slowness(&self, from: f64, to: f64) -> f64 {
        if self.weather == Weather::Bursts && self.is_burst(from, to) {
            3.0
        } else {
            1.0
        }
    }

    /// The pauses of a version that reach into a stretch of time.
    pub(crate) fn pauses(&self, arm: usize, from: f64, to: f64) -> &[(f64, f64)] {
        if self.weather == Weather::Pauses {
            let spells = &self.spells[arm];
            let first = spells.partition_point(|(_, end)| *end <= from);
            let last = spells.partition_point(|(begin, _)| *begin < to);
            &spells[first..last.max(first)]
        } else {
            &[]
        }
    }

    /// The index that watching stable's instances has come to, `rate` requests a second.
    pub(crate) fn dispersion(&self, random: &mut Rng, rate: f64, errors: f64) -> f64 {
        let mut index = Dispersion::default();
        if matches!(self.weather, Weather::Blips(_) | Weather::RandomBlips(_)) {
            let stable = &self.spells[..INSTANCES - 1];
            let requests = (rate / INSTANCES as f64).round() as u64;
            let mut second = -WATCHED;
            while second < 0.0 {
                let counts = stable.iter().map(|spells| {
                    let more = BLIP_ERRORS * overlap(spells, second, second + 1.0);
                    (requests, binomial(random, requests, errors + more))
                });
                index.absorb(&counts.collect::<Vec<_>>());
                second += 1.0;
            }
        }
        index.divisor()
    }

    fn is_burst(&self, from: f64, to: f64) -> bool {
        overlap(&self.spells[0], from, to) >= 0.5
    }
}

/// One in each five minutes.
fn regular(random: &mut Rng, length: f64, seconds: u32) -> Spells {
    let (mut spells, mut window) = (Spells::new(), -WATCHED);
    while window < f64::from(seconds) {
        let begin = window + random.f64() * (EVERY - length);
        spells.push((begin, begin + length));
        window += EVERY;
    }
    spells
}

/// Which part of a stretch of time the spells cover.
fn overlap(spells: &Spells, from: f64, to: f64) -> f64 {
    let first = spells.partition_point(|(_, end)| *end <= from);
    let later = spells[first..].iter();
    let covers = later.take_while(|(begin, _)| *begin < to);
    let sum: f64 = covers
        .map(|(begin, end)| end.min(to) - begin.max(from))
        .sum();
    sum / (to - from)
}
