//! Metrics: their names and bounds, and who is told of them.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Names and bounds of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The first word of every name.
    pub prefix: Arc<str>,
    /// No more series than this.
    pub max_series: usize,
    /// Who is told by `StatsD`.
    pub statsd: Option<Statsd>,
    /// Where lines of EMF are written.
    pub emf: Option<Emf>,
}

/// A receiver of `StatsD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statsd {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether labels are tags, as `DogStatsD` has them.
    pub is_tagged: bool,
    /// How often it is told.
    pub interval: Duration,
    /// The first word of every name.
    pub prefix: Arc<str>,
}

/// Lines of CloudWatch's Embedded Metric Format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emf {
    /// The file; `None`: the standard output.
    pub path: Option<PathBuf>,
    /// CloudWatch's namespace.
    pub namespace: Arc<str>,
    /// How often they are written.
    pub interval: Duration,
}
