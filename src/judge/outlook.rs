//! How long a verdict will take at the present traffic, for effects of a given size.
//!
//! The judge's own bets are followed on the average course of a canary with that effect, until the
//! sum of their capital is at the threshold. So what a verdict costs is in it: alternatives that
//! are not the true one, blocks, warm-up, the share. Chance makes half of the verdicts come earlier
//! than on the average course, and that is in it, too; no constant is fitted.
//! `tests/judge/forecast.rs` compares forecasts with simulated rollouts.

use std::time::Duration;

use super::{
    bet::Margin,
    criteria::{Block, Criteria},
    forecast::{Effect, Forecast, Need},
    marks::{MARKS, PASS_P50, PASS_P99, Thresholds},
    mixture::Null,
    pace::{Duty, Pace, Traffic},
    safety::growths,
    stats::exp,
};
use crate::{
    measure::Latencies,
    model::{
        Share,
        number::{real, whole},
    },
};

/// What is further away than this is never.
const LONGEST: f64 = 30.0 * 86_400.0;
/// Points of the latency distribution that stands in for one that is not known.
const POINTS: u32 = 4_000;
/// Its median, and its spread on a logarithmic scale.
const MEDIAN: f64 = 0.05;
const SPREAD: f64 = 0.5;

/// What a forecast is made from.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// How bad is bad.
    pub criteria: &'a Criteria,
    /// The canary's share.
    pub share: Share,
    /// Requests a second, of both versions.
    pub rate: f64,
    /// Stable's error rate.
    pub error_rate: f64,
    /// Stable's latencies; too few of them, and a lognormal distribution stands in.
    pub latency: Option<&'a Latencies>,
    /// How often the judge looks.
    pub tick: Duration,
    /// How long ago the canary's first request was; until now it is as good as stable.
    pub age: Duration,
}

/// Rates of hits at the marks of the latency tests.
struct Slow {
    stable: [f64; MARKS],
    canary: [f64; MARKS],
}

/// One term of the evidence: its weight, and the tests of which the smaller counts.
struct Term {
    weight: f64,
    tests: Vec<Pace>,
}

impl Situation<'_> {
    /// How long each verdict will take.
    pub fn forecast(&self) -> Forecast {
        let share = self.share.ratio();
        let canary = self.rate * share;
        if share <= 0.0 || share >= 1.0 || canary <= 0.0 || !canary.is_finite() {
            return Forecast::default();
        }
        let standing_in;
        let known = self
            .latency
            .filter(|seen| seen.count() >= self.criteria.latency_history);
        let latency = if let Some(known) = known {
            known
        } else {
            standing_in = lognormal();
            &standing_in
        };
        let to_fail = Effect::ALL.map(|effect| {
            let seconds = self.seconds_to_fail(effect, latency);
            (effect, self.need(seconds))
        });
        Forecast {
            to_fail: to_fail.to_vec(),
            to_pass: self.need(self.seconds_to_pass(latency)),
        }
    }

    /// How long until a canary is found that fails this share of its requests; `None`: never, or
    /// longer than a month.
    pub fn until_found(&self, error_rate: f64) -> Option<Need> {
        let share = self.share.ratio();
        let is_compared = share > 0.0 && share < 1.0 && self.rate > 0.0;
        let seconds = is_compared.then(|| self.seconds_until(&self.error_terms(error_rate)))?;
        self.need(seconds)
    }

    fn need(&self, seconds: Option<f64>) -> Option<Need> {
        let seconds = seconds.filter(|seconds| *seconds <= LONGEST)?;
        let requests = whole((seconds * self.rate * self.share.ratio()).ceil());
        Some(Need { requests, seconds })
    }

    /// Stable's error rate as the judge will guess it: so many requests cannot exclude it.
    fn guess(&self) -> f64 {
        let stable = self.rate * (1.0 - self.share.ratio());
        let half_life = self.criteria.half_life.as_secs_f64();
        let trials = (stable * half_life / std::f64::consts::LN_2).max(1.0);
        self.error_rate.max(0.2 / trials).clamp(1e-5, 0.98)
    }

    fn traffic(&self, canary: (f64, f64), stable: f64) -> Traffic {
        let share = self.share.ratio();
        Traffic {
            share,
            rate: self.rate * share,
            canary,
            stable,
        }
    }

    /// What is left of the warm-up, in seconds.
    fn warm_up(&self) -> f64 {
        self.criteria.warm_up.saturating_sub(self.age).as_secs_f64()
    }

    /// Of the slow tests.
    fn slow(&self, dispersion: f64) -> Duty {
        let criteria = self.criteria;
        Duty {
            block: self.block(criteria.block),
            dispersion: dispersion.max(1.0),
            from: self.warm_up(),
            age: self.age.saturating_sub(criteria.warm_up).as_secs_f64(),
            restarts: (criteria.restart.as_secs_f64(), criteria.restart_horizon),
        }
    }

    /// Of the critical test: it does not wait.
    fn fast(&self) -> Duty {
        let criteria = self.criteria;
        let every = criteria.critical_restart.as_secs_f64();
        let times = criteria.restart.as_secs_f64() / every;
        Duty {
            block: self.block(criteria.critical_block),
            dispersion: 1.0,
            from: 0.0,
            age: self.age.as_secs_f64(),
            restarts: (every, criteria.restart_horizon * times),
        }
    }

    /// A block ends with the tick in which its time is over.
    fn block(&self, block: Block) -> Block {
        let tick = self.tick.as_secs_f64();
        let ticks = (block.length.as_secs_f64() / tick - 1e-6).ceil().max(1.0);
        Block {
            length: self.tick.mul_f64(ticks),
            ..block
        }
    }

    fn seconds_to_fail(&self, effect: Effect, latency: &Latencies) -> Option<f64> {
        let terms = match effect.error_rate(self.criteria, self.error_rate) {
            Some(canary) => self.error_terms(canary),
            None => self.latency_terms(effect, latency)?,
        };
        self.seconds_until(&terms)
    }

    /// When the sum of the evidence will be at the threshold, half of the time.
    fn seconds_until(&self, terms: &[Term]) -> Option<f64> {
        let evidence = |second: f64| terms.iter().map(|term| term.value(second)).sum::<f64>();
        let second = self.first_tick(|second| evidence(second) >= self.criteria.threshold())?;
        let accusing = terms
            .iter()
            .max_by(|a, b| a.value(second).total_cmp(&b.value(second)))?;
        let test = accusing.tests.first()?;
        let backed = test.hits_seen(real(self.criteria.min_hits));
        // A walk with drift reaches its end at the average time divided by this, half of the time.
        let luck = (1.0 + test.scatter(second)).sqrt();
        let from = test.from();
        Some(self.on_a_tick((from + (second - from) / luck).max(backed)))
    }

    fn error_terms(&self, canary: f64) -> Vec<Term> {
        let criteria = self.criteria;
        let (guess, weights) = (self.guess(), &criteria.weights);
        let traffic = self.traffic((canary, guess), guess);
        let slow = |null| Pace::new(null, traffic, self.slow(criteria.dispersion));
        let broken = Null::Relative(Margin::plus(criteria.critical_absolute));
        let worse = Null::Relative(Margin::NONE);
        let critical = Pace::new(broken, traffic, self.fast());
        let mut terms = vec![
            Term::new(weights.errors, vec![slow(Null::Relative(criteria.errors))]),
            Term::new(weights.critical, vec![critical]),
        ];
        terms.extend(criteria.slo_errors.map(|limit| {
            Term::new(
                criteria.slo_weight(),
                vec![slow(Null::Fixed(limit)), slow(worse)],
            )
        }));
        terms
    }

    fn latency_terms(&self, effect: Effect, latency: &Latencies) -> Option<Vec<Term>> {
        let slow = Slow::of(effect, latency, self.criteria)?;
        let healthy = Slow::of(Effect::AllFail, latency, self.criteria)?;
        let null = Null::Relative(self.criteria.latency());
        let canary = slow.canary.into_iter().zip(healthy.canary);
        let rates = canary.zip(slow.stable).zip(self.criteria.weights.latency);
        let terms = rates.map(|((canary, stable), weight)| {
            let traffic = self.traffic(canary, stable.clamp(1e-5, 0.98));
            Term::new(weight, vec![Pace::new(null, traffic, self.slow(1.0))])
        });
        Some(terms.collect())
    }

    /// The first tick at whose end something holds that stays so.
    fn first_tick(&self, holds: impl Fn(f64) -> bool) -> Option<f64> {
        let tick = self.tick.as_secs_f64();
        let (mut low, mut high) = (0.0, 1.0);
        while !holds(high * tick) {
            (low, high) = (high, 2.0 * high);
            if low * tick > LONGEST {
                return None;
            }
        }
        while high - low > 1.5 {
            let middle = (0.5 * (low + high)).floor();
            if holds(middle * tick) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high * tick)
    }

    fn on_a_tick(&self, seconds: f64) -> f64 {
        let tick = self.tick.as_secs_f64();
        (seconds / tick - 1e-6).ceil() * tick
    }

    fn seconds_to_pass(&self, latency: &Latencies) -> Option<f64> {
        let criteria = self.criteria;
        let canary = self.rate * self.share.ratio();
        let guess = self.guess();
        let slow = Slow::of(Effect::AllFail, latency, criteria)?;
        let mut requests =
            self.proof(criteria.pass_errors, guess, guess)? * criteria.dispersion.max(1.0);
        for (test, mark) in [PASS_P50, PASS_P99] {
            let stable = slow.stable.get(test)?.clamp(1e-5, 0.98);
            let expected = slow.canary.get(mark)?.max(1e-5);
            requests = requests.max(self.proof(criteria.pass_latency(), stable, expected)?);
        }
        let seconds =
            (self.warm_up() + requests / canary).max(real(criteria.min_requests) / canary);
        Some(self.on_a_tick(seconds))
    }

    /// Canary requests until a guard has its proof.
    fn proof(&self, margin: Margin, stable: f64, expected: f64) -> Option<f64> {
        let growths = growths(margin, self.share.ratio(), stable, expected);
        let wanted = 1.0 / self.criteria.alpha_pass;
        let value = |n: f64| {
            growths
                .iter()
                .map(|growth| exp(n * growth) / 3.0)
                .sum::<f64>()
        };
        let (mut low, mut high) = (0.0, 1.0);
        while value(high) < wanted {
            (low, high) = (high, 2.0 * high);
            if high > 1e12 {
                return None;
            }
        }
        while high - low > 0.5 {
            let middle = 0.5 * (low + high);
            if value(middle) < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(high)
    }
}

impl Term {
    const fn new(weight: f64, tests: Vec<Pace>) -> Self {
        Self { weight, tests }
    }

    fn value(&self, second: f64) -> f64 {
        let values = self.tests.iter().map(|test| test.value(second));
        self.weight * values.fold(f64::INFINITY, f64::min)
    }
}

impl Slow {
    /// Of stable, and of a canary with this effect.
    fn of(effect: Effect, latency: &Latencies, criteria: &Criteria) -> Option<Self> {
        let thresholds = Thresholds::of(latency, criteria)?;
        let all = real(latency.count());
        let (factor, from) = match effect {
            Effect::LatencyX2 => (2.0, Duration::ZERO),
            Effect::LatencyPlus20Pct => (1.2, Duration::ZERO),
            Effect::P99X2 => (2.0, latency.quantile(0.95)?),
            Effect::AllFail | Effect::ErrorsPlus5Pp | Effect::ErrorsX2 => (1.0, Duration::ZERO),
        };
        let marks = thresholds.canary.map(|mark| mark.div_f64(factor).max(from));
        Some(Self {
            stable: latency
                .counts_above(&thresholds.stable)
                .map(|n| real(n) / all),
            canary: latency.counts_above(&marks).map(|n| real(n) / all),
        })
    }
}

/// The distribution that stands in.
fn lognormal() -> Latencies {
    let mut latencies = Latencies::new();
    for point in 0..POINTS {
        let place = (f64::from(point) + 0.5) / f64::from(POINTS);
        let seconds = MEDIAN * (SPREAD * normal(place)).exp();
        latencies.record(Duration::from_secs_f64(seconds));
    }
    latencies
}

/// The normal quantile, to three digits (Hastings; Abramowitz and Stegun 26.2.23).
fn normal(place: f64) -> f64 {
    let tail = place.min(1.0 - place);
    let t = (-2.0 * tail.ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let size = t - top / bottom;
    if place < 0.5 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One in a hundred goes to the canary: ten a second.
    fn situation(criteria: &Criteria, error_rate: f64) -> Situation<'_> {
        Situation {
            criteria,
            share: Share::from_basis_points(100).unwrap(),
            rate: 1_000.0,
            error_rate,
            latency: None,
            tick: Duration::from_millis(50),
            age: criteria.warm_up,
        }
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        let off = (found / expected - 1.0).abs();
        assert!(off <= 0.25, "{found} is not {expected}");
    }

    #[test]
    fn forecasts_are_near_the_planning_numbers_of_the_document() {
        let criteria = Criteria::default();
        // The document's number for 0.5 to 20 % is 15: it knows of no blocks.
        let blocks = 23.0;
        for (stable, canary, expected) in [
            (0.005, 0.01, 6_300.0),
            (0.001, 0.01, 790.0),
            (0.01, 0.05, 216.0),
            (0.005, 0.20, blocks),
        ] {
            let situation = situation(&criteria, stable);
            let seconds = situation.seconds_until(&situation.error_terms(canary));
            near(10.0 * seconds.unwrap(), expected);
        }
        for (rate, expected) in [(0.001, 2_500.0), (0.005, 2_600.0), (0.01, 2_100.0)] {
            let found = situation(&criteria, rate).proof(criteria.pass_errors, rate, rate);
            near(found.unwrap(), expected);
        }
        let slow = Slow::of(Effect::AllFail, &lognormal(), &criteria).unwrap();
        let (stable, beyond) = (slow.stable[PASS_P99.0], slow.canary[PASS_P99.1]);
        let found = situation(&criteria, 0.0).proof(criteria.pass_latency(), stable, beyond);
        near(found.unwrap(), 1_160.0);
    }

    #[test]
    fn warm_up_delays_all_but_what_is_badly_broken() {
        let criteria = Criteria::default();
        let cold = Situation {
            age: Duration::ZERO,
            ..situation(&criteria, 0.005)
        };
        let (cold, warm) = (cold.forecast(), situation(&criteria, 0.005).forecast());
        let delay = |effect| {
            let seconds = |forecast: &Forecast| forecast.to_find(effect).unwrap().seconds;
            seconds(&cold) - seconds(&warm)
        };
        assert!(delay(Effect::AllFail) < 1.0);
        assert!((29.0..=31.0).contains(&delay(Effect::LatencyX2)));
        let pass = |forecast: Forecast| forecast.to_pass.unwrap().seconds;
        assert!((29.9..=30.1).contains(&(pass(cold) - pass(warm))));
    }

    #[test]
    fn harm_that_begins_after_a_healthy_hour_is_found_later_but_found() {
        let criteria = Criteria::default();
        let late = Situation {
            age: Duration::from_hours(1),
            ..situation(&criteria, 0.005)
        };
        let (late, soon) = (late.forecast(), situation(&criteria, 0.005).forecast());
        for (effect, most) in [(Effect::AllFail, 4.0), (Effect::ErrorsX2, 2.5)] {
            let [late, soon] = [&late, &soon].map(|it| it.to_find(effect).unwrap().seconds);
            let times = late / soon;
            assert!((1.1..most).contains(&times), "{effect:?} {soon} {late}");
        }
        assert_eq!(late.to_pass, soon.to_pass, "proofs of safety begin anew");
    }

    #[test]
    fn nothing_is_said_where_nothing_can_be_known() {
        let criteria = Criteria::default();
        let base = situation(&criteria, 0.005);
        let of = |share| Situation { share, ..base }.forecast();
        for forecast in [
            of(Share::ZERO),
            of(Share::FULL),
            Situation { rate: 0.0, ..base }.forecast(),
        ] {
            assert_eq!(forecast, Forecast::default());
        }
        let rare = Situation { rate: 0.01, ..base }.forecast();
        assert_eq!(rare.to_find(Effect::ErrorsX2), None, "longer than a month");
        let tolerant = Criteria {
            errors: Margin {
                ratio: 1.05,
                absolute: 0.2,
            },
            slo_errors: None,
            ..Criteria::default()
        };
        let forecast = situation(&tolerant, 0.005).forecast();
        assert_eq!(forecast.to_find(Effect::ErrorsPlus5Pp), None, "tolerated");
        assert!(forecast.to_find(Effect::AllFail).is_some());
    }

    #[test]
    fn a_pass_takes_the_least_requests_that_the_file_wants() {
        let criteria = Criteria {
            min_requests: 100_000,
            ..Criteria::default()
        };
        let need = situation(&criteria, 0.005).forecast().to_pass.unwrap();
        assert_eq!(need.requests, 100_000);
    }

    #[test]
    fn latency_that_was_seen_decides_and_not_the_shape_of_others() {
        let criteria = Criteria::default();
        let mut narrow = Latencies::new();
        for micros in 0..1_000 {
            narrow.record(Duration::from_micros(50_000 + micros));
        }
        let seen = Situation {
            latency: Some(&narrow),
            ..situation(&criteria, 0.005)
        };
        let seconds = |situation: Situation<'_>| {
            let forecast = situation.forecast();
            forecast.to_find(Effect::LatencyPlus20Pct).unwrap().seconds
        };
        let (narrow, wide) = (seconds(seen), seconds(situation(&criteria, 0.005)));
        assert!(10.0 * narrow < wide, "{narrow} {wide}");
    }
}
