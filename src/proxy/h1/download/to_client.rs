//! What goes to the client, no faster than it takes it, and what is held meanwhile.

use std::{future::poll_fn, ops::Range, task::Poll};

use super::Download;
use crate::{
    model::number::{length, long},
    proxy::{
        buffer::PIECE,
        fault::FaultKind,
        h1::{
            BodyRelay,
            io::Left,
            upstream::{COALESCED, Stage},
        },
    },
};

impl Download<'_, '_, '_> {
    /// Relays what belongs to the body of one piece that was read, `pending` first; answers where
    /// in it the body ends or the piece does.
    pub(super) async fn piece(
        &mut self,
        buffer: &mut Vec<u8>,
        mut at: usize,
        (relay, pending): (&mut BodyRelay, &mut Vec<u8>),
    ) -> Result<usize, FaultKind> {
        while at < buffer.len() && !relay.is_done() {
            let rest = buffer.get(at..).unwrap_or_default();
            let step = relay
                .step(rest, pending)
                .map_err(|error| FaultKind::BadResponse(error.as_str()))?;
            let forward = at + step.forward.start..at + step.forward.end;
            at += step.consumed;
            self.ahead.expects(relay.remaining().map(length));
            let bytes = buffer.get(forward.clone()).unwrap_or_default();
            if bytes.len() <= COALESCED {
                pending.extend_from_slice(bytes);
            } else {
                at = self.long_piece(pending, buffer, (forward, at)).await?;
                pending.clear();
            }
            pending.extend_from_slice(step.suffix);
        }
        self.flush(pending).await?;
        Ok(at)
    }

    /// Writes `pending` and a part of the buffer; answers where the buffer goes on. If the client
    /// takes no more for now, what is left moves to where it takes no more room than it needs.
    async fn long_piece(
        &mut self,
        pending: &[u8],
        buffer: &mut Vec<u8>,
        (forward, at): (Range<usize>, usize),
    ) -> Result<usize, FaultKind> {
        let bytes = buffer.get(forward.clone()).unwrap_or_default();
        let mut left = Left {
            first: pending,
            second: bytes,
        };
        self.begin(left.len());
        let once = poll_fn(|cx| Poll::Ready(left.poll_write(&mut self.writer, cx)));
        match once.await {
            Poll::Ready(wrote) => {
                wrote.map_err(|_| FaultKind::ClientGone)?;
                return Ok(at);
            }
            Poll::Pending if buffer.capacity() <= PIECE => {
                self.finish(left).await?;
                return Ok(at);
            }
            Poll::Pending => {}
        }
        let (unsent, held) = (left.first.len(), left.second.len());
        let first = pending.get(pending.len().saturating_sub(unsent)..);
        let first = first.unwrap_or_default();
        let mut small = Vec::with_capacity(held + buffer.len().saturating_sub(at));
        small.extend_from_slice(left.second);
        small.extend_from_slice(buffer.get(at..).unwrap_or_default());
        self.worker.buffers.give(std::mem::replace(buffer, small));
        let second = buffer.get(..held).unwrap_or_default();
        self.finish(Left { first, second }).await?;
        Ok(held)
    }

    pub(super) async fn flush(&mut self, pending: &mut Vec<u8>) -> Result<(), FaultKind> {
        if !pending.is_empty() {
            self.answer(pending).await?;
            pending.clear();
        }
        Ok(())
    }

    /// Writes to the client: from here on nothing else can be answered.
    pub(super) async fn answer(&mut self, bytes: &[u8]) -> Result<(), FaultKind> {
        self.begin(bytes.len());
        self.finish(Left {
            first: bytes,
            second: b"",
        })
        .await
    }

    /// So many bytes of the answer are about to be written.
    fn begin(&mut self, count: usize) {
        self.progress.is_answered.set(true);
        self.bytes_out += long(count);
        self.appetite.took(count);
    }

    /// Writes to the client; the time that it makes us wait is not the version's.
    pub(super) async fn finish(&mut self, mut left: Left<'_>) -> Result<(), FaultKind> {
        let (mut waits, mut is_free) = (None, false);
        poll_fn(|cx| {
            let polled = left.poll_write(&mut self.writer, cx);
            if let Some((since, before)) = waits {
                let waited = self.worker.now().since(since);
                // An endpoint that waits for nobody is measured by its own time.
                if !is_free {
                    self.guard.client_time += waited;
                }
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
                is_free = self.read_ahead(left.len(), cx);
            }
            polled.map_err(|_| FaultKind::ClientGone)
        })
        .await
    }
}
