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

use crate::model::number::{real, single_down};

/// How far a stake may go towards ruin.
const BOLDNESS: f64 = 0.98;
/// Steps towards the best stake at most; five to ten are usual.
const STEPS: usize = 60;
/// How near to it is near enough, as a part of it.
const NEAR: f64 = 1e-14;

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

/// Factors in half the memory, rounded down: a bet that pays a little less is fair, too.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Compact {
    canary_hit: f32,
    canary_miss: f32,
    stable_hit: f32,
    stable_miss: f32,
}

impl Compact {
    /// These factors, none of them higher.
    pub(super) fn of(factors: Factors) -> Self {
        Self {
            canary_hit: single_down(factors.canary_hit),
            canary_miss: single_down(factors.canary_miss),
            stable_hit: single_down(factors.stable_hit),
            stable_miss: single_down(factors.stable_miss),
        }
    }

    /// The factors that are in force.
    pub(super) fn factors(self) -> Factors {
        Factors {
            canary_hit: self.canary_hit.into(),
            canary_miss: self.canary_miss.into(),
            stable_hit: self.stable_hit.into(),
            stable_miss: self.stable_miss.into(),
        }
    }
}

/// The factors of the growth-optimal bet on the rate `canary`, given the guess `stable`: against
/// "at most the edge" if `canary` is above the edge, else against "at least the edge".
pub fn factors(share: f64, canary: f64, stable: f64, margin: Margin) -> Factors {
    let edge = margin.edge(stable).min(1.0 - 1e-9);
    let odds = share / (1.0 - share);
    let loss = margin.ratio * odds * (1.0 - stable);
    let gain = margin.ratio * odds * stable;
    let growth = Growth {
        terms: [
            (share * canary, 1.0 - edge),
            (share * (1.0 - canary), -edge),
            ((1.0 - share) * (1.0 - stable), gain),
            ((1.0 - share) * stable, -loss),
        ],
    };
    let stake = if canary > edge {
        growth.peak(0.0, BOLDNESS * (1.0 / edge).min(1.0 / loss))
    } else {
        growth.peak(-BOLDNESS * (1.0 / (1.0 - edge)).min(1.0 / gain), 0.0)
    };
    Factors {
        canary_hit: (stake * (1.0 - edge)).ln_1p(),
        canary_miss: (-stake * edge).ln_1p(),
        stable_hit: (-stake * loss).ln_1p(),
        stable_miss: (stake * gain).ln_1p(),
    }
}

/// The expected growth of a stake `k`: the sum of `weight ln(1 + k gain)`, which is concave.
struct Growth {
    terms: [(f64, f64); 4],
}

impl Growth {
    /// Where it is highest between `low` and `high`: Newton's steps on its slope, halvings where
    /// they leave the interval.
    fn peak(&self, mut low: f64, mut high: f64) -> f64 {
        if self.slope(high).0 >= 0.0 {
            return high;
        }
        if self.slope(low).0 <= 0.0 {
            return low;
        }
        let mut stake = 0.5 * (low + high);
        for _ in 0..STEPS {
            let (slope, bend) = self.slope(stake);
            if slope > 0.0 {
                low = stake;
            } else {
                high = stake;
            }
            let newton = stake - slope / bend;
            let next = if low < newton && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
            let is_near = (next - stake).abs() <= NEAR * stake.abs();
            stake = next;
            if is_near {
                break;
            }
        }
        stake
    }

    /// The slope at a stake, and how it falls.
    fn slope(&self, stake: f64) -> (f64, f64) {
        let (mut slope, mut bend) = (0.0, 0.0);
        for (weight, gain) in self.terms {
            let part = gain / (1.0 + stake * gain);
            slope += weight * part;
            bend -= weight * part * part;
        }
        (slope, bend)
    }
}
