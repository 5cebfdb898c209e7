//! Who is alive: sources of endpoints.
//!
//! *Owns:* asking a source again and again, its last good answer, its age.
//! *Does not know:* plans, the proxy, rollouts.
//! *Invariants:* I8: an error or an empty answer never removes working endpoints; it is told.
//! *Read next:* one file per source; then `crate::control`.

use std::sync::Arc;

use crate::model::{Endpoint, Moment, UpstreamName};

/// A source has answered, or failed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    /// Whose endpoints.
    pub upstream: UpstreamName,
    /// When the source was asked.
    pub as_of: Moment,
    /// The endpoints, sorted by address and without doubles, or what went wrong in words.
    pub result: Result<Arc<[Endpoint]>, DiscoverError>,
}

/// Why a source gave no endpoints. The last good ones stay in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The source could not be asked.
    #[error("{0}")]
    Unreachable(String),
    /// The answer could not be understood.
    #[error("{0}")]
    Malformed(String),
}
