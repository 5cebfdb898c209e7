//! No bet wins against the truth: expectations by exact enumeration.

use std::time::Duration;

use proptest::prelude::*;

use super::at;
use crate::judge::{
    bet::{Counts, Factors, Margin, Trials, factors},
    criteria::Block,
    mixture::{Alignment, Mixture, Null},
    stats,
};

/// The four things that can happen to a request: probability, and what is counted.
fn outcomes(share: f64, canary: f64, stable: f64) -> [(f64, Counts); 4] {
    let of = |probability, canary: (u64, u64), stable: (u64, u64)| {
        let canary = Trials::new(canary.0, canary.1);
        let stable = Trials::new(stable.0, stable.1);
        (probability, Counts { canary, stable })
    };
    [
        of(share * canary, (1, 1), (0, 0)),
        of(share * (1.0 - canary), (1, 0), (0, 0)),
        of((1.0 - share) * stable, (0, 0), (1, 1)),
        of((1.0 - share) * (1.0 - stable), (0, 0), (1, 0)),
    ]
}

fn expectation(bet: &Factors, share: f64, canary: f64, stable: f64) -> f64 {
    let all = outcomes(share, canary, stable);
    all.iter()
        .map(|(probability, counts)| probability * bet.of(*counts).exp())
        .sum()
}

proptest! {
    #[test]
    fn no_bet_on_harm_wins_under_the_null(
        w in 1e-4..0.9999_f64, q in 1e-4..0.9999_f64, guess in 1e-5..0.98_f64,
        stable in 0.0..1.0_f64, tolerated in 0.0..1.0_f64,
        ratio in 1.0..2.0_f64, absolute in 0.0..0.2_f64,
    ) {
        let margin = Margin { ratio, absolute };
        prop_assume!(q > margin.edge(guess) && margin.edge(guess) < 0.985);
        let bet = factors(w, q, guess, margin);
        // Any stable rate, however wrong the guess, and any canary within the margin.
        let canary = tolerated * margin.edge(stable).min(1.0);
        let found = expectation(&bet, w, canary, stable);
        prop_assert!(found <= 1.0 + 1e-9, "{found}");
    }

    #[test]
    fn no_bet_on_safety_wins_when_the_canary_is_at_the_margin_or_beyond(
        w in 1e-4..0.9999_f64, part in 0.05..0.98_f64, guess in 1e-5..0.5_f64,
        stable in 0.0..0.5_f64, beyond in 0.0..1.0_f64,
        ratio in 1.0..2.0_f64, absolute in 1e-4..0.2_f64,
    ) {
        let margin = Margin { ratio, absolute };
        prop_assume!(margin.edge(guess) < 0.98);
        let bet = factors(w, part * margin.edge(guess), guess, margin);
        let edge = margin.edge(stable);
        prop_assume!(edge <= 1.0);
        let canary = edge + beyond * (1.0 - edge);
        let found = expectation(&bet, w, canary, stable);
        prop_assert!(found <= 1.0 + 1e-9, "{found}");
    }

    #[test]
    fn a_bet_grows_when_its_alternative_is_true(
        w in 0.01..0.9_f64, guess in 1e-4..0.2_f64, times in 1.5..50.0_f64,
    ) {
        let margin = Margin { ratio: 1.05, absolute: 0.0005 };
        let q = stats::scale_odds(margin.edge(guess), times);
        prop_assert!(factors(w, q, guess, margin).growth(w, q, guess) > 0.0);
    }
}

/// The expected capital after every possible course of `ticks` requests on the margin, one a tick.
fn expected_capital(mixture: &Mixture, ticks: u64, stable: &dyn Fn(u64) -> f64) -> f64 {
    fn go(mixture: &Mixture, left: u64, now: u64, stable: &dyn Fn(u64) -> f64) -> f64 {
        if left == 0 {
            return mixture.value();
        }
        let rate = stable(now);
        let edge = 1.05 * rate + 0.0005;
        let mut sum = 0.0;
        for (probability, counts) in outcomes(0.3, edge, rate) {
            let mut next = mixture.clone();
            let fresh = if now.is_multiple_of(2) { 0.1 } else { 0.0 };
            next.absorb(at(now * 100), fresh, std::iter::once((0, counts)));
            sum += probability * go(&next, left - 1, now + 1, stable);
        }
        sum
    }
    go(mixture, ticks, 0, stable)
}

#[test]
fn blocks_caps_and_restarts_win_nothing_under_the_null() {
    let margin = Margin {
        ratio: 1.05,
        absolute: 0.0005,
    };
    for alignment in [Alignment::Steady, Alignment::FirstHit] {
        for (length, cap) in [(100, 0.7), (250, 2.0), (250, 50.0)] {
            let block = Block {
                length: Duration::from_millis(length),
                cap,
            };
            let mut mixture = Mixture::new(Null::Relative(margin), block, alignment, at(0));
            mixture.start();
            mixture.refit(0.3, 0.1);
            // Half is staked at once; three parts of a tenth at ticks 0, 2 and 4.
            for stable in [0.02, 0.3, 0.9] {
                let drifting = |tick: u64| if tick > 3 { stable } else { 0.2 };
                let found = expected_capital(&mixture, 6, &drifting);
                assert!(
                    found <= 0.8 + 1e-9,
                    "{alignment:?} {length} {cap} {stable}: {found}"
                );
                assert!(found > 0.2, "the test bets something: {found}");
            }
        }
    }
}
