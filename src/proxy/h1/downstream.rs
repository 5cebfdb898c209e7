//! A client's connection: heads in, one after the other, until it ends.

use std::{net::IpAddr, rc::Rc, time::Duration};

use tokio::io::AsyncWriteExt;

use super::{HeadLimits, Parsed, io};
use crate::{
    net, plan,
    proxy::{
        fault::{FaultKind, write_answer},
        handle::{self, Next},
        headers::AddressText,
        listener::Open,
        timer::Slot,
        worker::{Heads, Worker},
    },
};

/// How long and how much a client may still send after an answer that ends its connection. A
/// socket that is closed with unread bytes resets the connection, and the answer may be lost.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are thrown away then.
const LINGER_BYTES: usize = 64 * 1024;

/// How long a connection stays ready for work after a request: requests that follow each other
/// allocate nothing, and of thousands that have just been served few wait with a full desk.
const AT_WORK: Duration = Duration::from_millis(40);

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: net::Stream,
    pub(crate) slot: Slot,
    pub(crate) peer: IpAddr,
    pub(crate) peer_text: AddressText,
    /// The listener's settings as they were when the request began.
    pub(crate) settings: Rc<plan::Listener>,
    /// Bytes that came behind the last request: the next one's.
    pub(crate) unread: Option<Vec<u8>>,
}

/// Serves a client's connection to its end.
///
/// Most connections rest most of the time, and there are many: what a request needs lives in a box
/// that is there while requests follow each other, so that a connection at rest is small.
pub(crate) async fn serve(worker: Rc<Worker>, open: Open, stream: net::Stream, peer: IpAddr) {
    let mut client = Client {
        slot: worker.wheel.slot(),
        worker,
        stream,
        peer,
        peer_text: AddressText::new(peer),
        settings: open.listener().settings(),
        unread: None,
    };
    let mut limit = client.settings.timeouts.request_header;
    while let Waited::Bytes(buffer) = client.wait(limit).await {
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
                Next::Close | Next::Gone => return None,
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
        handle::note_refusal(self, kind);
        self.worker.buffers.give(buffer);
        self.answer(kind, heads.0.is_head(), true).await
    }

    /// Answers a fault.
    pub(crate) async fn answer(&mut self, kind: FaultKind, is_head: bool, closes: bool) -> Next {
        let mut out = self.worker.buffers.head();
        write_answer(kind, is_head, closes, &mut out);
        let next = self.write(&out).await;
        self.worker.buffers.give(out);
        if next == Next::Request && closes {
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
