//! Takes the answer from the endpoint while the client is slow: up to a limit the endpoint is done
//! with it long before the client has it.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio_util::io::poll_read_buf;

use super::Download;
use crate::proxy::{buffer::PIECE, fault::FaultKind, hoard::Hoard, wire::Reader, worker::Worker};

/// What was read of an answer that the client has not taken.
#[derive(Debug)]
pub(in crate::proxy::h1) struct Ahead {
    /// How much may be.
    max: usize,
    hoard: Option<Hoard>,
    /// How the endpoint's side has ended: well, or broken off.
    end: Option<bool>,
    /// How much of the body was still to come when the client began to be slow, if that is known.
    left: Option<usize>,
}

impl Ahead {
    /// Nothing yet, and at most `max` bytes.
    pub(in crate::proxy::h1) const fn new(max: usize) -> Self {
        Self {
            max,
            hoard: None,
            end: None,
            left: None,
        }
    }

    /// So much of the body is still to come.
    pub(super) const fn expects(&mut self, left: Option<usize>) {
        self.left = left;
    }

    /// Whether anything was ever read ahead; it may hold more than this answer.
    pub(super) const fn was_used(&self) -> bool {
        self.hoard.is_some()
    }

    /// What was read ahead: a piece, or empty at the end; `None`: nothing was, read on.
    pub(super) fn take(&mut self) -> Option<Result<Vec<u8>, FaultKind>> {
        let hoard = self.hoard.as_mut()?;
        if hoard.len() > 0 {
            return Some(Ok(hoard.take()));
        }
        let has_ended_well = self.end?;
        Some(if has_ended_well {
            Ok(Vec::new())
        } else {
            Err(FaultKind::Truncated)
        })
    }

    fn len(&self) -> usize {
        self.hoard.as_ref().map_or(0, Hoard::len)
    }

    /// Whether the endpoint has given all of the answer.
    fn is_over(&self) -> bool {
        self.end.is_some() || self.left.is_some_and(|left| self.len() >= left)
    }

    /// Reads what is there, until so much is held; whether anything came.
    fn fill(
        &mut self,
        (worker, reader): (&Rc<Worker>, &mut Reader<'_>),
        limit: usize,
        cx: &mut Context<'_>,
    ) -> bool {
        let hoard = self.hoard.get_or_insert_with(|| Hoard::new(worker));
        let before = hoard.len();
        while self.end.is_none() && hoard.len() < limit {
            let bytes = hoard.bytes();
            bytes.reserve(PIECE);
            match poll_read_buf(Pin::new(&mut *reader), cx, bytes) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.end = Some(true),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => self.end = Some(false),
            }
        }
        hoard.tell();
        hoard.len() > before
    }
}

impl Download<'_, '_, '_> {
    /// While the client takes nothing: reads on, as far as the limit allows beside what is held for
    /// the client already. Answers whether the endpoint waits for nobody.
    pub(super) fn read_ahead(&mut self, held: usize, cx: &mut Context<'_>) -> bool {
        if self.ahead.max == 0 || self.progress.status.get() == 0 {
            return false;
        }
        let limit = self.ahead.max.saturating_sub(held);
        let from = (self.worker, &mut self.reader);
        if self.ahead.fill(from, limit, cx) {
            self.guard.last_byte = Some(self.worker.now());
        }
        let is_over = self.ahead.is_over();
        if is_over {
            self.guard.leave();
        }
        is_over || self.ahead.len() < limit
    }
}
