//! The last phase that every attempt and every request reaches: recorded once, by any cause.
//!
//! A guard is opened when an attempt or a request begins. Settling it records how it ended; a
//! guard that is dropped unsettled (the worker stops, the client's task ends) records that.

mod request;

use std::{rc::Rc, time::Duration};

pub(crate) use self::request::RequestGuard;
use super::{
    breaker::{Permit, Seat},
    decide::Decision,
    fault::FaultKind,
    pool::Place,
    story::{Chapter, Story},
    streams::LongLived,
    trace::LEN,
    worker::Worker,
};
use crate::{
    measure::{Attempt, AttemptLabel, CellKey, Ejection, Flight, StreamKey},
    model::{CodeClass, EndpointKey, Moment, Outcome, Reason},
    plan::{Ending, Target},
};

/// What an attempt or a request belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// The cell it is counted in.
    pub(crate) key: CellKey,
    /// Whether the judge may see it at all (an override is not judged).
    pub(crate) is_judged: bool,
    /// Whether the judge sees how old it is while it is under way; not if its answer is ignored
    /// anyway.
    pub(crate) is_awaited: bool,
    /// The client, in sticky splits.
    pub(crate) user: Option<u64>,
    /// The request's number.
    pub(crate) request_id: u64,
}

/// The endpoint of an attempt.
#[derive(Debug, Clone, Copy)]
struct At {
    key: EndpointKey,
    /// In this worker's pool, as long as it is busy with the attempt.
    place: Option<Place>,
    /// Among the upstream's endpoints in the request's plan.
    nth: usize,
}

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct AttemptGuard {
    worker: Rc<Worker>,
    account: Account,
    why: Reason,
    endpoint: Option<At>,
    flight: Option<Flight>,
    permit: Option<Permit>,
    began: Moment,
    /// How long the request had waited for another attempt in whose place the judge sees this one.
    waited: Duration,
    is_settled: bool,
    /// What will be told of it, if anything is.
    chapter: Option<Chapter>,
    /// First byte of the answer.
    pub(crate) first_byte: Option<Moment>,
    /// Last byte of the answer.
    pub(crate) last_byte: Option<Moment>,
    /// Time in which the answer waited for a slow client: not the version's.
    pub(crate) client_time: Duration,
}

impl AttemptGuard {
    /// An attempt begins. `why` is `Reason::None` for a client request's first attempt, the only
    /// one that the judge sees, and says for any other why it is made.
    pub(crate) fn open(
        worker: &Rc<Worker>,
        account: Account,
        (why, began): (Reason, Moment),
        story: Option<&Rc<Story>>,
    ) -> Self {
        let is_judged = account.is_judged && why == Reason::None;
        let account = Account {
            is_judged,
            is_awaited: account.is_awaited && why == Reason::None,
            ..account
        };
        let flight = account
            .is_awaited
            .then(|| worker.recorder.borrow_mut().launch(account.key, began));
        let part = (account.key.role, why);
        Self {
            worker: Rc::clone(worker),
            account,
            why,
            endpoint: None,
            flight,
            permit: None,
            began,
            waited: Duration::ZERO,
            is_settled: false,
            chapter: story.map(|story| Chapter::begin(story, worker, part, began)),
            first_byte: None,
            last_byte: None,
            client_time: Duration::ZERO,
        }
    }

    /// The upstream's breaker lets it in; `waited` until this moment if it had to.
    pub(super) fn let_in(&mut self, permit: Permit, waited: Option<Moment>) {
        self.permit = Some(permit);
        let Some(now) = waited else { return };
        // The queue is ours: the version's time begins here.
        self.began = now;
        if let Some(chapter) = &self.chapter {
            chapter.let_in(now);
        }
        if let Some(flight) = self.flight.take() {
            let mut recorder = self.worker.recorder.borrow_mut();
            recorder.land(&flight);
            self.flight = Some(recorder.launch(self.account.key, now));
        }
    }

    /// The right to have a connection, where these are limited: it goes with the connection.
    pub(super) fn seat(&mut self) -> Option<Seat> {
        self.permit.as_mut().and_then(Permit::seat)
    }

    /// The attempt goes to this endpoint.
    pub(crate) fn at(&mut self, target: &Target) -> Place {
        if let Some(chapter) = &self.chapter {
            chapter.at(target);
        }
        let place = self.worker.pool.borrow_mut().begin(target.key);
        self.endpoint = Some(At {
            key: target.key,
            place: Some(place),
            nth: target.place(),
        });
        place
    }

    /// The endpoint has done its part, whatever the client still has to do.
    pub(crate) fn leave(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.worker.recorder.borrow_mut().land(&flight);
        }
        let place = self.endpoint.as_mut().and_then(|at| at.place.take());
        if let Some(place) = place {
            self.worker.pool.borrow_mut().end(place);
        }
        // Another request may take its turn.
        self.permit = None;
    }

    /// Whether the endpoint is still busy with it.
    pub(crate) fn is_there(&self) -> bool {
        self.place().is_some()
    }

    fn place(&self) -> Option<Place> {
        self.endpoint?.place
    }

    /// A connection was made for it, or could not be, and took so long.
    pub(crate) fn connected(&self, result: Reason, took: Duration) {
        if let Some(chapter) = &self.chapter {
            chapter.connected(took);
        }
        let mut recorder = self.worker.recorder.borrow_mut();
        recorder.connected(self.account.key, result, took);
    }

    /// The attempt is for a stream that lives long.
    pub(crate) fn long_lived(&self) -> LongLived {
        let CellKey {
            split, stage, role, ..
        } = self.account.key;
        LongLived::begin(&self.worker, StreamKey { split, stage, role })
    }

    /// What its endpoint is told of the trace, if anything is.
    pub(crate) fn traceparent(&self) -> Option<[u8; LEN]> {
        self.chapter.as_ref()?.traceparent()
    }

    /// Whether the endpoint's answers are long.
    pub(crate) fn has_long_answers(&self) -> bool {
        let pool = self.worker.pool.borrow();
        self.place()
            .is_some_and(|place| pool.has_long_answers(place))
    }

    /// The beginning of the answer has filled a usual buffer, or has not.
    pub(crate) fn saw_answer(&self, is_long: bool) {
        if let Some(place) = self.place() {
            self.worker.pool.borrow_mut().saw_answer(place, is_long);
        }
    }

    /// The attempt has ended with an answer of this status, and this one of gRPC.
    pub(crate) fn answered(
        &mut self,
        decision: &Decision,
        status: u16,
        grpc_status: Option<u8>,
    ) -> Outcome {
        let outcome = decision.outcome(Ending::Answer {
            status,
            grpc_status,
        });
        let end = self.end();
        self.learn(decision, (status, outcome, Reason::None), end);
        self.tell((status, outcome, Reason::None), end);
        self.record(status, outcome, self.why, end);
        outcome
    }

    /// The attempt has ended with a fault.
    pub(crate) fn failed(&mut self, decision: &Decision, kind: FaultKind, status: u16) -> Outcome {
        let end = self.end();
        let outcome = decision.outcome_of_fault(kind, self.lasted(end));
        self.learn(decision, (status, outcome, kind.reason()), end);
        self.tell((status, outcome, kind.reason()), end);
        self.record(status, outcome, kind.reason(), end);
        outcome
    }

    /// The attempt has ended with an answer that says nothing of its version.
    pub(crate) fn passed_over(&mut self, status: u16) {
        let end = self.end();
        self.tell((status, Outcome::Ignored, Reason::None), end);
        self.record(status, Outcome::Ignored, self.why, end);
    }

    /// The attempt was on a connection that had gone stale: it never reached the endpoint's
    /// program, so it is no evidence of anything.
    pub(crate) fn withdrawn(&mut self) {
        self.is_settled = true;
        if let Some(chapter) = &self.chapter {
            chapter.withdrawn();
        }
    }

    /// The request is answered by another attempt that was made beside this one.
    pub(crate) fn overtaken(&mut self) {
        let now = self.worker.now();
        self.tell((0, Outcome::Ignored, Reason::Hedge), now);
        self.record(0, Outcome::Ignored, Reason::Hedge, now);
    }

    /// The judge sees this attempt instead of the one beside which it was made: as one that has
    /// begun with the request, so that what the client has waited for counts.
    pub(crate) fn takes_over(&mut self, late: &mut Self) {
        let now = self.worker.now();
        self.flight = late.flight.take();
        self.waited = self.began.since(late.began);
        std::mem::swap(&mut self.account, &mut late.account);
        if let Some(place) = late.place() {
            let so_far = now.since(late.began);
            self.worker
                .pool
                .borrow_mut()
                .learn(place, (so_far, false), now);
        }
    }

    /// When it began.
    pub(crate) const fn began(&self) -> Moment {
        self.began
    }

    /// How long the request has waited for the first byte of its answer.
    pub(crate) fn waited_for(&self) -> Option<Duration> {
        Some(self.first_byte?.since(self.began) + self.waited)
    }

    /// When it ended, if it has ended now.
    fn end(&self) -> Moment {
        self.last_byte.unwrap_or_else(|| self.worker.now())
    }

    /// How long it took, without the client's own time.
    fn lasted(&self, end: Moment) -> Duration {
        let lasted = end.since(self.began) + self.waited;
        lasted.saturating_sub(self.client_time)
    }

    /// What the attempt says of its endpoint, to this worker and, if it has failed, to all.
    fn learn(
        &self,
        decision: &Decision,
        (status, outcome, reason): (u16, Outcome, Reason),
        end: Moment,
    ) {
        let Some(at) = self.endpoint else { return };
        let failed = match outcome {
            Outcome::Success | Outcome::Tracked => false,
            Outcome::Failure => true,
            Outcome::ClientAbort | Outcome::Rejected | Outcome::Ignored => return,
        };
        let took = self.first_byte.unwrap_or(end).since(self.began);
        let mut pool = self.worker.pool.borrow_mut();
        if let Some(place) = at.place {
            pool.learn(place, (took, failed), end);
        }
        drop(pool);
        if let Some(permit) = &self.permit {
            permit.learn(took, failed, end);
        }
        let version = decision.split();
        let version = version.map(|split| split.version(self.account.key.role));
        let upstream = version.and_then(|version| decision.plan.upstream(version.upstream));
        let target = upstream.and_then(|it| Some((it, it.endpoints.get(at.nth)?)));
        let Some((upstream, target)) = target else {
            return;
        };
        if !failed {
            target.vitals.succeeded();
        } else if let Some(ejected) = upstream.failed(target, end) {
            self.worker.recorder.borrow_mut().eject(Ejection {
                endpoint: at.key,
                at: end,
                until: ejected.until,
                times: ejected.times,
                status,
                reason,
            });
        }
    }

    fn tell(&self, ending: (u16, Outcome, Reason), end: Moment) {
        if let Some(chapter) = &self.chapter {
            chapter.ended(ending, (self.first_byte, end));
        }
    }

    fn record(&mut self, status: u16, outcome: Outcome, reason: Reason, end: Moment) {
        self.is_settled = true;
        let attempt = Attempt {
            key: self.account.key,
            label: AttemptLabel {
                code_class: CodeClass::of(status),
                outcome,
                reason,
            },
            first_byte: self.first_byte.map(|at| at.since(self.began)),
            total: self.lasted(end),
            ended: end,
            judged: self.account.is_judged,
            user: self.account.user,
            request_id: self.account.request_id,
            endpoint: self.endpoint.map(|at| at.key),
        };
        self.worker.recorder.borrow_mut().attempt(&attempt);
    }
}

impl Drop for AttemptGuard {
    fn drop(&mut self) {
        self.leave();
        if !self.is_settled {
            let stopped = FaultKind::Stopped;
            self.tell((0, stopped.outcome(), stopped.reason()), self.end());
            self.record(0, stopped.outcome(), stopped.reason(), self.end());
        }
    }
}
