//! How the capital of a test will grow when the rates are known: its course on average.
//!
//! The bets are those that the judge would place. Misses and stable's outcomes come evenly; hits of
//! the canary come by chance, which matters since a block of time says at most so much: two hits in
//! one block say less than one in each of two.

use super::{
    bet::Factors,
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
    /// The canary's rate of hits from now on, and until now.
    pub canary: (f64, f64),
    /// Stable's rate of hits.
    pub stable: f64,
}

/// How a test is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duty {
    /// Its blocks.
    pub block: Block,
    /// What its evidence is divided by.
    pub dispersion: f64,
    /// When it begins, in seconds from now.
    pub from: f64,
    /// For how many seconds it has been on duty, the canary healthy.
    pub age: f64,
    /// Seconds between restarts, and how many of them spend half of what is kept for them.
    pub restarts: (f64, f64),
}

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Pace {
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
    /// Of a test of `null`.
    pub(super) fn new(null: Null, traffic: Traffic, duty: Duty) -> Self {
        let (now, before) = traffic.canary;
        let bets = bets(null, traffic.share, traffic.stable).map(|(capital, factors)| {
            let healthy = Bet::new(factors, (traffic, before), duty);
            let capital = capital * duty.left(healthy.whole);
            let bet = Bet::new(factors, (traffic, now), duty);
            Bet { capital, ..bet }
        });
        Self {
            from: duty.from,
            block: duty.block.length.as_secs_f64(),
            hits_a_second: traffic.rate * now,
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

impl Duty {
    /// What the capital of a bet has become while blocks gained this on average, as a part of what
    /// it began with: what was staked at once, and the restarts since.
    fn left(&self, gain: f64) -> f64 {
        let (every, horizon) = self.restarts;
        let a_second = gain.min(0.0) / self.block.length.as_secs_f64();
        let restarts = self.age / every + 1.0;
        let spent = |count: f64| count / (horizon + count);
        let last = spent(restarts) - spent(restarts - 1.0);
        // Parts differ little from one to the next, so those that are left are a geometric sum.
        let kept = last / -(a_second * every).exp_m1();
        exp(a_second * self.age) + kept.min(spent(restarts))
    }
}

impl Bet {
    /// Without capital, for a canary with this rate of hits.
    fn new(factors: Factors, (traffic, canary): (Traffic, f64), duty: Duty) -> Self {
        let Traffic {
            share,
            rate,
            stable,
            ..
        } = traffic;
        let length = duty.block.length.as_secs_f64();
        let others = rate * (1.0 - share) / share;
        // Misses of the canary, hits and misses of stable: how many a second, and their gain.
        let steady = [
            (rate * (1.0 - canary), factors.canary_miss),
            (others * stable, factors.stable_hit),
            (others * (1.0 - stable), factors.stable_miss),
        ]
        .map(|(count, gain)| (count, gain / duty.dispersion));
        let sum: f64 = steady.iter().map(|(count, gain)| count * gain).sum();
        let squares: f64 = steady
            .iter()
            .map(|(count, gain)| count * gain.powi(2))
            .sum();
        let bet = Self {
            capital: 0.0,
            hit: factors.canary_hit / duty.dispersion,
            steady: sum,
            cap: duty.block.cap,
            whole: 0.0,
            scatter: 0.0,
        };
        let gain = bet.gain(rate * canary, length);
        Self {
            whole: gain.mean,
            scatter: gain.scatter + gain.uncapped * squares * length,
            ..bet
        }
    }

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
