//! `serin replay TRACE.jsonl SETTINGS.json`: what the judge would have said of a recorded rollout.
//!
//! A trace has one JSON object a tick (the end of the tick in milliseconds, the canary's intended
//! share, and for each version requests, errors and a histogram of latencies in microseconds).
//! Ticks with weight 0 at the beginning are stable's history. The answer is one JSON object a line:
//! `{"verdict":"fail","t":61.5,"cause":...}`, the last one `inconclusive` if nothing was decided.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use serde::Deserialize;

use crate::{
    judge::{
        self, Arm, Baseline, Block, Criteria, Evidence, Judgement, Stratum, Tick, Verdict, Weights,
    },
    measure::{Cell, Latencies},
    model::{Moment, Share, Stage, number::whole},
};

#[derive(Debug, Deserialize)]
struct Line {
    tick_ms: u64,
    #[serde(default)]
    weight: f64,
    arms: Arms,
}

#[derive(Debug, Deserialize)]
struct Arms {
    baseline: Counted,
    canary: Counted,
}

#[derive(Debug, Deserialize)]
struct Counted {
    requests: u64,
    errors: u64,
    #[serde(default)]
    latency_us: Vec<(u64, u64)>,
    units: Option<Units>,
}

#[derive(Debug, Deserialize)]
struct Units {
    at_risk: u64,
    failed: u64,
}

/// Settings by the names of docs/judge.md; what is left out has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    alpha: Option<f64>,
    alpha_pass: Option<f64>,
    alpha_warn: Option<f64>,
    err_ratio: Option<f64>,
    err_abs: Option<f64>,
    lat_margin: Option<f64>,
    lat_abs: Option<f64>,
    lat_floor_s: Option<f64>,
    pass_err_ratio: Option<f64>,
    pass_err_abs: Option<f64>,
    pass_lat_margin: Option<f64>,
    pass_lat_abs: Option<f64>,
    fast_abs: Option<f64>,
    slo_err: Option<f64>,
    slow_block_s: Option<f64>,
    slow_cap: Option<f64>,
    fast_block_s: Option<f64>,
    fast_cap: Option<f64>,
    restart_s: Option<f64>,
    warmup_s: Option<f64>,
    dispersion: Option<f64>,
    min_hits: Option<u64>,
    min_requests: Option<u64>,
}

/// Replays a trace under the given settings and writes the verdicts; the result is the exit code.
pub fn replay(trace: &Path, settings: &Path, out: &mut impl Write) -> anyhow::Result<u8> {
    let file = File::open(settings)
        .with_context(|| format!("cannot open the settings {}", settings.display()))?;
    let settings: Settings = serde_json::from_reader(BufReader::new(file)).with_context(|| {
        format!(
            "{} is not a JSON object of settings, e.g. {{\"alpha\": 0.01}}",
            settings.display()
        )
    })?;
    let criteria = settings.criteria()?;
    let file =
        File::open(trace).with_context(|| format!("cannot open the trace {}", trace.display()))?;
    let mut replay = Replay::new(criteria);
    for (number, text) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{}, line {}", trace.display(), number + 1);
        let text = text.with_context(place)?;
        if text.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&text).with_context(place)?;
        for verdict in replay.tick(&line).with_context(place)? {
            writeln!(out, "{verdict}")?;
        }
        if replay.has_failed() {
            return Ok(0);
        }
    }
    if !replay.has_passed {
        writeln!(
            out,
            "{}",
            serde_json::json!({"verdict": "inconclusive", "t": replay.seconds()})
        )?;
    }
    Ok(0)
}

impl Settings {
    fn criteria(&self) -> anyhow::Result<Criteria> {
        let mut criteria = Criteria {
            warm_up: Duration::ZERO,
            // Traces are to be judged as by the reference, which has none of these.
            latency_floor: Duration::ZERO,
            tempers_latency: false,
            critical_latency: None,
            weights: Weights {
                critical_latency: 0.0,
                slo: 0.10,
                ..Weights::default()
            },
            critical_restart: Duration::from_secs(5),
            critical_block: Block {
                length: Duration::from_millis(250),
                cap: 4.5,
            },
            ..Criteria::default()
        };
        let numbers = [
            (self.alpha, &mut criteria.alpha),
            (self.alpha_pass, &mut criteria.alpha_pass),
            (self.alpha_warn, &mut criteria.alpha_warn),
            (self.err_ratio, &mut criteria.errors.ratio),
            (self.err_abs, &mut criteria.errors.absolute),
            (self.lat_abs, &mut criteria.latency_absolute),
            (self.pass_err_ratio, &mut criteria.pass_errors.ratio),
            (self.pass_err_abs, &mut criteria.pass_errors.absolute),
            (self.pass_lat_abs, &mut criteria.pass_latency_absolute),
            (self.fast_abs, &mut criteria.critical_absolute),
            (self.slow_cap, &mut criteria.block.cap),
            (self.fast_cap, &mut criteria.critical_block.cap),
            (self.dispersion, &mut criteria.dispersion),
        ];
        for (setting, number) in numbers {
            set(number, setting)?;
        }
        let durations = [
            (self.slow_block_s, &mut criteria.block.length),
            (self.fast_block_s, &mut criteria.critical_block.length),
            (self.restart_s, &mut criteria.restart),
            (self.warmup_s, &mut criteria.warm_up),
            (self.lat_floor_s, &mut criteria.latency_floor),
        ];
        for (setting, duration) in durations {
            let Some(seconds) = setting else { continue };
            *duration = Duration::try_from_secs_f64(seconds)
                .with_context(|| format!("{seconds} is no number of seconds"))?;
        }
        set_all(&mut criteria.latency_margins, self.lat_margin)?;
        set_all(&mut criteria.pass_latency_margins, self.pass_lat_margin)?;
        criteria.slo_errors = self.slo_err.or(criteria.slo_errors);
        criteria.min_hits = self.min_hits.unwrap_or(criteria.min_hits);
        criteria.min_requests = self.min_requests.unwrap_or(criteria.min_requests);
        Ok(criteria)
    }
}

fn set(number: &mut f64, setting: Option<f64>) -> anyhow::Result<()> {
    let Some(setting) = setting else {
        return Ok(());
    };
    anyhow::ensure!(
        setting >= 0.0,
        "{setting} is negative; a setting is at least 0"
    );
    *number = setting;
    Ok(())
}

fn set_all(numbers: &mut [f64], setting: Option<f64>) -> anyhow::Result<()> {
    numbers
        .iter_mut()
        .try_for_each(|number| set(number, setting))
}

/// A replay under way.
struct Replay {
    criteria: Criteria,
    history: Baseline,
    evidence: Option<Evidence>,
    stage: (Stage, Share),
    now: Moment,
    users: u64,
    has_passed: bool,
    was_worse: bool,
}

impl Replay {
    fn new(criteria: Criteria) -> Self {
        Self {
            criteria,
            history: Baseline {
                latency: Latencies::fine(),
                ..Baseline::default()
            },
            evidence: None,
            stage: (Stage(0), Share::ZERO),
            now: Moment::ZERO,
            users: 0,
            has_passed: false,
            was_worse: false,
        }
    }

    fn seconds(&self) -> f64 {
        Duration::from_micros(self.now.micros()).as_secs_f64()
    }

    fn has_failed(&self) -> bool {
        self.evidence
            .as_ref()
            .is_some_and(|evidence| evidence.failure().is_some())
    }

    fn tick(&mut self, line: &Line) -> anyhow::Result<Vec<serde_json::Value>> {
        let (from, to) = (self.now, Moment::from_millis(line.tick_ms));
        anyhow::ensure!(
            to > from,
            "tick_ms must rise: {} is not later than the line before",
            line.tick_ms
        );
        self.now = to;
        let (stable, canary) = (self.cell(&line.arms.baseline), self.cell(&line.arms.canary));
        if self.evidence.is_none() && line.weight <= 0.0 && canary.trials == 0 {
            self.history.requests += stable.trials;
            self.history.failures += stable.failures;
            self.history.latency.merge(&stable.latency);
            return Ok(Vec::new());
        }
        self.criteria.is_sticky |= line.arms.baseline.units.is_some();
        let points = u16::try_from(whole((line.weight * 10_000.0).round()))?;
        let share = Share::from_basis_points(points)?;
        if share != self.stage.1 {
            self.stage = (self.stage.0.next(), share);
        }
        let evidence = self.evidence.get_or_insert_with(|| {
            // A trace has the history it has: thresholds come from it, however short it is.
            let known = self.history.latency.count().max(1);
            self.criteria.latency_history = self.criteria.latency_history.min(known);
            Evidence::new(&self.criteria, &self.history, from)
        });
        evidence.absorb(&Tick {
            from,
            to,
            strata: &[Stratum {
                stage: self.stage.0,
                share,
                stable: Arm {
                    cell: &stable,
                    in_flight: None,
                },
                canary: Arm {
                    cell: &canary,
                    in_flight: None,
                },
            }],
        });
        let judgement = judge::judge(evidence, &self.criteria);
        Ok(self.news(&judgement))
    }

    fn news(&mut self, judgement: &Judgement) -> Vec<serde_json::Value> {
        let mut news = Vec::new();
        let mut tell = |verdict: &str| {
            news.push(serde_json::json!({
                "verdict": verdict,
                "t": self.seconds(),
                "cause": judgement.cause,
                "evidence": judgement.evidence,
                "canary_requests": judgement.canary_requests,
                "why": judgement.why,
            }));
        };
        if judgement.is_worse && !self.was_worse {
            tell("worse-than-baseline");
        }
        let is_pass = judgement.verdict == Verdict::Pass;
        if is_pass && !self.has_passed {
            tell("pass");
        }
        if judgement.verdict == Verdict::Fail {
            tell("fail");
        }
        self.was_worse |= judgement.is_worse;
        self.has_passed |= is_pass;
        news
    }

    fn cell(&mut self, counted: &Counted) -> Cell {
        let mut latency = Latencies::fine();
        for (edge, count) in &counted.latency_us {
            latency.record_n(Duration::from_micros(*edge), *count);
        }
        let units = counted.units.as_ref();
        let failed = units.map_or(0, |units| units.failed);
        // A trace does not name users, and each failed one is new: any name will do.
        let failed_users = (self.users..self.users + failed).collect();
        self.users += failed;
        Cell {
            assigned: counted.requests,
            trials: counted.requests,
            failures: counted.errors,
            at_risk: units.map_or(0, |units| units.at_risk),
            failed_users,
            latency,
            ..Cell::default()
        }
    }
}
