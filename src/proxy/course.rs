//! Where a request has been, and where it goes after an attempt that has failed: the rules of the
//! split (`plan/retry.rs`) and the budget, asked in one place.

use std::{rc::Rc, time::Duration};

use super::{
    decide::Decision, fault::FaultKind, h1::outgoing::Outgoing, story::Story, worker::Worker,
};
use crate::{
    measure::{Repeat, RepeatLabel},
    model::{EndpointKey, Moment, Outcome, Reason, Role, SplitKey},
    plan::{Again, Asked, Ending, Split, Standing, Trouble, Upstream},
};

/// Where the next attempt goes, and why.
#[derive(Debug)]
pub(super) struct Course {
    /// The part of the version.
    pub(super) role: Role,
    /// `Reason::None` for the first attempt.
    pub(super) why: Reason,
    /// Endpoints of the version that have failed.
    pub(super) tried: Vec<EndpointKey>,
    /// Whether no connection that has waited is good enough.
    pub(super) wants_fresh: bool,
    /// Whether the last attempt was on one that had waited: if it broke, that may be why, and a
    /// repeat costs no budget.
    pub(super) had_waited: bool,
    /// Attempts made.
    pub(super) attempts: u8,
    /// Whether two of them were made at once: none follows.
    pub(super) is_hedged: bool,
    /// When the next attempt begins, where that is known already.
    pub(super) begins: Option<Moment>,
    /// What will be told of it, if anything is.
    pub(super) story: Option<Rc<Story>>,
}

/// What may be asked once more instead of telling the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withhold<'a> {
    pub(super) worker: &'a Worker,
    pub(super) decision: &'a Decision,
    pub(super) split: &'a Split,
    pub(super) standing: Standing,
    pub(super) is_idempotent: bool,
    /// Whether the other version may be asked for a file.
    pub(super) has_other: bool,
}

/// What follows an attempt that is late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Late {
    /// When it is, if another attempt follows.
    pub(super) per_try: Option<Duration>,
    /// The split whose canary it is at, if stable takes over.
    pub(super) canary_of: Option<SplitKey>,
}

impl Course {
    /// Of a request that has not been anywhere.
    pub(super) fn new(role: Role, began: Moment, story: Option<Rc<Story>>) -> Self {
        Self {
            role,
            why: Reason::None,
            tried: Vec::new(),
            wants_fresh: false,
            had_waited: false,
            attempts: 0,
            is_hedged: false,
            begins: Some(began),
            story,
        }
    }

    /// Where the request stands after its last attempt.
    pub(super) fn standing(&self, upstream: Option<&Upstream>) -> Standing {
        let mut endpoints = upstream.into_iter().flat_map(|it| &it.endpoints);
        Standing {
            role: self.role,
            attempts: self.attempts,
            has_others: endpoints.any(|target| !self.tried.contains(&target.key)),
        }
    }

    /// The next attempt after this fault; if there is none, what the client is told.
    pub(super) fn after_fault(
        &mut self,
        worker: &Worker,
        (decision, split): (&Decision, &Split),
        kind: FaultKind,
        outgoing: &mut Outgoing,
    ) -> Result<(), FaultKind> {
        let trouble = trouble(kind)
            .filter(|_| outgoing.is_untouched() && !self.is_hedged)
            .ok_or(kind)?;
        let version = split.version(self.role);
        let upstream = decision.plan.upstreams.get(version.upstream.index());
        let mut standing = self.standing(upstream.map(|upstream| &**upstream));
        // Whoever was not let in is not let in at another endpoint either.
        standing.has_others &= !kind.is_overload();
        let asked = outgoing.asked(decision);
        let again = split.retry.again(trouble, asked, standing).ok_or(kind)?;
        let is_free = trouble == Trouble::Unsent || trouble == Trouble::Broken && self.had_waited;
        let paid = pays(worker, split, is_free, again);
        if let Err(denial) = paid {
            count(worker, (decision, self.role), Repeat::Denied, kind.reason());
            return Err(match denial {
                Denial::Budget => kind,
                Denial::Room => FaultKind::NoRoom,
            });
        }
        self.go(worker, (decision, split), (again, kind.reason()), outgoing);
        // What is repeated is not to meet another connection of the same age.
        self.wants_fresh |= trouble != Trouble::Unsent && again == Again::Same;
        Ok(())
    }

    /// The next attempt, of which it is known that and where it is made.
    pub(super) fn go(
        &mut self,
        worker: &Worker,
        (decision, split): (&Decision, &Split),
        (again, reason): (Again, Reason),
        outgoing: &mut Outgoing,
    ) {
        match again {
            Again::Same => {
                count(worker, (decision, self.role), Repeat::Retry, reason);
                self.why = reason;
            }
            Again::Other => {
                count(worker, (decision, self.role), Repeat::Asset, reason);
                self.role = self.role.other();
                self.why = reason;
                self.tried.clear();
                self.wants_fresh = false;
                outgoing.redirect(split.version(self.role).name.as_str());
            }
            Again::Stable => {
                count(worker, (decision, self.role), Repeat::Rescue, reason);
                self.role = Role::Stable;
                self.why = if is_unreachable(reason) {
                    Reason::Fallback
                } else {
                    Reason::Rescue
                };
                self.tried.clear();
                self.wants_fresh = false;
                outgoing.redirect(split.version(Role::Stable).name.as_str());
            }
        }
    }
}

impl Withhold<'_> {
    /// Whether a request is for a file that only one version may have.
    pub(crate) fn is_of_one_version(&self, head: &[u8]) -> bool {
        let (method, target) = start_of(head);
        let assets = self.split.assets.as_ref();
        assets.is_some_and(|assets| assets.takes(method, target))
    }

    /// Nothing is asked any more, whatever the answer.
    pub(super) fn no_more(&mut self) {
        self.standing.attempts = u8::MAX;
        self.has_other = false;
    }

    /// What follows an attempt that is late.
    pub(super) fn late(&self, outgoing: &Outgoing) -> Late {
        let limit = self.split.retry.per_try();
        if limit.is_none() && self.standing.role == Role::Stable {
            return Late::default();
        }
        let asked = outgoing.asked(self.decision);
        let again = self.split.retry.again(Trouble::Late, asked, self.standing);
        Late {
            per_try: limit.filter(|_| again.is_some()),
            canary_of: (again == Some(Again::Stable)).then_some(self.split.key),
        }
    }

    /// Where the request goes instead of this answer; its price is paid then.
    pub(crate) fn takes(&self, head: &[u8], status: u16, grpc_status: Option<u8>) -> Option<Again> {
        if status == 404 && self.has_other && self.is_of_one_version(head) {
            return Some(Again::Other);
        }
        let (method, _) = start_of(head);
        let ending = Ending::Answer {
            status,
            grpc_status,
        };
        let trouble = Trouble::Answer {
            status,
            grpc_status,
            is_failure: self.decision.outcome(ending) == Outcome::Failure,
        };
        let asked = Asked {
            method,
            is_idempotent: self.is_idempotent,
            is_overridden: self.decision.assignment.overridden,
        };
        let again = self.split.retry.again(trouble, asked, self.standing)?;
        let is_paid = pays(self.worker, self.split, false, again).is_ok();
        if !is_paid {
            let of = (self.decision, self.standing.role);
            count(self.worker, of, Repeat::Denied, Reason::Other);
        }
        is_paid.then_some(again)
    }
}

/// Counts what was done after an attempt at a version.
pub(super) fn count(
    worker: &Worker,
    (decision, role): (&Decision, Role),
    repeat: Repeat,
    reason: Reason,
) {
    let label = RepeatLabel { repeat, reason };
    let key = decision.account_of(role).key;
    worker.recorder.borrow_mut().repeat(key, label);
}

/// The method and the target of a head that `rewrite` has made.
fn start_of(head: &[u8]) -> (&[u8], &[u8]) {
    let mut words = head.splitn(3, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    (method, words.next().unwrap_or_default())
}

/// Why a repeat is not made that the rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    /// The budget is spent.
    Budget,
    /// Stable has no room.
    Room,
}

/// Whether there is budget for a repeat, and room where it goes; it is paid then. Where nothing was
/// sent, nothing is repeated, but stable needs room all the same.
fn pays(worker: &Worker, split: &Split, is_free: bool, again: Again) -> Result<(), Denial> {
    let mut budget = worker.budget.borrow_mut();
    let has_budget = match again {
        Again::Same => is_free || budget.withdraw(split.key),
        Again::Stable => is_free || budget.rescue(split.key),
        // A 404 costs next to nothing, and there is one for each of a page's files.
        Again::Other => true,
    };
    if !has_budget {
        return Err(Denial::Budget);
    }
    let needs_room = again == Again::Stable && split.retry.capacity().is_some();
    if needs_room && !budget.take_room(split.key) {
        return Err(Denial::Room);
    }
    Ok(())
}

/// What a fault is to the rules of repeating; `None`: nothing may follow it.
fn trouble(kind: FaultKind) -> Option<Trouble> {
    Some(match kind {
        FaultKind::NoEndpoint
        | FaultKind::QueueFull
        | FaultKind::QueueTimeout
        | FaultKind::ConnectRefused
        | FaultKind::ConnectTimeout
        | FaultKind::UpstreamTls
        | FaultKind::StreamRefused => Trouble::Unsent,
        FaultKind::Reset | FaultKind::BadResponse(_) => Trouble::Broken,
        FaultKind::SendTimeout | FaultKind::ResponseTimeout => Trouble::Late,
        FaultKind::Refused(..)
        | FaultKind::HeadTimeout
        | FaultKind::BodyTimeout
        | FaultKind::BodyTooSlow
        | FaultKind::BodyMalformed(_)
        | FaultKind::BodyTooLarge
        | FaultKind::ClientGone
        | FaultKind::ClientStalled
        | FaultKind::NoRoute
        | FaultKind::NoRoom
        | FaultKind::NoWebSocket
        | FaultKind::Truncated
        | FaultKind::ResponseStalled
        | FaultKind::TotalTimeout
        | FaultKind::Stopped
        | FaultKind::Withdrawn => return None,
    })
}

/// Whether the canary was never reached.
const fn is_unreachable(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoEndpoint
            | Reason::CircuitOpen
            | Reason::Overload
            | Reason::ConnectRefused
            | Reason::ConnectTimeout
            | Reason::Tls
    )
}
