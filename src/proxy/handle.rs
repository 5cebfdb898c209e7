//! The life of a request, from its head to its record. docs/life-of-a-request.md tells it in words.
//!
//! head -> decision -> outgoing head -> attempts -> answer -> record. Whatever happens on the way
//! ends in `settle`, once.

use std::{rc::Rc, time::Duration};

use super::{
    decide::{Decision, View, decide},
    fault::{FaultKind, Form},
    forward::{self, Forwarded},
    grpc,
    h1::{
        Framing,
        downstream::Client,
        outgoing::{Outgoing, Received, Reply},
    },
    settle::RequestGuard,
    story::{Ended, Story},
    upgrade::{self, Tunnelled},
    worker::{Heads, Worker},
};
use crate::{
    measure::RequestLabel,
    model::{CodeClass, Outcome, Protocol},
    plan::Ending,
};

/// What becomes of a client's connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It takes another request.
    Request,
    /// It ends; everything was read.
    Close,
    /// It ends; the client may still be sending.
    Linger,
    /// It is gone, or must be cut off.
    Gone,
}

/// Handles the request whose head is parsed in `heads` and lies at the start of `buffer`.
pub(crate) async fn handle(
    client: &mut Client,
    heads: &mut Heads,
    buffer: Vec<u8>,
    head_len: usize,
) -> Next {
    let worker = Rc::clone(&client.worker);
    let began = worker.now();
    let request_id = worker.next_id();
    let story = Story::begin(&worker, heads, &buffer, (began, request_id));
    let form = Form {
        is_head: heads.0.is_head(),
        is_grpc: heads.0.is_grpc(&buffer),
        closes: true,
    };
    let settings = Rc::clone(&client.settings);
    if heads.0.max_forwards() == Some(0) {
        return last_hop(client, heads, (buffer, head_len)).await;
    }
    let view = View {
        head: &heads.0,
        bytes: &buffer,
        peer: client.arrival.peer,
        trusted: &settings.trusted_proxies,
    };
    let decision = match decide(&worker, &view, request_id) {
        Ok(decision) => decision,
        Err(kind) => return refuse(client, (heads, buffer, head_len), story, (kind, form)).await,
    };
    let is_peer_trusted = view.is_peer_trusted();
    if let Some(kind) = unwanted(client, heads, &buffer, form) {
        return refuse(client, (heads, buffer, head_len), story, (kind, form)).await;
    }
    let deadline = deadline(heads, &buffer, form, &decision);
    let spoken = (heads.0.protocol(form.is_grpc), heads.0.trace(&buffer));
    let mut request = RequestGuard::open(&worker, &decision, spoken, began);
    let reply = Reply::prepare(client, heads, form.is_grpc, &decision);
    let received = Received {
        buffer,
        head_len,
        is_peer_trusted,
        at: began,
    };
    let mut outgoing = Outgoing::new(client, heads, reply, story);
    if let Err(kind) = outgoing.prepare(client, heads, received, &decision) {
        note_rejection(&worker, kind);
        let duration = request.settle(kind.status(), kind.outcome(), worker.now());
        outgoing.tell(client, &Ended::refused(kind, duration), &decision);
        outgoing.recycle(&worker);
        return client.answer(kind, form).await;
    }
    let deadline = deadline.map(|limit| began + limit);
    let forwarded =
        forward::forward(client, heads, &decision, &mut outgoing, (began, deadline)).await;
    let exchange = (&mut request, &decision, &outgoing);
    let (next, tunnel) = finish(client, exchange, forwarded).await;
    outgoing.recycle(&worker);
    if let Some(tunnelled) = tunnel {
        // The plan is let go: a tunnel may live for days.
        drop((request, decision));
        upgrade::relay(client, tunnelled).await;
        return Next::Gone;
    }
    next
}

/// What the listener does not take.
fn unwanted(client: &Client, heads: &Heads, buffer: &[u8], form: Form) -> Option<FaultKind> {
    let max_body = client.settings.limits.max_body.unwrap_or(u64::MAX);
    if matches!(heads.0.framing(), Framing::Length(length) if length > max_body) {
        return Some(FaultKind::BodyTooLarge);
    }
    if form.is_grpc && !client.settings.grpc {
        return Some(FaultKind::Refused(415, "gRPC is not taken here"));
    }
    let secure = client.arrival.secure.as_ref()?;
    let tls = client.settings.tls.as_ref()?;
    let host = str::from_utf8(heads.0.host(buffer)).unwrap_or_default();
    let is_misdirected = tls.is_misdirected(secure.asked_name.as_deref(), host);
    is_misdirected.then_some(FaultKind::Refused(
        421,
        "this connection was made for another host",
    ))
}

/// How long all of it may take: what the split allows, or less if a call of gRPC says so.
fn deadline(heads: &Heads, buffer: &[u8], form: Form, decision: &Decision) -> Option<Duration> {
    let total = decision.split().and_then(|split| split.total);
    let asked = form.is_grpc.then(|| heads.0.field(buffer, "grpc-timeout"));
    let asked = asked.flatten().and_then(grpc::timeout);
    total.into_iter().chain(asked).min()
}

/// The last phase: what the client still gets, the record, and what becomes of its connection; with
/// the endpoint's if the protocol was switched.
async fn finish(
    client: &mut Client,
    (request, decision, outgoing): (&mut RequestGuard, &Decision, &Outgoing),
    forwarded: Forwarded,
) -> (Next, Option<Tunnelled>) {
    let worker = Rc::clone(&client.worker);
    let Forwarded { result, attempts } = forwarded;
    let mut ended = Ended {
        attempts,
        bytes_in: outgoing.bytes_in(),
        ..Ended::default()
    };
    let mut tunnel = None;
    let next = match result {
        Ok(answered) => {
            ended.status = answered.status;
            ended.outcome = decision.outcome(Ending::Answer {
                status: answered.status,
                grpc_status: answered.grpc_status,
            });
            ended.bytes_out = answered.bytes_out;
            tunnel = answered.tunnel;
            answered.next
        }
        Err(fault) => {
            note_rejection(&worker, fault.kind);
            ended.status = if fault.is_answered {
                fault.status
            } else {
                fault.kind.status()
            };
            let lasted = request.lasted(worker.now());
            ended.outcome = decision.outcome_of_fault(fault.kind, lasted);
            ended.cause = fault.kind.reason().as_str();
            let gone = matches!(fault.kind, FaultKind::ClientGone | FaultKind::ClientStalled);
            if fault.is_answered || gone {
                Next::Gone
            } else {
                let form = Form {
                    is_head: outgoing.reply.is_head,
                    is_grpc: outgoing.reply.is_grpc,
                    closes: !outgoing.keeps_client(),
                };
                client.answer(fault.kind, form).await
            }
        }
    };
    ended.duration = request.settle(ended.status, ended.outcome, worker.now());
    outgoing.tell(client, &ended, decision);
    (next, tunnel)
}

/// Answers an OPTIONS that was to go no further than here (RFC 9110, section 7.6.2).
async fn last_hop(client: &mut Client, heads: &Heads, request: (Vec<u8>, usize)) -> Next {
    const HEAD: &[u8] =
        b"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nDate: ";
    let keeps = keeps_after(client, heads);
    let tail: &[u8] = if keeps {
        b"\r\n\r\n"
    } else {
        b"\r\nConnection: close\r\n\r\n"
    };
    let date = client.worker.date();
    let next = client.write(&[HEAD, &date, tail].concat()).await;
    client.keep_rest(request, next == Next::Request && keeps);
    if next == Next::Request && !keeps {
        Next::Linger
    } else {
        next
    }
}

/// Whether another request can follow one that goes to no version: with no body to come, it
/// begins right behind the head.
fn keeps_after(client: &Client, heads: &Heads) -> bool {
    heads.0.framing().is_empty() && heads.0.keep_alive() && !client.worker.is_draining()
}

/// Answers a request that goes to no version.
async fn refuse(
    client: &mut Client,
    (heads, buffer, head_len): (&Heads, Vec<u8>, usize),
    story: Option<Rc<Story>>,
    (kind, form): (FaultKind, Form),
) -> Next {
    let worker = Rc::clone(&client.worker);
    note_refusal(&worker, heads.0.protocol(form.is_grpc), kind);
    tell_refusal(client, story, kind);
    let keeps = keeps_after(client, heads);
    let form = Form {
        closes: !keeps,
        ..form
    };
    let next = client.answer(kind, form).await;
    client.keep_rest((buffer, head_len), next == Next::Request);
    next
}

/// Counts a request that goes to no version.
pub(crate) fn note_refusal(worker: &Worker, protocol: Protocol, kind: FaultKind) {
    let label = RequestLabel {
        protocol,
        code_class: CodeClass::of(kind.status()),
        outcome: Outcome::Rejected,
    };
    worker.recorder.borrow_mut().refuse(label);
    note_rejection(worker, kind);
}

/// Tells of a request that goes to no version.
pub(crate) fn tell_refusal(client: &Client, story: Option<Rc<Story>>, kind: FaultKind) {
    if let Some(story) = &story {
        let duration = client.worker.now().since(story.began());
        story.tell(client, &Ended::refused(kind, duration), None);
    }
    Story::give_back(story, &client.worker);
}

/// Counts what was refused of a client's, whether its request had a version or not.
fn note_rejection(worker: &Worker, kind: FaultKind) {
    if let Some(cause) = kind.rejection() {
        worker.reject(cause);
    }
}
