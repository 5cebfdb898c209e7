//! Reads a request's body before any endpoint is asked, so that none waits for a slow client.
//!
//! A body that is longer than the limit is not waited for: as much as was read is sent, and the
//! rest follows as it comes. Nor is a call of gRPC, whose client may wait for an answer.

use super::{
    BodyError,
    downstream::Client,
    io::{self, Size},
    outgoing::{self, Outgoing},
};
use crate::{
    model::number::long,
    proxy::{fault::FaultKind, hoard::Hoard, pace::Pace},
};

/// Leave to send the body, for who asks for it.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Reads up to the end of the body, or until more than `limit` bytes of it are here.
pub(crate) async fn gather(
    client: &mut Client,
    outgoing: &mut Outgoing,
    limit: usize,
) -> Result<(), FaultKind> {
    let came = outgoing.bytes_in();
    let is_long = came.saturating_add(outgoing.remaining().unwrap_or(0)) > long(limit);
    if outgoing.is_complete() || outgoing.reply.is_grpc || is_long {
        return Ok(());
    }
    let gathered = read(client, outgoing, limit).await;
    client.slot.disarm();
    gathered
}

async fn read(client: &mut Client, outgoing: &mut Outgoing, limit: usize) -> Result<(), FaultKind> {
    let Client {
        stream,
        slot,
        worker,
        unread,
        settings,
        ..
    } = client;
    let (mut reader, mut writer) = stream.split();
    let idle = settings.timeouts.body_idle;
    let max_body = settings.limits.max_body.unwrap_or(u64::MAX);
    let mut pace = Pace::new(settings.limits.min_rate);
    let mut hoard = Hoard::new(worker);
    if std::mem::take(&mut outgoing.reply.expects_continue) {
        slot.arm(idle);
        let wrote = slot.guard(io::write(&mut writer, CONTINUE, b"")).await;
        let wrote = wrote.map_err(|_expired| FaultKind::ClientStalled)?;
        wrote.map_err(|_broken| FaultKind::ClientGone)?;
    }
    while !outgoing.is_complete() && outgoing.bytes_in() <= long(limit) {
        let began = worker.now();
        slot.arm(idle);
        let reading = io::read(&mut reader, &worker.buffers, Size::Usual);
        let buffer = slot.guard(reading).await;
        let buffer = buffer.map_err(|_expired| FaultKind::BodyTimeout)?;
        let buffer = buffer.map_err(|_broken| FaultKind::ClientGone)?;
        if pace.is_too_slow(buffer.len(), worker.now().since(began)) {
            return Err(FaultKind::BodyTooSlow);
        }
        if buffer.is_empty() {
            if !reader.tells_end() {
                return Err(outgoing::malformed(BodyError::Truncated));
            }
            outgoing.end(&reader.trailers(), hoard.bytes())?;
            break;
        }
        let taken = outgoing.take(&buffer, hoard.bytes())?;
        hoard.tell();
        if taken < buffer.len() {
            let mut rest = worker.buffers.read();
            rest.extend_from_slice(buffer.get(taken..).unwrap_or_default());
            *unread = Some(rest);
        }
        worker.buffers.give(buffer);
        if outgoing.bytes_in() > max_body {
            return Err(FaultKind::BodyTooLarge);
        }
    }
    hoard.tell();
    outgoing.keep(hoard);
    Ok(())
}
