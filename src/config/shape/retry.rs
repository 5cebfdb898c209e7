//! What becomes of an attempt that has failed, or is late.

use std::{ops::RangeInclusive, time::Duration};

use crate::model::Share;

/// What becomes of an attempt that has failed before a byte of its answer reached the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts of a request in all; the last one of a canary's request is stable's.
    pub attempts: u8,
    /// What is repeated; `None`: what is safe, and a canary's failures.
    pub retry_on: Option<Vec<RetryOn>>,
    /// Methods that may be repeated after something was sent; `None`: what is safe.
    pub methods: Option<Vec<String>>,
    /// From the end of the request to the end of the answer's head, of an attempt that may be
    /// repeated.
    pub per_try_timeout: Option<Duration>,
    /// Repeats beyond the requests, as a share of them.
    pub retry_budget: Share,
    /// Whether stable answers for a canary's attempt that has failed.
    pub rescue_on: RescueOn,
    /// How much stable takes back, as a share of what it answers well itself; `None`: all.
    pub respect_capacity: Option<Share>,
}

/// A reason to repeat an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOn {
    /// Nothing was sent.
    ConnectFailure,
    /// The connection was broken off before the answer, or what came is no HTTP.
    ResetBeforeResponse,
    /// The answer is late.
    Timeout,
    /// The answer has one of these statuses.
    Status(RangeInclusive<u16>),
    /// A call of gRPC was answered `UNAVAILABLE`, with nothing else.
    GrpcUnavailable,
}

/// Who answers for a canary's attempt that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RescueOn {
    /// Stable does.
    Stable,
    /// Nobody does.
    None,
}

/// When an attempt gets a second one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hedge {
    /// How long the first one is waited for.
    pub after: HedgeAfter,
    /// Methods of which requests are asked twice.
    pub methods: Vec<String>,
    /// Second attempts, as a share of the split's requests.
    pub budget: Share,
}

/// How long an attempt is waited for before it gets a second one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// So long.
    Time(Duration),
    /// As long as this part of the version's answers takes to begin, in tenths of a percent.
    Quantile(u16),
}

/// What holds where nothing is written.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 2,
            retry_on: None,
            methods: None,
            per_try_timeout: None,
            retry_budget: Share::from_basis_points(2_000).unwrap_or(Share::ZERO),
            rescue_on: RescueOn::Stable,
            respect_capacity: None,
        }
    }
}
