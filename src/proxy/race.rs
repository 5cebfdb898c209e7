//! A request that is waited for too long is sent to a second endpoint of its version as well, and
//! the answer that begins first is taken (`hedge`).
//!
//! Only a request without a body races: then nothing is left to do but to wait for a first byte.
//! What has come by then goes on its usual way (`h1/upstream.rs`), as if there had been one attempt;
//! the other one is broken off. When one of the two fails, the other goes on alone; nothing is
//! asked after them.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    breaker::enter_at_once,
    buffer::Buffers,
    choose::choose,
    course::{Course, count},
    decide::Decision,
    fault::FaultKind,
    forward::{reach, saw_stable},
    h1::{
        deadlines::Deadlines,
        downstream::Client,
        io::{self, Size},
        outgoing::{Outgoing, Request},
        upstream::broken,
    },
    pool::{Lent, Place},
    settle::AttemptGuard,
    wire::{Reader, Wire},
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

/// How a race of two ended.
#[derive(Debug)]
enum Won {
    /// The first attempt's answer has begun.
    First(Vec<u8>),
    /// The second attempt goes on; why the first one has failed, if it has.
    Second(Begun, Option<FaultKind>),
    /// The second one has failed for this reason, and the first goes on.
    FirstAlone(FaultKind),
    /// Both have failed, for these reasons.
    Neither(FaultKind, FaultKind),
    /// The client has left, and what it leaves behind is the first attempt's; or time is over, or
    /// it had failed already.
    Over(Option<FaultKind>),
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

/// What a request waits for.
type Begins<'f> = Pin<&'f mut (dyn Future<Output = Result<Vec<u8>, FaultKind>> + 'f)>;

/// What becomes of a wait for the first attempt alone.
#[derive(Debug)]
enum Met {
    Begun(Result<Vec<u8>, FaultKind>),
    Late,
    Left,
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
    let (Some(hedge), Some(head)) = (rules, outgoing.bare_head()) else {
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
    let ran = run(client, plan, (head, course, deadlines), of_first, left).await;
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
    (head, course, deadlines): (&[u8], &mut Course, &mut Deadlines),
    (stream, first): (&mut Wire, EndpointKey),
    patience: Duration,
) -> Ran<'p> {
    let worker = Rc::clone(&client.worker);
    let from = worker.now();
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
    let mut guard = AttemptGuard::open(worker, account, Reason::Hedge, now);
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

/// Sends a request and waits for the first bytes of its answer.
async fn ask(
    stream: &mut Wire,
    (head, is_sent): (&[u8], &Cell<bool>),
    buffers: &Buffers,
) -> Result<Vec<u8>, FaultKind> {
    let (mut reader, mut writer) = stream.split();
    if let Err(error) = io::write(&mut writer, head, b"").await {
        let kind = broken(&error);
        // What the endpoint has said before it stopped listening is still to be read.
        if kind != FaultKind::Reset {
            return Err(kind);
        }
    }
    is_sent.set(true);
    let read = io::read(&mut reader, buffers, Size::Usual).await;
    let bytes = read.map_err(|error| broken(&error))?;
    if bytes.is_empty() {
        return Err(FaultKind::Reset);
    }
    Ok(bytes)
}

/// Waits for the first attempt alone, until it is late.
async fn alone(
    client: &mut Client,
    mut asking: Begins<'_>,
    is_sent: &Cell<bool>,
    (patience, send): (Duration, Duration),
) -> Met {
    client.slot.arm(send);
    let Client {
        stream,
        slot,
        unread,
        ..
    } = client;
    let mut watched = Watched::new(stream, unread.is_some());
    let mut late = pin!(tokio::time::sleep(patience));
    poll_fn(|cx| {
        if let Poll::Ready(begun) = asking.as_mut().poll(cx) {
            return Poll::Ready(Met::Begun(begun));
        }
        if watched.has_left(cx) {
            return Poll::Ready(Met::Left);
        }
        if is_sent.get() {
            return late.as_mut().poll(cx).map(|()| Met::Late);
        }
        let expired = slot.poll_expired(cx);
        expired.map(|_| Met::Begun(Err(FaultKind::SendTimeout)))
    })
    .await
}

/// Makes the second attempt, and waits for both.
async fn both(
    client: &mut Client,
    mut first: Begins<'_>,
    (second, course, upstream): (&mut Second<'_>, &mut Course, &Upstream),
    (head, deadlines, now): (&[u8], &Deadlines, Moment),
) -> Won {
    let mut failed = None;
    let Second {
        guard,
        target,
        reached,
    } = second;
    let made = {
        let mut reaching = pin!(reach(client, guard, (upstream, target), (course, now)));
        poll_fn(|cx| {
            if let Poll::Ready(bytes) = poll_begun(&mut first, &mut failed, cx) {
                return Poll::Ready(Err(Won::First(bytes)));
            }
            reaching.as_mut().poll(cx).map(Ok)
        })
        .await
    };
    let (place, lent) = match (made, failed) {
        (Err(won), _) => return won,
        (Ok(Err(kind)), None) => return Won::FirstAlone(kind),
        (Ok(Err(kind)), Some(of_first)) => return Won::Neither(of_first, kind),
        (Ok(Ok(made)), _) => made,
    };
    let (_, lent) = reached.insert((place, lent));
    let worker = Rc::clone(&client.worker);
    let is_sent = Cell::new(false);
    let asking = pin!(ask(&mut lent.stream, (head, &is_sent), &worker.buffers));
    let mut limits = *deadlines;
    limits.spend(worker.now().since(now));
    client.slot.arm(limits.left(worker.now()));
    let won = side_by_side(client, (first, failed), (asking, &is_sent)).await;
    let is_over = limits.total.is_some_and(|total| total <= worker.now());
    if is_over && matches!(won, Won::Over(Some(FaultKind::ResponseTimeout))) {
        return Won::Over(Some(FaultKind::TotalTimeout));
    }
    won
}

/// Waits for the first of two answers to begin, or for what makes waiting vain.
async fn side_by_side(
    client: &mut Client,
    (mut first, mut failed): (Begins<'_>, Option<FaultKind>),
    (mut second, is_sent): (Begins<'_>, &Cell<bool>),
) -> Won {
    let Client {
        stream,
        slot,
        unread,
        ..
    } = client;
    let mut watched = Watched::new(stream, unread.is_some());
    poll_fn(|cx| {
        if let Poll::Ready(bytes) = poll_begun(&mut first, &mut failed, cx) {
            return Poll::Ready(Won::First(bytes));
        }
        match (second.as_mut().poll(cx), failed) {
            (Poll::Ready(Ok(bytes)), failed) => {
                return Poll::Ready(Won::Second(Begun::Answered(bytes), failed));
            }
            (Poll::Ready(Err(kind)), None) => return Poll::Ready(Won::FirstAlone(kind)),
            (Poll::Ready(Err(kind)), Some(of_first)) => {
                return Poll::Ready(Won::Neither(of_first, kind));
            }
            (Poll::Pending, Some(_)) if is_sent.get() => {
                return Poll::Ready(Won::Second(Begun::Sent, failed));
            }
            (Poll::Pending, _) => {}
        }
        if watched.has_left(cx) {
            return Poll::Ready(Won::Over(failed));
        }
        let expired = slot.poll_expired(cx);
        expired.map(|_| Won::Over(failed.or(Some(FaultKind::ResponseTimeout))))
    })
    .await
}

/// Ready once the first attempt's answer has begun; that it has failed is noted.
fn poll_begun(
    first: &mut Begins<'_>,
    failed: &mut Option<FaultKind>,
    cx: &mut Context<'_>,
) -> Poll<Vec<u8>> {
    if failed.is_some() {
        return Poll::Pending;
    }
    match first.as_mut().poll(cx) {
        Poll::Ready(Ok(bytes)) => return Poll::Ready(bytes),
        Poll::Ready(Err(kind)) => *failed = Some(kind),
        Poll::Pending => {}
    }
    Poll::Pending
}

/// A client that is watched, unless its next request is here already.
#[derive(Debug)]
struct Watched<'c>(Option<Reader<'c>>);

impl<'c> Watched<'c> {
    fn new(stream: &'c mut Wire, has_more: bool) -> Self {
        Self((!has_more).then(|| stream.split().0))
    }

    /// Whether it will send no more.
    fn has_left(&mut self, cx: &mut Context<'_>) -> bool {
        let left = self.0.as_mut().map(|reader| reader.poll_left(cx));
        match left {
            Some(Poll::Ready(has_left)) => {
                self.0 = None;
                has_left
            }
            Some(Poll::Pending) | None => false,
        }
    }
}
