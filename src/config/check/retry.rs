//! Whether the parts of `retry_policy` and `hedge` fit together, and what they ask for can be had.

use super::split::empty;
use crate::config::{
    HedgeAfter, OnUnhealthy, RescueOn, RetryOn,
    schema::{HedgeBlock, RetryBlock, SplitBlock},
    walk::{Placed, Walk},
};
use crate::model::Share;

/// Notes what is wrong with the files that only one version has.
pub(super) fn assets(split: &SplitBlock, no_canary: bool, walk: &mut Walk) {
    let Some(Placed {
        value: block, at, ..
    }) = &split.fallback_on_404
    else {
        return;
    };
    if no_canary {
        let help = "write `canary:`, or remove it";
        let message = "there is no other version to ask";
        walk.warn(*at, "missing_canary", message, help);
    }
    for (list, key) in [
        (
            block
                .paths
                .as_ref()
                .map(|at| (at.value.0.is_empty(), at.at)),
            "paths",
        ),
        (
            block
                .methods
                .as_ref()
                .map(|at| (at.value.0.is_empty(), at.at)),
            "methods",
        ),
    ] {
        if let Some((true, at)) = list {
            let help = format!("write some, or remove `fallback_on_404` ({key})");
            walk.error(at, "empty_list", "this list is empty", help);
        }
    }
}

/// Notes everything that does not fit together in the retries of one split.
pub(super) fn check(split: &SplitBlock, no_canary: bool, walk: &mut Walk) {
    let Some(Placed {
        value: block,
        is_written: true,
        ..
    }) = &split.retry_policy
    else {
        return;
    };
    let lists = [
        (
            block
                .retry_on
                .as_ref()
                .map(|at| (at.value.0.is_empty(), at.at)),
            "retry_on",
        ),
        (
            block
                .methods
                .as_ref()
                .map(|at| (at.value.0.is_empty(), at.at)),
            "methods",
        ),
    ];
    for (list, key) in lists {
        empty(list, key, walk);
    }
    rescue(split, block, no_canary, walk);
    pointless(split, block, walk);
    timeout(split, block, walk);
    if let Some(methods) = &block.methods {
        let unsafe_ones = ["POST", "PATCH"];
        let found = methods
            .value
            .0
            .iter()
            .find(|at| unsafe_ones.contains(&at.value.0.as_str()));
        if let Some(method) = found {
            let message = format!(
                "a {} that an endpoint has got is sent again",
                method.value.0
            );
            let help = "fine if the service knows a request that comes twice (idempotency keys)";
            walk.warn(method.at, "unsafe_retry", message, help);
        }
    }
}

fn rescue(split: &SplitBlock, block: &RetryBlock, no_canary: bool, walk: &mut Walk) {
    let Some(rescue) = block.rescue_on.as_ref() else {
        return;
    };
    let is_failing = split
        .on_unhealthy
        .as_ref()
        .is_some_and(|at| at.value == OnUnhealthy::Fail);
    if rescue.value == RescueOn::Stable && is_failing {
        let message =
            "stable rescues a canary that answers badly, but not one that does not answer";
        let help = "remove `on_unhealthy: fail`, or write `rescue_on: none`";
        walk.error(rescue.at, "conflict", message, help);
    }
    if rescue.value == RescueOn::Stable && no_canary {
        let help = "write `canary:`, or remove it";
        walk.warn(
            rescue.at,
            "missing_canary",
            "there is nothing to rescue",
            help,
        );
    }
    let is_single = block.attempts.as_ref().filter(|at| at.value.0 == 1);
    if let (RescueOn::Stable, Some(_)) = (rescue.value, is_single) {
        let message = "`attempts: 1` leaves none for stable";
        let help = "write `attempts: 2`: the canary's, then stable's";
        walk.error(rescue.at, "conflict", message, help);
    }
}

/// What is written and can have no effect.
fn pointless(split: &SplitBlock, block: &RetryBlock, walk: &mut Walk) {
    let is_single = block.attempts.as_ref().is_some_and(|at| at.value.0 == 1);
    if let Some(conditions) = block.retry_on.as_ref().filter(|_| is_single) {
        let message = "`attempts: 1` repeats nothing, whatever is listed here";
        let help = "write `attempts: 2`, or remove one";
        walk.warn(conditions.at, "conflict", message, help);
    }
    let budget = block.retry_budget.as_ref().filter(|at| at.is_written);
    if let Some(budget) = budget.filter(|at| at.value == Share::ZERO) {
        let message = "a budget of nothing repeats only what could not be sent";
        let help = "write `20%`, or `attempts: 1` if nothing is to be repeated";
        walk.warn(budget.at, "empty_budget", message, help);
    }
    let is_failing = split
        .on_unhealthy
        .as_ref()
        .is_some_and(|at| at.value == OnUnhealthy::Fail);
    let is_unrescued = match &block.rescue_on {
        Some(rescue) => rescue.value == RescueOn::None,
        None => is_failing,
    };
    if let Some(capacity) = block
        .respect_capacity
        .as_ref()
        .filter(|_| is_unrescued && is_failing)
    {
        let message = "stable takes nothing back from the canary: there is nothing to limit";
        let help = "remove it, or `on_unhealthy: fail` and `rescue_on: none`";
        walk.warn(capacity.at, "empty_limit", message, help);
    }
}

fn timeout(split: &SplitBlock, block: &RetryBlock, walk: &mut Walk) {
    let Some(limit) = &block.per_try_timeout else {
        return;
    };
    let retries_late = block.retry_on.as_ref().is_none_or(|list| {
        let mut conditions = list.value.0.iter();
        conditions.any(|at| at.value.0 == RetryOn::Timeout)
    });
    if !retries_late {
        let message = "`per_try_timeout` ends attempts that nothing repeats";
        let help = "add `timeout` to `retry_on`";
        walk.error(limit.at, "conflict", message, help);
    }
    let total = split
        .timeouts
        .as_ref()
        .and_then(|at| at.value.total.as_ref());
    if let Some(total) = total.filter(|total| total.value <= limit.value) {
        let message = "`per_try_timeout` leaves no time for another attempt";
        let help = format!("`timeouts.total` is {:?}", total.value);
        walk.error(limit.at, "conflict", message, help);
    }
}

/// Notes everything that does not fit together in the hedging of one split.
pub(super) fn hedge(split: &SplitBlock, walk: &mut Walk) {
    let Some(Placed { value: block, .. }) = &split.hedge else {
        return;
    };
    hedged_methods(block, walk);
    if let Some(budget) = block.budget.as_ref().filter(|at| at.value == Share::ZERO) {
        let message = "a budget of nothing allows no second attempt";
        walk.error(
            budget.at,
            "out_of_range",
            message,
            "write `2%`, or remove `hedge`",
        );
    }
    let Some(after) = &block.after else { return };
    let HedgeAfter::Time(time) = after.value.0 else {
        return;
    };
    let timeouts = split.timeouts.as_ref().map(|at| &at.value);
    let policy = split.retry_policy.as_ref().map(|at| &at.value);
    let limits = [
        (
            timeouts.and_then(|it| it.response_header.as_ref()),
            "timeouts.response_header",
        ),
        (timeouts.and_then(|it| it.total.as_ref()), "timeouts.total"),
        (
            policy.and_then(|it| it.per_try_timeout.as_ref()),
            "retry_policy.per_try_timeout",
        ),
    ];
    for (limit, key) in limits {
        if let Some(limit) = limit.filter(|limit| limit.value <= time) {
            let message = format!("`{key}` ends the first attempt before its second one begins");
            let help = format!("`{key}` is {:?}: write less", limit.value);
            walk.error(after.at, "conflict", message, help);
        }
    }
}

fn hedged_methods(block: &HedgeBlock, walk: &mut Walk) {
    let Some(methods) = &block.methods else {
        return;
    };
    empty(
        Some((methods.value.0.is_empty(), methods.at)),
        "methods",
        walk,
    );
    for method in &methods.value.0 {
        if !["GET", "HEAD", "OPTIONS"].contains(&method.value.0.as_str()) {
            let message = format!("a {} may do harm if two endpoints get it", method.value.0);
            let help = "GET, HEAD and OPTIONS may be hedged";
            walk.error(method.at, "unsafe_hedge", message, help);
        }
    }
}
