//! Which endpoint of an upstream gets a request, and which gets none for a while.

use std::time::Duration;

use super::KeySource;
use crate::model::{Share, Zone};

/// Which endpoint gets a request. The default is the plainest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balance {
    /// How one is chosen.
    pub policy: Policy,
    /// How long the weight of a new endpoint grows.
    pub slow_start: Duration,
    /// The zone whose endpoints are preferred.
    pub zone: Option<Zone>,
    /// If less than this part of the endpoints is healthy, all are used.
    pub panic_threshold: Share,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// Of two, the one with less to do.
    #[default]
    P2c,
    /// In turn.
    RoundRobin,
    /// The one with the least to do of all.
    LeastRequest,
    /// The same one for the same key; where it is read, the first present wins.
    RingHash(Vec<KeySource>),
}

/// When an endpoint is ejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlierDetection {
    /// After so many failures in a row.
    pub consecutive_failures: u32,
    /// For how long at first.
    pub base_ejection_time: Duration,
    /// For how long at most.
    pub max_ejection_time: Duration,
    /// The part of the endpoints that may be ejected at once.
    pub max_ejection: Share,
}
