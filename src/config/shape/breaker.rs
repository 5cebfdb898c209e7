//! How much an upstream is asked to do at a time.

use std::time::Duration;

/// Limits over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Requests under way at all endpoints; `None`: no limit.
    pub max_requests: Option<u32>,
    /// Requests under way at one endpoint; `None`: no limit.
    pub max_requests_per_endpoint: Option<u32>,
    /// Open connections to all endpoints; `None`: no limit.
    pub max_connections: Option<u32>,
    /// Requests that wait.
    pub max_pending: u32,
    /// How long one may wait.
    pub queue_timeout: Duration,
    /// The limit is found by itself, up to `max_requests`.
    pub is_adaptive: bool,
}
