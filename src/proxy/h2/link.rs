//! The socket's side of a connection: frames leave together, as many as there are in one turn, and
//! are counted as they pass.
//!
//! The library would write each frame by itself. Here it writes into a buffer that is sent when its
//! turn is over, by whoever drives the connection.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::Watch;
use crate::proxy::{buffer::READ, wire::Wire, worker::Worker};

/// One end of a connection for the library, another for who drives it.
#[derive(Debug, Clone)]
pub(super) struct Link(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    wire: Wire,
    worker: Rc<Worker>,
    watch: Option<Rc<Watch>>,
    /// What was read before, and how much of it was read again.
    first: Vec<u8>,
    read: usize,
    /// What waits to be sent, and how much of it was; without an allocation if nothing does.
    out: Vec<u8>,
    sent: usize,
}

impl Link {
    pub(super) fn new(
        (wire, first): (Wire, Vec<u8>),
        watch: Option<Rc<Watch>>,
        worker: Rc<Worker>,
    ) -> Self {
        Self(Rc::new(RefCell::new(State {
            wire,
            worker,
            watch,
            first,
            read: 0,
            out: Vec::new(),
            sent: 0,
        })))
    }

    /// Sends what the library has written; ready when all of it is on its way.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(cx)
    }
}

impl State {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            let count = ready!(Pin::new(&mut self.wire).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        if self.sent > 0 {
            self.worker.buffers.give(std::mem::take(&mut self.out));
            self.sent = 0;
        }
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let first = self.first.get(self.read..).unwrap_or_default();
        if first.is_empty() {
            return Pin::new(&mut self.wire).poll_read(cx, buf);
        }
        let piece = first
            .get(..buf.remaining().min(first.len()))
            .unwrap_or_default();
        buf.put_slice(piece);
        self.read += piece.len();
        if self.read == self.first.len() {
            (self.first, self.read) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        let before = buf.filled().len();
        let polled = state.poll_fill(cx, buf);
        let news = buf.filled().get(before..).unwrap_or_default();
        if let Some(watch) = state.watch.as_ref().filter(|_| !news.is_empty()) {
            watch.read(news, state.worker.now());
        }
        polled
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.0.borrow_mut();
        if state.out.capacity() == 0 {
            state.out = state.worker.buffers.read();
        }
        if state.out.len() >= READ {
            ready!(state.poll_send(cx))?;
            state.out = state.worker.buffers.read();
        }
        let room = READ.saturating_sub(state.out.len());
        let piece = buf.get(..room.min(buf.len())).unwrap_or_default();
        state.out.extend_from_slice(piece);
        if let Some(watch) = &state.watch {
            watch.wrote(piece, state.worker.now());
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// What was written is sent at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        ready!(state.poll_send(cx))?;
        Pin::new(&mut state.wire).poll_shutdown(cx)
    }
}
