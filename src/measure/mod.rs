//! From requests to samples: what a worker counts, and how counts are added up.
//!
//! *Owns:* outcomes, counters, histograms, the worker's recorder, merging.
//! *Does not know:* sockets, plans, verdicts, the clock.
//! *Invariants:* merging is associative and commutative; a recorder belongs to one worker, so
//! recording takes no lock and touches no shared cache line (I6).
//! *Read next:* `recorder.rs`, `sample.rs`, then `crate::judge`.

mod delta;
mod endpoints;
mod exemplars;
mod exposed;
mod latencies;
mod outlets;
mod recorder;
mod sample;
mod users;
mod window;

#[cfg(test)]
mod tests;

pub use endpoints::{EndpointCounts, EndpointLabel, LATENCY_BUCKETS};
pub use exemplars::{BUCKETS, Exemplar, Exemplars};
pub use latencies::Latencies;
pub use outlets::{Counter, Outlets};
pub use recorder::{Attempt, Flight, Recorder, Request};
pub use sample::{
    AttemptLabel, Cell, CellKey, Ejection, EndpointGauge, Gauges, ListenerGauges, Repeat,
    RepeatLabel, RequestLabel, Sample, StreamKey, Tally,
};
pub use users::{Seen, Users};
pub use window::{Sum, Window};
