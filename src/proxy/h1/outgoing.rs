//! What goes to the endpoint, made once and sent as often as attempts need it.

use std::{cell::Cell, ops::Range, rc::Rc};

pub(crate) use super::reply::Reply;
use super::{
    BodyRelay, Framing,
    downstream::Client,
    rewrite::{self, RequestEdits},
    upstream::COALESCED,
};
use crate::{
    model::{Moment, Role},
    plan::{Asked, RequestStart},
    proxy::{
        decide::Decision,
        fault::FaultKind,
        headers,
        hoard::Hoard,
        story::{Ended, Story},
        trace::LEN,
        worker::{Heads, Worker},
    },
};

/// Bytes behind the version's name in a head that `rewrite` has made: the ends of two lines and
/// the `Via` between them.
const BEHIND_VERSION: usize = "\r\nVia: 1.1 serin\r\n\r\n".len();
/// What a copy says of itself, behind the version's name.
const COPY: &[u8] = b"\r\nX-Serin-Warm-Up: 1";
/// Bytes between the end of what is told of the trace, in a head that `rewrite` has made, and the
/// version's name.
const BEHIND_TRACE: usize = "\r\nX-Serin-Version: ".len();
/// Room for a request's id as 32 hexadecimal digits.
const ID: usize = 32;

/// A request as it goes to an endpoint.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The head, and a short first piece of the body.
    bytes: Vec<u8>,
    /// A long first piece of the body, where it was read.
    tail: Option<(Vec<u8>, Range<usize>)>,
    /// Where the version's name lies in `bytes`.
    version: Range<usize>,
    /// What is still to come from the client.
    relay: BodyRelay,
    /// Whether repeating it does no harm (RFC 9110, section 9.2.2).
    is_idempotent: bool,
    /// What else was read of the body, as far as it is kept, and up to how much that is.
    kept: Option<Hoard>,
    keeps: usize,
    /// Whether all that was read for it is still here.
    is_untouched: Cell<bool>,
    /// How the answer goes to the client.
    pub(crate) reply: Reply,
    /// What will be told of it, if anything is.
    pub(crate) story: Option<Rc<Story>>,
}

/// What the sending side of an exchange needs.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) tail: &'a [u8],
    pub(crate) relay: &'a mut BodyRelay,
    /// What else was read of the body, and how much more may be kept of it.
    pub(crate) kept: (&'a mut Option<Hoard>, usize),
    pub(crate) is_untouched: &'a Cell<bool>,
    pub(crate) max_body: u64,
}

/// The buffer that a request was read into.
#[derive(Debug)]
pub(crate) struct Received {
    /// The head, and what came behind it.
    pub(crate) buffer: Vec<u8>,
    /// Where the head ends.
    pub(crate) head_len: usize,
    /// Whether the peer's `X-Forwarded-*` is believed.
    pub(crate) is_peer_trusted: bool,
    /// When its head was whole.
    pub(crate) at: Moment,
}

impl Outgoing {
    /// A request of which nothing goes yet.
    pub(crate) fn new(
        client: &Client,
        heads: &Heads,
        reply: Reply,
        story: Option<Rc<Story>>,
    ) -> Self {
        let framing = heads.0.framing();
        let tells_end = client.stream.is_stream() && !framing.is_empty();
        let incoming = if tells_end {
            Framing::UntilClose
        } else {
            framing
        };
        Self {
            bytes: client.worker.buffers.head(),
            tail: None,
            version: 0..0,
            relay: BodyRelay::new(incoming, framing),
            is_idempotent: false,
            kept: None,
            keeps: 0,
            is_untouched: Cell::new(true),
            reply,
            story,
        }
    }

    /// Makes the head, takes the piece of the body that came with it, and leaves what belongs to
    /// the next request with the client.
    pub(crate) fn prepare(
        &mut self,
        client: &mut Client,
        heads: &Heads,
        received: Received,
        decision: &Decision,
    ) -> Result<(), FaultKind> {
        let Received {
            buffer,
            head_len,
            is_peer_trusted,
            at,
        } = received;
        let name_len = write_head(
            client,
            heads,
            (&buffer, is_peer_trusted, at, self.reply.is_websocket),
            (decision, self.story.as_deref()),
            &mut self.bytes,
        );
        let name_end = self.bytes.len().saturating_sub(BEHIND_VERSION);
        self.version = name_end.saturating_sub(name_len)..name_end;
        self.is_idempotent = heads.0.is_idempotent(&buffer);
        self.take_body(client, buffer, head_len)?;
        // Who sends the body already waits for no leave (RFC 9110, section 10.1.1).
        self.reply.expects_continue &= self.relay.received() == 0;
        let max_body = client.settings.limits.max_body.unwrap_or(u64::MAX);
        if self.relay.received() > max_body {
            return Err(FaultKind::BodyTooLarge);
        }
        Ok(())
    }

    /// Takes the piece of the body that was read with the head.
    fn take_body(
        &mut self,
        client: &mut Client,
        buffer: Vec<u8>,
        head_len: usize,
    ) -> Result<(), FaultKind> {
        let mut at = head_len;
        while at < buffer.len() && !self.relay.is_done() {
            let rest = buffer.get(at..).unwrap_or_default();
            let before = self.bytes.len();
            let step = self.relay.step(rest, &mut self.bytes).map_err(malformed)?;
            let forward = at + step.forward.start..at + step.forward.end;
            let is_plain = self.bytes.len() == before && step.suffix.is_empty();
            if is_plain && forward.len() > COALESCED && at + step.consumed == buffer.len() {
                self.tail = Some((buffer, forward));
                return Ok(());
            }
            self.bytes
                .extend_from_slice(buffer.get(forward).unwrap_or_default());
            self.bytes.extend_from_slice(step.suffix);
            at += step.consumed;
        }
        if at < buffer.len() {
            let mut unread = client.worker.buffers.read();
            unread.extend_from_slice(buffer.get(at..).unwrap_or_default());
            client.unread = Some(unread);
        }
        client.worker.buffers.give(buffer);
        Ok(())
    }

    /// What an exchange needs: the sending side's part and the receiving side's.
    pub(crate) fn parts(&mut self, max_body: u64) -> (Request<'_>, &Reply) {
        let tail = self.tail.as_ref();
        let tail = tail
            .and_then(|(buffer, range)| buffer.get(range.clone()))
            .unwrap_or_default();
        let request = Request {
            head: &self.bytes,
            tail,
            relay: &mut self.relay,
            kept: (&mut self.kept, self.keeps),
            is_untouched: &self.is_untouched,
            max_body,
        };
        (request, &self.reply)
    }

    /// Whether all of it can be sent once more, and that does no harm.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.is_idempotent && self.is_untouched()
    }

    /// All of it, if it has no body and asks for nothing but an answer.
    pub(crate) fn bare_head(&self) -> Option<&[u8]> {
        let has_body = !self.is_complete() || self.bytes_in() > 0;
        let is_plain = !has_body && !self.reply.is_websocket && !self.reply.is_grpc;
        is_plain.then_some(&*self.bytes)
    }

    /// Whether repeating it does no harm.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// What the rules of repeating ask of it.
    pub(crate) fn asked(&self, decision: &Decision) -> Asked<'_> {
        Asked {
            method: method(&self.bytes),
            is_idempotent: self.is_idempotent,
            is_overridden: decision.assignment.overridden,
        }
    }

    /// Whether all of it can be sent once more.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_untouched.get()
    }

    /// Keeps what is read of the body from now on, up to so many bytes.
    pub(crate) fn keep_up_to(&mut self, limit: usize) {
        self.keeps = limit;
    }

    /// Keeps what was read of the body already.
    pub(super) fn keep(&mut self, hoard: Hoard) {
        self.kept = Some(hoard);
    }

    /// How much of the body is still to come, if that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.relay.remaining()
    }

    /// Appends what belongs to the body of a piece that was read; how much of it does.
    pub(super) fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, FaultKind> {
        let mut at = 0;
        while at < piece.len() && !self.relay.is_done() {
            let rest = piece.get(at..).unwrap_or_default();
            let step = self.relay.step(rest, out).map_err(malformed)?;
            out.extend_from_slice(rest.get(step.forward).unwrap_or_default());
            out.extend_from_slice(step.suffix);
            at += step.consumed;
        }
        Ok(at)
    }

    /// The client sends no more: that is the end of a body whose end is told beside it.
    pub(super) fn end(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> Result<(), FaultKind> {
        self.relay.end(trailers, out).map_err(malformed)
    }

    /// Whether the whole body has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.relay.is_done()
    }

    /// Whether the client's connection can carry another request after an answer of ours.
    pub(crate) fn keeps_client(&self) -> bool {
        self.reply.keep_alive && self.is_complete()
    }

    /// Whether it has no body at all, and nobody waits for leave to send one.
    pub(crate) fn is_bodiless(&self) -> bool {
        self.is_complete() && self.bytes_in() == 0 && !self.reply.expects_continue
    }

    /// A copy of a request without a body, which says that it is one.
    pub(crate) fn copy(&self, version: &str) -> Vec<u8> {
        let before = self.bytes.get(..self.version.start).unwrap_or_default();
        let behind = self.bytes.get(self.version.end..).unwrap_or_default();
        [before, version.as_bytes(), COPY, behind].concat()
    }

    /// Bytes of body that came from the client.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.relay.received()
    }

    /// Tells the endpoint that it answers as another version.
    pub(crate) fn redirect(&mut self, version: &str) {
        let end = self.version.start + version.len();
        self.bytes.splice(self.version.clone(), version.bytes());
        self.version.end = end;
    }

    /// Tells the endpoint whose child it is in the trace.
    pub(crate) fn trace(&mut self, traceparent: &[u8; LEN]) {
        let end = self.version.start.saturating_sub(BEHIND_TRACE);
        let range = end.saturating_sub(LEN)..end;
        if let Some(place) = self.bytes.get_mut(range) {
            place.copy_from_slice(traceparent);
        }
    }

    /// The head as another attempt at the same time sends it.
    pub(crate) fn traced_head(&self, traceparent: &[u8; LEN]) -> Vec<u8> {
        let end = self.version.start.saturating_sub(BEHIND_TRACE);
        let before = self.bytes.get(..end.saturating_sub(LEN));
        let behind = self.bytes.get(end..).unwrap_or_default();
        [before.unwrap_or_default(), traceparent, behind].concat()
    }

    /// Tells how it has ended, if anybody wants to know.
    pub(crate) fn tell(&self, client: &Client, ended: &Ended, decision: &Decision) {
        if let Some(story) = &self.story {
            story.tell(client, ended, Some(decision));
        }
    }

    /// Gives the buffers back, and the story.
    pub(crate) fn recycle(self, worker: &Worker) {
        let buffers = &worker.buffers;
        buffers.give(self.bytes);
        if let Some((buffer, _)) = self.tail {
            buffers.give(buffer);
        }
        Story::give_back(self.story, worker);
    }
}

/// The method of a head that `rewrite` has made.
fn method(head: &[u8]) -> &[u8] {
    let end = memchr::memchr(b' ', head).unwrap_or_default();
    head.get(..end).unwrap_or_default()
}

/// A body that is not what its framing says is the client's fault.
pub(super) fn malformed(error: super::BodyError) -> FaultKind {
    FaultKind::BodyMalformed(error.as_str())
}

/// Appends the head for the endpoint; answers the length of the version's name in it.
fn write_head(
    client: &Client,
    heads: &Heads,
    (buffer, trusted, at, upgrade): (&[u8], bool, Moment, bool),
    (decision, story): (&Decision, Option<&Story>),
    out: &mut Vec<u8>,
) -> usize {
    let mut id = [0; ID];
    let (first, second) = id.split_at_mut(ID / 2);
    first.copy_from_slice(client.worker.id_prefix());
    second.copy_from_slice(&headers::hex_digits(decision.account.request_id));
    let role = if decision.assignment.role == Role::Canary {
        Role::Canary
    } else {
        Role::Stable
    };
    let name = decision
        .split()
        .map_or("", |split| split.version(role).name.as_str());
    let trace = story.and_then(Story::trace);
    let traceparent = trace.map(|trace| (trace.told_by(trace.span), trace.keeps_state));
    let edits = RequestEdits {
        client: client.arrival.peer_text.as_bytes(),
        proto: client.arrival.scheme().as_bytes(),
        subject: client.arrival.subject().map(str::as_bytes),
        trusted,
        request_id: &id,
        request_start: (
            at.micros(),
            decision
                .split()
                .map_or(RequestStart::Disabled, |split| split.request_start),
        ),
        trace: traceparent
            .as_ref()
            .map(|(text, keeps_state)| (text, *keeps_state)),
        version_name: name.as_bytes(),
        default_host: b"localhost",
        upgrade,
    };
    rewrite::request(&heads.0, buffer, &edits, out);
    name.len()
}
