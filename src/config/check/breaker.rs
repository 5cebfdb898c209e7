//! Whether the keys of a circuit breaker fit together.

use crate::config::{
    UpstreamProtocol,
    schema::{BreakerBlock, Policy, UpstreamBlock},
    walk::Walk,
};

pub(super) fn check(block: &UpstreamBlock, walk: &mut Walk) {
    let Some(breaker) = &block.circuit_breaker else {
        return;
    };
    let limits = &breaker.value;
    let is_adaptive = limits.adaptive.as_ref().is_some_and(|at| at.value);
    if breaker.is_clean && !is_adaptive && !is_limited(limits) {
        let message = "this circuit breaker has no limit";
        let help = "write `max_requests`, `max_requests_per_endpoint`, `max_connections` or \
                    `adaptive: true`";
        walk.error(breaker.at, "missing_key", message, help);
    }
    if let (Some(each), Some(all)) = (&limits.max_requests_per_endpoint, &limits.max_requests)
        && each.value.0 > all.value.0
    {
        let message = "one endpoint may do more than all together: this limit is never reached";
        let help = "write less than `max_requests`";
        walk.warn(each.at, "empty_limit", message, help);
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
    let protocol = block.protocol.as_ref().map(|at| at.value);
    if let (Some(limit), Some(UpstreamProtocol::H2 | UpstreamProtocol::H2c)) =
        (&limits.max_connections, protocol)
    {
        let message = "connections of HTTP/2 carry many requests, so they are not limited";
        let help = "write `max_requests`, which limits what they carry";
        walk.error(limit.at, "conflict", message, help);
    }
}

fn is_limited(limits: &BreakerBlock) -> bool {
    limits.max_requests.is_some()
        || limits.max_requests_per_endpoint.is_some()
        || limits.max_connections.is_some()
}
