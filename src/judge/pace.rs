//! How the capital of a test will grow when the rates are known: its course on average.
//!
//! The bets are those that the judge would place. Misses and stable's outcomes come evenly; hits of
//! the canary come by chance, which matters since a block of time says at most so much: two hits in
//! one block say less than one in each of two.

use super::{
    criteria::Block,
    mixture::{Null, bets},
    stats::exp,
};

/// With more hits in a block than this its gain is that of the average.
const MANY_HITS: f64 = 40.0;
/// Within fewer blocks than this the cap decides, and nothing scatters.
const FEW_BLOCKS: f64 = 2.0;
/// From this many blocks on a part of a block is taken as a part of its gain.
const MANY_BLOCKS: f64 = 12.0;

/// The traffic that a test sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    /// The canary's share, between 0 and 1.
    pub share: f64,
    /// Requests of the canary a second.
    pub rate: f64,
    /// Rates of hits: the canary's and stable's.
    pub hits: (f64, f64),
}

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// When it begins, in seconds from now.
    from: f64,
    /// The length of its blocks in seconds.
    block: f64,
    hits_a_second: f64,
    bets: Vec<Bet>,
}

/// One of its bets.
#[derive(Debug, Clone, Copy)]
struct Bet {
    capital: f64,
    /// Gain of a hit, and of a second without one.
    hit: f64,
    steady: f64,
    /// The most that a block gains, and what it gains on average.
    cap: f64,
    whole: f64,
    /// How the gain of a block scatters: its variance.
    scatter: f64,
}

impl Pace {
    /// Of a test that begins at second `from`, with its evidence divided by `dispersion`.
    pub(super) fn new(
        null: Null,
        traffic: Traffic,
        block: Block,
        from: f64,
        dispersion: f64,
    ) -> Self {
        let Traffic { share, rate, hits } = traffic;
        let (canary, stable) = hits;
        let hits_a_second = rate * canary;
        let length = block.length.as_secs_f64();
        let others = rate * (1.0 - share) / share;
        let bets = bets(null, share, stable).map(|(capital, factors)| {
            let of_stable = stable * factors.stable_hit + (1.0 - stable) * factors.stable_miss;
            let of_misses = rate * (1.0 - canary) * factors.canary_miss;
            let bet = Bet {
                capital,
                hit: factors.canary_hit / dispersion,
                steady: (of_misses + others * of_stable) / dispersion,
                cap: block.cap,
                whole: 0.0,
                scatter: 0.0,
            };
            let misses = rate * (1.0 - canary) * factors.canary_miss.powi(2);
            let stable_hits = others * stable * factors.stable_hit.powi(2);
            let stable_misses = others * (1.0 - stable) * factors.stable_miss.powi(2);
            let other = (misses + stable_hits + stable_misses) * length / dispersion.powi(2);
            let Gain {
                mean,
                scatter,
                uncapped,
            } = bet.gain(hits_a_second, length);
            Bet {
                whole: mean,
                scatter: scatter + uncapped * other,
                ..bet
            }
        });
        Self {
            from,
            block: length,
            hits_a_second,
            bets: bets.to_vec(),
        }
    }

    /// When it begins, in seconds from now.
    pub(super) const fn from(&self) -> f64 {
        self.from
    }

    /// The capital at a second.
    pub(super) fn value(&self, second: f64) -> f64 {
        self.capitals(second).map(|(_, capital)| capital).sum()
    }

    /// How much the time until the capital of a second scatters, as a part of it, squared: that of
    /// the bet which has most.
    pub(super) fn scatter(&self, second: f64) -> f64 {
        let blocks = (second - self.from) / self.block;
        let largest = self.capitals(second).max_by(|a, b| a.1.total_cmp(&b.1));
        let scatter = largest.map(|(bet, _)| blocks * bet.scatter / (blocks * bet.whole).powi(2));
        scatter
            .filter(|scatter| blocks >= FEW_BLOCKS && scatter.is_finite())
            .unwrap_or(0.0)
    }

    /// When it has seen so many hits, half of the time.
    pub(super) fn hits_seen(&self, count: f64) -> f64 {
        self.from + (count - 1.0 / 3.0).max(0.0) / self.hits_a_second
    }

    fn capitals(&self, second: f64) -> impl Iterator<Item = (&Bet, f64)> {
        let blocks = (second - self.from) / self.block;
        let is_late = blocks >= MANY_BLOCKS;
        let whole = if is_late {
            blocks
        } else {
            (blocks + 1e-6).floor()
        };
        let rest = (blocks - whole).max(0.0) * self.block;
        let begun = self.bets.iter().filter(move |_| blocks >= 0.0);
        begun.map(move |bet| {
            let gain = whole * bet.whole + bet.gain(self.hits_a_second, rest).mean;
            (bet, bet.capital * exp(gain))
        })
    }
}

/// What a stretch inside one block gains.
struct Gain {
    mean: f64,
    /// The variance that hits of the canary make.
    scatter: f64,
    /// How often the cap is not reached.
    uncapped: f64,
}

impl Bet {
    fn gain(&self, hits_a_second: f64, seconds: f64) -> Gain {
        let (expected, steady) = (hits_a_second * seconds, self.steady * seconds);
        if seconds <= 0.0 || expected > MANY_HITS {
            let mean = expected.mul_add(self.hit, steady);
            let uncapped = if mean < self.cap { 1.0 } else { 0.0 };
            return Gain {
                mean: mean.min(self.cap),
                scatter: uncapped * expected * self.hit.powi(2),
                uncapped,
            };
        }
        let (mut count, mut chance) = (0.0, (-expected).exp());
        let (mut seen, mut mean, mut square, mut uncapped) = (0.0, 0.0, 0.0, 0.0);
        while seen < 1.0 - 1e-9 && count < 4.0 * MANY_HITS {
            let gain = self.hit.mul_add(count, steady);
            let counted = gain.min(self.cap);
            seen += chance;
            mean += chance * counted;
            square += chance * counted.powi(2);
            uncapped += if gain < self.cap { chance } else { 0.0 };
            count += 1.0;
            chance *= expected / count;
        }
        Gain {
            mean,
            scatter: (square - mean.powi(2)).max(0.0),
            uncapped,
        }
    }
}
