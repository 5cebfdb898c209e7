//! Whether what is written of the comparison fits together.

use crate::config::{
    build::{self, Metric},
    leaf::{Count, Ratio},
    schema::{AbsoluteBlock, MetricName, SloBlock, SplitBlock},
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together in a split's `analysis` and `rollback_if`.
pub(super) fn check(split: &SplitBlock, walk: &mut Walk) {
    metrics(split, walk);
    let Some(analysis) = &split.analysis else {
        return;
    };
    let analysis = &analysis.value;
    let plain = analysis.absolute.iter().chain(&analysis.rules);
    for rule in plain.flat_map(|at| &at.value.0) {
        absolute(rule, walk);
    }
    if let Some(at) = &analysis.slo {
        slo(at, walk);
    }
    rate(analysis.false_rollback_rate.as_ref(), walk);
}

fn metrics(split: &SplitBlock, walk: &mut Walk) {
    let long = split.analysis.as_ref();
    let long = long.and_then(|at| at.value.metrics.as_ref());
    if let (Some(short), Some(metrics)) = (&split.rollback_if, long)
        && metrics.is_written
    {
        let help = "`rollback_if` is short for `analysis.metrics`: keep one of the two";
        let message = "margins are written in two places";
        walk.error(short.at, "conflict", message, help);
        return;
    }
    let metrics = build::compared(split);
    for (place, metric) in metrics.iter().enumerate() {
        let margin = &metric.margin;
        if metric.name != MetricName::ErrorRate && margin.value.points.is_some() {
            let help = "write `+20%` or `1.2x`";
            let message = "a margin of latency is relative";
            walk.error(margin.at, "bad_value", message, help);
        }
        if metrics.iter().take(place).any(|at| at.name == metric.name) {
            let message = format!("the margin of {} is written twice", name(metric.name));
            walk.error(margin.at, "duplicate_name", message, "keep one");
        }
        critical(metric, walk);
        reachable(metric, walk);
    }
    all_dry(split, &metrics, walk);
    let of_latency = |metric: &&Metric| metric.name != MetricName::ErrorRate;
    let criticals = metrics.iter().filter(of_latency);
    if let Some(second) = criticals.filter_map(|at| at.critical.as_ref()).nth(1) {
        let message = "`critical` is written for two quantiles of latency";
        let help = "keep the one that tells most: it is one fast test";
        walk.error(second.at, "conflict", message, help);
    }
}

/// Points that no rate can ever be above.
fn reachable(metric: &Metric, walk: &mut Walk) {
    if metric.name != MetricName::ErrorRate {
        return;
    }
    for margin in std::iter::once(&metric.margin).chain(&metric.critical) {
        if margin.value.points.is_some_and(|points| points >= 1.0) {
            let message = "no error rate is ever more than 100 points above another: it never acts";
            walk.error(
                margin.at,
                "out_of_range",
                message,
                "write fewer points, such as `+0.5pp`",
            );
        }
    }
}

/// Notes that nothing of what is compared may act.
fn all_dry(split: &SplitBlock, metrics: &[Metric], walk: &mut Walk) {
    let Some(analysis) = &split.analysis else {
        return;
    };
    let is_dry = |wanted: MetricName| {
        let mut named = metrics.iter().filter(|metric| metric.name == wanted);
        named.any(|metric| metric.is_dry_run)
    };
    let absolute = analysis.value.absolute.as_ref();
    let is_limited = absolute.is_some_and(|at| at.is_written) || analysis.value.slo.is_some();
    if is_dry(MetricName::ErrorRate) && is_dry(MetricName::Latency) && !is_limited {
        let message = "every metric is a `dry_run`: nothing can roll the canary back";
        let help = "let one of them act, or write `absolute` floors";
        walk.warn(analysis.at, "unjudged_rollout", message, help);
    }
}

const fn name(metric: MetricName) -> &'static str {
    match metric {
        MetricName::ErrorRate => "the error rate",
        MetricName::Latency => "latency",
        MetricName::LatencyAt(_) => "this quantile of latency",
    }
}

fn critical(metric: &Metric, walk: &mut Walk) {
    let Some(at) = &metric.critical else { return };
    let (critical, margin) = (at.value, metric.margin.value);
    let (message, help) = match metric.name {
        MetricName::ErrorRate if critical.points.is_none() || critical.relative.is_some() => (
            "what is critical for the error rate is in points",
            "write `+10pp`",
        ),
        MetricName::ErrorRate if critical.points <= margin.points => (
            "what is critical is not above the margin",
            "write more points, such as `+10pp`",
        ),
        MetricName::Latency => (
            "`critical` needs one quantile of latency",
            "write it for one of latency_p50 to latency_p999",
        ),
        MetricName::LatencyAt(_) if critical.relative.is_none() || critical.points.is_some() => {
            ("what is critical for latency is relative", "write `3x`")
        }
        MetricName::LatencyAt(_) if critical.relative <= margin.relative => (
            "what is critical is not above the margin",
            "write more, such as `3x`",
        ),
        MetricName::ErrorRate | MetricName::LatencyAt(_) => return,
    };
    walk.error(at.at, "bad_value", message, help);
}

fn slo(at: &Placed<SloBlock>, walk: &mut Walk) {
    let is_empty = at.value.error_rate.is_none() && at.value.latency.is_none();
    if at.is_clean && is_empty {
        let help = "write `error_rate: 1%` or `latency: 250ms`";
        walk.error(at.at, "missing_key", "this promises nothing", help);
    }
    if let Some(Placed {
        value: Ratio(rate),
        at,
        ..
    }) = at.value.error_rate
        && !(1e-6..=0.5).contains(&rate)
    {
        let help = "write a rate from 0.0001% to 50%";
        walk.error(at, "out_of_range", "this rate is no promise", help);
    }
}

fn absolute(rule: &Placed<AbsoluteBlock>, walk: &mut Walk) {
    let Placed {
        value: rule,
        at,
        is_clean,
        ..
    } = rule;
    let limits = build::latency_limits(rule);
    let are_none = limits.iter().all(|(_, limit)| limit.is_none());
    if *is_clean && rule.error_rate.is_none() && rule.success_rate.is_none() && are_none {
        let help = "write `error_rate: 2%` or `latency_p99: 1500ms`";
        walk.error(*at, "missing_key", "this floor limits nothing", help);
    }
    if let (Some(_), Some(success)) = (&rule.error_rate, &rule.success_rate) {
        let message = "`error_rate` and `success_rate` say the same from two sides";
        walk.error(success.at, "conflict", message, "keep one");
    }
    if let Some(Placed {
        value: Ratio(rate),
        at,
        ..
    }) = rule.error_rate
        && rate >= 1.0
    {
        let message = "a floor of 100% never acts";
        walk.error(at, "out_of_range", message, "write a lower rate");
    }
    if let (Some(Count(needed)), Some(of)) = (rule.breaches.as_ref().map(|at| at.value), &rule.of)
        && needed > of.value.0
    {
        let place = if of.is_written { of.at } else { *at };
        let message = format!("{needed} of {} windows can never be broken", of.value.0);
        walk.error(
            place,
            "conflict",
            message,
            "write `breaches: 3` and `of: 5`",
        );
    }
    let mut last = None;
    for limit in limits.into_iter().filter_map(|(_, limit)| limit) {
        if last.is_some_and(|last| limit.value < last) {
            let message = "this limit is lower than that of a lower quantile";
            let help = "a higher quantile is never faster";
            walk.warn(limit.at, "falling_limit", message, help);
        }
        last = Some(limit.value);
    }
}

fn rate(rate: Option<&Placed<Ratio>>, walk: &mut Walk) {
    let Some(Placed {
        value: Ratio(rate),
        at,
        ..
    }) = rate
    else {
        return;
    };
    if *rate < 1e-6 || *rate > 0.2 {
        let help =
            "write 0.0001% to 20%; 1% is one false rollback in 100 healthy rollouts at worst";
        walk.error(*at, "out_of_range", "this rate cannot be promised", help);
    }
}
