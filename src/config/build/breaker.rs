//! How much an upstream is asked to do at a time, as others see it.

use super::plain;
use crate::config::{CircuitBreaker, leaf::Count, schema::BreakerBlock};

pub(super) fn circuit_breaker(block: &BreakerBlock) -> Option<CircuitBreaker> {
    let many = |count: Option<Count<1, 4_294_967_295>>| {
        count.map(|Count(count)| u32::try_from(count).unwrap_or(u32::MAX))
    };
    let Count(max_pending) = plain(block.max_pending.as_ref())?;
    Some(CircuitBreaker {
        max_requests: many(plain(block.max_requests.as_ref())),
        max_requests_per_endpoint: many(plain(block.max_requests_per_endpoint.as_ref())),
        max_connections: many(plain(block.max_connections.as_ref())),
        max_pending: u32::try_from(max_pending).ok()?,
        queue_timeout: plain(block.queue_timeout.as_ref())?,
        is_adaptive: plain(block.adaptive.as_ref())?,
    })
}
