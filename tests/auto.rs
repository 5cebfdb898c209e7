//! Simulated rollouts with the step `auto`: traffic with known rates before the real judge and the
//! real rollout, from seeds. No socket, no waiting: time is a number.
//!
//! `SERIN_SIM_RUNS=300 cargo test --release --test auto -- --nocapture` lives more lives of each
//! kind and prints the measured numbers.

#![expect(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test may fail loudly, and its numbers are small"
)]

use std::time::Duration;

use serin::{
    config,
    judge::{Arm, Baseline, Evidence, Judgement, Stratum, Tick, judge},
    measure::Cell,
    model::{Moment, Nonce, Share, Stage},
    rollout::{Event, Origin, Rollout, criteria},
};

/// Stable's rate of errors.
const STABLE: f64 = 0.005;
/// Requests that may fail beyond what is tolerated.
const BUDGET: f64 = 200.0;
/// The rate of errors that is tolerated of the canary.
const TOLERATED: f64 = 1.05 * STABLE + 0.000_5;

const AUTO: &str = "- auto: { to: 50%, harm_budget: { failed_requests: 200 } }";
const FIXED: &str = "- set_weight: 1%
        - analysis: { until: decided }
        - set_weight: 5%
        - analysis: { until: decided }
        - set_weight: 10%
        - analysis: { until: decided }
        - set_weight: 25%
        - analysis: { until: decided }
        - set_weight: 50%
        - analysis: { until: decided }";

/// What is simulated.
#[derive(Debug, Clone, Copy)]
struct Life {
    /// Requests a second.
    rate: f64,
    tick_ms: u64,
    /// The canary's rate of errors.
    errors: f64,
    /// Whether latencies are judged: a pass needs them.
    has_latency: bool,
    steps: &'static str,
    seconds_max: u64,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
struct End {
    seconds: f64,
    is_rolled_back: bool,
    /// Canary requests that failed beyond what is tolerated.
    harm: f64,
}

impl Life {
    fn split(&self) -> config::Split {
        let text = format!(
            "listen: \"127.0.0.1:0\"
upstreams:
  v1: {{ static: [\"127.0.0.1:1\"] }}
  v2: {{ static: [\"127.0.0.1:2\"] }}
splits:
  shop:
    stable: v1
    canary: v2
    rollout:
      steps:
        {}
        - bake: 1h
",
            self.steps
        );
        let (mut config, _) = config::load(&text, "serin.yaml").unwrap();
        config.splits.remove(0)
    }

    /// Lives until it is rolled back, has half of the traffic, or its time is over.
    fn live(&self, seed: u64) -> End {
        let mut random = fastrand::Rng::with_seed(seed);
        let split = self.split();
        let criteria = criteria(&split);
        let stable = self.cell(&mut random, 60.0 * self.rate, STABLE);
        let baseline = Baseline {
            requests: stable.trials,
            failures: stable.failures,
            latency: stable.latency,
            ..Baseline::default()
        };
        let start = Moment::from_millis(1_000_000);
        let (mut rollout, _) = Rollout::new(&split, Origin::New, Nonce(1), start);
        let mut evidence = Evidence::new(&criteria, &baseline, start);
        let (mut stage, mut share) = (Stage(0), Share::ZERO);
        let (mut trials, mut failures) = (0, 0);
        let mut said = Judgement::default();
        let mut now = start;
        loop {
            if rollout.share() != share {
                (stage, share) = (stage.next(), rollout.share());
                evidence.begin_stage(stage, share, &baseline, now);
            }
            let seconds = now.since(start).as_secs_f64();
            let end = End {
                seconds,
                is_rolled_back: rollout.phase().as_str() == "rolled_back",
                harm: f64::from(failures) - TOLERATED * f64::from(trials),
            };
            let is_half = share.ratio() >= 0.5;
            if end.is_rolled_back || is_half || seconds > self.seconds_max as f64 {
                return end;
            }
            let later = now + Duration::from_millis(self.tick_ms);
            let requests = self.rate * self.tick_ms as f64 / 1_000.0;
            let canary = self.cell(&mut random, requests * share.ratio(), self.errors);
            let stable = self.cell(&mut random, requests * share.rest().ratio(), STABLE);
            trials += canary.trials as u32;
            failures += canary.failures as u32;
            let [of_stable, of_canary] = [&stable, &canary].map(|cell| Arm {
                cell,
                in_flight: None,
            });
            evidence.absorb(&Tick {
                from: now,
                to: later,
                strata: &[Stratum {
                    stage,
                    share,
                    stable: of_stable,
                    canary: of_canary,
                }],
            });
            now = later;
            if canary.trials > 0 {
                said = judge(&evidence, &criteria);
            }
            drop(rollout.on(Event::Judged(Some(&said)), now));
        }
    }

    fn cell(&self, random: &mut fastrand::Rng, expected: f64, errors: f64) -> Cell {
        let mut cell = Cell {
            failures: poisson(random, expected * errors),
            ..Cell::default()
        };
        cell.trials = cell.failures + poisson(random, expected * (1.0 - errors));
        cell.assigned = cell.trials;
        if self.has_latency {
            for _ in 0..cell.trials {
                // A few slow ones among many that are about as fast: 20 to 60 ms, one in 50 more.
                let place = random.f64();
                let slow = if place > 0.98 { 2_000.0 } else { 40.0 };
                cell.latency
                    .record(Duration::from_secs_f64((20.0 + slow * place * place) / 1e3));
            }
        }
        cell
    }
}

fn poisson(random: &mut fastrand::Rng, expected: f64) -> u64 {
    if expected > 400.0 {
        // Half and half: the sum of two such numbers is one.
        return poisson(random, expected / 2.0) + poisson(random, expected / 2.0);
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

fn runs(few: u64) -> u64 {
    std::env::var("SERIN_SIM_RUNS").map_or(few, |runs| runs.parse().unwrap())
}

#[test]
fn a_bad_canary_costs_no_more_than_its_budget() {
    let (mut lives, mut over) = (0, 0);
    for (rate, tick_ms, few) in [(10.0, 2_000, 8), (100.0, 250, 30), (1_000.0, 250, 30)] {
        for errors in [1.0, 0.2, 0.05] {
            let life = Life {
                rate,
                tick_ms,
                errors,
                has_latency: false,
                steps: AUTO,
                seconds_max: 100_000,
            };
            let ends: Vec<End> = (0..runs(few)).map(|seed| life.live(seed)).collect();
            assert!(ends.iter().all(|end| end.is_rolled_back), "{life:?}");
            let most = ends.iter().map(|end| end.harm).fold(0.0, f64::max);
            let longest = ends.iter().map(|end| end.seconds).fold(0.0, f64::max);
            println!("{rate} rps, {errors} fail: at most {most:.0} in {longest:.0} s");
            lives += ends.len();
            over += ends.iter().filter(|end| end.harm > BUDGET).count();
        }
    }
    println!("{over} of {lives} cost more than {BUDGET}");
    assert!(over * 100 <= lives, "{over} of {lives}");
}

#[test]
fn a_good_canary_has_half_of_the_traffic_in_half_of_the_time() {
    for (rate, tick_ms) in [(10.0, 1_000), (100.0, 500), (1_000.0, 500)] {
        let life = Life {
            rate,
            tick_ms,
            errors: STABLE,
            has_latency: true,
            steps: AUTO,
            seconds_max: 100_000,
        };
        let mut climbs: Vec<f64> = Vec::new();
        let mut fixed: Vec<f64> = Vec::new();
        for seed in 0..runs(3) {
            let climb = life.live(seed);
            assert!(!climb.is_rolled_back, "{life:?} {seed}");
            let steps = Life {
                steps: FIXED,
                // To see that it takes more than twice as long is enough.
                seconds_max: (3.0 * climb.seconds) as u64,
                ..life
            };
            climbs.push(climb.seconds);
            fixed.push(steps.live(seed).seconds);
        }
        climbs.sort_by(f64::total_cmp);
        fixed.sort_by(f64::total_cmp);
        println!("{rate} rps: auto {climbs:?} s, fixed steps {fixed:?} s");
        let half = climbs.len() / 2;
        assert!(2.0 * climbs[half] <= fixed[half], "{rate} rps");
    }
}
