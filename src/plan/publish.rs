//! One publisher, a reader for each worker.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::Plan;

/// The only way to put a plan in force. `proxy` never gets one (I1).
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Plan>>);

/// A worker's view of the plan in force.
#[derive(Debug, Clone)]
pub struct Reader(Cache<Arc<ArcSwap<Plan>>, Arc<Plan>>);

/// A publisher and the first reader; clone the reader for each worker.
pub fn channel(first: Plan) -> (Publisher, Reader) {
    let shared = Arc::new(ArcSwap::from_pointee(first));
    (Publisher(Arc::clone(&shared)), Reader(Cache::new(shared)))
}

impl Publisher {
    /// Puts a plan in force; `false` (and nothing happens) if its generation does not rise.
    pub fn publish(&mut self, plan: Plan) -> bool {
        let rises = plan.generation > self.0.load().generation;
        if rises {
            self.0.store(Arc::new(plan));
        }
        rises
    }
}

impl Reader {
    /// The plan in force. One load of a pointer; no count is touched while the plan is the same.
    pub fn current(&mut self) -> &Arc<Plan> {
        self.0.load()
    }
}
