//! From a decision to an answer: attempts at endpoints until one answers or none may be made.
//!
//! The rules (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1):
//! - nothing was sent (refused, connect timeout): another endpoint of the version, once, whatever
//!   the method; then stable, if the version is a canary and the split falls back;
//! - a connection from the pool broke before a byte of the answer: the endpoint closed it while we
//!   wrote. A request that may be repeated goes once over a fresh connection, as if nothing was;
//! - a fresh connection broke before a byte of the answer: a request that may be repeated is, once
//!   and within the retry budget;
//! - everything else is final.

use std::{rc::Rc, sync::Arc};

use super::{
    choose::choose,
    connect,
    decide::Decision,
    fault::{Fault, FaultKind},
    h1::{
        downstream::Client,
        outgoing::Outgoing,
        upstream::{self, Answered, Conversation, Deadlines},
    },
    pool::Lent,
    settle::AttemptGuard,
    upgrade::Tunnelled,
    worker::{Heads, Worker},
};
use crate::{
    model::{EndpointKey, Moment, Reason, Role},
    plan::{OnUnhealthy, Split, Upstream},
};

/// How many endpoints of one version are tried.
const TRIES: usize = 2;

/// How a request ended, as far as forwarding goes.
#[derive(Debug)]
pub(crate) struct Forwarded {
    /// The answer, or why there is none.
    pub(crate) result: Result<Answered, Fault>,
    /// Attempts made.
    pub(crate) attempts: u8,
}

/// Where the next attempt goes, and why.
#[derive(Debug)]
struct Course {
    role: Role,
    why: Reason,
    tried: Vec<EndpointKey>,
    is_repeated: bool,
    wants_fresh: bool,
    attempts: u8,
    /// When the next attempt begins, where that is known already.
    begins: Option<Moment>,
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
    let mut course = Course {
        role: decision.assignment.role,
        why: Reason::None,
        tried: Vec::new(),
        is_repeated: false,
        wants_fresh: false,
        attempts: 0,
        begins: Some(began),
    };
    client
        .worker
        .budget
        .borrow_mut()
        .deposit(decision.account.key.split);
    let Some(split) = decision.split() else {
        let result = Err(FaultKind::NoRoute.into());
        return Forwarded {
            result,
            attempts: 0,
        };
    };
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
    let mut guard = AttemptGuard::open(&worker, account, course.why, began);
    course.attempts = course.attempts.saturating_add(1);
    let version = split.version(course.role);
    let upstream = decision.plan.upstreams.get(version.upstream.index());
    let which = (decision, course.role);
    let target = upstream.and_then(|up| choose(&worker, which, up, (&course.tried, began)));
    let (Some(upstream), Some(target)) = (upstream, target) else {
        guard.failed(decision, FaultKind::NoEndpoint, 0);
        return fall_back(split, course, outgoing, FaultKind::NoEndpoint);
    };
    let place = guard.at(target);
    let idle_max = upstream.timeouts.idle;
    let take = || worker.pool.borrow_mut().take(place, began, idle_max);
    let taken = (!course.wants_fresh).then(take).flatten();
    let lent = match taken {
        Some(lent) => Ok(lent),
        None => connect::connect(client, upstream, (target, place), course.wants_fresh).await,
    };
    let mut lent = match lent {
        Ok(lent) => lent,
        Err(kind) => {
            guard.failed(decision, kind, 0);
            course.tried.push(target.key);
            return try_elsewhere(split, upstream, course, outgoing, kind);
        }
    };
    let conversation = Conversation {
        deadlines: deadlines(client, split, upstream, (outgoing.reply.is_grpc, deadline)),
        client,
        heads,
        outgoing,
        guard: &mut guard,
    };
    let result = upstream::converse(conversation, &mut lent.stream).await;
    match result {
        Ok(mut answered) => {
            guard.answered(decision, answered.status, answered.grpc_status);
            if answered.is_reusable {
                let since = guard.last_byte.unwrap_or(began);
                let mut pool = worker.pool.borrow_mut();
                pool.give(place, lent, since, kept(upstream));
            } else if let Some(frames) = answered.switched.take() {
                answered.tunnel = Some(Tunnelled {
                    upstream: lent.stream,
                    frames,
                    long: guard.long_lived(),
                });
            }
            Then::Done(Ok(answered))
        }
        Err(fault) => {
            let at = (target.key, lent);
            after_fault((&worker, decision), (guard, fault), at, course, outgoing)
        }
    }
}

/// Idle connections that are kept to an endpoint; what was said there of one client in front of a
/// connection must not be taken for another's.
fn kept(upstream: &Upstream) -> usize {
    if upstream.proxy_protocol.is_some() {
        return 0;
    }
    upstream.max_idle_connections
}

/// The limits in time of an attempt.
fn deadlines(
    client: &Client,
    split: &Split,
    upstream: &Upstream,
    (is_grpc, total): (bool, Option<Moment>),
) -> Deadlines {
    let timeouts = &upstream.timeouts;
    let of_client = &client.settings.timeouts;
    // The messages of a call may be far apart.
    let or_longer = |limit| {
        if is_grpc {
            of_client.stream_idle.max(limit)
        } else {
            limit
        }
    };
    Deadlines {
        send: timeouts.body_idle,
        head: split.response_header.unwrap_or(timeouts.response_header),
        body: or_longer(timeouts.body_idle),
        client: or_longer(of_client.body_idle),
        total,
    }
}

/// Decides after an attempt that has reached an endpoint and failed.
fn after_fault(
    (worker, decision): (&Rc<Worker>, &Decision),
    (mut guard, fault): (AttemptGuard, Fault),
    (endpoint, lent): (EndpointKey, Lent),
    course: &mut Course,
    outgoing: &Outgoing,
) -> Then {
    if fault.kind == FaultKind::StreamRefused && outgoing.is_untouched() && !course.wants_fresh {
        // Nothing was done with it: whatever the method, another connection may take it.
        guard.withdrawn();
        course.attempts -= 1;
        course.wants_fresh = true;
        return Then::Again;
    }
    let may_repeat = fault.kind == FaultKind::Reset && outgoing.is_repeatable();
    if may_repeat && lent.is_reused {
        guard.withdrawn();
        course.attempts -= 1;
        course.wants_fresh = true;
        return Then::Again;
    }
    let split = guard.split();
    guard.failed(decision, fault.kind, fault.status);
    if may_repeat && !course.is_repeated && worker.budget.borrow_mut().withdraw(split) {
        course.is_repeated = true;
        course.wants_fresh = true;
        course.why = Reason::Reset;
        course.tried.push(endpoint);
        return Then::Again;
    }
    Then::Done(Err(fault))
}

/// After an endpoint that could not be reached: another one of the version, then stable.
fn try_elsewhere(
    split: &Split,
    upstream: &Upstream,
    course: &mut Course,
    outgoing: &mut Outgoing,
    kind: FaultKind,
) -> Then {
    let untried = upstream
        .endpoints
        .iter()
        .any(|target| !course.tried.contains(&target.key));
    if untried && course.tried.len() < TRIES {
        course.why = kind.reason();
        return Then::Again;
    }
    fall_back(split, course, outgoing, kind)
}

/// A canary that cannot be reached costs the client nothing: stable answers.
fn fall_back(split: &Split, course: &mut Course, outgoing: &mut Outgoing, kind: FaultKind) -> Then {
    if course.role == Role::Stable || split.on_unhealthy == OnUnhealthy::Fail {
        return Then::Done(Err(kind.into()));
    }
    course.role = Role::Stable;
    course.why = Reason::Fallback;
    course.tried.clear();
    outgoing.redirect(split.version(Role::Stable).name.as_str());
    Then::Again
}
