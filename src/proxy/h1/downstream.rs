//! A client's connection: heads in, one after the other, until it ends.

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::io::AsyncWriteExt;

use super::{HeadLimits, Parsed, Reject, io};
use crate::{
    model::Protocol,
    plan,
    proxy::{
        arrival::Arrival,
        fault::{FaultKind, Form, write_answer},
        h2,
        handle::{self, Next},
        listener::Open,
        story::Story,
        timer::Slot,
        wire::Wire,
        worker::{Heads, Worker},
    },
};

/// How long and how much a client may still send after an answer that ends its connection. A
/// socket that is closed with unread bytes resets the connection, and the answer may be lost.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are thrown away then.
const LINGER_BYTES: usize = 64 * 1024;

/// Room for the beginning of a head that is not whole.
const SMALL: usize = 1024;

/// What a client's connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection stays ready for work after a request: requests that follow each other
/// allocate nothing, and of thousands that have just been served few wait with a full desk.
const AT_WORK: Duration = Duration::from_millis(40);

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: Wire,
    pub(crate) slot: Slot,
    pub(crate) arrival: Arrival,
    /// The listener's settings as they were when the request began.
    pub(crate) settings: Rc<plan::Listener>,
    /// Bytes that came behind the last request: the next one's.
    pub(crate) unread: Option<Vec<u8>>,
    /// What its socket takes at once; 0: nobody has asked yet.
    pub(crate) room: Cell<usize>,
}

/// Serves a client's connection to its end.
///
/// Most connections rest most of the time, and there are many: what a request needs lives in a box
/// that is there while requests follow each other, so that a connection at rest is small.
pub(crate) async fn serve(worker: Rc<Worker>, open: Open, stream: Wire, arrival: Arrival) {
    let mut client = Client {
        slot: worker.wheel.slot(),
        worker,
        stream,
        arrival,
        settings: open.listener().settings(),
        unread: None,
        room: Cell::new(0),
    };
    let mut limit = client.settings.timeouts.request_header;
    let mut is_first = true;
    loop {
        let mut buffer = match client.wait(limit).await {
            Waited::Bytes(buffer) => buffer,
            Waited::Expired => return Box::pin(client.close()).await,
            Waited::Gone => return,
        };
        if std::mem::take(&mut is_first) && client.may_begin_h2(&buffer) {
            match Box::pin(client.begins_h2(&mut buffer)).await {
                Some(true) => return Box::pin(client.go_on_with_h2(open, buffer)).await,
                Some(false) => {}
                None => return,
            }
        }
        open.load().works();
        let Some(rest) = Box::pin(client.work(&open, buffer)).await else {
            return;
        };
        open.load().rests();
        limit = rest;
    }
}

/// What a wait for the next request has come to.
enum Waited {
    Bytes(Vec<u8>),
    Expired,
    Gone,
}

impl Client {
    /// Serves requests for as long as they follow each other; how long the connection may rest
    /// after them, `None`: it has ended.
    async fn work(&mut self, open: &Open, mut buffer: Vec<u8>) -> Option<Duration> {
        loop {
            self.settings = open.listener().settings();
            let mut heads = self.worker.heads();
            let next = self.request(&mut heads, buffer).await;
            self.worker.give_heads(heads);
            match next {
                Next::Request => {}
                Next::Linger => {
                    self.linger().await;
                    return None;
                }
                Next::Close => {
                    self.close().await;
                    return None;
                }
                Next::Gone => return None,
            }
            let idle = self.settings.timeouts.idle;
            buffer = match self.next_bytes(idle.min(AT_WORK)).await {
                Waited::Bytes(buffer) => buffer,
                Waited::Expired => return idle.checked_sub(AT_WORK),
                Waited::Gone => return None,
            };
        }
    }

    /// The first bytes of the next request, which may have come with the one before.
    async fn next_bytes(&mut self, limit: Duration) -> Waited {
        match self.unread.take() {
            Some(unread) => Waited::Bytes(unread),
            None => self.wait(limit).await,
        }
    }

    /// Waits for a client that has nothing to say for now.
    async fn wait(&mut self, limit: Duration) -> Waited {
        self.slot.arm_idle(limit.min(self.worker.silence()));
        let (mut reader, _) = self.stream.split();
        let reading = io::read(&mut reader, &self.worker.buffers, io::Size::Usual);
        match self.slot.guard(reading).await {
            Ok(Ok(buffer)) if !buffer.is_empty() => Waited::Bytes(buffer),
            Ok(_) => Waited::Gone,
            Err(_expired) => Waited::Expired,
        }
    }

    /// Whether a connection that begins like this may be one of HTTP/2 (RFC 9113, section 3.3).
    fn may_begin_h2(&self, buffer: &[u8]) -> bool {
        let begun = buffer.len().min(PREFACE.len());
        let settings = &self.settings;
        settings.h2c && settings.tls.is_none() && buffer.get(..begun) == PREFACE.get(..begun)
    }

    /// Reads until it is known whether it is; `None` if the client leaves or takes too long.
    async fn begins_h2(&mut self, buffer: &mut Vec<u8>) -> Option<bool> {
        self.slot.arm(self.settings.timeouts.request_header);
        while buffer.len() < PREFACE.len() && self.may_begin_h2(buffer) {
            let (mut reader, _) = self.stream.split();
            let reading = io::read_more(&mut reader, buffer);
            let Ok(Ok(1..)) = self.slot.guard(reading).await else {
                return None;
            };
        }
        self.slot.disarm();
        Some(self.may_begin_h2(buffer))
    }

    async fn go_on_with_h2(self, open: Open, first: Vec<u8>) {
        let Self {
            worker,
            stream,
            arrival,
            ..
        } = self;
        h2::downstream::serve(worker, open, (stream, first), arrival).await;
    }

    /// The only request of a stream of HTTP/2, whose head is whole.
    pub(crate) async fn only_request(&mut self, heads: &mut Heads, head: Vec<u8>) {
        heads.0.clear();
        let reject = match heads.0.parse(&head, &self.head_limits()) {
            Ok(Parsed::Complete(len)) => {
                heads.0.came_by_h2();
                // What became of the stream is told by its end.
                let _next = handle::handle(self, heads, head, len).await;
                return;
            }
            Ok(Parsed::Partial) => Reject::bad("the head is not whole"),
            Err(reject) => reject,
        };
        let kind = FaultKind::Refused(reject.status, reject.reason);
        let _next = self.refuse_head(kind, heads, head).await;
    }

    /// One request: its head is read whole, then it is handled.
    async fn request(&mut self, heads: &mut Heads, mut buffer: Vec<u8>) -> Next {
        let limits = self.head_limits();
        let mut is_armed = false;
        heads.0.clear();
        loop {
            match heads.0.parse(&buffer, &limits) {
                Ok(Parsed::Complete(len)) => {
                    self.slot.disarm();
                    return handle::handle(self, heads, buffer, len).await;
                }
                Ok(Parsed::Partial) if is_armed => {}
                Ok(Parsed::Partial) => {
                    self.slot.arm(self.settings.timeouts.request_header);
                    is_armed = true;
                    buffer = self.keep_small(buffer);
                }
                Err(reject) => {
                    let kind = FaultKind::Refused(reject.status, reject.reason);
                    return self.refuse_head(kind, heads, buffer).await;
                }
            }
            let (mut reader, _) = self.stream.split();
            match self
                .slot
                .guard(io::read_more(&mut reader, &mut buffer))
                .await
            {
                Ok(Ok(1..)) => {}
                Ok(_) => return Next::Gone,
                Err(_expired) => {
                    return self
                        .refuse_head(FaultKind::HeadTimeout, heads, buffer)
                        .await;
                }
            }
        }
    }

    /// Moves the beginning of a head that may be long in coming to where it takes little.
    fn keep_small(&self, buffer: Vec<u8>) -> Vec<u8> {
        if buffer.len() > SMALL {
            return buffer;
        }
        let mut small = Vec::with_capacity(SMALL);
        small.extend_from_slice(&buffer);
        self.worker.buffers.give(buffer);
        small
    }

    fn head_limits(&self) -> HeadLimits {
        let limits = self.settings.limits;
        HeadLimits {
            max_bytes: limits.max_headers,
            max_fields: limits.max_header_fields,
            max_line: limits.max_header_line,
            max_target: limits.max_target,
        }
    }

    /// Answers a head that cannot be understood. Where the next request begins is unknown then.
    async fn refuse_head(&mut self, kind: FaultKind, heads: &Heads, buffer: Vec<u8>) -> Next {
        let protocol = match &self.stream {
            Wire::FromClient(_) => Protocol::H2,
            Wire::Tcp(_) | Wire::Tls(_) | Wire::ToEndpoint(_) => Protocol::H1,
        };
        handle::note_refusal(&self.worker, protocol, kind);
        handle::tell_refusal(self, Story::of_unread(&self.worker), kind);
        self.worker.buffers.give(buffer);
        let form = Form {
            is_head: heads.0.is_head(),
            closes: true,
            ..Form::default()
        };
        self.answer(kind, form).await
    }

    /// Answers a fault.
    pub(crate) async fn answer(&mut self, kind: FaultKind, form: Form) -> Next {
        let mut out = self.worker.buffers.head();
        write_answer(kind, form, &self.worker.date(), &mut out);
        let next = self.write(&out).await;
        self.worker.buffers.give(out);
        if next == Next::Request && form.closes {
            Next::Linger
        } else {
            next
        }
    }

    /// Writes an answer of our own.
    pub(crate) async fn write(&mut self, answer: &[u8]) -> Next {
        self.slot.arm(self.settings.timeouts.body_idle);
        let (_, mut writer) = self.stream.split();
        let wrote = self.slot.guard(io::write(&mut writer, answer, b"")).await;
        self.slot.disarm();
        if matches!(wrote, Ok(Ok(()))) {
            Next::Request
        } else {
            Next::Gone
        }
    }

    /// Keeps what came behind a head that had no body, if there is to be a next request.
    pub(crate) fn keep_rest(&mut self, (mut buffer, head_len): (Vec<u8>, usize), keeps: bool) {
        buffer.drain(..head_len.min(buffer.len()));
        if keeps && !buffer.is_empty() {
            self.unread = Some(buffer);
        } else {
            self.worker.buffers.give(buffer);
        }
    }

    /// Ends a connection: with TLS, that is said (RFC 8446, section 6.1).
    async fn close(&mut self) {
        if matches!(self.stream, Wire::Tls(_)) {
            self.slot.arm(LINGER);
            // A client that does not take the word has it anyway when the socket is closed.
            let _said = self.slot.guard(self.stream.shutdown()).await;
        }
    }

    /// Ends a connection on which more may be coming.
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        self.slot.arm(LINGER);
        let (mut reader, _) = self.stream.split();
        let mut left = LINGER_BYTES;
        while left > 0 {
            let reading = io::read(&mut reader, &self.worker.buffers, io::Size::Usual);
            let Ok(Ok(buffer)) = self.slot.guard(reading).await else {
                return;
            };
            if buffer.is_empty() {
                return;
            }
            left = left.saturating_sub(buffer.len());
            self.worker.buffers.give(buffer);
        }
    }
}
