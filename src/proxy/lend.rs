//! A connection for an attempt, from the pool or made for it, and what becomes of it afterwards.

use std::iter;

use super::{
    breaker::Seat,
    connect,
    course::Course,
    fault::FaultKind,
    h1::{downstream::Client, upstream::Answered},
    pool::{Lent, Place},
    settle::AttemptGuard,
    upgrade::Tunnelled,
    worker::Worker,
};
use crate::{
    model::{Moment, Reason},
    plan::{Target, Upstream},
};

/// A connection to an endpoint, and the endpoint's place in the pool.
pub(super) async fn reach(
    client: &Client,
    guard: &mut AttemptGuard,
    (upstream, target): (&Upstream, &Target),
    (course, began): (&mut Course, Moment),
) -> Result<(Place, Lent), FaultKind> {
    let place = guard.at(target);
    let seat = guard.seat();
    let lent = lend(
        client,
        upstream,
        (target, place),
        seat.as_ref(),
        (guard, course, began),
    )
    .await;
    if lent.is_err() {
        course.tried.push(target.key);
    }
    lent.map(|lent| (place, Lent { seat, ..lent }))
}

/// A connection from the pool, or a new one.
async fn lend(
    client: &Client,
    upstream: &Upstream,
    (target, place): (&Target, Place),
    seat: Option<&Seat>,
    (guard, course, now): (&AttemptGuard, &Course, Moment),
) -> Result<Lent, FaultKind> {
    let idle_max = upstream.timeouts.idle;
    let take = || client.worker.pool.borrow_mut().take(place, now, idle_max);
    // One that is not counted is older than the limit.
    let fits = |lent: &Lent| seat.is_none() || lent.counted.is_some();
    let mut idle = iter::from_fn(take);
    let taken = (!course.wants_fresh).then(|| idle.find(fits)).flatten();
    if let Some(lent) = taken {
        return Ok(lent);
    }
    let counted = seat.map(|seat| seat.open(&client.worker.pool));
    let began = client.worker.now();
    let made = connect::connect(client, upstream, (target, place), course.wants_fresh).await;
    let is_new = made.as_ref().is_ok_and(|lent| lent.made >= began);
    if is_new || made.is_err() {
        let result = made
            .as_ref()
            .err()
            .map_or(Reason::None, |kind| kind.reason());
        guard.connected(result, client.worker.now().since(began));
    }
    made.map(|lent| Lent { counted, ..lent })
}

/// Gives the connection of an exchange back, if it can carry another one, or makes it the tunnel
/// that it has become.
pub(super) fn give_back(
    (worker, guard): (&Worker, &AttemptGuard),
    (upstream, place): (&Upstream, Place),
    lent: Lent,
    mut answered: Answered,
) -> Answered {
    if answered.is_reusable && guard.is_there() {
        let since = guard.last_byte.unwrap_or_else(|| worker.now());
        let mut pool = worker.pool.borrow_mut();
        pool.give(place, lent, since, kept(upstream));
    } else if let Some(frames) = answered.switched.take() {
        answered.tunnel = Some(Tunnelled {
            upstream: lent.stream,
            holds: (lent.counted, lent.seat),
            frames,
            long: guard.long_lived(),
        });
    }
    answered
}

/// Idle connections that are kept to an endpoint; what was said there of one client in front of a
/// connection must not be taken for another's.
fn kept(upstream: &Upstream) -> usize {
    if upstream.proxy_protocol.is_some() {
        return 0;
    }
    upstream.max_idle_connections
}
