//! The criteria, field by field. A field that the judge gains does not compile until it is here,
//! and then the format (`FORMAT` in `bytes.rs`) is a new one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::judge;

/// No time of a rollout is longer.
const LONGEST: Duration = Duration::from_hours(24 * 366);
/// No margin, weight, cap or ratio is larger.
const LARGEST: f64 = 1e6;

/// Whether criteria can be judged by. A record may come from anywhere, and a time that is
/// multiplied by a margin has to stay one.
pub(super) fn are_sane(criteria: &judge::Criteria) -> bool {
    let judge::Criteria {
        block,
        critical_block,
        errors,
        pass_errors,
        weights,
        ..
    } = criteria;
    let (promise, critical) = (&criteria.slo_latency, &criteria.critical_latency);
    let times = [
        criteria.latency_floor,
        criteria.restart,
        criteria.critical_restart,
        criteria.warm_up,
        criteria.half_life,
        block.length,
        critical_block.length,
    ];
    let times = times
        .into_iter()
        .chain(promise.map(|it| it.limit))
        .chain(critical.map(|it| it.at_least))
        .chain(criteria.rules.iter().map(|rule| rule.window));
    let numbers = [
        criteria.alpha,
        criteria.alpha_pass,
        criteria.alpha_warn,
        criteria.latency_absolute,
        criteria.pass_latency_absolute,
        criteria.critical_absolute,
        criteria.restart_horizon,
        criteria.dispersion,
        errors.ratio,
        errors.absolute,
        pass_errors.ratio,
        pass_errors.absolute,
        block.cap,
        critical_block.cap,
        weights.errors,
        weights.critical,
        weights.critical_latency,
        weights.slo,
    ];
    let numbers = numbers
        .into_iter()
        .chain(criteria.latency_margins)
        .chain(criteria.pass_latency_margins)
        .chain(weights.latency)
        .chain(criteria.slo_errors)
        .chain(promise.map(|it| it.quantile))
        .chain(critical.iter().flat_map(|it| [it.times, it.share]));
    times.into_iter().all(|it| it <= LONGEST)
        && numbers.into_iter().all(|it| (0.0..=LARGEST).contains(&it))
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::Criteria")]
#[expect(clippy::struct_excessive_bools, reason = "as the judge has them")]
pub(super) struct Twin {
    alpha: f64,
    alpha_pass: f64,
    alpha_warn: f64,
    #[serde(with = "Margin")]
    errors: judge::Margin,
    latency_margins: [f64; judge::QUANTILES.len()],
    latency_floor: Duration,
    tempers_latency: bool,
    latency_absolute: f64,
    #[serde(with = "Margin")]
    pass_errors: judge::Margin,
    pass_latency_margins: [f64; 2],
    pass_latency_absolute: f64,
    min_requests: u64,
    slo_errors: Option<f64>,
    #[serde(with = "promise")]
    slo_latency: Option<judge::Promise>,
    slo_is_relative: bool,
    slo_freezes: bool,
    critical_absolute: f64,
    #[serde(with = "critical_latency")]
    critical_latency: Option<judge::CriticalLatency>,
    #[serde(with = "DryRun")]
    dry_run: judge::DryRun,
    #[serde(with = "Weights")]
    weights: judge::Weights,
    #[serde(with = "Block")]
    block: judge::Block,
    #[serde(with = "Block")]
    critical_block: judge::Block,
    restart: Duration,
    critical_restart: Duration,
    restart_horizon: f64,
    warm_up: Duration,
    dispersion: f64,
    min_hits: u64,
    half_life: Duration,
    is_sticky: bool,
    latency_history: u64,
    #[serde(with = "rules")]
    rules: Vec<judge::Rule>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::Margin")]
struct Margin {
    ratio: f64,
    absolute: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::Weights")]
struct Weights {
    errors: f64,
    latency: [f64; judge::QUANTILES.len()],
    critical: f64,
    critical_latency: f64,
    slo: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::Block")]
struct Block {
    length: Duration,
    cap: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::Rule")]
struct Rule {
    #[serde(with = "RuleMetric")]
    metric: judge::RuleMetric,
    min_requests: u64,
    window: Duration,
    breaches: (u32, u32),
    #[serde(with = "RuleAction")]
    action: judge::RuleAction,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::RuleMetric")]
enum RuleMetric {
    ErrorRate(f64),
    Latency { quantile: f64, limit: Duration },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::RuleAction")]
enum RuleAction {
    Rollback,
    Hold,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::Promise")]
struct Promise {
    quantile: f64,
    limit: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::CriticalLatency")]
struct CriticalLatency {
    quantile: usize,
    times: f64,
    at_least: Duration,
    share: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "judge::DryRun")]
struct DryRun {
    errors: bool,
    latency: [bool; judge::QUANTILES.len()],
}

/// serde takes a twin for a plain value only: this takes it for a list, or for what may be absent.
macro_rules! several {
    ($name:ident, $all:ident<$of:ident>, $twin:literal, $end:ident) => {
        mod $name {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            use super::{judge, $of};

            #[derive(Serialize, Deserialize)]
            struct One(#[serde(with = $twin)] judge::$of);

            pub(super) fn serialize<'a, S: Serializer>(
                all: impl IntoIterator<Item = &'a judge::$of>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                let all: Vec<One> = all.into_iter().copied().map(One).collect();
                all.serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$all<judge::$of>, D::Error> {
                let all = Vec::<One>::deserialize(from)?;
                Ok(all.into_iter().map(|One(one)| one).$end())
            }
        }
    };
}

several!(rules, Vec<Rule>, "Rule", collect);
several!(promise, Option<Promise>, "Promise", next);
several!(
    critical_latency,
    Option<CriticalLatency>,
    "CriticalLatency",
    next
);
