//! Which endpoint gets an attempt: the plan's rules over what this worker knows.

use super::{decide::Decision, worker::Worker};
use crate::{
    model::{EndpointKey, Moment, Role},
    plan::{Ask, Target, Upstream},
};

/// An endpoint of the version that has this role; one that was tried or is ejected only if there
/// is no other. `None`: there is none at all.
pub(super) fn choose<'a>(
    worker: &Worker,
    (decision, role): (&Decision, Role),
    upstream: &'a Upstream,
    (tried, now): (&[EndpointKey], Moment),
) -> Option<&'a Target> {
    let ask = Ask {
        random: worker.random.borrow_mut().u64(..),
        turn: worker.turn(),
        hash: decision.hash_of(role),
        now,
        avoid: tried,
        most: upstream
            .circuit_breaker
            .and_then(|limits| limits.max_requests_per_endpoint)
            .map(|most| worker.part_of(most)),
    };
    let pool = worker.pool.borrow();
    upstream.choose(|key| pool.load(key, now), &ask)
}
