//! A request that is waited for too long is sent to a second endpoint of its version as well, and
//! the answer that begins first is taken (`hedge`).
//!
//! Only a request without a body races: then nothing is left to do but to wait for a first byte.
//! What has come by then goes on its usual way (`h1/upstream.rs`), as if there had been one
//! attempt; the other one is broken off. When one of the two fails, the other goes on alone;
//! nothing is asked after them.

mod wait;

use std::{cell::Cell, pin::pin, rc::Rc, time::Duration};

use self::wait::{Met, Won, alone, ask, both};
use super::{
    breaker::enter_at_once,
    choose::choose,
    course::{Course, count},
    decide::Decision,
    fault::FaultKind,
    forward::saw_stable,
    h1::{
        deadlines::Deadlines,
        downstream::Client,
        outgoing::{Outgoing, Request},
    },
    pool::{Lent, Place},
    settle::AttemptGuard,
    wire::Wire,
    worker::Worker,
};
use crate::{
    measure::Repeat,
    model::{EndpointKey, Moment, Reason},
    plan::{Hedge, Split, Target, Upstream},
};

/// What has happened before an exchange goes its usual way.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Nothing.
    Nothing,
    /// All of the request was sent.
    Sent,
    /// That, and these first bytes of the answer have come.
    Answered(Vec<u8>),
}

impl Begun {
    /// Leaves out of a request what was sent already; the beginning of the answer, if it is here.
    pub(crate) fn leave_out(self, request: &mut Request<'_>) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::Nothing => return None,
            Self::Sent => None,
            Self::Answered(bytes) => Some(bytes),
        };
        (request.head, request.tail) = (b"", b"");
        bytes
    }
}

/// The attempt that goes on; another one may take its place.
#[derive(Debug)]
pub(super) struct Racer<'r, 'p> {
    pub(super) guard: &'r mut AttemptGuard,
    pub(super) target: &'r mut &'p Target,
    pub(super) place: &'r mut Place,
    pub(super) lent: &'r mut Lent,
}

/// The second attempt.
#[derive(Debug)]
struct Second<'p> {
    guard: AttemptGuard,
    target: &'p Target,
    /// Once there is a connection.
    reached: Option<(Place, Lent)>,
}

/// What has come of waiting.
#[derive(Debug)]
enum Ran<'p> {
    /// There was one attempt.
    Single(Result<Begun, FaultKind>),
    /// There were two.
    Double(Box<Second<'p>>, Won),
}

/// How the split's requests are hedged, if this one is.
fn rules<'a>(split: &'a Split, outgoing: &Outgoing, course: &Course) -> Option<&'a Hedge> {
    let hedge = split.hedge.as_ref()?;
    let head = outgoing.bare_head()?;
    let is_meant = |method: &String| {
        let rest = head.strip_prefix(method.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b" "))
    };
    let is_first = course.attempts == 1 || course.is_hedged;
    (is_first && hedge.methods.iter().any(is_meant)).then_some(hedge)
}

/// An attempt has got its answer: what that says of the version.
pub(super) fn learn(
    worker: &Worker,
    (split, upstream): (&Split, &Upstream),
    (outgoing, course): (&Outgoing, &Course),
    guard: &AttemptGuard,
) {
    if let Some(hedge) = rules(split, outgoing, course)
        && let Some(waited) = guard.waited_for()
    {
        let version = (split.key, upstream.ward.key());
        let mut hedges = worker.hedges.borrow_mut();
        hedges.learn(version, hedge.after, waited);
    }
}

/// Sends a request that may be hedged, and waits until its answer begins. The first attempt's
/// connection is there; the second attempt takes its place if it wins.
pub(super) async fn race<'p>(
    client: &mut Client,
    plan: (&'p Decision, &'p Split, &'p Upstream),
    (outgoing, course, deadlines): (&Outgoing, &mut Course, &mut Deadlines),
    first: Racer<'_, 'p>,
) -> Result<Begun, FaultKind> {
    let worker = Rc::clone(&client.worker);
    let (decision, split, upstream) = plan;
    let rules = rules(split, outgoing, course).filter(|_| upstream.endpoints.len() > 1);
    let Some(hedge) = rules else {
        return Ok(Begun::Nothing);
    };
    let version = (split.key, upstream.ward.key());
    let patience = worker.hedges.borrow().patience(version, hedge.after);
    let now = worker.now();
    let Some(patience) = patience.filter(|patience| deadlines.outlast(*patience, now)) else {
        return Ok(Begun::Nothing);
    };
    let left = patience.saturating_sub(now.since(first.guard.began()));
    let of_first = (&mut first.lent.stream, first.target.key);
    let ran = run(client, plan, (outgoing, course, deadlines), of_first, left).await;
    client.slot.disarm();
    match ran {
        Ran::Single(begun) => begun,
        Ran::Double(second, won) => {
            finish((&worker, decision, split), course, (first, *second), won)
        }
    }
}

/// Waits for the first attempt, and for a second one if that is late.
async fn run<'p>(
    client: &mut Client,
    (decision, split, upstream): (&'p Decision, &'p Split, &'p Upstream),
    (outgoing, course, deadlines): (&Outgoing, &mut Course, &mut Deadlines),
    (stream, first): (&mut Wire, EndpointKey),
    patience: Duration,
) -> Ran<'p> {
    let worker = Rc::clone(&client.worker);
    let from = worker.now();
    let head = outgoing.bare_head().unwrap_or_default();
    let is_sent = Cell::new(false);
    let mut asking = pin!(ask(stream, (head, &is_sent), &worker.buffers));
    let limits = (patience, deadlines.send);
    match alone(client, asking.as_mut(), &is_sent, limits).await {
        Met::Begun(begun) => return Ran::Single(begun.map(Begun::Answered)),
        Met::Left if is_sent.get() => return Ran::Single(Ok(Begun::Sent)),
        Met::Left => return Ran::Single(Err(FaultKind::ClientGone)),
        Met::Late => {}
    }
    let now = worker.now();
    deadlines.spend(now.since(from));
    let plan = (decision, split, upstream);
    let Some(mut second) = launch(&worker, plan, course, (first, now)) else {
        return Ran::Single(Ok(Begun::Sent));
    };
    course.attempts = course.attempts.saturating_add(1);
    course.is_hedged = true;
    deadlines.are_last();
    let traceparent = second.guard.traceparent();
    let traced = traceparent.map(|traceparent| outgoing.traced_head(&traceparent));
    let head = traced.as_deref().unwrap_or(head);
    let on_the_way = (&mut second, course, upstream);
    let won = both(client, asking, on_the_way, (head, deadlines, now)).await;
    deadlines.spend(worker.now().since(now));
    Ran::Double(Box::new(second), won)
}

/// Settles what the race has decided.
fn finish<'p>(
    (worker, decision, split): (&Worker, &Decision, &Split),
    course: &Course,
    (first, second): (Racer<'_, 'p>, Second<'p>),
    won: Won,
) -> Result<Begun, FaultKind> {
    let Second {
        mut guard,
        target,
        reached,
    } = second;
    let fails = |guard: &mut AttemptGuard, kind, why| {
        let outcome = guard.failed(decision, kind, 0);
        saw_stable(worker, split, (course.role, why), outcome);
    };
    let (result, is_second) = match won {
        Won::First(bytes) => {
            guard.overtaken();
            (Ok(Begun::Answered(bytes)), false)
        }
        Won::Second(begun, None) => {
            guard.takes_over(first.guard);
            first.guard.overtaken();
            (Ok(begun), true)
        }
        Won::Second(begun, Some(kind)) => {
            fails(first.guard, kind, course.why);
            (Ok(begun), true)
        }
        Won::FirstAlone(kind) => {
            fails(&mut guard, kind, Reason::Hedge);
            (Ok(Begun::Sent), false)
        }
        Won::Neither(of_first, kind) => {
            fails(&mut guard, kind, Reason::Hedge);
            (Err(of_first), false)
        }
        Won::Over(kind) => {
            guard.overtaken();
            (kind.map_or(Ok(Begun::Sent), Err), false)
        }
    };
    let repeat = if is_second {
        Repeat::HedgeWon
    } else {
        Repeat::HedgeLost
    };
    count(worker, (decision, course.role), repeat, Reason::Hedge);
    if is_second && let Some((place, lent)) = reached {
        // What is left of the first one ends here, its connection too.
        *first.guard = guard;
        (*first.target, *first.place, *first.lent) = (target, place, lent);
    }
    result
}

/// A second attempt, if there is an endpoint, room and budget for it.
fn launch<'p>(
    worker: &Rc<Worker>,
    (decision, split, upstream): (&Decision, &Split, &'p Upstream),
    course: &Course,
    (first, now): (EndpointKey, Moment),
) -> Option<Second<'p>> {
    let which = (decision, course.role);
    let target = choose(worker, which, upstream, (&[first], now))?;
    if target.key == first || target.vitals.is_ejected(now) {
        return None;
    }
    let account = decision.account_of(course.role);
    let of = (Reason::Hedge, now);
    let mut guard = AttemptGuard::open(worker, account, of, course.story.as_ref());
    let has_room = enter_at_once(worker, &mut guard, upstream, now);
    if has_room && worker.hedges.borrow_mut().withdraw(split.key) {
        return Some(Second {
            guard,
            target,
            reached: None,
        });
    }
    guard.withdrawn();
    None
}
