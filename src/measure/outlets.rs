//! What is told beside the data path, and what of it was lost: counted by those who tell, read by
//! those who show it. A request that is told well writes none of these counts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A count that several threads add to, seldom.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts so many more.
    pub fn add(&self, count: u64) {
        let _before = self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many it is by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of log lines and spans since the process started; clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Outlets {
    /// Lines of the access log that were lost: their writer was too slow, or could not write.
    pub log_dropped: Counter,
    /// Spans that the collector has taken.
    pub spans_exported: Counter,
    /// Spans that were lost: the collector was too slow, gone, or refused them.
    pub spans_dropped: Counter,
}
