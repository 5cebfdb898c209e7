//! Chance, from a seed: counts are drawn, not requests.
//!
//! So a simulated tick costs about what the judge costs. Poisson and binomial counts are drawn by
//! inversion and so are exact; a normal distribution stands in only where their variance is large.

use std::sync::Arc;

use fastrand::Rng;

/// From this variance on a normal distribution stands in.
const LARGE: f64 = 1_000.0;
/// Requests of a shape: their latencies are all that can happen.
const PLACES: usize = 1 << 14;

/// How many of events that are expected this often.
pub(crate) fn poisson(random: &mut Rng, expected: f64) -> u64 {
    if expected > LARGE {
        return around(random, expected, expected);
    }
    if expected > 500.0 {
        return poisson(random, expected / 2.0) + poisson(random, expected / 2.0);
    }
    let (mut count, mut term) = (0_u64, (-expected).exp());
    let place = random.f64();
    let mut sum = term;
    while place > sum && term > 0.0 {
        count += 1;
        term *= expected / count as f64;
        sum += term;
    }
    count
}

/// How many of `trials` are hits.
pub(crate) fn binomial(random: &mut Rng, trials: u64, rate: f64) -> u64 {
    if rate > 0.5 {
        return trials - binomial(random, trials, 1.0 - rate);
    }
    if trials == 0 || rate <= 0.0 {
        return 0;
    }
    let n = trials as f64;
    if n * rate * (1.0 - rate) > LARGE {
        return around(random, n * rate, n * rate * (1.0 - rate)).min(trials);
    }
    let nothing = n * (-rate).ln_1p();
    if nothing < -500.0 {
        return binomial(random, trials / 2, rate) + binomial(random, trials - trials / 2, rate);
    }
    let odds = rate / (1.0 - rate);
    let (mut hits, mut term) = (0_u64, nothing.exp());
    let place = random.f64();
    let mut sum = term;
    while place > sum && hits < trials && term > 0.0 {
        term *= odds * (trials - hits) as f64 / (hits + 1) as f64;
        hits += 1;
        sum += term;
    }
    hits
}

/// A time until something that comes once in `mean`.
pub(crate) fn wait(random: &mut Rng, mean: f64) -> f64 {
    -mean * random.f64().max(1e-9).ln()
}

fn around(random: &mut Rng, mean: f64, variance: f64) -> u64 {
    let size = mean + variance.sqrt() * normal(random.f64());
    size.round().max(0.0) as u64
}

/// The normal quantile, to three digits (Hastings; Abramowitz and Stegun 26.2.23).
fn normal(place: f64) -> f64 {
    let tail = place.min(1.0 - place).max(1e-9);
    let t = (-2.0 * tail.ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let size = t - top / bottom;
    if place < 0.5 { -size } else { size }
}

/// Lognormal: median 50 ms, sigma 0.5.
pub(crate) fn lognormal(place: f64) -> f64 {
    50.0 * (0.5 * normal(place)).exp()
}

/// Pareto: at least 20 ms, exponent 1.2; the median is 36 ms.
pub(crate) fn pareto(place: f64) -> f64 {
    20.0 * (1.0 - place).powf(-1.0 / 1.2)
}

/// A distribution of latencies in milliseconds.
#[derive(Debug)]
pub(crate) struct Shape(Vec<f64>);

impl Shape {
    /// From the latency at each place in the order of all (0 to 1).
    pub(crate) fn of(latency: impl Fn(f64) -> f64) -> Arc<Self> {
        let place = |index: usize| (index as f64 + 0.5) / PLACES as f64;
        let mut all: Vec<f64> = (0..PLACES).map(|index| latency(place(index))).collect();
        all.sort_by(f64::total_cmp);
        Arc::new(Self(all))
    }

    /// The latency of one request.
    pub(crate) fn draw(&self, random: &mut Rng) -> f64 {
        self.0[random.usize(0..PLACES)]
    }

    /// The latency at a place in the order of all.
    pub(crate) fn quantile(&self, place: f64) -> f64 {
        self.0[((place * PLACES as f64) as usize).min(PLACES - 1)]
    }

    /// The share of requests above this.
    pub(crate) fn above(&self, millis: f64) -> f64 {
        let below = self.0.partition_point(|latency| *latency <= millis);
        (PLACES - below) as f64 / PLACES as f64
    }
}

#[test]
fn counts_have_their_mean_and_their_variance() {
    let mut random = Rng::with_seed(1);
    let mut check = |mean: f64, variance: f64, draw: &dyn Fn(&mut Rng) -> u64| {
        let counts: Vec<f64> = (0..20_000).map(|_| draw(&mut random) as f64).collect();
        let found = counts.iter().sum::<f64>() / counts.len() as f64;
        let spread = counts.iter().map(|count| (count - mean).powi(2));
        let spread = spread.sum::<f64>() / counts.len() as f64;
        let near = 5.0 * (variance / counts.len() as f64).sqrt();
        assert!((found - mean).abs() < near, "{found} is not {mean}");
        assert!(
            (spread / variance - 1.0).abs() < 0.1,
            "{spread} is not {variance}"
        );
    };
    for mean in [0.3, 20.0, 700.0, 5_000.0] {
        check(mean, mean, &|random| poisson(random, mean));
    }
    for (trials, rate) in [
        (3, 0.2),
        (250, 0.005),
        (250, 0.97),
        (1_500, 0.45),
        (90_000, 0.1),
    ] {
        let mean = trials as f64 * rate;
        check(mean, mean * (1.0 - rate), &|random| {
            binomial(random, trials, rate)
        });
    }
}
