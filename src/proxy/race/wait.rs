//! Waiting for the first bytes of an answer: at one endpoint, or at two side by side.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use super::{Begun, Second};
use crate::{
    model::Moment,
    plan::Upstream,
    proxy::{
        buffer::Buffers,
        course::Course,
        fault::FaultKind,
        h1::{
            deadlines::Deadlines,
            downstream::Client,
            io::{self, Size},
            upstream::broken,
        },
        lend::reach,
        wire::{Reader, Wire},
    },
};

/// How a race of two ended.
#[derive(Debug)]
pub(super) enum Won {
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

/// What a request waits for.
pub(super) type Begins<'f> = Pin<&'f mut (dyn Future<Output = Result<Vec<u8>, FaultKind>> + 'f)>;

/// What becomes of a wait for the first attempt alone.
#[derive(Debug)]
pub(super) enum Met {
    Begun(Result<Vec<u8>, FaultKind>),
    Late,
    Left,
}

/// Sends a request and waits for the first bytes of its answer.
pub(super) async fn ask(
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
pub(super) async fn alone(
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
pub(super) async fn both(
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
