//! The way of the request: its head, then its body as it comes from the client.

use std::{cell::Cell, rc::Rc};

use super::{
    BodyError, BodyRelay,
    io::{self, Size},
    outgoing::{self, Request},
    upstream::{Progress, Stage, broken},
};
use crate::proxy::{
    fault::FaultKind,
    hoard::Hoard,
    pace::Pace,
    wire::{Reader, Writer},
    worker::Worker,
};

/// The way of the request.
#[derive(Debug)]
pub(super) struct Upload<'a, 'c> {
    pub(super) progress: &'a Progress<'a>,
    pub(super) worker: &'a Rc<Worker>,
    pub(super) unread: &'a mut Option<Vec<u8>>,
    pub(super) reader: Reader<'c>,
    pub(super) pace: Pace,
}

/// Keeps what is sent of a body, in case it must be sent again.
#[derive(Debug)]
struct Keeper<'a> {
    kept: &'a mut Option<Hoard>,
    limit: usize,
    /// Whether all that was read is here.
    is_whole: &'a Cell<bool>,
}

impl Keeper<'_> {
    /// More is going to be read.
    fn begin(&mut self, worker: &Rc<Worker>) {
        if self.limit == 0 {
            self.is_whole.set(false);
        } else if self.is_whole.get() {
            self.kept.get_or_insert_with(|| Hoard::new(worker));
        }
    }

    /// So much is about to be sent. What goes beyond the limit is of no use, nor is the rest then.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(kept) = self.kept.as_mut().filter(|_| self.is_whole.get()) else {
            return;
        };
        if kept.len().saturating_add(bytes.len()) > self.limit {
            self.is_whole.set(false);
            *self.kept = None;
        } else {
            kept.push(bytes);
        }
    }
}

impl<'c> Upload<'_, 'c> {
    /// Sends all of the request. Gives the client's half back if there is nothing on it to read.
    pub(super) async fn run(
        mut self,
        request: Request<'_>,
        mut writer: Writer<'_>,
    ) -> Result<Option<Reader<'c>>, FaultKind> {
        io::write(&mut writer, request.head, request.tail)
            .await
            .map_err(|error| broken(&error))?;
        let (kept, limit) = request.kept;
        if let Some(kept) = kept {
            let wrote = io::write(&mut writer, kept.as_slice(), b"").await;
            wrote.map_err(|error| broken(&error))?;
        }
        let mut keeper = Keeper {
            kept,
            limit,
            is_whole: request.is_untouched,
        };
        let mut size = Size::Usual;
        while !request.relay.is_done() {
            keeper.begin(self.worker);
            self.progress.enter(Stage::Uploading);
            let began = self.worker.now();
            let reading = io::read(&mut self.reader, &self.worker.buffers, size);
            let buffer = reading.await.map_err(|_| FaultKind::ClientGone)?;
            let waited = self.worker.now().since(began);
            if self.pace.is_too_slow(buffer.len(), waited) {
                return Err(FaultKind::BodyTooSlow);
            }
            if buffer.is_empty() {
                self.end(request.relay, &mut keeper, &mut writer).await?;
                break;
            }
            size = Size::after(buffer.len());
            self.progress.enter(Stage::Sending);
            let to = (&mut keeper, &mut writer);
            self.piece(&buffer, request.relay, to).await?;
            self.worker.buffers.give(buffer);
            if request.relay.received() > request.max_body {
                return Err(FaultKind::BodyTooLarge);
            }
        }
        self.progress.is_sent.set(true);
        Ok(self.unread.is_none().then_some(self.reader))
    }

    /// The client sends no more: that is the end of a body whose end is told beside it only.
    async fn end(
        &mut self,
        relay: &mut BodyRelay,
        keeper: &mut Keeper<'_>,
        writer: &mut Writer<'_>,
    ) -> Result<(), FaultKind> {
        if !self.reader.tells_end() {
            return Err(outgoing::malformed(BodyError::Truncated));
        }
        let mut last = Vec::new();
        relay
            .end(&self.reader.trailers(), &mut last)
            .map_err(outgoing::malformed)?;
        keeper.keep(&last);
        self.progress.enter(Stage::Sending);
        io::write(writer, &last, b"")
            .await
            .map_err(|error| broken(&error))
    }

    /// Sends what belongs to the body of one piece that was read, and keeps the rest.
    async fn piece(
        &mut self,
        buffer: &[u8],
        relay: &mut BodyRelay,
        (keeper, writer): (&mut Keeper<'_>, &mut Writer<'_>),
    ) -> Result<(), FaultKind> {
        let mut at = 0;
        let mut rebuilt = Vec::new();
        while at < buffer.len() && !relay.is_done() {
            let rest = buffer.get(at..).unwrap_or_default();
            let step = relay
                .step(rest, &mut rebuilt)
                .map_err(outgoing::malformed)?;
            let forward = rest.get(step.forward).unwrap_or_default();
            keeper.keep(&rebuilt);
            keeper.keep(forward);
            io::write(writer, &rebuilt, forward)
                .await
                .map_err(|error| broken(&error))?;
            rebuilt.clear();
            rebuilt.extend_from_slice(step.suffix);
            at += step.consumed;
        }
        keeper.keep(&rebuilt);
        io::write(writer, &rebuilt, b"")
            .await
            .map_err(|error| broken(&error))?;
        if at < buffer.len() {
            let mut unread = self.worker.buffers.read();
            unread.extend_from_slice(buffer.get(at..).unwrap_or_default());
            *self.unread = Some(unread);
        }
        Ok(())
    }
}
