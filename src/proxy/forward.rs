//! From a decision to an answer: attempts at endpoints until one answers or none may be made.
//!
//! An attempt that has failed before a byte of its answer reached the client may be followed by
//! another one: at the same version, or at stable for a canary. The rules are `plan/retry.rs`'s,
//! the budget is `budget.rs`'s, and `course.rs` asks both. An answer's head is held back until it
//! is known that no other attempt takes its place.
//!
//! One thing comes before all rules (RFC 9112 section 9.3.1): a connection from the pool that broke
//! before a byte of the answer was closed by the endpoint while we wrote. A request that may be
//! repeated goes once over a fresh connection, as if nothing was. An endpoint to which that happens
//! often breaks them because it fails: then it is counted, and the rules decide.

use std::{rc::Rc, sync::Arc};

use super::{
    breaker::enter,
    choose::choose,
    course::{Course, Withhold},
    decide::Decision,
    fault::{Fault, FaultKind},
    h1::{
        deadlines::Deadlines,
        downstream::Client,
        gather::gather,
        outgoing::Outgoing,
        upstream::{self, Answered, Conversation},
    },
    lend::{give_back, reach},
    pool::{Lent, Place},
    race::{self, Begun, Racer, race},
    settle::AttemptGuard,
    warm_up,
    worker::{Heads, Worker},
};
use crate::{
    model::{Moment, Outcome, Reason, Role, Share},
    plan::{Again, Split, Standing, Upstream},
};

/// How a request ended, as far as forwarding goes.
#[derive(Debug)]
pub(crate) struct Forwarded {
    /// The answer, or why there is none.
    pub(crate) result: Result<Answered, Fault>,
    /// Attempts made.
    pub(crate) attempts: u8,
}

/// What to do after an attempt.
#[derive(Debug)]
enum Then {
    Done(Result<Answered, Fault>),
    Again,
}

/// Forwards a request and streams the answer to the client.
pub(crate) async fn forward(
    client: &mut Client,
    heads: &mut Heads,
    decision: &Decision,
    outgoing: &mut Outgoing,
    (began, deadline): (Moment, Option<Moment>),
) -> Forwarded {
    let mut course = Course::new(decision.assignment.role, began, outgoing.story.clone());
    let Some(split) = decision.split() else {
        let result = Err(FaultKind::NoRoute.into());
        return Forwarded {
            result,
            attempts: 0,
        };
    };
    let key = decision.account.key.split;
    let share = split.retry.budget();
    client.worker.budget.borrow_mut().deposit(key, share);
    if let Some(hedge) = &split.hedge {
        let mut hedges = client.worker.hedges.borrow_mut();
        hedges.deposit(key, hedge.budget);
    }
    if let Some(kind) = buffer_body(client, (decision, split), outgoing, &mut course).await {
        let result = Err(kind.into());
        return Forwarded {
            result,
            attempts: 0,
        };
    }
    if began < decision.plan.warming_until {
        warm_up::copy(client, (decision, split), outgoing, began);
    }
    loop {
        let then = attempt(
            client,
            heads,
            (decision, split),
            outgoing,
            (&mut course, deadline),
        )
        .await;
        if let Then::Done(result) = then {
            return Forwarded {
                result,
                attempts: course.attempts,
            };
        }
    }
}

/// Reads the body first, if the version is to be spared of slow clients; why that failed.
async fn buffer_body(
    client: &mut Client,
    (decision, split): (&Decision, &Split),
    outgoing: &mut Outgoing,
    course: &mut Course,
) -> Option<FaultKind> {
    let version = split.version(decision.assignment.role);
    let upstream = decision.plan.upstreams.get(version.upstream.index())?;
    let limit = upstream.buffer.request;
    if limit == 0 || outgoing.is_complete() {
        return None;
    }
    outgoing.keep_up_to(limit);
    // The client's time is not the version's.
    course.begins = None;
    let gathering = Box::pin(gather(client, outgoing, limit));
    gathering.await.err()
}

/// One attempt.
async fn attempt(
    client: &mut Client,
    heads: &mut Heads,
    (decision, split): (&Decision, &Arc<Split>),
    outgoing: &mut Outgoing,
    (course, deadline): (&mut Course, Option<Moment>),
) -> Then {
    let worker = Rc::clone(&client.worker);
    let began = course.begins.take().unwrap_or_else(|| worker.now());
    let account = decision.account_of(course.role);
    let of = (course.why, began);
    let mut guard = AttemptGuard::open(&worker, account, of, course.story.as_ref());
    if let Some(traceparent) = guard.traceparent() {
        outgoing.trace(&traceparent);
    }
    course.attempts = course.attempts.saturating_add(1);
    let version = split.version(course.role);
    let upstream = decision.plan.upstreams.get(version.upstream.index());
    let plan = (decision, &**split);
    if let Err(kind) = enter(client, &mut guard, upstream, began).await {
        return after_fault((&worker, guard), plan, kind.into(), course, outgoing);
    }
    let which = (decision, course.role);
    let target = upstream.and_then(|up| choose(&worker, which, up, (&course.tried, began)));
    let (Some(upstream), Some(mut target)) = (upstream, target) else {
        let fault = FaultKind::NoEndpoint.into();
        return after_fault((&worker, guard), plan, fault, course, outgoing);
    };
    let at = (&**upstream, target);
    let (mut place, mut lent) = match reach(client, &mut guard, at, (course, began)).await {
        Ok(reached) => reached,
        Err(kind) => return after_fault((&worker, guard), plan, kind.into(), course, outgoing),
    };
    let runs = Racer {
        guard: &mut guard,
        target: &mut target,
        place: &mut place,
        lent: &mut lent,
    };
    let at = (decision, &**split, &**upstream);
    let result = exchange(client, heads, at, (outgoing, course, deadline), runs).await;
    match result {
        Ok(answered) => {
            let again = answered.withheld;
            record(&worker, plan, (&mut guard, course), &answered);
            race::learn(&worker, (split, upstream), (outgoing, course), &guard);
            let answered = give_back((&worker, &guard), (upstream, place), lent, answered);
            let Some(again) = again else {
                return Then::Done(Ok(answered));
            };
            course.tried.push(target.key);
            course.go(&worker, plan, (again, Reason::Other), outgoing);
            Then::Again
        }
        Err(fault) if is_stale((&worker, place), fault.kind, &lent, course, outgoing) => {
            // It never reached the endpoint's program: another connection may take it.
            guard.withdrawn();
            course.attempts -= 1;
            course.wants_fresh = true;
            Then::Again
        }
        Err(fault) => {
            course.tried.push(target.key);
            course.had_waited = lent.is_reused;
            after_fault((&worker, guard), plan, fault, course, outgoing)
        }
    }
}

/// Sends the request over a connection and relays the answer.
async fn exchange<'p>(
    client: &mut Client,
    heads: &mut Heads,
    (decision, split, upstream): (&'p Decision, &'p Split, &'p Upstream),
    (outgoing, course, deadline): (&mut Outgoing, &mut Course, Option<Moment>),
    runs: Racer<'_, 'p>,
) -> Result<Answered, Fault> {
    let worker = Rc::clone(&client.worker);
    let mut withhold = withhold(&worker, (decision, split), course, outgoing);
    let asked = (&*outgoing, withhold.as_ref());
    let mut deadlines = Deadlines::of(client, (split, upstream), asked, deadline);
    let mut begun = Begun::Nothing;
    let Racer {
        guard,
        target,
        place,
        lent,
    } = runs;
    if split.hedge.is_some() {
        let runs = Racer {
            guard,
            target,
            place,
            lent,
        };
        let plan = (decision, split, upstream);
        let racing = race(client, plan, (outgoing, course, &mut deadlines), runs);
        begun = Box::pin(racing).await?;
        if let Some(withhold) = withhold.as_mut().filter(|_| course.is_hedged) {
            withhold.no_more();
        }
    }
    let conversation = Conversation {
        deadlines,
        client,
        heads,
        outgoing,
        guard,
        read_ahead_max: upstream.buffer.response,
        withhold: withhold.as_ref(),
        begun,
    };
    upstream::converse(conversation, &mut lent.stream).await
}

/// What may be asked once more instead of telling the client, if another attempt is left.
fn withhold<'a>(
    worker: &'a Worker,
    (decision, split): (&'a Decision, &'a Split),
    course: &Course,
    outgoing: &Outgoing,
) -> Option<Withhold<'a>> {
    let is_repeatable = split.retry.attempts() > course.attempts && outgoing.is_untouched();
    let is_possible = is_repeatable || split.assets.is_some();
    is_possible.then(|| Withhold {
        worker,
        decision,
        split,
        standing: Standing {
            role: course.role,
            attempts: course.attempts,
            has_others: true,
        },
        is_idempotent: outgoing.is_idempotent(),
        has_other: course.attempts == 1 && has_other(decision, split),
    })
}

/// Whether there is another version to ask for a file. A canary without traffic is asked nothing.
fn has_other(decision: &Decision, split: &Split) -> bool {
    let is_open = split.canary.is_some() && !decision.assignment.overridden;
    is_open && (decision.assignment.role == Role::Canary || split.share != Share::ZERO)
}

/// Whether a fault means no more than that the connection could not be used any longer.
fn is_stale(
    (worker, place): (&Worker, Place),
    kind: FaultKind,
    lent: &Lent,
    course: &Course,
    outgoing: &Outgoing,
) -> bool {
    if course.is_hedged {
        return false;
    }
    if kind == FaultKind::StreamRefused {
        // Nothing was done with it, whatever the method.
        return outgoing.is_untouched() && !course.wants_fresh;
    }
    let may_be = kind == FaultKind::Reset && outgoing.is_repeatable() && lent.is_reused;
    may_be && worker.pool.borrow_mut().was_stale(place)
}

/// An attempt has ended with an answer. That a file is not there says nothing of a version, if the
/// other one is asked for it.
fn record(
    worker: &Worker,
    (decision, split): (&Decision, &Split),
    (guard, course): (&mut AttemptGuard, &Course),
    answered: &Answered,
) {
    if answered.withheld == Some(Again::Other) {
        return guard.passed_over(answered.status);
    }
    let outcome = guard.answered(decision, answered.status, answered.grpc_status);
    saw_stable(worker, split, (course.role, course.why), outcome);
}

/// What becomes of stable's attempts says how much more it can be asked.
pub(super) fn saw_stable(
    worker: &Worker,
    split: &Split,
    (role, why): (Role, Reason),
    outcome: Outcome,
) {
    let has_failed = outcome == Outcome::Failure;
    if role == Role::Canary || !(has_failed || outcome == Outcome::Success) {
        return;
    }
    let mut budget = worker.budget.borrow_mut();
    budget.saw_stable(split.key, has_failed);
    if let Some(share) = split.retry.capacity()
        && why == Reason::None
        && !has_failed
    {
        budget.make_room(split.key, share);
    }
}

/// Decides after an attempt that has failed.
fn after_fault(
    (worker, mut guard): (&Rc<Worker>, AttemptGuard),
    (decision, split): (&Decision, &Split),
    fault: Fault,
    course: &mut Course,
    outgoing: &mut Outgoing,
) -> Then {
    let outcome = guard.failed(decision, fault.kind, fault.status);
    saw_stable(worker, split, (course.role, course.why), outcome);
    if fault.is_answered {
        return Then::Done(Err(fault));
    }
    match course.after_fault(worker, (decision, split), fault.kind, outgoing) {
        Ok(()) => Then::Again,
        Err(kind) => Then::Done(Err(Fault { kind, ..fault })),
    }
}
