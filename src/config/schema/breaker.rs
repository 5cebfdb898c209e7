//! How much an upstream is asked to do at a time.

use std::time::Duration;

use super::{Default, KeyInfo, Many, Node, Optional, Placed, Shape, Walk, block, describe_block};
use crate::config::leaf::Count;

block! {
    /// How many requests may be under way at an upstream; more wait in a queue, in their order, and
    /// what finds it full or waits for too long is answered 503, or by stable for a canary. The
    /// workers divide these numbers among them, each gets at least 1.
    struct BreakerBlock {
        /// Requests under way at all endpoints together. Without it: no limit.
        max_requests: Many = Optional,
        /// Requests under way at one endpoint: the processes of a unicorn. Without it: no limit.
        max_requests_per_endpoint: Many = Optional,
        /// Open connections to all endpoints together, idle ones too; where there are as many, the
        /// one that was idle for the longest time is closed for a new one. Without it: no limit.
        /// Not for HTTP/2, whose connections carry many requests.
        max_connections: Many = Optional,
        /// Requests that may wait.
        max_pending: Count<0, 1_000_000> = Default("64"),
        /// How long one may wait.
        queue_timeout: Duration = Default("1s"),
        /// Whether the limit is found by itself, out of how latency grows with requests under way;
        /// `max_requests` is the highest then.
        adaptive: bool = Default("false"),
    } later []
}
