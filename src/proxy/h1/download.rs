//! The way of the answer: its head read strictly and written anew, its body relayed as it comes.

mod ahead;
mod to_client;

use std::{cell::Cell, future::poll_fn, rc::Rc, task::Poll};

pub(super) use self::ahead::Ahead;
use super::{
    Asked, BodyRelay, Framing, HeadLimits, Outgoing, Parsed, ResponseHead, Version,
    io::{self, Left, Size},
    outgoing::Reply,
    rewrite::{self, ResponseEdits},
    upstream::{Answered, Progress, Stage, broken},
};
use crate::{
    plan::Again,
    proxy::{
        buffer::PIECE,
        course::Withhold,
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
/// Of a 404 that no cache may keep.
const NO_STORE: &[u8] = b"Cache-Control: no-store\r\n";

/// What relaying an answer works with.
#[derive(Debug)]
pub(super) struct Download<'a, 'c, 'u> {
    pub(super) progress: &'a Progress<'a>,
    pub(super) worker: &'a Rc<Worker>,
    pub(super) guard: &'a mut AttemptGuard,
    pub(super) response: &'a mut ResponseHead,
    pub(super) reply: &'a Reply,
    pub(super) reader: Reader<'u>,
    pub(super) writer: Writer<'c>,
    pub(super) pace: Pace,
    pub(super) appetite: Appetite,
    /// What may be asked once more instead of telling the client, and the request's head.
    pub(super) withhold: Option<(&'a Withhold<'a>, &'a [u8])>,
    /// The beginning of the answer, if it has come already.
    pub(super) begun: Option<Vec<u8>>,
    /// What was taken from the endpoint while the client is slow.
    pub(super) ahead: Ahead,
    /// What the client's socket takes at once; 0: nobody has asked yet.
    pub(super) room: &'a Cell<usize>,
    pub(super) bytes_out: u64,
}

impl Download<'_, '_, '_> {
    /// Relays the whole answer.
    pub(super) async fn run(mut self) -> Result<Answered, FaultKind> {
        let (mut buffer, head_len) = self.head().await?;
        let status = self.response.status();
        self.progress.status.set(status);
        let mut grpc_status = self.grpc_status(&buffer);
        if let Some(again) = self.withheld(status, grpc_status) {
            return Ok(self.discard(&buffer, head_len, (grpc_status, again)));
        }
        let incoming = self.response.framing();
        let leaving = incoming.towards(self.reply.version, self.reply.keep_alive);
        let mut pending = self.worker.buffers.head();
        self.write_head(leaving, &buffer, &mut pending);
        let mut relay = BodyRelay::new(self.inbound(incoming), leaving.framing);
        self.note_event_stream(&buffer);
        let mut size = self.next_size(buffer.len());
        let at = self
            .piece(&mut buffer, head_len, (&mut relay, &mut pending))
            .await?;
        if status == 101 {
            return self.switch(buffer, head_len, pending).await;
        }
        let mut has_excess = at < buffer.len();
        self.worker.buffers.give(buffer);
        while !relay.is_done() {
            self.progress.enter(Stage::Receiving);
            let Some(mut buffer) = self.next_piece(size).await? else {
                if self.end_early(&mut relay, &mut pending).await? {
                    has_excess = true;
                    break;
                }
                continue;
            };
            if !self.ahead.was_used() {
                self.guard.last_byte = Some(self.worker.now());
            }
            if buffer.is_empty() {
                let trailers = self.reader.trailers();
                let ended = relay.end(&trailers, &mut pending);
                ended.map_err(|_| FaultKind::Truncated)?;
                grpc_status = grpc::status_in(&trailers).or(grpc_status);
                self.flush(&mut pending).await?;
                break;
            }
            size = self.next_size(buffer.len());
            let at = self
                .piece(&mut buffer, 0, (&mut relay, &mut pending))
                .await?;
            has_excess = at < buffer.len();
            self.worker.buffers.give(buffer);
        }
        self.worker.buffers.give(pending);
        grpc_status = grpc::status_in(relay.trailers()).or(grpc_status);
        let grpc_status = grpc_status.filter(|_| self.reply.is_grpc);
        Ok(Answered {
            is_reusable: self.is_reusable(incoming, has_excess),
            next: if leaving.keep_alive {
                Next::Request
            } else {
                Next::Close
            },
            bytes_out: self.bytes_out,
            ..Answered::bare(status, grpc_status)
        })
    }

    /// Whether the endpoint's connection can carry another exchange. Bytes that nobody asked for
    /// would be taken for the next answer, and what was read ahead may hold some.
    fn is_reusable(&self, incoming: Framing, has_excess: bool) -> bool {
        let is_clean = !has_excess && !self.ahead.was_used();
        self.response.keep_alive() && incoming != Framing::UntilClose && is_clean
    }

    /// Where the request goes instead of telling the client this answer.
    fn withheld(&self, status: u16, grpc_status: Option<u8>) -> Option<Again> {
        let (withhold, head) = self.withhold?;
        if status < 400 && grpc_status.is_none() || !self.progress.can_repeat() {
            return None;
        }
        withhold.takes(head, status, grpc_status)
    }

    /// Appends the answer's head as the client is to see it.
    fn write_head(&mut self, outgoing: Outgoing, buffer: &[u8], out: &mut Vec<u8>) {
        let mut lines = Vec::new();
        let is_passing = self.is_passing(self.response.status());
        if is_passing {
            self.response.drop_field(buffer, b"cache-control");
            lines = [&self.reply.lines, NO_STORE].concat();
        }
        let edits = ResponseEdits {
            client: self.reply.version,
            outgoing,
            lines: if is_passing {
                &lines
            } else {
                &self.reply.lines
            },
            date: &self.worker.date(),
        };
        rewrite::response(self.response, buffer, &edits, out);
    }

    /// Whether it is a 404 that no cache may keep: the file is there, or will be.
    fn is_passing(&self, status: u16) -> bool {
        let is_asset = |(withhold, head): (&Withhold<'_>, &[u8])| withhold.is_of_one_version(head);
        status == 404 && self.withhold.is_some_and(is_asset)
    }

    /// Throws an answer away. Its connection can be used again if all of it is here already.
    fn discard(
        &self,
        buffer: &[u8],
        head_len: usize,
        (grpc_status, again): (Option<u8>, Again),
    ) -> Answered {
        let incoming = self.response.framing();
        let mut relay = BodyRelay::new(self.inbound(incoming), Framing::UntilClose);
        let (mut at, mut nothing) = (head_len, Vec::new());
        while at < buffer.len() && !relay.is_done() {
            let rest = buffer.get(at..).unwrap_or_default();
            match relay.step(rest, &mut nothing) {
                Ok(step) => at += step.consumed,
                Err(_malformed) => break,
            }
        }
        Answered {
            is_reusable: self.response.keep_alive() && relay.is_done() && at == buffer.len(),
            withheld: Some(again),
            ..Answered::bare(self.response.status(), grpc_status)
        }
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
        if let Some(begun) = self.begun.take() {
            return Ok(begun);
        }
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
        if let Some(piece) = self.ahead.take() {
            return piece.map(Some);
        }
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
    fn next_size(&mut self, len: usize) -> Size {
        if self.room.get() == 0 && len >= PIECE {
            self.room.set(self.writer.room().max(1));
            self.appetite.has_room(self.room.get());
        }
        self.fitting(Size::after(len))
    }

    /// A size whose pieces need not be held for long.
    fn fitting(&self, size: Size) -> Size {
        if self.appetite.is_doubtful(size.bytes()) {
            Size::Piece
        } else {
            size
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
        let size = self.fitting(if was_long { Size::Bulk } else { Size::Usual });
        let mut buffer = self.first_piece(size).await?;
        if buffer.is_empty() {
            return Err(FaultKind::Reset);
        }
        let is_long = Size::after(buffer.len()) == Size::Bulk;
        // A small piece does not tell.
        if is_long != was_long && (is_long || buffer.len() < PIECE) {
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
                    if self.reader.tells_end() {
                        self.response.came_by_h2();
                    }
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
        self.finish(Left {
            first: &out,
            second: b"",
        })
        .await?;
        self.progress.enter(stage);
        self.worker.buffers.give(out);
        Ok(())
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
            self.answer(early).await?;
        }
        pending.clear();
        self.worker.buffers.give(pending);
        self.worker.buffers.give(buffer);
        Ok(Answered {
            bytes_out: self.bytes_out,
            switched: Some(frames),
            ..Answered::bare(101, None)
        })
    }
}
