//! Is the canary proven to be no worse? The bets with the hypotheses exchanged.
//!
//! Three guards - errors, p50, p99 - each bet against "the canary is at least as bad as the margin
//! to prove". A stage passes when *every* guard has its proof, so no correction for their number
//! is needed. They begin anew at each stage, since a canary may be good at 1 % and bad at 25 %.
//! Silence proves nothing: without requests a guard stays at 1 and never passes.

use super::{
    bet::{Counts, Factors, Margin, factors},
    criteria::Criteria,
    marks::{PASS_P50, PASS_P99},
    stages::SLOTS,
    stats::exp,
};

/// The canary's rate as multiples of what is expected of a good one.
const TIMES: [f64; 3] = [1.0, 0.6, 1.25];
/// How far under the line a bet stays.
const BELOW: f64 = 0.98;

/// What a guard watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// Errors.
    Errors,
    /// Latency: the test whose guess is used, and the mark at which the canary is counted.
    Latency(usize, usize),
}

/// One guard.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    /// What it is called.
    pub name: &'static str,
    /// What it watches.
    pub watched: Watched,
    margin: Margin,
    capital: [f64; TIMES.len()],
    bets: [[Factors; TIMES.len()]; SLOTS],
    /// Log-growth for each canary request if the canary is as good as expected.
    growth: f64,
}

impl Guard {
    /// All guards.
    pub(super) fn all(criteria: &Criteria) -> [Self; 3] {
        let latency = criteria.pass_latency();
        [
            Self::new("error_rate", Watched::Errors, criteria.pass_errors),
            Self::new(
                "latency_p50",
                Watched::Latency(PASS_P50.0, PASS_P50.1),
                latency,
            ),
            Self::new(
                "latency_p99",
                Watched::Latency(PASS_P99.0, PASS_P99.1),
                latency,
            ),
        ]
    }

    fn new(name: &'static str, watched: Watched, margin: Margin) -> Self {
        Self {
            name,
            watched,
            margin,
            capital: [0.0; TIMES.len()],
            bets: [[Factors::default(); TIMES.len()]; SLOTS],
            growth: 0.0,
        }
    }

    /// Begins anew.
    pub(super) const fn restart(&mut self) {
        self.capital = [0.0; TIMES.len()];
    }

    /// A stage begins: what was the newest is the one before.
    pub(super) fn shift(&mut self) {
        self.bets.rotate_right(1);
        let [newest, ..] = &mut self.bets;
        *newest = [Factors::default(); TIMES.len()];
    }

    /// Chooses the stakes of the newest stage: stable's guessed rate, and what is expected of the
    /// canary.
    pub(super) fn refit(&mut self, share: f64, stable: f64, expected: f64) {
        let stable = stable.min(0.95);
        let below = BELOW * self.margin.edge(stable);
        let [bets, ..] = &mut self.bets;
        for (bet, times) in bets.iter_mut().zip(TIMES) {
            *bet = factors(share, (expected * times).min(below), stable, self.margin);
        }
        let growths = bets.iter().map(|bet| bet.growth(share, expected, stable));
        self.growth = growths.fold(0.0, f64::max);
    }

    /// Stakes nothing in the newest stage.
    pub(super) fn rest(&mut self) {
        let [bets, ..] = &mut self.bets;
        *bets = [Factors::default(); TIMES.len()];
        self.growth = 0.0;
    }

    /// Takes the counts of a tick in a slot, as evidence that is divided by `divisor`.
    pub(super) fn absorb(&mut self, slot: usize, counts: Counts, divisor: f64) {
        let Some(bets) = self.bets.get(slot) else {
            return;
        };
        for (capital, bet) in self.capital.iter_mut().zip(bets) {
            *capital += bet.of(counts) / divisor;
        }
    }

    /// The evidence that the canary is within the margin to prove.
    pub(super) fn value(&self) -> f64 {
        self.capital
            .iter()
            .map(|capital| exp(*capital))
            .sum::<f64>()
            / 3.0
    }

    /// Canary requests until the evidence is `threshold`, if the canary is as good as expected.
    pub(super) fn needs(&self, threshold: f64) -> Option<f64> {
        let missing = (threshold / self.value()).ln();
        if missing <= 0.0 {
            return Some(0.0);
        }
        // The best of three bets has a third of the capital.
        (self.growth > 0.0).then(|| missing / self.growth)
    }
}

/// Log-growth of each bet on safety for each canary request, for a forecast.
pub(super) fn growths(margin: Margin, share: f64, stable: f64, expected: f64) -> [f64; 3] {
    let stable = stable.min(0.95);
    let below = BELOW * margin.edge(stable);
    TIMES.map(|times| {
        let bet = factors(share, (expected * times).min(below), stable, margin);
        bet.growth(share, expected, stable)
    })
}
