//! One simulated rollout: traffic with known rates before the judge, from a seed.

use std::{fmt, sync::Arc, time::Duration};

use fastrand::Rng;
use serin::{
    judge::{Arm, Baseline, Criteria, Evidence, RouteBaseline, Stratum, Tick, Verdict, judge},
    measure::{Cell, Latencies},
    model::{Moment, RouteName, Share, Stage},
};

use super::{
    chance::{Shape, binomial, poisson},
    weather::{Sky, Weather},
};

/// Seconds of history of stable before each stage.
const HISTORY: f64 = 60.0;
/// The most requests of stable that a history has.
const HISTORY_MAX: f64 = 20_000.0;
/// Stable and the canary.
const ARMS: [usize; 2] = [0, 1];
/// The canary.
const CANARY: usize = 1;

/// Something of stable and of the canary at a second.
pub(crate) type Rates = Arc<dyn Fn(f64) -> [f64; 2] + Send + Sync>;

/// What is simulated.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) name: &'static str,
    /// Requests a second, and how many times that at a second.
    pub(crate) rate: f64,
    pub(crate) load: fn(f64) -> f64,
    /// Stages: from which second, per cent of the canary.
    pub(crate) stages: Vec<(u32, u16)>,
    /// What the canary really gets of its share.
    pub(crate) realised: f64,
    pub(crate) seconds: u32,
    pub(crate) tick_ms: u32,
    /// Rates of errors.
    pub(crate) errors: Rates,
    /// Latencies; without them only errors are judged.
    pub(crate) latency: Option<[Arc<Shape>; 2]>,
    /// How many times as long requests take at a second.
    pub(crate) slowness: Rates,
    pub(crate) weather: Weather,
    /// How many routes share the traffic, the first has the most.
    pub(crate) routes: usize,
    /// The only route on which the canary is not as good as stable; `None`: all are alike.
    pub(crate) bad_route: Option<usize>,
    /// From which second on the canary is bad.
    pub(crate) harm_from: f64,
    pub(crate) criteria: Criteria,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A rollback.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// Seconds since harm began; negative: before.
    pub(crate) seconds: f64,
    /// Canary requests since then.
    pub(crate) requests: u64,
    pub(crate) cause: String,
    pub(crate) route: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct End {
    pub(crate) failed: Option<Found>,
    /// Second of the first pass.
    pub(crate) passed: Option<f64>,
    /// The canary was called worse.
    pub(crate) is_worse: bool,
}

impl Life {
    /// Five minutes at this rate and share: 0.5 % of errors, nothing is wrong, latencies are left
    /// out.
    pub(crate) fn new(name: &'static str, rate: f64, percent: u16) -> Self {
        Self {
            name,
            rate,
            load: |_| 1.0,
            stages: vec![(0, percent)],
            realised: 1.0,
            seconds: 300,
            tick_ms: 250,
            errors: Arc::new(|_| [0.005, 0.005]),
            latency: None,
            slowness: Arc::new(|_| [1.0, 1.0]),
            weather: Weather::Calm,
            routes: 1,
            bad_route: None,
            harm_from: 0.0,
            criteria: Criteria {
                warm_up: Duration::ZERO,
                ..Criteria::default()
            },
        }
    }

    /// Lives it once.
    pub(crate) fn live(&self, seed: u64) -> End {
        // Lives of the same seed that differ share nothing.
        let name = self.name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ name);
        let sky = Sky::new(&mut random, self.weather, self.seconds);
        let [errors, _] = (self.errors)(0.0);
        let criteria = Criteria {
            dispersion: sky.dispersion(&mut random, self.rate, errors),
            ..self.criteria.clone()
        };
        let mut course = Course {
            life: self,
            random,
            sky,
        };
        let baseline = course.history(0.0);
        let mut evidence = Evidence::new(&criteria, &baseline, Moment::ZERO);
        let mut end = End::default();
        let (mut stage, mut before_harm, mut requests) = (None, 0, 0);
        for tick in 0..self.seconds * 1_000 / self.tick_ms {
            let ends = [tick, tick + 1].map(|tick| u64::from(tick * self.tick_ms));
            let [from, to] = ends.map(|millis| millis as f64 / 1_000.0);
            let begun = self
                .stages
                .partition_point(|(begin, _)| f64::from(*begin) <= from);
            let now = begun.saturating_sub(1);
            let left = stage.replace(now).filter(|before| *before != now);
            if left.is_some() || tick == 0 {
                let baseline = course.history(from);
                let at = Moment::from_millis(ends[0]);
                evidence.begin_stage(Stage(now as u64), self.share(now), &baseline, at);
            }
            requests += course.tick(&mut evidence, (left, now), ends);
            if from < self.harm_from {
                before_harm = requests;
            }
            if let Some(failure) = evidence.failure() {
                end.failed = Some(Found {
                    seconds: to - self.harm_from,
                    requests: requests - before_harm,
                    cause: failure.cause.clone(),
                    route: failure.route.as_ref().map(ToString::to_string),
                });
                break;
            }
            let is_asked = end.passed.is_none() && ends[1].is_multiple_of(1_000);
            if is_asked && judge(&evidence, &criteria).verdict == Verdict::Pass {
                end.passed = Some(to);
            }
        }
        end.is_worse = judge(&evidence, &criteria).is_worse;
        end
    }

    fn share(&self, stage: usize) -> Share {
        Share::from_basis_points(self.stages[stage].1 * 100).unwrap()
    }

    /// A route's part of the traffic.
    pub(crate) fn part(&self, route: usize) -> f64 {
        let weight = |route: usize| 1.0 / (route + 1) as f64;
        weight(route) / (0..self.routes).map(weight).sum::<f64>()
    }
}

/// A route's errors and latency, as multiples of those of the life.
fn manner(route: usize) -> (f64, f64) {
    [(1.0, 1.0), (0.3, 0.2), (2.0, 4.0), (0.1, 0.6), (1.5, 1.7)][route % 5]
}

/// A life under way.
struct Course<'a> {
    life: &'a Life,
    random: Rng,
    sky: Sky,
}

impl Course<'_> {
    /// Stable's last minute.
    fn history(&mut self, second: f64) -> Baseline {
        let life = self.life;
        let ends = (second - HISTORY, second);
        let all = (life.rate * (life.load)(second) * HISTORY).min(HISTORY_MAX);
        let routes = (0..life.routes).map(|route| {
            let cell = self.cell(ends, (route, 0), all * life.part(route));
            RouteBaseline {
                name: RouteName::new(&format!("r{route}")).unwrap(),
                requests: cell.trials,
                failures: cell.failures,
                latency: cell.latency,
            }
        });
        let routes: Vec<RouteBaseline> = routes.collect();
        let mut latency = Latencies::new();
        for route in &routes {
            latency.merge(&route.latency);
        }
        Baseline {
            requests: routes.iter().map(|route| route.requests).sum(),
            failures: routes.iter().map(|route| route.failures).sum(),
            latency,
            routes,
        }
    }

    /// Judges a tick; the canary's requests in it. In the first one of a stage half a tick's worth
    /// of outcomes belongs to the stage before.
    fn tick(
        &mut self,
        evidence: &mut Evidence,
        (left, now): (Option<usize>, usize),
        ends: [u64; 2],
    ) -> u64 {
        let routes = self.life.routes;
        let late = left.map(|stage| (stage, 0.5));
        let parts = late.into_iter().chain([(now, 1.0)]);
        let cells: Vec<(usize, Vec<[Cell; 2]>)> = parts
            .map(|(stage, part)| {
                let of = |route| self.cells((stage, part), route, ends);
                (stage, (0..routes).map(of).collect())
            })
            .collect();
        if routes == 1 {
            let whole: Vec<_> = cells.iter().map(|(stage, all)| (*stage, &all[0])).collect();
            evidence.absorb(&self.strata(&whole).tick(ends));
        } else {
            let sums: Vec<_> = cells
                .iter()
                .map(|(stage, all)| (*stage, sum(all)))
                .collect();
            let whole: Vec<_> = sums.iter().map(|(stage, all)| (*stage, all)).collect();
            evidence.absorb(&self.strata(&whole).tick(ends));
            for route in 0..routes {
                let of: Vec<_> = cells
                    .iter()
                    .map(|(stage, all)| (*stage, &all[route]))
                    .collect();
                evidence.absorb_route(route, &self.strata(&of).tick(ends));
            }
        }
        let all = cells.iter().flat_map(|(_, cells)| cells);
        all.map(|[_, canary]| canary.trials).sum()
    }

    fn strata<'a>(&self, cells: &[(usize, &'a [Cell; 2])]) -> Strata<'a> {
        let stratum = |(stage, cells): &(usize, &'a [Cell; 2])| {
            let [stable, canary] = cells.each_ref().map(|cell| Arm {
                cell,
                in_flight: None,
            });
            Stratum {
                stage: Stage(*stage as u64),
                share: self.life.share(*stage),
                stable,
                canary,
            }
        };
        Strata(cells.iter().map(stratum).collect())
    }

    /// What a part of a tick brings on a route: stable's and the canary's outcomes.
    fn cells(&mut self, (stage, part): (usize, f64), route: usize, ends: [u64; 2]) -> [Cell; 2] {
        let life = self.life;
        let [from, to] = ends.map(|millis| millis as f64 / 1_000.0);
        let share = life.share(stage).ratio() * life.realised;
        let all = life.rate * (life.load)(from) * life.part(route) * part * (to - from);
        let [stable, canary] = [all * (1.0 - share), all * share];
        [
            self.cell((from, to), (route, 0), stable),
            self.cell((from, to), (route, CANARY), canary),
        ]
    }

    /// The outcomes of one version on one route between two seconds, so many being expected.
    fn cell(&mut self, (from, to): (f64, f64), (route, arm): (usize, usize), all: f64) -> Cell {
        let (life, random) = (self.life, &mut self.random);
        let trials = poisson(random, all);
        // On the other routes the canary is as stable.
        let kind = if life.bad_route.is_some_and(|bad| bad != route) {
            0
        } else {
            arm
        };
        let (errors, slowness) = if life.routes == 1 {
            (1.0, 1.0)
        } else {
            manner(route)
        };
        let rate = (life.errors)(from)[kind];
        let rate = if rate < 0.5 { rate * errors } else { rate };
        let rate = (rate + self.sky.errors(from, to)[arm]).min(1.0);
        let mut latency = Latencies::new();
        if let Some(shapes) = &life.latency {
            let times = (life.slowness)(from)[kind] * slowness * self.sky.slowness(from, to);
            let pauses = self.sky.pauses(arm, from, to);
            for _ in 0..trials {
                let mut millis = times * shapes[kind].draw(random);
                if !pauses.is_empty() {
                    let at = from + random.f64() * (to - from);
                    let pause = pauses.iter().find(|(begin, end)| *begin <= at && at < *end);
                    millis += pause.map_or(0.0, |(_, end)| (end - at) * 1_000.0);
                }
                latency.record(Duration::from_micros((millis * 1_000.0) as u64));
            }
        }
        Cell {
            assigned: trials,
            trials,
            failures: binomial(random, trials, rate),
            latency,
            ..Cell::default()
        }
    }
}

fn sum(cells: &[[Cell; 2]]) -> [Cell; 2] {
    ARMS.map(|arm| {
        let mut sum = Cell::default();
        for cells in cells {
            sum.merge_judged(&cells[arm]);
        }
        sum
    })
}

/// The strata of a tick.
struct Strata<'a>(Vec<Stratum<'a>>);

impl Strata<'_> {
    fn tick(&self, ends: [u64; 2]) -> Tick<'_> {
        Tick {
            from: Moment::from_millis(ends[0]),
            to: Moment::from_millis(ends[1]),
            strata: &self.0,
        }
    }
}
