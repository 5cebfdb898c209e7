//! The way of the answer: its head read strictly and written anew, its body relayed as it comes.

use std::{future::poll_fn, task::Poll};

use super::{
    Asked, BodyRelay, Framing, HeadLimits, Parsed, ResponseHead, Version,
    io::{self, Left, Size},
    outgoing::Reply,
    rewrite::{self, ResponseEdits},
    upstream::{Answered, COALESCED, Progress, Stage, broken},
};
use crate::{
    model::number::long,
    proxy::{
        fault::FaultKind,
        grpc,
        handle::Next,
        pace::{Appetite, Pace},
        settle::AttemptGuard,
        websocket::Frames,
        wire::{Reader, Writer},
        worker::Worker,
    },
};

/// Interim answers that are relayed before the final one.
const INTERIM_MAX: u32 = 16;

/// What relaying an answer works with.
#[derive(Debug)]
pub(super) struct Download<'a, 'c, 'u> {
    pub(super) progress: &'a Progress<'a>,
    pub(super) worker: &'a Worker,
    pub(super) guard: &'a mut AttemptGuard,
    pub(super) response: &'a mut ResponseHead,
    pub(super) reply: &'a Reply,
    pub(super) reader: Reader<'u>,
    pub(super) writer: Writer<'c>,
    pub(super) pace: Pace,
    pub(super) appetite: Appetite,
    pub(super) bytes_out: u64,
}

impl Download<'_, '_, '_> {
    /// Relays the whole answer.
    pub(super) async fn run(mut self) -> Result<Answered, FaultKind> {
        let (buffer, head_len) = self.head().await?;
        if self.reader.tells_end() {
            self.response.came_by_h2();
        }
        let status = self.response.status();
        self.progress.status.set(status);
        let incoming = self.response.framing();
        let leaving = incoming.towards(self.reply.version, self.reply.keep_alive);
        let edits = ResponseEdits {
            client: self.reply.version,
            outgoing: leaving,
            lines: &self.reply.lines,
            date: &self.worker.date(),
        };
        let mut pending = self.worker.buffers.head();
        rewrite::response(self.response, &buffer, &edits, &mut pending);
        let mut relay = BodyRelay::new(self.inbound(incoming), leaving.framing);
        let at = self
            .piece(&buffer, head_len, (&mut relay, &mut pending))
            .await?;
        if status == 101 {
            return self.switch(buffer, head_len, pending).await;
        }
        let mut grpc_status = self.grpc_status(&buffer);
        self.note_event_stream(&buffer);
        let mut has_excess = at < buffer.len();
        let mut size = self.next_size(buffer.len());
        self.worker.buffers.give(buffer);
        while !relay.is_done() {
            self.progress.enter(Stage::Receiving);
            let Some(buffer) = self.next_piece(size).await? else {
                if self.end_early(&mut relay, &mut pending).await? {
                    has_excess = true;
                    break;
                }
                continue;
            };
            self.guard.last_byte = Some(self.worker.now());
            if buffer.is_empty() {
                let trailers = self.reader.trailers();
                let ended = relay.end(&trailers, &mut pending);
                ended.map_err(|_| FaultKind::Truncated)?;
                grpc_status = grpc::status_in(&trailers).or(grpc_status);
                self.flush(&mut pending).await?;
                break;
            }
            size = self.next_size(buffer.len());
            let at = self.piece(&buffer, 0, (&mut relay, &mut pending)).await?;
            has_excess = at < buffer.len();
            self.worker.buffers.give(buffer);
        }
        self.worker.buffers.give(pending);
        grpc_status = grpc::status_in(relay.trailers()).or(grpc_status);
        Ok(Answered {
            status,
            grpc_status: grpc_status.filter(|_| self.reply.is_grpc),
            // Bytes that nobody asked for would be taken for the next answer.
            is_reusable: self.response.keep_alive()
                && incoming != Framing::UntilClose
                && !has_excess,
            next: if leaving.keep_alive {
                Next::Request
            } else {
                Next::Close
            },
            bytes_out: self.bytes_out,
            switched: None,
            tunnel: None,
        })
    }

    /// Server-sent events are a stream that lives long.
    fn note_event_stream(&self, buffer: &[u8]) {
        let kind = self
            .response
            .field(buffer, "content-type")
            .unwrap_or_default();
        if kind.starts_with(b"text/event-stream") {
            let _now = self.progress.long.set(self.guard.long_lived());
        }
    }

    /// The beginning of the answer.
    async fn first_piece(&mut self, size: Size) -> Result<Vec<u8>, FaultKind> {
        let (long, reader) = (self.progress.long.get(), &mut self.reader);
        poll_fn(|cx| {
            if long.is_some_and(|long| long.poll_end(cx).is_ready()) {
                return Poll::Ready(Err(FaultKind::Withdrawn));
            }
            let read = io::poll_read(reader, &self.worker.buffers, size, cx);
            read.map_err(|error| broken(&error))
        })
        .await
    }

    /// The next piece of the body; `None`: the stream must end.
    async fn next_piece(&mut self, size: Size) -> Result<Option<Vec<u8>>, FaultKind> {
        let (long, reader) = (self.progress.long.get(), &mut self.reader);
        poll_fn(|cx| {
            if long.is_some_and(|long| long.poll_end(cx).is_ready()) {
                return Poll::Ready(Ok(None));
            }
            let read = io::poll_read(reader, &self.worker.buffers, size, cx);
            read.map_ok(Some).map_err(|_| FaultKind::Truncated)
        })
        .await
    }

    /// Ends a stream in good order where that can be done; where not, it goes on for as long as it
    /// may, and is cut off then.
    async fn end_early(
        &mut self,
        relay: &mut BodyRelay,
        pending: &mut Vec<u8>,
    ) -> Result<bool, FaultKind> {
        let trailers: &[u8] = if self.reply.is_grpc {
            b"grpc-status: 14\r\ngrpc-message: this version is no longer in use\r\n"
        } else {
            b""
        };
        if relay.end_early(trailers, pending) {
            self.flush(pending).await?;
            return Ok(true);
        }
        match self.progress.long.get() {
            Some(long) if !long.was_ending() => long.is_ending(),
            _ => return Err(FaultKind::Withdrawn),
        }
        Ok(false)
    }

    /// How much is read after a piece of `len` bytes.
    fn next_size(&self, len: usize) -> Size {
        if self.appetite.is_doubtful() {
            Size::Piece
        } else {
            Size::after(len)
        }
    }

    /// The status of a call that is answered with a head only.
    fn grpc_status(&self, buffer: &[u8]) -> Option<u8> {
        let status = || self.response.field(buffer, "grpc-status");
        self.reply
            .is_grpc
            .then(status)
            .flatten()
            .and_then(grpc::status)
    }

    /// How the body's end is known here.
    fn inbound(&self, said: Framing) -> Framing {
        if self.reader.tells_end() && !said.is_empty() {
            Framing::UntilClose
        } else {
            said
        }
    }

    /// Reads up to the end of the final head; interim ones go to the client on the way.
    async fn head(&mut self) -> Result<(Vec<u8>, usize), FaultKind> {
        // An answer that comes in one piece is read and written in one call each.
        let was_long = self.guard.has_long_answers();
        let size = if was_long { Size::Bulk } else { Size::Usual };
        let mut buffer = self.first_piece(size).await?;
        if buffer.is_empty() {
            return Err(FaultKind::Reset);
        }
        let is_long = Size::after(buffer.len()) == Size::Bulk;
        if is_long != was_long {
            self.guard.saw_answer(is_long);
        }
        let now = self.worker.now();
        self.guard.first_byte = Some(now);
        let asked = Asked {
            head: self.reply.is_head,
            websocket: self.reply.is_websocket,
        };
        self.response.clear();
        let mut interims = 0;
        loop {
            let parsed = self.response.parse(&buffer, &HeadLimits::RESPONSE, asked);
            match parsed.map_err(|malformed| FaultKind::BadResponse(malformed.reason))? {
                Parsed::Complete(len) if self.response.is_interim() => {
                    interims += 1;
                    if interims > INTERIM_MAX {
                        return Err(FaultKind::BadResponse("too many interim answers"));
                    }
                    self.interim(&buffer).await?;
                    buffer.drain(..len);
                    self.response.clear();
                    if !buffer.is_empty() {
                        continue;
                    }
                }
                Parsed::Complete(len) => {
                    if interims > 0 || self.guard.last_byte.is_none() {
                        self.guard.last_byte = Some(now);
                    }
                    return Ok((buffer, len));
                }
                Parsed::Partial => {}
            }
            match io::read_more(&mut self.reader, &mut buffer).await {
                Ok(1..) => self.guard.last_byte = Some(self.worker.now()),
                _ => return Err(FaultKind::BadResponse("the answer's head is cut off")),
            }
        }
    }

    /// Relays an interim answer to a client that can take it.
    async fn interim(&mut self, buffer: &[u8]) -> Result<(), FaultKind> {
        let is_wanted = match self.response.status() {
            100 => self.reply.expects_continue,
            102 | 103 => true,
            _ => false,
        };
        if !is_wanted || self.reply.version == Version::Http10 {
            return Ok(());
        }
        let mut out = self.worker.buffers.head();
        rewrite::interim(self.response, buffer, &mut out);
        let stage = self.progress.stage();
        self.write(&out, b"").await?;
        self.progress.enter(stage);
        self.worker.buffers.give(out);
        Ok(())
    }

    /// Relays what belongs to the body of one piece that was read, `pending` first; answers where
    /// in it the body ends or the piece does.
    async fn piece(
        &mut self,
        buffer: &[u8],
        mut at: usize,
        (relay, pending): (&mut BodyRelay, &mut Vec<u8>),
    ) -> Result<usize, FaultKind> {
        while at < buffer.len() && !relay.is_done() {
            let rest = buffer.get(at..).unwrap_or_default();
            let step = relay
                .step(rest, pending)
                .map_err(|error| FaultKind::BadResponse(error.as_str()))?;
            let forward = rest.get(step.forward).unwrap_or_default();
            if forward.len() <= COALESCED {
                pending.extend_from_slice(forward);
            } else {
                self.answer(pending, forward).await?;
                pending.clear();
            }
            pending.extend_from_slice(step.suffix);
            at += step.consumed;
        }
        self.flush(pending).await?;
        Ok(at)
    }

    async fn flush(&mut self, pending: &mut Vec<u8>) -> Result<(), FaultKind> {
        if !pending.is_empty() {
            self.answer(pending, b"").await?;
            pending.clear();
        }
        Ok(())
    }

    /// Writes to the client: from here on nothing else can be answered.
    async fn answer(&mut self, first: &[u8], second: &[u8]) -> Result<(), FaultKind> {
        self.progress.is_answered.set(true);
        self.write(first, second).await
    }

    /// Writes to the client; the time that it makes us wait is not the version's.
    async fn write(&mut self, first: &[u8], second: &[u8]) -> Result<(), FaultKind> {
        let mut left = Left { first, second };
        let total = left.len();
        self.bytes_out += long(total);
        self.appetite.took(total);
        let mut waits = None;
        poll_fn(|cx| {
            let polled = left.poll_write(&mut self.writer, cx);
            if let Some((since, before)) = waits {
                let waited = self.worker.now().since(since);
                self.guard.client_time += waited;
                if self.pace.is_too_slow(before - left.len(), waited) {
                    return Poll::Ready(Err(FaultKind::ClientStalled));
                }
            }
            if polled.is_pending() {
                let has_moved = waits.is_none_or(|(_, before)| left.len() < before);
                if has_moved {
                    self.appetite.blocked();
                    self.progress.enter(Stage::Relaying);
                }
                waits = Some((self.worker.now(), left.len()));
            }
            polled.map_err(|_| FaultKind::ClientGone)
        })
        .await
    }

    /// Ends the exchange with a switched protocol; what came behind the head goes along.
    async fn switch(
        mut self,
        buffer: Vec<u8>,
        head_len: usize,
        mut pending: Vec<u8>,
    ) -> Result<Answered, FaultKind> {
        let early = buffer.get(head_len..).unwrap_or_default();
        let mut frames = Frames::default();
        if !early.is_empty() {
            frames.feed(early);
            self.write(early, b"").await?;
        }
        pending.clear();
        self.worker.buffers.give(pending);
        self.worker.buffers.give(buffer);
        Ok(Answered {
            status: 101,
            grpc_status: None,
            is_reusable: false,
            next: Next::Gone,
            bytes_out: self.bytes_out,
            switched: Some(frames),
            tunnel: None,
        })
    }
}
