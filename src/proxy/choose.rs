//! Which endpoint of an upstream an attempt goes to.

use super::worker::Worker;
use crate::{
    model::EndpointKey,
    plan::{self, Target, Upstream},
};

/// An endpoint of an upstream; one that was tried only if there is no other.
pub(crate) fn choose<'a>(
    worker: &Worker,
    upstream: &'a Upstream,
    tried: &[EndpointKey],
) -> Option<&'a Target> {
    let random = worker.random.borrow_mut().u64(..);
    let pool = worker.pool.borrow();
    let load = |key| pool.load(key);
    plan::choose(&upstream.endpoints, load, random, tried)
        .or_else(|| plan::choose(&upstream.endpoints, load, random, &[]))
}
