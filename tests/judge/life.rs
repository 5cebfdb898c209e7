//! One simulated rollout: traffic with known rates before the judge, from a seed.

use std::time::Duration;

use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, Stratum, Tick, Verdict, judge},
    measure::Cell,
    model::{Moment, Share, Stage},
};

/// Seconds of history of stable before each rollout.
const HISTORY: f64 = 60.0;

/// Stable's and the canary's rate of errors at a second.
pub(crate) type Errors = fn(f64) -> (f64, f64);
/// The latency in milliseconds of a request: its place in the order of all (0 to 1), the second,
/// and whether the canary serves it.
pub(crate) type Latency = fn(f64, f64, bool) -> f64;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) name: &'static str,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Stages: from which second, per cent of the canary.
    pub(crate) stages: &'static [(u32, u16)],
    pub(crate) seconds: u32,
    pub(crate) tick_ms: u32,
    pub(crate) errors: Errors,
    pub(crate) latency: Option<Latency>,
    /// Each version's only process pauses for 20 ms on average, once in five seconds.
    pub(crate) pauses: bool,
}

/// From when to when the processes pause: stable's and the canary's.
type Pauses = [Vec<(f64, f64)>; 2];

/// How it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct End {
    /// Seconds, canary requests and cause of the rollback.
    pub(crate) failed: Option<(f64, u64, String)>,
    /// Second of the first pass.
    pub(crate) passed: Option<f64>,
}

/// The shape of latencies: lognormal, median 50 ms, sigma 0.5.
pub(crate) fn lognormal(place: f64) -> f64 {
    50.0 * (0.5 * normal(place)).exp()
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

impl Life {
    /// Lives it once.
    pub(crate) fn live(&self, seed: u64) -> End {
        let mut random = fastrand::Rng::with_seed(seed);
        let criteria = Criteria {
            warm_up: Duration::ZERO,
            ..Criteria::default()
        };
        let pauses = self.pauses(&mut random);
        let baseline = self.history(&mut random, &pauses);
        let mut evidence = Evidence::new(&criteria, &baseline, Moment::ZERO);
        let mut end = End::default();
        let mut late: Option<(usize, [Cell; 2])> = None;
        for tick in 0..self.seconds * 1_000 / self.tick_ms {
            let (from, to) = (
                u64::from(tick * self.tick_ms),
                u64::from((tick + 1) * self.tick_ms),
            );
            let second = from as f64 / 1_000.0;
            let began = self
                .stages
                .iter()
                .rposition(|(begin, _)| f64::from(*begin) <= second);
            let stage = began.unwrap_or(0);
            if late.as_ref().is_some_and(|(before, _)| *before != stage) {
                let at = Moment::from_millis(from);
                evidence.begin_stage(Stage(stage as u64), self.share(stage), &baseline, at);
            }
            let [mut now, later] = [0, 1].map(|_| self.cells(&mut random, second, stage, &pauses));
            let mut cells = Vec::new();
            match late.replace((stage, later)) {
                Some((before, outcomes)) if before == stage => {
                    now.iter_mut()
                        .zip(&outcomes)
                        .for_each(|(now, late)| now.merge(late));
                }
                Some(outcomes) => cells.push(outcomes),
                None => {}
            }
            cells.push((stage, now));
            let strata: Vec<_> = cells
                .iter()
                .map(|(stage, cells)| self.stratum(*stage, cells))
                .collect();
            evidence.absorb(&Tick {
                from: Moment::from_millis(from),
                to: Moment::from_millis(to),
                strata: &strata,
            });
            let seconds = to as f64 / 1_000.0;
            if let Some(failure) = evidence.failure() {
                let cause = failure.cause.clone();
                end.failed = Some((seconds, failure.canary_requests, cause));
                return end;
            }
            let is_asked = end.passed.is_none() && to.is_multiple_of(1_000);
            if is_asked && judge(&evidence, &criteria).verdict == Verdict::Pass {
                end.passed = Some(seconds);
            }
        }
        end
    }

    fn share(&self, stage: usize) -> Share {
        Share::from_basis_points(self.stages[stage].1 * 100).unwrap()
    }

    fn stratum<'a>(&self, stage: usize, cells: &'a [Cell; 2]) -> Stratum<'a> {
        let [stable, canary] = cells.each_ref().map(|cell| Arm {
            cell,
            in_flight: None,
        });
        Stratum {
            stage: Stage(stage as u64),
            share: self.share(stage),
            stable,
            canary,
        }
    }

    fn pauses(&self, random: &mut fastrand::Rng) -> Pauses {
        let mut exponential = |mean: f64| -mean * random.f64().max(1e-9).ln();
        [0, 1].map(|_| {
            let (mut pauses, mut now) = (Vec::new(), -HISTORY);
            while self.pauses && now < f64::from(self.seconds) {
                now += exponential(5.0);
                pauses.push((now, now + exponential(0.02)));
            }
            pauses
        })
    }

    fn history(&self, random: &mut fastrand::Rng, pauses: &Pauses) -> Baseline {
        let requests = poisson(random, self.rate * HISTORY).min(20_000);
        let mut cell = Cell::default();
        for _ in 0..requests {
            let second = -HISTORY * random.f64();
            self.request(random, second, pauses, (false, &mut cell));
        }
        Baseline {
            requests,
            failures: cell.failures,
            latency: cell.latency,
            ..Baseline::default()
        }
    }

    /// Half of a tick's outcomes: stable's and the canary's.
    fn cells(
        &self,
        random: &mut fastrand::Rng,
        second: f64,
        stage: usize,
        pauses: &Pauses,
    ) -> [Cell; 2] {
        let share = self.share(stage).ratio();
        let mut cells = [Cell::default(), Cell::default()];
        let expected = self.rate * f64::from(self.tick_ms) / 2_000.0;
        for _ in 0..poisson(random, expected) {
            let is_canary = random.f64() < share;
            let second = second + random.f64() * f64::from(self.tick_ms) / 1_000.0;
            let cell = &mut cells[usize::from(is_canary)];
            self.request(random, second, pauses, (is_canary, cell));
        }
        cells
    }

    fn request(
        &self,
        random: &mut fastrand::Rng,
        second: f64,
        pauses: &Pauses,
        (is_canary, cell): (bool, &mut Cell),
    ) {
        let (stable, canary) = (self.errors)(second);
        let rate = if is_canary { canary } else { stable };
        cell.assigned += 1;
        cell.trials += 1;
        cell.failures += u64::from(random.f64() < rate);
        if let Some(latency) = self.latency {
            let pauses = &pauses[usize::from(is_canary)];
            let begun = pauses.partition_point(|(begin, _)| *begin <= second);
            let last = begun.checked_sub(1).map_or(second, |last| pauses[last].1);
            let rest = (last - second).max(0.0) * 1_000.0;
            let millis = rest + latency(random.f64(), second, is_canary);
            cell.latency
                .record(Duration::from_secs_f64(millis / 1_000.0));
        }
    }
}

fn poisson(random: &mut fastrand::Rng, expected: f64) -> u64 {
    if expected > 50.0 {
        let size = expected + expected.sqrt() * normal(random.f64());
        return size.round().max(0.0) as u64;
    }
    let (mut count, mut left) = (0_u32, (-expected).exp());
    let place = random.f64();
    let mut sum = left;
    while place > sum && left > 0.0 {
        count += 1;
        left *= expected / f64::from(count);
        sum += left;
    }
    u64::from(count)
}

impl Life {
    /// Latencies are left out: only errors are judged.
    pub(crate) const fn errors_only(
        name: &'static str,
        rate: f64,
        percent: &'static [(u32, u16)],
    ) -> Self {
        Self {
            name,
            rate,
            stages: percent,
            seconds: 300,
            tick_ms: 250,
            errors: |_| (0.005, 0.005),
            latency: None,
            pauses: false,
        }
    }
}
