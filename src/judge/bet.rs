//! The one primitive: a bet against "the canary's rate of hits is at most the tolerated one".
//!
//! The proxy tosses the coin that sends a request to the canary, so under the null hypothesis no
//! bet on *hits and their version* can win in expectation, whatever stable's rate is at that
//! moment and however wrong our guess of it. With `share` = P(canary), stake `k`, the edge
//! `e = ratio * guess + absolute` and `odds = share / (1 - share)`, one request multiplies the
//! capital by
//!
//! ```text
//! canary hit 1 + k(1-e)      stable hit 1 - k * ratio * odds * (1-guess)
//! canary ok  1 - k e         stable ok  1 + k * ratio * odds * guess
//! ```
//!
//! whose expectation is `1 + share * k * (p_canary - ratio * p_stable - absolute)`. A positive
//! stake bets on harm; a negative one on safety. The stake is the one that grows fastest if the
//! canary's rate is `q`. The bet is centred at the guess and not at the reverse information
//! projection: that one also bets on the coin itself, and then an error of one per cent in the
//! share breaks the promise (measured; docs/judge.md).

use crate::model::number::real;

/// How far a stake may go towards ruin.
const BOLDNESS: f64 = 0.98;
/// Halvings of the interval in which the best stake lies.
const BISECTIONS: usize = 50;

/// A tolerated rate: at most `ratio` times stable's plus `absolute`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// Factor.
    pub ratio: f64,
    /// Summand, as a ratio of requests.
    pub absolute: f64,
}

impl Margin {
    /// Nothing is tolerated.
    pub const NONE: Self = Self::plus(0.0);

    /// This many more, as a ratio of requests.
    pub const fn plus(absolute: f64) -> Self {
        Self {
            ratio: 1.0,
            absolute,
        }
    }

    /// The highest rate that is tolerated when stable's is `stable`.
    pub fn edge(self, stable: f64) -> f64 {
        self.ratio.mul_add(stable, self.absolute)
    }
}

/// Trials of one version, and how many of them were hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trials {
    /// Hits and misses.
    pub trials: u64,
    /// Hits.
    pub hits: u64,
}

impl Trials {
    /// `hits` of `trials`.
    pub const fn new(trials: u64, hits: u64) -> Self {
        Self { trials, hits }
    }

    /// Trials without a hit.
    pub const fn misses(self) -> u64 {
        self.trials.saturating_sub(self.hits)
    }

    /// Hits per trial; 0 of nothing.
    pub fn rate(self) -> f64 {
        if self.trials == 0 {
            0.0
        } else {
            real(self.hits) / real(self.trials)
        }
    }

    /// Adds other trials.
    pub const fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.hits += other.hits;
    }
}

/// The two versions side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Of the canary.
    pub canary: Trials,
    /// Of stable.
    pub stable: Trials,
}

impl Counts {
    /// Adds other counts.
    pub const fn add(&mut self, other: Self) {
        self.canary.add(other.canary);
        self.stable.add(other.stable);
    }
}

/// What each of the four outcomes adds to the logarithm of the capital.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Factors {
    /// A hit of the canary.
    pub canary_hit: f64,
    /// A miss of the canary.
    pub canary_miss: f64,
    /// A hit of stable.
    pub stable_hit: f64,
    /// A miss of stable.
    pub stable_miss: f64,
}

impl Factors {
    /// The log-evidence of counts: formula (1) of docs/judge.md.
    pub fn of(&self, counts: Counts) -> f64 {
        let Counts { canary, stable } = counts;
        real(canary.hits) * self.canary_hit
            + real(canary.misses()) * self.canary_miss
            + real(stable.hits) * self.stable_hit
            + real(stable.misses()) * self.stable_miss
    }

    /// The bet against a fixed `limit`, without a control group: a likelihood ratio.
    pub fn against(limit: f64, canary: f64) -> Self {
        Self {
            canary_hit: (canary / limit).ln(),
            canary_miss: ((1.0 - canary) / (1.0 - limit)).ln(),
            stable_hit: 0.0,
            stable_miss: 0.0,
        }
    }

    /// Expected growth for each request of the canary when the rates are these.
    pub fn growth(&self, share: f64, canary: f64, stable: f64) -> f64 {
        let of_canary = canary * self.canary_hit + (1.0 - canary) * self.canary_miss;
        let of_stable = stable * self.stable_hit + (1.0 - stable) * self.stable_miss;
        of_canary + of_stable * (1.0 - share) / share
    }
}

/// The factors of the growth-optimal bet on the rate `canary`, given the guess `stable`: against
/// "at most the edge" if `canary` is above the edge, else against "at least the edge".
pub fn factors(share: f64, canary: f64, stable: f64, margin: Margin) -> Factors {
    let edge = margin.edge(stable).min(1.0 - 1e-9);
    let odds = share / (1.0 - share);
    let loss = margin.ratio * odds * (1.0 - stable);
    let gain = margin.ratio * odds * stable;
    let slope = |stake: f64| {
        let of_canary = canary * (1.0 - edge) / (1.0 + stake * (1.0 - edge))
            - (1.0 - canary) * edge / (1.0 - stake * edge);
        let of_stable =
            (1.0 - stable) * gain / (1.0 + stake * gain) - stable * loss / (1.0 - stake * loss);
        share * of_canary + (1.0 - share) * of_stable
    };
    let (mut low, mut high) = if canary > edge {
        (0.0, BOLDNESS * (1.0 / edge).min(1.0 / loss))
    } else {
        (-BOLDNESS * (1.0 / (1.0 - edge)).min(1.0 / gain), 0.0)
    };
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (low + high);
        if slope(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let stake = 0.5 * (low + high);
    Factors {
        canary_hit: (stake * (1.0 - edge)).ln_1p(),
        canary_miss: (-stake * edge).ln_1p(),
        stable_hit: (-stake * loss).ln_1p(),
        stable_miss: (stake * gain).ln_1p(),
    }
}
