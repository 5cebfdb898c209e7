//! How many requests this worker has under way at an upstream, and those that wait for their turn.
//!
//! The limits of the file hold for all workers together, and each has a part of its own: to share
//! one count, every request would write what all others write (I6). Connections are spread evenly
//! over workers, so the parts are used evenly; where there are fewer than workers, each gets 1.
//!
//! A limit of connections works the same way. A connection of HTTP/1 carries one request, so a
//! request comes in with a seat: the right to have one connection. With a seat nobody waits again:
//! if there are as many connections as may be, one of them is idle, and is closed for the new one.
//!
//! Those that wait are let in in their order, and one that leaves gives its place to the next. An
//! upstream without a limit has none of this.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::{
    adaptive::Adaptive, fault::FaultKind, h1::downstream::Client, pool::Pool, settle::AttemptGuard,
    worker::Worker,
};
use crate::{
    model::{Moment, UpstreamKey, number::length},
    plan::{CircuitBreaker, Upstream},
};

/// The breakers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Breakers(RefCell<FxHashMap<UpstreamKey, Rc<Breaker>>>);

/// Of one upstream.
#[derive(Debug, Default)]
struct Breaker {
    under_way: Cell<u32>,
    limit: Cell<u32>,
    /// Requests that have a connection or will have one.
    seated: Cell<u32>,
    /// Connections, idle ones too.
    open: Cell<u32>,
    /// How many there may be; 0: any number.
    connections: Cell<u32>,
    waiting: RefCell<VecDeque<oneshot::Sender<Permit>>>,
    adaptive: Cell<Option<Adaptive>>,
}

/// Leave to have one request under way; dropped when it has ended.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Rc<Breaker>,
    seat: Option<Seat>,
}

/// The right to have one connection, where these are limited; dropped when it is idle or closed.
#[derive(Debug)]
pub(crate) struct Seat(Rc<Breaker>);

/// A connection that is counted, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Counted(Rc<Breaker>);

/// What a request meets at an upstream.
#[derive(Debug)]
enum Met {
    /// It may go in.
    Open(Permit),
    /// It has a place in the queue.
    Queue(oneshot::Receiver<Permit>),
    /// There is none.
    Full,
}

/// Lets an attempt in, at once or after a while. Without a limit nothing is counted.
pub(super) async fn enter(
    client: &Client,
    guard: &mut AttemptGuard,
    upstream: Option<&Arc<Upstream>>,
    now: Moment,
) -> Result<(), FaultKind> {
    let Some(upstream) = upstream else {
        return Ok(());
    };
    let Some(limits) = &upstream.circuit_breaker else {
        return Ok(());
    };
    let worker = &client.worker;
    match worker.breakers.meet(worker, (upstream, limits), now) {
        Met::Open(permit) => guard.let_in(permit, None),
        Met::Full => return Err(FaultKind::QueueFull),
        Met::Queue(turn) => {
            let waited = Box::pin(wait(client, turn, limits.queue_timeout)).await;
            let permit = waited.ok_or(FaultKind::QueueTimeout)?;
            guard.let_in(permit, Some(worker.now()));
        }
    }
    Ok(())
}

/// Lets an attempt in if there is room for it now.
pub(super) fn enter_at_once(
    worker: &Worker,
    guard: &mut AttemptGuard,
    upstream: &Upstream,
    now: Moment,
) -> bool {
    let Some(limits) = upstream.circuit_breaker else {
        return true;
    };
    let limits = CircuitBreaker {
        max_pending: 0,
        ..limits
    };
    match worker.breakers.meet(worker, (upstream, &limits), now) {
        Met::Open(permit) => {
            guard.let_in(permit, None);
            true
        }
        Met::Queue(_) | Met::Full => false,
    }
}

/// Waits for one's turn; `None`: for too long.
async fn wait(client: &Client, turn: oneshot::Receiver<Permit>, limit: Duration) -> Option<Permit> {
    client.slot.arm(limit);
    let permit = client.slot.guard(turn).await;
    client.slot.disarm();
    permit.ok()?.ok()
}

impl Breakers {
    fn meet(
        &self,
        worker: &Worker,
        (upstream, limits): (&Upstream, &CircuitBreaker),
        now: Moment,
    ) -> Met {
        let mut all = self.0.borrow_mut();
        let breaker = all.entry(upstream.ward.key()).or_default();
        breaker.configure(limits, usable(upstream, now), |all| worker.part_of(all));
        let most = length(worker.part_of(limits.max_pending).into());
        breaker.meet(if limits.max_pending == 0 { 0 } else { most })
    }
}

/// Endpoints that requests go to.
fn usable(upstream: &Upstream, now: Moment) -> u32 {
    let targets = upstream.endpoints.iter();
    let used = targets
        .filter(|target| !target.vitals.is_ejected(now))
        .count();
    u32::try_from(used.max(1)).unwrap_or(u32::MAX)
}

impl Breaker {
    /// The limit as it is now: of the file, of the endpoints that there are, or found by itself.
    fn configure(&self, limits: &CircuitBreaker, endpoints: u32, part: impl Fn(u32) -> u32) {
        let of_all = limits.max_requests.map_or(u32::MAX, &part);
        let each = limits.max_requests_per_endpoint.map(&part);
        let of_each = each.map_or(u32::MAX, |each| each.saturating_mul(endpoints));
        let highest = of_all.min(of_each);
        let connections = limits.max_connections.map_or(0, &part);
        self.connections.set(connections);
        let found = match (limits.is_adaptive, self.adaptive.get()) {
            (false, _) => {
                self.adaptive.set(None);
                u32::MAX
            }
            (true, Some(adaptive)) => adaptive.limit(),
            (true, None) => {
                let adaptive = Adaptive::new(highest.min(10_000));
                self.adaptive.set(Some(adaptive));
                adaptive.limit()
            }
        };
        self.limit.set(highest.min(found));
    }

    fn meet(self: &Rc<Self>, places: usize) -> Met {
        if self.waiting.borrow().is_empty() && self.has_room() {
            return Met::Open(self.take());
        }
        let mut waiting = self.waiting.borrow_mut();
        // Those that have given up need no place.
        waiting.retain(|waits| !waits.is_closed());
        if waiting.is_empty() && self.has_room() {
            return Met::Open(self.take());
        }
        if waiting.len() >= places {
            return Met::Full;
        }
        let (lets_in, turn) = oneshot::channel();
        waiting.push_back(lets_in);
        Met::Queue(turn)
    }

    fn has_room(&self) -> bool {
        let connections = self.connections.get();
        let has_seat = connections == 0 || self.seated.get() < connections;
        has_seat && self.under_way.get() < self.limit.get()
    }

    fn take(self: &Rc<Self>) -> Permit {
        self.under_way.set(self.under_way.get().saturating_add(1));
        let seat = (self.connections.get() > 0).then(|| {
            self.seated.set(self.seated.get().saturating_add(1));
            Seat(Rc::clone(self))
        });
        Permit {
            breaker: Rc::clone(self),
            seat,
        }
    }

    /// Lets those in who have waited, as long as there is room.
    fn let_in(self: &Rc<Self>) {
        while self.has_room() {
            let Some(next) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            if !next.is_closed() {
                // Nobody else could have left meanwhile.
                let _is_there = next.send(self.take());
            }
        }
    }
}

impl Permit {
    /// The seat, for the connection.
    pub(crate) fn seat(&mut self) -> Option<Seat> {
        self.seat.take()
    }

    /// An answer has begun after this time, or has failed.
    pub(crate) fn learn(&self, took: Duration, failed: bool, now: Moment) {
        let Some(mut adaptive) = self.breaker.adaptive.get() else {
            return;
        };
        adaptive.learn(took, failed, self.breaker.under_way.get(), now);
        self.breaker.adaptive.set(Some(adaptive));
    }
}

impl Seat {
    /// A connection will be made. An idle one is closed first if there are as many as may be; its
    /// endpoint may be another one, and may be gone.
    pub(super) fn open(&self, pool: &RefCell<Pool>) -> Counted {
        let Self(breaker) = self;
        let is_full = || {
            let connections = breaker.connections.get();
            connections > 0 && breaker.open.get() >= connections
        };
        while is_full() && pool.borrow_mut().close_oldest(|it| it.is_of(breaker)) {}
        breaker.open.set(breaker.open.get().saturating_add(1));
        Counted(Rc::clone(breaker))
    }
}

impl Counted {
    fn is_of(&self, breaker: &Rc<Breaker>) -> bool {
        Rc::ptr_eq(&self.0, breaker)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let open = &self.0.open;
        open.set(open.get().saturating_sub(1));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let breaker = &self.0;
        breaker.seated.set(breaker.seated.get().saturating_sub(1));
        breaker.let_in();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let breaker = &self.breaker;
        breaker
            .under_way
            .set(breaker.under_way.get().saturating_sub(1));
        breaker.let_in();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(limit: u32) -> Rc<Breaker> {
        let breaker = Rc::new(Breaker::default());
        breaker.limit.set(limit);
        breaker
    }

    fn open(breaker: &Rc<Breaker>) -> Permit {
        match breaker.meet(2) {
            Met::Open(permit) => permit,
            met @ (Met::Queue(_) | Met::Full) => panic!("{met:?}"),
        }
    }

    fn queue(breaker: &Rc<Breaker>) -> oneshot::Receiver<Permit> {
        match breaker.meet(2) {
            Met::Queue(turn) => turn,
            met @ (Met::Open(_) | Met::Full) => panic!("{met:?}"),
        }
    }

    #[test]
    fn those_who_wait_are_let_in_in_their_order_and_no_place_is_lost() {
        let breaker = breaker(2);
        let (first, second) = (open(&breaker), open(&breaker));
        let (mut third, mut fourth) = (queue(&breaker), queue(&breaker));
        assert!(matches!(breaker.meet(2), Met::Full));
        drop(first);
        let third = third.try_recv().unwrap();
        assert!(fourth.try_recv().is_err());
        drop(second);
        let let_in = fourth.try_recv().unwrap();
        assert_eq!(breaker.under_way.get(), 2);
        let gives_up = queue(&breaker);
        let mut stays = queue(&breaker);
        drop(gives_up);
        drop(let_in);
        assert!(stays.try_recv().is_ok(), "the one before has given up");
        drop(third);
        assert_eq!(breaker.under_way.get(), 0);
        let full = [open(&breaker), open(&breaker)];
        let not_taken_up = queue(&breaker);
        drop(full);
        assert_eq!(breaker.under_way.get(), 1);
        drop(not_taken_up);
        assert_eq!(breaker.under_way.get(), 0, "its place is free again");
    }

    #[test]
    fn the_limit_is_the_lowest_of_all() {
        let limits = CircuitBreaker {
            max_requests: Some(100),
            max_requests_per_endpoint: Some(8),
            max_connections: None,
            max_pending: 1,
            queue_timeout: Duration::from_secs(1),
            is_adaptive: false,
        };
        let limit = |limits: CircuitBreaker, endpoints| {
            let breaker = breaker(0);
            breaker.configure(&limits, endpoints, |all| all.div_ceil(2));
            breaker.limit.get()
        };
        assert_eq!(
            limit(limits, 3),
            12,
            "4 of 8 for this worker, at 3 endpoints"
        );
        assert_eq!(limit(limits, 99), 50);
        let adaptive = CircuitBreaker {
            is_adaptive: true,
            ..limits
        };
        assert_eq!(limit(adaptive, 99), 3, "what it begins with");
    }
}
