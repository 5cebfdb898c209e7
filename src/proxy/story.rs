//! What is kept of a request until it has ended and is told: as a line of the access log, and as
//! spans.
//!
//! The head's buffer is used again long before a request ends, so what will be told of it is copied
//! while it is there; attempts add what became of them. If nobody wants to be told, there is no
//! story, and no step of a request does more than see that.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};

use super::{
    access_log::{Line, Log, Routed},
    decide::Decision,
    fault::FaultKind,
    h1::{Version, downstream::Client},
    headers::hex_digits,
    trace::{self, LEN, Spans, Trace},
    worker::{Heads, Worker},
};
use crate::{
    model::{Moment, Outcome, Reason, Role, SpanId, TraceId},
    plan::Target,
};

/// Stories that a worker keeps for the next requests.
const KEPT: usize = 64;
/// Texts that are copied of a head.
const PARTS: usize = 7;

/// A request's story.
#[derive(Debug, Default)]
pub(crate) struct Story(RefCell<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Method, host, path, query, id, user agent, referer, one after the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: [usize; PARTS],
    began: Moment,
    protocol: Option<Version>,
    trace_id: Option<TraceId>,
    trace: Option<Trace>,
    attempts: Vec<Tried>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    /// Its span.
    pub(super) span: Option<SpanId>,
    /// The part of the version that it was at.
    pub(super) role: Role,
    /// Why it was made.
    pub(super) why: Reason,
    /// When it began.
    pub(super) began: Moment,
    /// How long it has waited before that for its turn.
    pub(super) queue: Duration,
    /// How long it took to make a connection for it, if one was made.
    pub(super) connect: Option<Duration>,
    /// Where it went.
    pub(super) endpoint: Option<SocketAddr>,
    /// When the answer began.
    pub(super) first_byte: Option<Moment>,
    /// When it ended.
    pub(super) ended: Moment,
    /// What it was answered; 0: nothing.
    pub(crate) status: u16,
    /// What it counts as; `None`: it never was.
    pub(crate) outcome: Outcome,
    /// What went wrong.
    pub(super) fault: Reason,
    was_withdrawn: bool,
}

impl Tried {
    /// Whether it was made at all.
    pub(super) const fn counts(&self) -> bool {
        !self.was_withdrawn
    }
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) cause: &'static str,
    pub(crate) duration: Duration,
    pub(crate) attempts: u8,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            status: 0,
            outcome: Outcome::Ignored,
            cause: "",
            duration: Duration::ZERO,
            attempts: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }
}

impl Ended {
    /// With a refusal of ours.
    pub(super) fn refused(kind: FaultKind, duration: Duration) -> Self {
        Self {
            status: kind.status(),
            outcome: Outcome::Rejected,
            cause: kind.reason().as_str(),
            duration,
            ..Self::default()
        }
    }
}

impl Story {
    /// Begins one, if there is anybody to tell it to. `id` is the request's number here.
    pub(super) fn begin(
        worker: &Worker,
        heads: &Heads,
        buffer: &[u8],
        (began, id): (Moment, u64),
    ) -> Option<Rc<Self>> {
        let story = Self::new(worker, began)?;
        let head = &heads.0;
        let [path, query] = head.target(buffer);
        let own = [*worker.id_prefix(), hex_digits(id)];
        let log = worker.log.as_ref();
        let keeps_query = log.is_some_and(Log::keeps_query);
        let has_words = log.is_some_and(Log::wants_words);
        let word = |name| head.field(buffer, name).filter(|_| has_words);
        let mut kept = story.0.borrow_mut();
        kept.protocol = Some(head.version());
        kept.copy([
            head.method(buffer),
            head.host(buffer),
            path,
            if keeps_query { query } else { b"" },
            head.request_id(buffer).unwrap_or(own.as_flattened()),
            word("user-agent").unwrap_or_default(),
            word("referer").unwrap_or_default(),
        ]);
        let parents = head.values(buffer, "traceparent");
        let parent = trace::parent(parents, head.values(buffer, "x-amzn-trace-id"));
        kept.trace = worker.tracer.as_ref().map(|tracer| {
            let mut random = worker.random.borrow_mut();
            tracer.begin(parent, &mut random)
        });
        let own = kept.trace.map(|trace| trace.id);
        kept.trace_id = own.or(parent.map(|parent| parent.trace));
        drop(kept);
        Some(story)
    }

    /// Begins that of a request whose head cannot be understood.
    pub(super) fn of_unread(worker: &Worker) -> Option<Rc<Self>> {
        let story = Self::new(worker, worker.now())?;
        let own = [*worker.id_prefix(), hex_digits(worker.next_id())];
        let mut kept = story.0.borrow_mut();
        kept.copy([b"", b"", b"", b"", own.as_flattened(), b"", b""]);
        drop(kept);
        Some(story)
    }

    fn new(worker: &Worker, began: Moment) -> Option<Rc<Self>> {
        if worker.log.is_none() && worker.tracer.is_none() {
            return None;
        }
        let story = worker.stories.borrow_mut().pop().unwrap_or_default();
        story.0.borrow_mut().began = began;
        Some(story)
    }

    /// The request's place in its trace, if spans are wanted.
    pub(super) fn trace(&self) -> Option<Trace> {
        self.0.borrow().trace
    }

    /// When the request began.
    pub(super) fn began(&self) -> Moment {
        self.0.borrow().began
    }

    /// Gives a story back that was told.
    pub(super) fn give_back(story: Option<Rc<Self>>, worker: &Worker) {
        let Some(story) = story.filter(|story| Rc::strong_count(story) == 1) else {
            return;
        };
        let mut kept = story.0.borrow_mut();
        kept.bytes.clear();
        kept.attempts.clear();
        (kept.protocol, kept.trace_id, kept.trace) = (None, None, None);
        drop(kept);
        let mut stories = worker.stories.borrow_mut();
        if stories.len() < KEPT {
            stories.push(story);
        }
    }

    /// Tells it, to whoever wants to know.
    pub(super) fn tell(&self, client: &Client, ended: &Ended, decision: Option<&Decision>) {
        let worker = &client.worker;
        let kept = self.0.borrow();
        let log = worker.log.as_ref().filter(|log| log.wants(ended.outcome));
        let tracer = worker.tracer.as_ref().zip(kept.trace);
        let tracer = tracer.filter(|(tracer, trace)| tracer.wants(trace, kept.has_canary_failed()));
        if log.is_none() && tracer.is_none() {
            return;
        }
        let line = kept.line(client, ended, decision);
        if let Some(log) = log {
            log.write(&line);
        }
        if let Some((tracer, trace)) = tracer {
            let split = decision.and_then(Decision::split);
            let versions = decision.zip(split).map(|(decision, split)| {
                [Role::Stable, Role::Canary].map(|role| {
                    let version = split.version(role);
                    let upstream = decision.plan.upstream(version.upstream);
                    (version, upstream.is_some_and(|it| it.tls.is_some()))
                })
            });
            let spans = Spans {
                trace,
                attempts: &kept.attempts,
                versions,
                share: split.map(|split| split.share).unwrap_or_default(),
            };
            tracer.tell(&spans, &line);
        }
    }
}

impl Kept {
    fn copy(&mut self, parts: [&[u8]; PARTS]) {
        for (part, end) in parts.into_iter().zip(&mut self.ends) {
            self.bytes.extend_from_slice(part);
            *end = self.bytes.len();
        }
    }

    fn part(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).and_then(|before| self.ends.get(before));
        let range = start.copied().unwrap_or(0)..self.ends.get(nth).copied().unwrap_or(0);
        self.bytes.get(range).unwrap_or_default()
    }

    fn has_canary_failed(&self) -> bool {
        let is_one = |it: &Tried| it.role == Role::Canary && it.outcome == Outcome::Failure;
        self.attempts.iter().any(is_one)
    }

    fn line<'a>(
        &'a self,
        client: &'a Client,
        ended: &Ended,
        decision: Option<&'a Decision>,
    ) -> Line<'a> {
        let made = || self.attempts.iter().filter(|tried| tried.counts());
        // Of two that were made at once, the one that was taken.
        let taken = made().rev().find(|it| it.fault != Reason::Hedge);
        let last = taken.or_else(|| made().next_back());
        let routed = decision.and_then(|decision| {
            let split = decision.split()?;
            let role = decision.assignment.role;
            let answered_by = last.map_or(role, |tried| tried.role);
            Some(Routed {
                split: &split.name,
                route: split.routes.get(decision.route.index())?,
                version: &split.version(role).name,
                role,
                answered_by: &split.version(answered_by).name,
                is_rescued: made().any(|it| matches!(it.why, Reason::Rescue | Reason::Fallback)),
            })
        });
        Line {
            at: self.began,
            method: self.part(0),
            host: self.part(1),
            target: [self.part(2), self.part(3)],
            request_id: self.part(4),
            user_agent: self.part(5),
            referer: self.part(6),
            trace_id: self.trace_id,
            client: client.arrival.peer_text.as_bytes(),
            scheme: client.arrival.scheme(),
            protocol: self.protocol,
            status: ended.status,
            outcome: ended.outcome,
            cause: ended.cause,
            duration: ended.duration,
            attempts: ended.attempts,
            bytes_in: ended.bytes_in,
            bytes_out: ended.bytes_out,
            routed,
            endpoint: last.and_then(|tried| tried.endpoint),
            queue: made().map(|tried| tried.queue).sum(),
            connect: last.and_then(|tried| tried.connect),
            first_byte: last.and_then(|it| Some(it.first_byte?.since(self.began))),
        }
    }
}

/// The part of a story that an attempt adds.
#[derive(Debug)]
pub(super) struct Chapter {
    story: Rc<Story>,
    nth: usize,
}

impl Chapter {
    /// An attempt begins.
    pub(super) fn begin(
        story: &Rc<Story>,
        worker: &Worker,
        (role, why): (Role, Reason),
        began: Moment,
    ) -> Self {
        let mut kept = story.0.borrow_mut();
        let span = || trace::new_span(&mut worker.random.borrow_mut());
        let tried = Tried {
            span: kept.trace.map(|_| span()),
            role,
            why,
            began,
            queue: Duration::ZERO,
            connect: None,
            endpoint: None,
            first_byte: None,
            ended: began,
            status: 0,
            outcome: Outcome::Ignored,
            fault: Reason::None,
            was_withdrawn: false,
        };
        kept.attempts.push(tried);
        let nth = kept.attempts.len() - 1;
        drop(kept);
        Self {
            story: Rc::clone(story),
            nth,
        }
    }

    /// What an endpoint is told of the trace, if it is told anything.
    pub(super) fn traceparent(&self) -> Option<[u8; LEN]> {
        let kept = self.story.0.borrow();
        let span = kept.attempts.get(self.nth)?.span?;
        kept.trace.map(|trace| trace.told_by(span))
    }

    /// It has waited for its turn until now.
    pub(super) fn let_in(&self, now: Moment) {
        self.change(|tried| {
            tried.queue = now.since(tried.began);
            tried.began = now;
        });
    }

    /// It goes to this endpoint.
    pub(super) fn at(&self, target: &Target) {
        self.change(|tried| tried.endpoint = Some(target.address));
    }

    /// A connection was made for it, or could not be, and took so long.
    pub(super) fn connected(&self, took: Duration) {
        self.change(|tried| tried.connect = Some(took));
    }

    /// It was no attempt after all.
    pub(super) fn withdrawn(&self) {
        self.change(|tried| tried.was_withdrawn = true);
    }

    /// It has ended, with this answer or this fault.
    pub(super) fn ended(
        &self,
        (status, outcome, fault): (u16, Outcome, Reason),
        (first_byte, ended): (Option<Moment>, Moment),
    ) {
        self.change(|tried| {
            (tried.status, tried.outcome, tried.fault) = (status, outcome, fault);
            (tried.first_byte, tried.ended) = (first_byte, ended);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Tried)) {
        let mut kept = self.story.0.borrow_mut();
        if let Some(tried) = kept.attempts.get_mut(self.nth) {
            change(tried);
        }
    }
}
