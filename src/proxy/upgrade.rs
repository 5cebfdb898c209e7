//! After `101 Switching Protocols`: bytes both ways until either side ends or falls silent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::{h1::downstream::Client, timer::Slot, wire::Wire};

/// Relays until one side has ended and the other took all of it, or nothing came for
/// `stream_idle`.
pub(crate) async fn relay(client: &mut Client, mut upstream: Wire) {
    let limit = client.settings.timeouts.stream_idle;
    let Client { stream, slot, .. } = client;
    slot.arm(limit);
    let mut watched = Watched {
        stream,
        slot,
        limit,
    };
    let copying = copy_bidirectional(&mut watched, &mut upstream);
    // How it ends is the business of the two ends; the record was made at the 101.
    let _ended = slot.guard(copying).await;
}

/// A stream whose every byte proves that the tunnel is alive.
#[derive(Debug)]
struct Watched<'a> {
    stream: &'a mut Wire,
    slot: &'a Slot,
    limit: std::time::Duration,
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut *self.stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.slot.arm(self.limit);
        }
        polled
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.stream).poll_write(cx, buf);
        if polled.is_ready() {
            self.slot.arm(self.limit);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
