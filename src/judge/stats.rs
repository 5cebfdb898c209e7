//! The few functions of statistics that the judge needs, each with reference values in its test.

/// The largest exponent that is taken: e^600 is still finite and far beyond any threshold.
const EXPONENT_MAX: f64 = 600.0;

/// `e^x`, kept finite.
pub(super) fn exp(x: f64) -> f64 {
    x.min(EXPONENT_MAX).exp()
}

/// `ln(e^a + e^b)` without overflow; minus infinity stands for nothing.
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    let (large, small) = if a < b { (b, a) } else { (a, b) };
    if small.is_finite() {
        large + (small - large).exp().ln_1p()
    } else {
        large
    }
}

/// The probability whose odds are `times` those of `probability`.
pub(super) fn scale_odds(probability: f64, times: f64) -> f64 {
    let odds = times * probability / (1.0 - probability);
    odds / (1.0 + odds)
}

/// Relative entropy of two coins: how fast tosses of `truth` tell it from `other`.
pub(super) fn kl(truth: f64, other: f64) -> f64 {
    let term = |x: f64, y: f64| if x > 0.0 { x * (x / y).ln() } else { 0.0 };
    term(truth, other) + term(1.0 - truth, 1.0 - other)
}

/// The logarithm of the gamma function for `x > 0` (Lanczos, nine terms; 1e-13 relative).
pub(super) fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let mut place = 0.0;
    let mut sum = 0.999_999_999_999_809_9;
    for term in TERMS {
        place += 1.0;
        sum += term / (x + place);
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The logarithm of the beta function.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// An interval for a rate that holds at every look at once with probability `1 - alpha`.
///
/// All `p` with `n KL(rate, p) <= ln(1/alpha) + ln(n)/2 + ln 2`: the right side bounds the regret
/// of the Krichevsky-Trofimov mixture, which is a test martingale for each `p`.
pub(super) fn rate_interval(hits: f64, trials: f64, alpha: f64) -> (f64, f64) {
    if trials < 1.0 {
        return (0.0, 1.0);
    }
    let rate = (hits / trials).clamp(0.0, 1.0);
    let reach = ((1.0 / alpha).ln() + 0.5 * trials.ln() + std::f64::consts::LN_2) / trials;
    (1.0 - edge_above(1.0 - rate, reach), edge_above(rate, reach))
}

/// The largest `p` with `KL(rate, p) <= reach`: Newton's steps from outside, where the convex
/// function is never left on the wrong side.
fn edge_above(rate: f64, reach: f64) -> f64 {
    const STEPS: usize = 40;
    if rate >= 1.0 {
        return 1.0;
    }
    let wide = rate + reach + (reach * (reach + 2.0 * rate)).sqrt();
    let mut edge = wide.min(1.0 - 1e-12);
    for _ in 0..STEPS {
        let over = kl(rate, edge) - reach;
        let step = over * edge * (1.0 - edge) / (edge - rate);
        if over <= 0.0 || step <= 1e-7 * (1.0 - edge).min(edge) {
            break;
        }
        edge -= step;
    }
    edge
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        let scale = expected.abs().max(1.0);
        assert!(
            (found - expected).abs() <= 1e-10 * scale,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn functions_have_their_reference_values() {
        close(ln_gamma(1.0), 0.0);
        close(ln_gamma(0.5), 0.572_364_942_924_700_1);
        close(ln_gamma(10.0), 12.801_827_480_081_469);
        close(ln_gamma(1_000.5), 5_908.674_175_848_678);
        close(ln_beta(2.0, 3.0), (1.0_f64 / 12.0).ln());
        close(kl(0.5, 0.25), 0.143_841_036_225_890_45);
        close(kl(0.0, 0.5), std::f64::consts::LN_2);
        close(scale_odds(0.5, 3.0), 0.75);
        close(log_add(2.0_f64.ln(), 3.0_f64.ln()), 5.0_f64.ln());
        close(log_add(f64::NEG_INFINITY, 1.0), 1.0);
        assert!(log_add(f64::NEG_INFINITY, f64::NEG_INFINITY).is_infinite());
        assert!(exp(1e9).is_finite());
    }

    #[test]
    fn an_interval_holds_the_rate_and_narrows() {
        let (low, high) = rate_interval(10.0, 1_000.0, 0.05);
        assert!(
            low < 0.01 && 0.01 < high && high < 0.04 && low > 0.001,
            "{low} {high}"
        );
        let (low, high) = rate_interval(0.0, 1_000.0, 0.05);
        assert!(low <= 1e-6 && high < 0.01, "{low} {high}");
        assert_eq!(rate_interval(0.0, 0.0, 0.05), (0.0, 1.0));
        // At the edges the divergence is what it may reach.
        for (hits, trials) in [(1.0, 100.0), (99.0, 100.0), (300.0, 1_000.0), (5.0, 1e7)] {
            let reach = ((20.0_f64).ln() + 0.5 * f64::ln(trials) + 2.0_f64.ln()) / trials;
            let (low, high) = rate_interval(hits, trials, 0.05);
            for edge in [low, high] {
                let found = kl(hits / trials, edge);
                assert!(
                    (found / reach - 1.0).abs() < 1e-3,
                    "{hits} {trials} {edge} {found}"
                );
            }
        }
    }
}
