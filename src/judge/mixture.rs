//! A test martingale: the bets on nine alternatives, from every possible beginning of the harm.
//!
//! *Alternatives.* Nobody knows how bad a bad canary is, so the capital is shared between bets on
//! 1.25 to 5,000 times the tolerated odds. *Change points.* Half of each share is staked at the
//! beginning; the other half in parts, one each few seconds for ever, so a canary that breaks
//! after an hour meets fresh capital. *Cap.* A block of time counts at most `e^cap`, so no single
//! burst decides. A mixture of martingales is one, and an e-variable capped is one, so the sum
//! keeps the promise at every look.
//!
//! # Invariant
//! What happens at the start of a tick - the end of a block, new capital, new factors - depends
//! only on earlier ticks.

use super::{
    bet::{Compact, Counts, Factors, Margin, factors},
    criteria::Block,
    stages::SLOTS,
    stats::{exp, log_add, scale_odds},
};
use crate::model::Moment;

/// How many alternatives there are.
const COUNT: usize = 9;
/// Odds of the alternatives, as multiples of the tolerated odds.
const TIMES: [f64; COUNT] = [1.25, 1.6, 2.2, 3.5, 7.0, 20.0, 80.0, 400.0, 5_000.0];
/// Shares of the capital.
const PRIOR: [f64; COUNT] = [0.16, 0.18, 0.18, 0.14, 0.10, 0.08, 0.06, 0.05, 0.05];
/// The part of the capital that is staked at the very beginning.
const AT_ONCE: f64 = 0.5;

/// When a block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    /// When the one before has ended.
    Steady,
    /// With the first tick that has a hit: blocks without one end after each tick. So a failure
    /// fills its first block from the beginning, and a short burst lies in one block.
    FirstHit,
}

/// What the canary is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Null {
    /// At most this much worse than stable.
    Relative(Margin),
    /// At most this rate.
    Fixed(f64),
}

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Mixture {
    null: Null,
    block: Block,
    alignment: Alignment,
    dispersion: f64,
    is_started: bool,
    hits: u64,
    /// Log capital staked at once, and staked at restarts, by alternative.
    first: [f64; COUNT],
    later: [f64; COUNT],
    /// Log-evidence of the block under way.
    running: [f64; COUNT],
    block_from: Moment,
    block_is_fresh: bool,
    block_has_hit: bool,
    /// Capital of restarts that waits for the next block.
    waiting: f64,
    /// By slot.
    bets: [[Compact; COUNT]; SLOTS],
}

impl Mixture {
    /// A test that has not begun.
    pub(super) fn new(null: Null, block: Block, alignment: Alignment, at: Moment) -> Self {
        Self {
            null,
            block,
            alignment,
            dispersion: 1.0,
            is_started: false,
            hits: 0,
            first: [AT_ONCE.ln(); COUNT],
            later: [f64::NEG_INFINITY; COUNT],
            running: [0.0; COUNT],
            block_from: at,
            block_is_fresh: true,
            block_has_hit: false,
            waiting: 0.0,
            bets: [[Compact::default(); COUNT]; SLOTS],
        }
    }

    /// The same test with its evidence divided by `dispersion`.
    pub(super) fn dispersed(mut self, dispersion: f64) -> Self {
        self.dispersion = dispersion.max(1.0);
        self
    }

    /// From now on the evidence is divided by this.
    pub(super) const fn disperse(&mut self, dispersion: f64) {
        self.dispersion = dispersion.max(1.0);
    }

    /// Begins.
    pub(super) const fn start(&mut self) {
        self.is_started = true;
    }

    /// Hits of the canary since it began.
    pub(super) const fn hits(&self) -> u64 {
        self.hits
    }

    /// Chooses the stakes of the newest stage anew: `share` of the canary, `stable`'s guessed rate.
    pub(super) fn refit(&mut self, share: f64, stable: f64) {
        let null = self.null;
        self.stake(|times| match null {
            Null::Fixed(limit) => Factors::against(limit, scale_odds(limit, times)),
            Null::Relative(margin) => relative(share, stable, margin, times),
        });
    }

    /// Makes the stakes of the newest stage those against a fixed rate: there is no stable to
    /// compare with.
    pub(super) fn refit_alone(&mut self, stable: f64) {
        let limit = match self.null {
            Null::Fixed(limit) => limit,
            Null::Relative(margin) => margin.edge(stable).min(0.985),
        };
        self.stake(|times| Factors::against(limit, scale_odds(limit, times)));
    }

    /// Stakes nothing in the newest stage.
    pub(super) fn rest(&mut self) {
        self.stake(|_| Factors::default());
    }

    /// A stage begins: what was the newest is the one before.
    pub(super) fn shift(&mut self) {
        self.bets.rotate_right(1);
        self.rest();
    }

    fn stake(&mut self, bet: impl Fn(f64) -> Factors) {
        let [newest, ..] = &mut self.bets;
        for (staked, times) in newest.iter_mut().zip(TIMES) {
            *staked = Compact::of(bet(times));
        }
    }

    /// Takes the counts of a tick that began at `from`, by slot; `fresh` capital comes in at the
    /// next beginning of a block.
    pub(super) fn absorb(
        &mut self,
        from: Moment,
        fresh: f64,
        counts: impl Iterator<Item = (usize, Counts)>,
    ) {
        if !self.is_started {
            return;
        }
        self.waiting += fresh;
        let is_over = from >= self.block_from + self.block.length;
        let is_idle = self.alignment == Alignment::FirstHit && !self.block_has_hit;
        if is_over || is_idle {
            self.commit(from);
        }
        if self.block_is_fresh && self.waiting > 0.0 {
            for later in &mut self.later {
                *later = log_add(*later, self.waiting.ln());
            }
            self.waiting = 0.0;
        }
        self.block_is_fresh = false;
        for (slot, counts) in counts {
            self.hits += counts.canary.hits;
            self.block_has_hit |= counts.canary.hits > 0;
            let Some(bets) = self.bets.get(slot) else {
                continue;
            };
            for (running, bet) in self.running.iter_mut().zip(bets) {
                *running += bet.factors().of(counts) / self.dispersion;
            }
        }
    }

    /// The capital now: formula (2) of docs/judge.md. A test that has not begun has none.
    pub(super) fn value(&self) -> f64 {
        if !self.is_started {
            return 0.0;
        }
        let logs = self.first.iter().zip(&self.later).zip(&self.running);
        let sums = logs.map(|((first, later), running)| {
            let gain = running.min(self.block.cap);
            worth(first + gain) + worth(later + gain)
        });
        sums.zip(PRIOR).map(|(sum, prior)| prior * sum).sum()
    }

    fn commit(&mut self, from: Moment) {
        let logs = self
            .first
            .iter_mut()
            .zip(&mut self.later)
            .zip(&mut self.running);
        for ((first, later), running) in logs {
            let gain = running.min(self.block.cap);
            *first += gain;
            *later += gain;
            *running = 0.0;
        }
        self.block_from = from;
        self.block_is_fresh = true;
        self.block_has_hit = false;
    }
}

/// `e^log`; what is below one in 10^17 of the capital is not worth the reckoning.
fn worth(log: f64) -> f64 {
    if log < -40.0 { 0.0 } else { exp(log) }
}

/// The bets of a test with the capital that each begins with, for a forecast.
pub(super) fn bets(null: Null, share: f64, stable: f64) -> [(f64, Factors); COUNT] {
    let mut bets = PRIOR.map(|prior| (AT_ONCE * prior, Factors::default()));
    for ((_, bet), times) in bets.iter_mut().zip(TIMES) {
        *bet = match null {
            Null::Fixed(limit) => Factors::against(limit, scale_odds(limit, times)),
            Null::Relative(margin) => relative(share, stable, margin, times),
        };
    }
    bets
}

fn relative(share: f64, stable: f64, margin: Margin, times: f64) -> Factors {
    let edge = margin.edge(stable).min(0.985);
    let canary = scale_odds(edge, times).min(1.0 - 1e-6);
    if canary > edge {
        factors(share, canary, stable, margin)
    } else {
        Factors::default()
    }
}
