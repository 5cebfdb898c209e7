//! Whether the keys of a circuit breaker fit together.

use crate::config::{
    schema::{Policy, UpstreamBlock},
    walk::Walk,
};

pub(super) fn check(block: &UpstreamBlock, walk: &mut Walk) {
    let Some(breaker) = &block.circuit_breaker else {
        return;
    };
    let limits = &breaker.value;
    let is_adaptive = limits.adaptive.as_ref().is_some_and(|at| at.value);
    let is_limited = limits.max_requests.is_some() || limits.max_requests_per_endpoint.is_some();
    if breaker.is_clean && !is_adaptive && !is_limited {
        let message = "this circuit breaker has no limit";
        let help = "write `max_requests`, `max_requests_per_endpoint` or `adaptive: true`";
        walk.error(breaker.at, "missing_key", message, help);
    }
    let policy = block
        .balance
        .as_ref()
        .and_then(|at| at.value.policy.as_ref());
    if let (Some(limit), Some(policy)) = (&limits.max_requests_per_endpoint, policy)
        && matches!(policy.value, Policy::RoundRobin | Policy::RingHash)
    {
        let message = "with a limit for each endpoint, requests go where there is room";
        let help = "write `policy: least_request`, or limit all together with `max_requests`";
        walk.error(limit.at, "conflict", message, help);
    }
}
