//! What a rollout is judged by: the numbers of the file, and the judge's own for all others.

use std::time::Duration;

use crate::{
    config::{AbsoluteAction, AbsoluteMetric, AbsoluteRule, Split},
    judge::{
        Block, Criteria, CriticalLatency, DryRun, Margin, Promise, QUANTILES, Rule, RuleAction,
        RuleMetric,
    },
};

/// What the file says of how bad is bad in this split.
pub fn criteria(split: &Split) -> Criteria {
    let written = &split.analysis;
    let defaults = Criteria::default();
    let errors = Margin {
        ratio: written.error_rate.ratio,
        absolute: written.error_rate.absolute,
    };
    let [p50, _, _, _, p99, _] = written.latency_margins;
    let critical_latency =
        written
            .critical_latency
            .map_or(defaults.critical_latency, |(quantile, times)| {
                let of = QUANTILES.get(quantile).copied().unwrap_or_default();
                Some(CriticalLatency {
                    quantile,
                    times,
                    at_least: defaults.latency_floor,
                    share: 1.0 - of,
                })
            });
    Criteria {
        alpha: written.false_rollback_rate,
        errors,
        latency_margins: written.latency_margins,
        // What is tolerated need not be proven.
        pass_errors: Margin {
            ratio: defaults.pass_errors.ratio.max(errors.ratio),
            absolute: defaults.pass_errors.absolute.max(2.0 * errors.absolute),
        },
        pass_latency_margins: [p50, p99].map(|margin| f64::max(0.20, 2.0 * margin)),
        min_requests: written.min_requests,
        slo_errors: match written.slo {
            Some(slo) => slo.error_rate,
            None => defaults.slo_errors,
        },
        slo_latency: written
            .slo
            .and_then(|slo| slo.latency)
            .map(|(quantile, limit)| Promise { quantile, limit }),
        slo_is_relative: written.slo.is_none_or(|slo| slo.is_relative),
        slo_freezes: written.slo.is_some(),
        critical_absolute: written
            .critical_errors
            .unwrap_or(defaults.critical_absolute),
        critical_latency,
        dry_run: DryRun {
            errors: written.dry_run.errors,
            latency: written.dry_run.latency,
        },
        warm_up: written.warm_up,
        block: Block {
            length: written.burst_tolerance,
            ..defaults.block
        },
        critical_block: Block {
            length: critical_length(written.burst_tolerance, &defaults),
            ..defaults.critical_block
        },
        is_sticky: split.sticky.is_some(),
        rules: written.absolute.iter().map(rule).collect(),
        ..defaults
    }
}

/// A tolerated burst that is longer than usual must not fill two blocks of the fast test either.
fn critical_length(burst_tolerance: Duration, defaults: &Criteria) -> Duration {
    if burst_tolerance > defaults.block.length {
        burst_tolerance
    } else {
        defaults.critical_block.length
    }
}

fn rule(written: &AbsoluteRule) -> Rule {
    Rule {
        metric: match written.metric {
            AbsoluteMetric::ErrorRate(limit) => RuleMetric::ErrorRate(limit),
            AbsoluteMetric::Latency { quantile, limit } => RuleMetric::Latency { quantile, limit },
        },
        min_requests: written.min_requests,
        window: written.window,
        breaches: written.breaches,
        action: match written.action {
            AbsoluteAction::Rollback => RuleAction::Rollback,
            AbsoluteAction::Hold => RuleAction::Hold,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::fixture::split;

    #[test]
    fn a_burst_that_is_tolerated_fills_one_block_of_every_test() {
        let blocks = |millis| {
            let mut split = split("shop", "v1", Some("v2"));
            split.analysis.burst_tolerance = Duration::from_millis(millis);
            let Criteria {
                block,
                critical_block,
                ..
            } = criteria(&split);
            [block, critical_block].map(|block| block.length.as_millis())
        };
        assert_eq!(blocks(500), [500, 250], "the default");
        assert_eq!(blocks(300), [300, 250]);
        assert_eq!(blocks(2_000), [2_000, 2_000]);
    }
}
