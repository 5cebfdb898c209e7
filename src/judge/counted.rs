//! What the tests take, and what they give: counts of a tick, and parts of the evidence.

use super::{bet::Counts, marks::MARKS};

/// Whether a strand is the whole or one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All requests of the split.
    Whole,
    /// One route: the tests that make sense of a part.
    Route,
}

/// Counts of a tick in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ErrorCounts {
    /// Every request, and failures.
    pub requests: Counts,
    /// In sticky splits users that had not failed before, and first failures; else the same.
    pub units: Counts,
}

impl ErrorCounts {
    /// What counts: users in sticky splits, else requests.
    pub(super) const fn of(&self, is_sticky: bool) -> Counts {
        if is_sticky { self.units } else { self.requests }
    }
}

/// What a tick brings in one slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// The stage of assignment.
    pub slot: usize,
    /// Failures.
    pub errors: ErrorCounts,
    /// Slow requests, if thresholds are known.
    pub latency: Option<[Counts; MARKS]>,
}

/// A test's part of the evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tested {
    /// The cause it stands for.
    pub cause: &'static str,
    /// Its weight times its capital.
    pub evidence: f64,
    /// Hits of the canary.
    pub hits: u64,
    /// It is shown only.
    pub is_dry_run: bool,
}
