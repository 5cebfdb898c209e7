//! What counts against a version.

use std::{ops::RangeInclusive, time::Duration};

use super::PathMatch;
use crate::model::{GrpcStatus, Outcome};

/// A rule of what counts against a version; the first that fits decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRule {
    /// What it fits.
    pub when: When,
    /// What that counts as: a success, a failure, tracked or ignored.
    pub outcome: Outcome,
}

/// What a rule fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// The client left, or stopped taking the answer.
    ClientAbort {
        /// It had waited for at most so long; `None`: for however long.
        unless_slower_than: Option<Duration>,
    },
    /// Everything that is written must hold.
    Request {
        /// Of the request; `None`: any.
        path: Option<PathMatch>,
        /// Of the answer; empty: any, or none because the client left.
        statuses: Vec<RangeInclusive<u16>>,
        /// Of a call of gRPC; empty: any, or none.
        grpc_statuses: Vec<GrpcStatus>,
    },
}
