//! The sending side of a stream: what is written to it as the body of an HTTP/1.1 message leaves as
//! frames, no faster than the peer takes them.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::fields;
use crate::proxy::h1::{BodyRelay, Framing};

/// What one stream may hold of a body that the peer does not take.
const PIECE: usize = 32 * 1024;

/// The sending side of one stream, after its head.
#[derive(Debug)]
pub(super) struct Outbox {
    stream: SendStream<Bytes>,
    state: State,
    queue: BytesMut,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
enum State {
    /// A body that is framed as in HTTP/1.1.
    Framed(BodyRelay),
    /// Bytes of another protocol.
    Raw,
    /// All is in the queue.
    Whole,
    /// The stream was ended.
    Ended,
}

impl Outbox {
    /// After a head that says how the body is framed; `is_ended` if the stream was ended with it.
    pub(super) fn new(stream: SendStream<Bytes>, framing: Framing, is_ended: bool) -> Self {
        let state = if is_ended {
            State::Ended
        } else {
            State::Framed(BodyRelay::new(framing, Framing::UntilClose))
        };
        Self {
            stream,
            state,
            queue: BytesMut::new(),
            trailers: None,
        }
    }

    /// After a head that has switched the protocol.
    pub(super) fn tunnel(stream: SendStream<Bytes>) -> Self {
        Self {
            stream,
            state: State::Raw,
            queue: BytesMut::new(),
            trailers: None,
        }
    }

    /// Takes a piece of the body, once the one before has left.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let taken = match &mut self.state {
            State::Framed(relay) => {
                let taken = take(relay, buf, &mut self.queue)?;
                if relay.is_done() {
                    let trailers = relay.trailers();
                    self.trailers = (!trailers.is_empty()).then(|| fields::read_trailers(trailers));
                    self.state = State::Whole;
                }
                taken
            }
            State::Raw => {
                let piece = buf.get(..PIECE.min(buf.len())).unwrap_or_default();
                self.queue.extend_from_slice(piece);
                piece.len()
            }
            State::Whole | State::Ended => {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        };
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What waits in the queue is flushed before more is taken.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    /// Hands over to the connection what it takes, and ends the stream behind a whole body.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            let room = match self.stream.capacity() {
                0 => ready!(self.poll_capacity(cx))?,
                room => room,
            };
            let piece = self.queue.split_to(room.min(self.queue.len())).freeze();
            let is_last = self.queue.is_empty() && self.is_whole() && self.trailers.is_none();
            self.stream.send_data(piece, is_last).map_err(broken)?;
            if is_last {
                self.state = State::Ended;
            }
        }
        if self.is_whole() {
            self.state = State::Ended;
            let sent = match self.trailers.take() {
                Some(trailers) => self.stream.send_trailers(trailers),
                None => self.stream.send_data(Bytes::new(), true),
            };
            sent.map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends a stream of another protocol.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.state, State::Raw) {
            self.state = State::Whole;
        }
        self.poll_flush(cx)
    }

    /// Ready once the peer has reset the stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(drop)
    }

    /// Resets a stream whose message is not whole: it must not look ended.
    pub(super) fn break_off(&mut self, reason: Reason) {
        if !matches!(self.state, State::Ended) {
            self.state = State::Ended;
            self.stream.send_reset(reason);
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.reserve_capacity(self.queue.len());
        match self.stream.capacity() {
            0 => {}
            room => return Poll::Ready(Ok(room)),
        }
        match ready!(self.stream.poll_capacity(cx)) {
            Some(Ok(room)) => Poll::Ready(Ok(room)),
            Some(Err(error)) => Poll::Ready(Err(broken(error))),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

/// Writes what came in one piece with a head that has just been sent; how much of it was taken.
pub(super) fn write_behind_head(
    outbox: &mut Option<Outbox>,
    cx: &mut Context<'_>,
    rest: &[u8],
) -> io::Result<usize> {
    match outbox {
        Some(outbox) if !rest.is_empty() => match outbox.poll_write(cx, rest) {
            Poll::Ready(taken) => taken,
            // The head was taken; the rest is written again.
            Poll::Pending => Ok(0),
        },
        Some(_) | None => Ok(0),
    }
}

/// Moves the payload at the start of `buf` into the queue; how much of `buf` that deals with.
fn take(relay: &mut BodyRelay, buf: &[u8], queue: &mut BytesMut) -> io::Result<usize> {
    let mut at = 0;
    let mut nothing = Vec::new();
    while at < buf.len() && !relay.is_done() && queue.len() < PIECE {
        let rest = buf.get(at..buf.len().min(at + PIECE)).unwrap_or_default();
        let step = relay.step(rest, &mut nothing);
        let step = step.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        queue.extend_from_slice(rest.get(step.forward).unwrap_or_default());
        at += step.consumed;
    }
    Ok(at)
}

/// An error of the stream or of its connection. One that says that the peer has not begun with the
/// request is [`io::ErrorKind::ConnectionRefused`].
pub(super) fn broken(error: h2::Error) -> io::Error {
    let kind = match error.reason() {
        Some(Reason::REFUSED_STREAM) => io::ErrorKind::ConnectionRefused,
        // Of a stream beyond the last one that the peer has begun with (RFC 9113, section 6.8).
        _ if error.is_go_away() && error.is_remote() => io::ErrorKind::ConnectionRefused,
        _ if error.is_io() => io::ErrorKind::ConnectionReset,
        Some(_) | None => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, error)
}
