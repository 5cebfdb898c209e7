//! After a switch to WebSocket: bytes both ways until either side ends or falls silent, or until
//! the version that serves it gets no traffic any more.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::AsyncWrite;

use super::{
    breaker::{Counted, Seat},
    buffer::Buffers,
    h1::{downstream::Client, poll_read_piece},
    streams::LongLived,
    timer::Slot,
    websocket::{CLOSE_RESTART, Frames},
    wire::{Reader, Wire, Writer},
};

/// What goes on after the switch.
#[derive(Debug)]
pub(crate) struct Tunnelled {
    /// The endpoint's connection.
    pub(crate) upstream: Wire,
    /// What the connection has of its upstream's.
    pub(crate) holds: (Option<Counted>, Option<Seat>),
    /// Where the endpoint stands among its frames: some may have come with the switch.
    pub(crate) frames: Frames,
    /// The stream as the version's.
    pub(crate) long: LongLived,
}

/// Relays until one side has ended and the other took all of it, nothing came for `stream_idle`,
/// or the stream was told to end.
pub(crate) async fn relay(client: &mut Client, tunnelled: Tunnelled) {
    let Tunnelled {
        mut upstream,
        holds: _holds,
        frames,
        long,
    } = tunnelled;
    let Client {
        stream,
        slot,
        worker,
        settings,
        ..
    } = client;
    let limit = settings.timeouts.stream_idle;
    let (from_client, to_client) = stream.split();
    let (from_upstream, to_upstream) = upstream.split();
    let mut tunnel = Tunnel {
        buffers: &worker.buffers,
        idle: (slot, limit),
        up: Flow::new(from_client, to_upstream),
        down: Flow {
            frames,
            ..Flow::new(from_upstream, to_client)
        },
        end: End::Open,
    };
    slot.arm(limit);
    // How it ends is the business of the two ends; the record was made at the switch.
    let _ended = poll_fn(|cx| tunnel.poll(&long, cx)).await;
}

/// How far the end has come that the proxy brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// The client is told as soon as a frame may follow.
    Wanted,
    /// The client was told: what it still says goes on, what the endpoint says stays behind.
    Said,
}

#[derive(Debug)]
struct Tunnel<'a> {
    buffers: &'a Buffers,
    idle: (&'a Slot, Duration),
    up: Flow<'a>,
    down: Flow<'a>,
    end: End,
}

/// One direction.
#[derive(Debug)]
struct Flow<'a> {
    reader: Reader<'a>,
    writer: Writer<'a>,
    frames: Frames,
    buffer: Vec<u8>,
    at: usize,
    is_muted: bool,
    is_over: bool,
    /// Nobody takes what goes this way any more. The other way goes on: what was said before the
    /// end is still to arrive.
    is_refused: bool,
}

impl Tunnel<'_> {
    fn poll(&mut self, long: &LongLived, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if long.poll_end(cx).is_ready() {
            if self.end != End::Open {
                return self.give_up(cx);
            }
            self.end = End::Wanted;
            long.is_ending();
        }
        let up = self.up.poll(self.buffers, self.idle, cx)?;
        let down = self.down.poll(self.buffers, self.idle, cx)?;
        if self.end == End::Wanted && self.down.close() {
            self.end = End::Said;
            long.is_closing();
            let _said = self.down.poll(self.buffers, self.idle, cx)?;
        }
        if self.end == End::Said && (up.is_ready() || down.is_ready()) {
            return self.give_up(cx);
        }
        if up.is_ready() && down.is_ready() {
            return Poll::Ready(Ok(()));
        }
        // Armed for the end once more: it may have come meanwhile.
        if long.poll_end(cx).is_ready() && self.end != End::Open {
            return self.give_up(cx);
        }
        self.idle.0.poll_expired(cx).map(|_expired| Ok(()))
    }

    /// Waits for nothing more. A client that was told has all there is: its stream ends properly.
    fn give_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == End::Said && self.down.is_written() {
            let _ended = Pin::new(&mut self.down.writer).poll_shutdown(cx)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<'a> Flow<'a> {
    fn new(reader: Reader<'a>, writer: Writer<'a>) -> Self {
        Self {
            reader,
            writer,
            frames: Frames::default(),
            buffer: Vec::new(),
            at: 0,
            is_muted: false,
            is_over: false,
            is_refused: false,
        }
    }

    /// Moves what there is to move; ready once the end has been passed on.
    fn poll(
        &mut self,
        buffers: &Buffers,
        (slot, limit): (&Slot, Duration),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.is_refused {
                return Poll::Ready(Ok(()));
            }
            if self.is_over {
                // Who has gone already need not be told.
                let _told = ready!(Pin::new(&mut self.writer).poll_shutdown(cx));
                return Poll::Ready(Ok(()));
            }
            while self.at < self.buffer.len() {
                let rest = self.buffer.get(self.at..).unwrap_or_default();
                let wrote = ready!(Pin::new(&mut self.writer).poll_write(cx, rest));
                let Ok(count @ 1..) = wrote else {
                    self.is_refused = true;
                    return Poll::Ready(Ok(()));
                };
                slot.arm(limit);
                self.at += count;
            }
            let _sent = Pin::new(&mut self.writer).poll_flush(cx)?;
            buffers.give(std::mem::take(&mut self.buffer));
            self.at = 0;
            let read = ready!(poll_read_piece(&mut self.reader, buffers, cx))?;
            slot.arm(limit);
            if read.is_empty() {
                self.is_over = true;
            } else if !self.is_muted {
                self.frames.feed(&read);
                self.buffer = read;
            }
        }
    }

    /// Whether nothing is held any more.
    fn is_written(&self) -> bool {
        self.at == self.buffer.len()
    }

    /// Says that the service restarts, if a frame may follow here; nothing follows that.
    fn close(&mut self) -> bool {
        let can = !self.is_over && self.frames.is_between() && self.buffer.is_empty();
        if can {
            self.buffer.extend_from_slice(CLOSE_RESTART);
            self.is_muted = true;
        }
        can
    }
}
