//! How the versions of a split are compared.

use std::time::Duration;

use super::plain;
use crate::config::{
    AbsoluteAction, AbsoluteMetric, AbsoluteRule, Analysis, DryRun, RateMargin, Slo,
    collection::Several,
    leaf::{Count, Ratio},
    schema::{
        AbsoluteBlock, AnalysisBlock, LATENCIES, MetricBlock, MetricName, SloBlock, SloGuard,
        SloQuantile, SplitBlock, WarmUp,
    },
    units::Margin,
    walk::Placed,
};

/// What the judge tolerates unless the file says otherwise (judge: errors 1.05x + 0.05pp).
const ERROR_RATE: RateMargin = RateMargin {
    ratio: 1.05,
    absolute: 0.000_5,
};
/// What the judge tolerates unless the file says otherwise (judge: latency +10 %).
const LATENCY: f64 = 0.10;

/// A metric with what is written of it.
#[derive(Debug, Clone)]
pub(in crate::config) struct Metric {
    pub(in crate::config) name: MetricName,
    pub(in crate::config) margin: Placed<Margin>,
    pub(in crate::config) critical: Option<Placed<Margin>>,
    pub(in crate::config) is_dry_run: bool,
}

pub(super) fn analysis(split: &SplitBlock) -> Option<Analysis> {
    let block = &split.analysis.as_ref()?.value;
    let Ratio(false_rollback_rate) = plain(block.false_rollback_rate.as_ref())?;
    let Count(min_requests) = plain(block.min_requests.as_ref())?;
    let WarmUp(warm_up) = plain(block.warm_up.as_ref())?;
    let metrics = compared(split);
    let errors = metrics.iter().find(|at| at.name == MetricName::ErrorRate);
    let latencies = latencies(&metrics);
    let critical = |metric: &Metric| metric.critical.as_ref().map(|at| at.value);
    let critical_latency = metrics.iter().find_map(|metric| match metric.name {
        MetricName::LatencyAt(at) => Some((at, 1.0 + critical(metric)?.relative?)),
        MetricName::ErrorRate | MetricName::Latency => None,
    });
    Some(Analysis {
        false_rollback_rate,
        min_requests,
        warm_up,
        error_rate: errors.map_or(ERROR_RATE, |at| at.margin.value.of_rate()),
        latency_margins: latencies.map(|(margin, _)| margin),
        critical_errors: errors.and_then(critical).and_then(|margin| margin.points),
        critical_latency,
        dry_run: DryRun {
            errors: errors.is_some_and(|at| at.is_dry_run),
            latency: latencies.map(|(_, is_dry_run)| is_dry_run),
        },
        slo: match &block.slo {
            Some(at) => Some(slo(&at.value)?),
            None => None,
        },
        burst_tolerance: plain(block.burst_tolerance.as_ref())?,
        absolute: absolute(block)?,
    })
}

/// Every metric that is written, in `rollback_if` or in `analysis.metrics`.
pub(in crate::config) fn compared(split: &SplitBlock) -> Vec<Metric> {
    let short = |name, margin: &Placed<Margin>| Metric {
        name,
        margin: margin.clone(),
        critical: None,
        is_dry_run: false,
    };
    let mut metrics = Vec::new();
    if let Some(Placed { value: block, .. }) = &split.rollback_if {
        let errors = block.error_rate.iter();
        metrics.extend(errors.map(|at| short(MetricName::ErrorRate, at)));
        let latency = block.latency.iter();
        metrics.extend(latency.map(|at| short(MetricName::Latency, at)));
        let each = [
            &block.latency_p50,
            &block.latency_p75,
            &block.latency_p90,
            &block.latency_p95,
            &block.latency_p99,
            &block.latency_p999,
        ];
        for (place, margin) in each.into_iter().enumerate() {
            metrics.extend(
                margin
                    .iter()
                    .map(|at| short(MetricName::LatencyAt(place), at)),
            );
        }
    }
    let long = split.analysis.as_ref();
    let long = long.and_then(|at: &Placed<AnalysisBlock>| at.value.metrics.as_ref());
    let long = long.into_iter().flat_map(|at| &at.value);
    metrics.extend(long.filter_map(|at| metric(&at.value)));
    metrics
}

fn metric(block: &MetricBlock) -> Option<Metric> {
    Some(Metric {
        name: plain(block.name.as_ref())?,
        margin: block.margin.clone()?,
        critical: block.critical.clone(),
        is_dry_run: plain(block.dry_run.as_ref()).unwrap_or_default(),
    })
}

/// For each quantile its margin, and whether it is shown only: its own, that of all, that of the
/// next higher one that is named, that of the next lower, the default.
fn latencies(metrics: &[Metric]) -> [(f64, bool); LATENCIES.len()] {
    let find = |name| metrics.iter().find(|metric| metric.name == name);
    std::array::from_fn(|place| {
        let mut higher = (place..LATENCIES.len()).map(MetricName::LatencyAt);
        let mut lower = (0..place).rev().map(MetricName::LatencyAt);
        let chosen = find(MetricName::LatencyAt(place))
            .or_else(|| find(MetricName::Latency))
            .or_else(|| higher.find_map(find))
            .or_else(|| lower.find_map(find));
        let margin = chosen.and_then(|metric| metric.margin.value.relative);
        (
            margin.unwrap_or(LATENCY),
            chosen.is_some_and(|at| at.is_dry_run),
        )
    })
}

fn slo(block: &SloBlock) -> Option<Slo> {
    let SloQuantile(quantile) = plain(block.quantile.as_ref())?;
    Some(Slo {
        error_rate: plain(block.error_rate.as_ref()).map(|Ratio(rate)| rate),
        latency: plain(block.latency.as_ref()).map(|limit| (quantile, limit)),
        is_relative: plain(block.guard.as_ref())? == SloGuard::WorseThanStable,
    })
}

fn absolute(block: &AnalysisBlock) -> Option<Vec<AbsoluteRule>> {
    let list = |at: &Option<Placed<Several<AbsoluteBlock>>>, action| {
        let Several(list) = &at.as_ref()?.value;
        let all: Option<Vec<_>> = list.iter().map(|at| rules(&at.value, action)).collect();
        Some(all?.concat())
    };
    let mut all = list(&block.absolute, AbsoluteAction::Rollback)?;
    all.extend(list(&block.rules, AbsoluteAction::Hold)?);
    Some(all)
}

fn rules(block: &AbsoluteBlock, unless_written: AbsoluteAction) -> Option<Vec<AbsoluteRule>> {
    let window = plain(block.window.as_ref())?;
    let action = plain(block.action.as_ref()).unwrap_or(unless_written);
    let min_requests = block.min_requests.as_ref()?.value.0;
    let (Count(needed), Count(of)) = (plain(block.breaches.as_ref())?, plain(block.of.as_ref())?);
    let breaches = (u32::try_from(needed).ok()?, u32::try_from(of).ok()?);
    let rule = |metric| AbsoluteRule {
        metric,
        min_requests,
        window,
        breaches,
        action,
    };
    let error_rate = plain(block.error_rate.as_ref()).map(|Ratio(rate)| rate);
    let success_rate = plain(block.success_rate.as_ref()).map(|Ratio(rate)| 1.0 - rate);
    let rates = error_rate.into_iter().chain(success_rate);
    let rates = rates.map(AbsoluteMetric::ErrorRate);
    let latencies = latency_limits(block)
        .into_iter()
        .filter_map(|(quantile, limit)| {
            Some(AbsoluteMetric::Latency {
                quantile,
                limit: plain(limit)?,
            })
        });
    Some(rates.chain(latencies).map(rule).collect())
}

/// The quantiles that a floor may name, with what is written for them.
pub(in crate::config) fn latency_limits(
    block: &AbsoluteBlock,
) -> [(f64, Option<&Placed<Duration>>); 5] {
    [
        (0.5, block.latency_p50.as_ref()),
        (0.9, block.latency_p90.as_ref()),
        (0.95, block.latency_p95.as_ref()),
        (0.99, block.latency_p99.as_ref()),
        (0.999, block.latency_p999.as_ref()),
    ]
}
