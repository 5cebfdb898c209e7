//! The keys of metrics: their names and bounds, and who is told of them without asking.

use std::{net::SocketAddr, time::Duration};

use super::{
    Count, Default, KeyInfo, Node, Optional, Placed, Required, Shape, Text, Walk, block,
    describe_block, word, words,
};
use crate::config::LogPath;

block! {
    /// Names and bounds of metrics.
    struct MetricsBlock {
        /// The first word of every metric's name.
        prefix: Text = Default("serin"),
        /// No more series than this; the excess is counted in `route="_other"`.
        max_series: Count<100, 10_000_000> = Default("20000"),
        /// Who is told by StatsD. Without it: nobody.
        statsd: StatsdBlock = Optional,
        /// Metrics as lines of JSON, in CloudWatch's Embedded Metric Format. Without it: none.
        emf: EmfBlock = Optional,
    } later ["native_histograms", "endpoint_label"]
}

block! {
    /// Metrics by StatsD: over UDP, as what has risen since the last time.
    struct StatsdBlock {
        /// The address and port of the receiver. Nobody there costs nothing.
        address: SocketAddr = Required,
        /// `dogstatsd`: with tags, and times as distributions; `statsd`: the values of labels are
        /// parts of the name.
        flavor: Flavor = Default("dogstatsd"),
        /// How often it is told.
        interval: Duration = Default("10s"),
        /// The first word of every name.
        prefix: Text = Default("serin"),
    } later []
}

block! {
    /// Metrics as lines of JSON that CloudWatch understands.
    struct EmfBlock {
        /// `stdout`, `stderr` or the path of a file that is appended to.
        path: LogPath = Default("stdout"),
        /// CloudWatch's namespace.
        namespace: Text = Default("Serin"),
        /// How often they are written.
        interval: Duration = Default("60s"),
    } later []
}

/// How StatsD is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Flavor {
    Statsd,
    DogStatsd,
}

words!(Flavor { "statsd" => Flavor::Statsd, "dogstatsd" => Flavor::DogStatsd, } later []);
