//! What a rollout is judged by: the numbers of the file, and the judge's own for all others.

use crate::{
    config::{AbsoluteAction, AbsoluteMetric, Split},
    judge::{Block, Criteria, Margin, QUANTILES, Rule, RuleAction, RuleMetric},
};

/// What the file says of how bad is bad in this split.
pub fn criteria(split: &Split) -> Criteria {
    let written = &split.analysis;
    let defaults = Criteria::default();
    let rules = written.absolute.iter().map(|rule| Rule {
        metric: match rule.metric {
            AbsoluteMetric::ErrorRate(limit) => RuleMetric::ErrorRate(limit),
            AbsoluteMetric::Latency { quantile, limit } => RuleMetric::Latency { quantile, limit },
        },
        min_requests: rule.min_requests,
        window: rule.window,
        breaches: (1, 1),
        action: match rule.action {
            AbsoluteAction::Rollback => RuleAction::Rollback,
            AbsoluteAction::Hold => RuleAction::Hold,
        },
    });
    Criteria {
        alpha: written.false_rollback_rate,
        errors: Margin {
            ratio: written.error_rate.ratio,
            absolute: written.error_rate.absolute,
        },
        latency_margins: [written.latency_margin; QUANTILES.len()],
        min_requests: written.min_requests,
        warm_up: written.warm_up,
        block: Block {
            length: written.burst_tolerance,
            ..defaults.block
        },
        is_sticky: split.sticky.is_some(),
        rules: rules.collect(),
        ..defaults
    }
}
