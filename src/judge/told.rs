//! What the judge is told: stable's past, and ticks.

use crate::{
    measure::{Cell, Latencies},
    model::{Moment, RouteName, Share, Stage},
};

/// Stable's recent past, before a stage; empty if there is none.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    /// Judged requests.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: Latencies,
    /// The same by route, in the order in which [`Evidence::absorb_route`] numbers them. With
    /// fewer than two nothing is judged by route.
    pub routes: Vec<RouteBaseline>,
}

/// One route's recent past on stable.
#[derive(Debug, Clone)]
pub struct RouteBaseline {
    /// Its name.
    pub name: RouteName,
    /// Judged requests.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Their latencies.
    pub latency: Latencies,
}

/// One version in one stratum of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// What was counted since the last tick.
    pub cell: &'a Cell,
    /// Ages of judged attempts under way at the end of the tick; `None`: none are.
    pub in_flight: Option<&'a Latencies>,
}

/// The requests of a tick that were assigned in one stage.
#[derive(Debug, Clone, Copy)]
pub struct Stratum<'a> {
    /// The stage of assignment.
    pub stage: Stage,
    /// The canary's share in it.
    pub share: Share,
    /// Of stable.
    pub stable: Arm<'a>,
    /// Of the canary.
    pub canary: Arm<'a>,
}

/// All that became known between two moments. Ticks may be of any length and must not overlap.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// The end of the tick before.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
    /// One a stage; normally one.
    pub strata: &'a [Stratum<'a>],
}
