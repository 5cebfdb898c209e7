//! A worker's connections to endpoints, and how many requests each endpoint has from it.

use std::time::Duration;

use rustc_hash::FxHashMap;
use slab::Slab;
use tokio::time::Instant;

use crate::{
    model::{EndpointKey, number::long},
    net,
    plan::Plan,
};

/// A connection that waits for its next request.
#[derive(Debug)]
struct Idle {
    stream: net::Stream,
    since: Instant,
    made: Instant,
}

/// What a worker holds of one endpoint.
#[derive(Debug)]
struct Endpoint {
    key: EndpointKey,
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

/// Where the pool keeps an endpoint, for as long as a request is under way there: so that an
/// attempt looks its endpoint up once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// The endpoints of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    endpoints: Slab<Endpoint>,
    places: FxHashMap<EndpointKey, Place>,
}

impl Pool {
    /// Requests under way at an endpoint, from this worker.
    pub(crate) fn load(&self, key: EndpointKey) -> u32 {
        let place = self.places.get(&key);
        let endpoint = place.and_then(|place| self.endpoints.get(place.0));
        endpoint.map_or(0, |endpoint| endpoint.in_flight)
    }

    /// A request begins; the place is good until it ends.
    pub(crate) fn begin(&mut self, key: EndpointKey) -> Place {
        let place = *self.places.entry(key).or_insert_with(|| {
            Place(self.endpoints.insert(Endpoint {
                key,
                in_flight: 0,
                has_long_answers: false,
                idle: Vec::new(),
            }))
        });
        if let Some(endpoint) = self.endpoints.get_mut(place.0) {
            endpoint.in_flight += 1;
        }
        place
    }

    /// Whether the last answer of an endpoint was longer than a usual buffer: so will the next be.
    pub(crate) fn has_long_answers(&self, place: Place) -> bool {
        let endpoint = self.endpoints.get(place.0);
        endpoint.is_some_and(|endpoint| endpoint.has_long_answers)
    }

    /// An answer of an endpoint was long, or was not.
    pub(crate) fn saw_answer(&mut self, place: Place, is_long: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(place.0) {
            endpoint.has_long_answers = is_long;
        }
    }

    /// A request has ended.
    pub(crate) fn end(&mut self, place: Place) {
        if let Some(endpoint) = self.endpoints.get_mut(place.0) {
            endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
        }
    }

    /// The connection used last that is still quiet and not too old. One that the endpoint has
    /// closed or written to meanwhile is dropped: nothing was sent on it, so nothing is lost.
    pub(crate) fn take(&mut self, place: Place, now: Instant, idle_max: Duration) -> Option<Lent> {
        let idle = &mut self.endpoints.get_mut(place.0)?.idle;
        while let Some(connection) = idle.pop() {
            let waited = now.duration_since(connection.since);
            if waited < idle_max && net::is_quiet(&connection.stream) {
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
    pub(crate) fn give(&mut self, place: Place, lent: Lent, now: Instant, kept: usize) {
        let Some(endpoint) = self.endpoints.get_mut(place.0) else {
            return;
        };
        if endpoint.idle.len() < kept && now.duration_since(lent.made) < AGE_MAX {
            endpoint.idle.push(Idle {
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
        let places = &mut self.places;
        self.endpoints.retain(|_, endpoint| {
            let limit = limits.get(&endpoint.key).copied();
            let is_young =
                |idle: &Idle| limit.is_some_and(|limit| now.duration_since(idle.since) < limit);
            endpoint.idle.retain(is_young);
            let stays = limit.is_some() || endpoint.in_flight > 0;
            if !stays {
                places.remove(&endpoint.key);
            }
            stays
        });
    }

    /// Idle connections and busy ones.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let all = self.endpoints.iter();
        all.fold((0, 0), |(idle, busy), (_, endpoint)| {
            (
                idle + long(endpoint.idle.len()),
                busy + u64::from(endpoint.in_flight),
            )
        })
    }

    /// Closes every idle connection.
    pub(crate) fn clear(&mut self) {
        for (_, endpoint) in &mut self.endpoints {
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
        let one = pool.begin(EndpointKey(1));
        let other = pool.begin(EndpointKey(2));
        pool.saw_answer(one, true);
        assert!(pool.has_long_answers(one) && !pool.has_long_answers(other));
        pool.saw_answer(one, false);
        assert!(!pool.has_long_answers(one));
    }

    #[test]
    fn an_endpoint_keeps_its_place_while_requests_are_under_way() {
        let mut pool = Pool::default();
        let place = pool.begin(EndpointKey(7));
        assert_eq!(pool.begin(EndpointKey(7)), place);
        let plan = Plan::empty();
        pool.sweep(&plan, Instant::now());
        assert_eq!(pool.load(EndpointKey(7)), 2);
        pool.end(place);
        pool.end(place);
        pool.sweep(&plan, Instant::now());
        assert!(pool.endpoints.is_empty() && pool.places.is_empty());
    }
}
