//! A worker's connections to endpoints, and how many requests each endpoint has from it.

mod stale;

use std::{cell::Cell, rc::Rc, time::Duration};

use rustc_hash::FxHashMap;
use slab::Slab;
use tokio::sync::Notify;

use self::stale::Stale;
use super::ewma::Pace;
use crate::{
    measure::EndpointGauge,
    model::{EndpointKey, Moment},
    plan::{Load, Plan},
    proxy::{
        breaker::{Counted, Seat},
        h2,
        wire::Wire,
    },
};

/// A connection that waits for its next request.
#[derive(Debug)]
struct Idle {
    stream: Wire,
    counted: Option<Counted>,
    since: Moment,
    made: Moment,
}

/// What a worker holds of one endpoint.
#[derive(Debug, Default)]
struct Endpoint {
    in_flight: u32,
    pace: Pace,
    has_long_answers: bool,
    /// How many broken connections are still taken for ones that had merely grown old.
    stale: Stale,
    idle: Vec<Idle>,
    /// Connections that carry many exchanges.
    shared: Vec<Shared>,
    maker: Rc<Maker>,
}

impl Endpoint {
    /// How many connections wait for a request.
    fn idle(&self) -> u32 {
        let resting = |shared: &&Shared| shared.connection.streams() == 0;
        let shared = self.shared.iter().filter(resting).count();
        u32::try_from(self.idle.len() + shared).unwrap_or(u32::MAX)
    }
}

/// Who makes an endpoint's connections that carry many exchanges: one at a time, since the others
/// will use them too.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    is_busy: Cell<bool>,
    rests: Notify,
}

impl Maker {
    /// Begins to make a connection, unless another task does.
    pub(crate) fn begin(&self) -> Option<Making<'_>> {
        (!self.is_busy.replace(true)).then_some(Making(self))
    }

    /// Waits until the other task has made it, or has failed.
    pub(crate) async fn rests(&self) {
        self.rests.notified().await;
    }
}

/// A connection is being made.
#[derive(Debug)]
pub(crate) struct Making<'a>(&'a Maker);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.is_busy.set(false);
        self.0.rests.notify_waiters();
    }
}

/// A connection that carries many exchanges.
#[derive(Debug)]
struct Shared {
    connection: h2::upstream::Connection,
    made: Moment,
    used: Moment,
}

/// A connection lent for one exchange.
#[derive(Debug)]
pub(crate) struct Lent {
    /// The connection.
    pub(crate) stream: Wire,
    /// Whether it has carried an exchange before.
    pub(crate) is_reused: bool,
    /// When it was made.
    pub(crate) made: Moment,
    /// That it is counted, if its upstream's connections are.
    pub(crate) counted: Option<Counted>,
    /// The right to have it, until it is idle again.
    pub(crate) seat: Option<Seat>,
}

/// How long a connection is used at all: so that traffic follows DNS and load is spread anew.
const AGE_MAX: Duration = Duration::from_mins(5);

/// Where the pool keeps an endpoint, for as long as a request is under way there: so that an
/// attempt looks its endpoint up once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// How often connections that waited too long are looked for.
const ROUND_EVERY: Duration = Duration::from_secs(1);
/// How many endpoints are looked at in one step of a round...
const LOOKED_AT_MAX: usize = 256;
/// ...and how many connections closed: some ten microseconds each, which requests wait for.
const CLOSED_MAX: usize = 16;

/// One walk over all endpoints. There may be thousands, so a step looks at some of them.
#[derive(Debug, Default)]
pub(crate) struct Round {
    began: Option<Moment>,
    left: Vec<EndpointKey>,
}

/// The endpoints of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    endpoints: Slab<Endpoint>,
    places: FxHashMap<EndpointKey, Place>,
}

impl Pool {
    /// What an endpoint has to do for this worker.
    pub(crate) fn load(&self, key: EndpointKey, now: Moment) -> Load {
        let place = self.places.get(&key);
        let endpoint = place.and_then(|place| self.endpoints.get(place.0));
        endpoint.map_or_else(Load::default, |endpoint| Load {
            requests: endpoint.in_flight,
            latency: endpoint.pace.at(now),
        })
    }

    /// An endpoint has begun to answer after this time, or has failed.
    pub(crate) fn learn(&mut self, place: Place, (took, failed): (Duration, bool), now: Moment) {
        if let Some(endpoint) = self.endpoints.get_mut(place.0) {
            endpoint.pace.learn(took, failed, now);
        }
    }

    /// A request begins; the place is good until it ends.
    pub(crate) fn begin(&mut self, key: EndpointKey) -> Place {
        let endpoints = &mut self.endpoints;
        let fresh = || Place(endpoints.insert(Endpoint::default()));
        let place = *self.places.entry(key).or_insert_with(fresh);
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

    /// A kept connection broke under a request; whether it had merely grown old, which is nobody's
    /// failure.
    pub(crate) fn was_stale(&mut self, place: Place) -> bool {
        let endpoint = self.endpoints.get_mut(place.0);
        endpoint.is_some_and(|endpoint| endpoint.stale.spend())
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
    pub(crate) fn take(&mut self, place: Place, now: Moment, idle_max: Duration) -> Option<Lent> {
        let idle = &mut self.endpoints.get_mut(place.0)?.idle;
        while let Some(connection) = idle.pop() {
            let waited = now.since(connection.since);
            if waited < idle_max && connection.stream.is_quiet() {
                let Idle {
                    stream,
                    counted,
                    made,
                    ..
                } = connection;
                return Some(Lent {
                    stream,
                    is_reused: true,
                    made,
                    counted,
                    seat: None,
                });
            }
        }
        None
    }

    /// A stream of a connection that has room for one more.
    pub(crate) fn open_stream(&mut self, place: Place, now: Moment) -> Option<Lent> {
        let endpoint = self.endpoints.get_mut(place.0)?;
        let is_young = |shared: &&mut Shared| now.since(shared.made) < AGE_MAX;
        let mut all = endpoint.shared.iter_mut();
        let shared = all.find(|shared| is_young(shared) && shared.connection.has_room())?;
        let is_reused = shared.used > shared.made;
        shared.used = now;
        Some(Lent {
            stream: Wire::ToEndpoint(Box::new(shared.connection.stream())),
            is_reused,
            made: shared.made,
            counted: None,
            seat: None,
        })
    }

    /// Who makes an endpoint's connections that carry many exchanges.
    pub(crate) fn maker(&self, place: Place) -> Option<Rc<Maker>> {
        let endpoint = self.endpoints.get(place.0)?;
        Some(Rc::clone(&endpoint.maker))
    }

    /// Keeps a connection that carries many exchanges.
    pub(crate) fn share(
        &mut self,
        place: Place,
        connection: h2::upstream::Connection,
        now: Moment,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(place.0) {
            endpoint.shared.push(Shared {
                connection,
                made: now,
                used: now,
            });
        }
    }

    /// Gives a connection back after a whole exchange.
    pub(crate) fn give(&mut self, place: Place, lent: Lent, now: Moment, kept: usize) {
        let Some(endpoint) = self.endpoints.get_mut(place.0) else {
            return;
        };
        if lent.stream.is_stream() {
            return;
        }
        if endpoint.idle.len() < kept && now.since(lent.made) < AGE_MAX {
            endpoint.stale.earn();
            endpoint.idle.push(Idle {
                stream: lent.stream,
                counted: lent.counted,
                since: now,
                made: lent.made,
            });
        }
    }

    /// Closes the one of these connections that was idle for the longest time, if there is one.
    pub(crate) fn close_oldest(&mut self, is_one: impl Fn(&Counted) -> bool) -> bool {
        let is_one = |idle: &Idle| idle.counted.as_ref().is_some_and(&is_one);
        // What an endpoint was not asked on for the longest time comes first.
        let firsts = self.endpoints.iter_mut().filter_map(|(_, endpoint)| {
            let nth = endpoint.idle.iter().position(is_one)?;
            let since = endpoint.idle.get(nth)?.since;
            Some((since, endpoint, nth))
        });
        let oldest = firsts.min_by_key(|(since, ..)| *since);
        oldest.is_some_and(|(_, endpoint, nth)| {
            endpoint.idle.remove(nth);
            true
        })
    }

    /// Closes connections that waited too long or whose endpoint the plan no longer has: goes on
    /// with a round, or begins the next one when its time has come.
    pub(crate) fn sweep(&mut self, round: &mut Round, plan: &Plan, now: Moment) {
        if round.left.is_empty() {
            let began = round.began.get_or_insert(now);
            if now.since(*began) < ROUND_EVERY {
                return;
            }
            *began = now;
            round.left.extend(self.places.keys());
        }
        let mut may_close = CLOSED_MAX;
        for _ in 0..LOOKED_AT_MAX {
            let Some(key) = round.left.pop() else { return };
            self.close_old(key, plan, now, &mut may_close);
            if may_close == 0 {
                round.left.push(key);
                return;
            }
        }
    }

    fn close_old(&mut self, key: EndpointKey, plan: &Plan, now: Moment, may_close: &mut usize) {
        let limit = plan.owner(key).map(|upstream| upstream.timeouts.idle);
        let place = self.places.get(&key).copied();
        let Some((place, endpoint)) =
            place.and_then(|place| Some((place, self.endpoints.get_mut(place.0)?)))
        else {
            return;
        };
        endpoint.idle.retain(|idle| {
            let is_young = limit.is_some_and(|limit| now.since(idle.since) < limit);
            let stays = is_young || *may_close == 0;
            *may_close -= usize::from(!stays);
            stays
        });
        endpoint.shared.retain(|shared| {
            let is_used = shared.connection.streams() > 0 || *may_close == 0;
            let is_young = limit.is_some_and(|limit| now.since(shared.used) < limit)
                && now.since(shared.made) < AGE_MAX;
            let stays = !shared.connection.is_closed() && (is_used || is_young);
            *may_close = may_close.saturating_sub(usize::from(!stays));
            stays
        });
        let is_unused = endpoint.idle.is_empty() && endpoint.shared.is_empty();
        if limit.is_none() && endpoint.in_flight == 0 && is_unused {
            self.endpoints.remove(place.0);
            self.places.remove(&key);
        }
    }

    /// What is known of endpoints.
    pub(crate) fn endpoints(&self, now: Moment) -> impl Iterator<Item = EndpointGauge> {
        self.places.iter().filter_map(move |(key, place)| {
            let endpoint = self.endpoints.get(place.0)?;
            let latency = endpoint.pace.at(now);
            Some(EndpointGauge {
                endpoint: *key,
                in_flight: endpoint.in_flight,
                idle: endpoint.idle(),
                latency: (latency > 0).then(|| Duration::from_micros(latency.into())),
            })
        })
    }

    /// Idle connections and busy ones.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let all = self.endpoints.iter();
        all.fold((0, 0), |(idle, busy), (_, endpoint)| {
            (
                idle + u64::from(endpoint.idle()),
                busy + u64::from(endpoint.in_flight),
            )
        })
    }

    /// Closes every idle connection.
    pub(crate) fn clear(&mut self) {
        for (_, endpoint) in &mut self.endpoints {
            endpoint.idle.clear();
            endpoint.shared.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        config,
        model::{Endpoint, Generation, UpstreamName},
        net,
        plan::{Inputs, Keys, Secrets, Tls, compile},
    };

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

    /// A plan of one upstream with these endpoints, whose keys count from 0.
    fn plan(keys: &mut Keys, endpoints: &[SocketAddr]) -> Plan {
        let file = "listen: \"127.0.0.1:0\"\nupstreams: { v1: { static: [\"127.0.0.1:1\"] } }\n\
                    splits: { shop: { stable: v1 } }\n";
        let (config, _) = config::load(file, "test.yaml").unwrap();
        let endpoints: Arc<[_]> = endpoints.iter().copied().map(Endpoint::new).collect();
        let inputs = Inputs {
            config: &config,
            endpoints: &HashMap::from([(UpstreamName::new("v1").unwrap(), endpoints)]),
            shifts: &HashMap::new(),
            secrets: &Secrets::default(),
            tls: &Tls::default(),
            previous: None,
            generation: Generation(1),
            now: Moment::ZERO,
        };
        compile(&inputs, keys)
    }

    async fn fill(pool: &mut Pool, key: EndpointKey, address: SocketAddr, count: usize) {
        let place = pool.begin(key);
        for _ in 0..count {
            let lent = Lent {
                stream: Wire::Tcp(net::connect(address).await.unwrap()),
                is_reused: false,
                made: Moment::ZERO,
                counted: None,
                seat: None,
            };
            pool.give(place, lent, Moment::ZERO, usize::MAX);
        }
        pool.end(place);
    }

    fn idle(pool: &Pool) -> u64 {
        pool.connections().0
    }

    #[tokio::test]
    async fn connections_of_gone_endpoints_are_closed_a_few_at_a_time() {
        let bound = net::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = bound.local_addr().unwrap();
        let (mut pool, mut round, mut keys) = (Pool::default(), Round::default(), Keys::default());
        let before = plan(&mut keys, &[address, ([127, 0, 0, 2], 1).into()]);
        fill(&mut pool, EndpointKey(0), address, 3).await;
        fill(&mut pool, EndpointKey(1), address, 40).await;
        let place = pool.begin(EndpointKey(1));
        assert_eq!(pool.begin(EndpointKey(1)), place);
        pool.end(place);
        let mut now = Moment::ZERO;
        let mut step = |pool: &mut Pool, plan: &Plan, millis: u64| {
            now = now + Duration::from_millis(millis);
            pool.sweep(&mut round, plan, now);
            idle(pool)
        };
        assert_eq!(step(&mut pool, &before, 0), 43);
        assert_eq!(step(&mut pool, &before, 1_000), 43, "all are young");
        let after = plan(&mut keys, &[address]);
        assert_eq!(
            step(&mut pool, &after, 20),
            43,
            "the next round has not begun"
        );
        let steps = [1_000, 20, 20, 20].map(|millis| step(&mut pool, &after, millis));
        assert_eq!(steps, [27, 11, 3, 3]);
        assert_eq!(pool.endpoints.len(), 2, "a request is under way");
        pool.end(place);
        step(&mut pool, &after, 1_000);
        assert_eq!(pool.endpoints.len(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_waited_too_long_is_closed_wherever_it_is_among_many() {
        let bound = net::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = bound.local_addr().unwrap();
        let all: Vec<SocketAddr> = (1..=600).map(|port| ([10, 0, 0, 1], port).into()).collect();
        let plan = plan(&mut Keys::default(), &all);
        let (mut pool, mut round) = (Pool::default(), Round::default());
        for key in 0..600 {
            pool.begin(EndpointKey(key));
        }
        for key in [0, 300, 599] {
            fill(&mut pool, EndpointKey(key), address, 1).await;
        }
        let late = Moment::ZERO + Duration::from_hours(1);
        pool.sweep(&mut round, &plan, Moment::ZERO);
        let mut left = Vec::new();
        for step in 0..3 {
            pool.sweep(&mut round, &plan, late + super::super::timer::TICK * step);
            left.push(idle(&pool));
        }
        assert!(
            left[0] > 0 && left[2] == 0,
            "some of 600 in each step: {left:?}"
        );
    }
}
