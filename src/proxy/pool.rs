//! A worker's connections to endpoints, and how many requests each endpoint has from it.

use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::{model::EndpointKey, net, plan::Plan};

/// A connection that waits for its next request.
#[derive(Debug)]
struct Idle {
    stream: net::Stream,
    since: Instant,
    made: Instant,
}

/// What a worker holds of one endpoint.
#[derive(Debug, Default)]
struct Endpoint {
    in_flight: u32,
    has_long_answers: bool,
    idle: Vec<Idle>,
}

/// A connection lent for one exchange.
#[derive(Debug)]
pub(crate) struct Lent {
    /// The connection.
    pub(crate) stream: net::Stream,
    /// Whether it has carried an exchange before.
    pub(crate) is_reused: bool,
    /// When it was made.
    pub(crate) made: Instant,
}

/// How long a connection is used at all: so that traffic follows DNS and load is spread anew.
const AGE_MAX: Duration = Duration::from_mins(5);

/// The endpoints of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    endpoints: FxHashMap<EndpointKey, Endpoint>,
}

impl Pool {
    /// Requests under way at an endpoint, from this worker.
    pub(crate) fn load(&self, key: EndpointKey) -> u32 {
        self.endpoints
            .get(&key)
            .map_or(0, |endpoint| endpoint.in_flight)
    }

    /// A request begins.
    pub(crate) fn begin(&mut self, key: EndpointKey) {
        self.endpoints.entry(key).or_default().in_flight += 1;
    }

    /// Whether the last answer of an endpoint was longer than a usual buffer: so will the next be.
    pub(crate) fn has_long_answers(&self, key: EndpointKey) -> bool {
        let endpoint = self.endpoints.get(&key);
        endpoint.is_some_and(|endpoint| endpoint.has_long_answers)
    }

    /// An answer of an endpoint was long, or was not.
    pub(crate) fn saw_answer(&mut self, key: EndpointKey, is_long: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(&key) {
            endpoint.has_long_answers = is_long;
        }
    }

    /// A request has ended.
    pub(crate) fn end(&mut self, key: EndpointKey) {
        if let Some(endpoint) = self.endpoints.get_mut(&key) {
            endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
        }
    }

    /// The connection used last that is still quiet and not too old. One that the endpoint has
    /// closed or written to meanwhile is dropped: nothing was sent on it, so nothing is lost.
    pub(crate) fn take(&mut self, key: EndpointKey, idle_max: Duration) -> Option<Lent> {
        let idle = &mut self.endpoints.get_mut(&key)?.idle;
        while let Some(connection) = idle.pop() {
            if connection.since.elapsed() < idle_max && net::is_quiet(&connection.stream) {
                let Idle { stream, made, .. } = connection;
                return Some(Lent {
                    stream,
                    is_reused: true,
                    made,
                });
            }
        }
        None
    }

    /// Gives a connection back after a whole exchange.
    pub(crate) fn give(&mut self, key: EndpointKey, lent: Lent, now: Instant, kept: usize) {
        let idle = &mut self.endpoints.entry(key).or_default().idle;
        if idle.len() < kept && now.duration_since(lent.made) < AGE_MAX {
            idle.push(Idle {
                stream: lent.stream,
                since: now,
                made: lent.made,
            });
        }
    }

    /// Closes connections that waited too long or whose endpoint the plan no longer has.
    pub(crate) fn sweep(&mut self, plan: &Plan, now: Instant) {
        let mut limits = FxHashMap::default();
        for upstream in &plan.upstreams {
            for target in &upstream.endpoints {
                limits.insert(target.key, upstream.timeouts.idle);
            }
        }
        self.endpoints.retain(|key, endpoint| {
            let limit = limits.get(key).copied();
            let is_young =
                |idle: &Idle| limit.is_some_and(|limit| now.duration_since(idle.since) < limit);
            endpoint.idle.retain(is_young);
            limit.is_some() || endpoint.in_flight > 0
        });
    }

    /// Idle connections and busy ones.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let idle = self
            .endpoints
            .values()
            .map(|e| crate::model::number::long(e.idle.len()))
            .sum();
        let busy = self
            .endpoints
            .values()
            .map(|e| u64::from(e.in_flight))
            .sum();
        (idle, busy)
    }

    /// Closes every idle connection.
    pub(crate) fn clear(&mut self) {
        for endpoint in self.endpoints.values_mut() {
            endpoint.idle.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_answers_are_is_known_by_endpoint() {
        let mut pool = Pool::default();
        let (one, other) = (EndpointKey(1), EndpointKey(2));
        pool.begin(one);
        pool.begin(other);
        pool.saw_answer(one, true);
        assert!(pool.has_long_answers(one) && !pool.has_long_answers(other));
        pool.saw_answer(one, false);
        assert!(!pool.has_long_answers(one));
    }
}
