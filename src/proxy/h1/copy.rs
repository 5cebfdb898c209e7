//! A copy of a request goes to an endpoint; what it answers is read and thrown away.

use std::io;

use super::{Asked, BodyRelay, Framing, HeadLimits, Parsed, ResponseHead, io as pieces, io::Size};
use crate::proxy::{
    buffer::Buffers,
    wire::{Reader, Wire},
};

/// What is read of an answer's body: more warms nothing, and a stream of events has no end.
const BODY_MAX: u64 = 1 << 20;

/// Sends a request without a body and reads the answer; its status.
pub(crate) async fn exchange(
    wire: &mut Wire,
    (head, is_head): (&[u8], bool),
    buffers: &Buffers,
) -> io::Result<u16> {
    let (mut reader, mut writer) = wire.split();
    pieces::write(&mut writer, head, b"").await?;
    let mut buffer = pieces::read(&mut reader, buffers, Size::Usual).await?;
    let status = answer(&mut reader, is_head, &mut buffer).await;
    buffers.give(buffer);
    status
}

/// Reads an answer that begins with what the buffer holds.
async fn answer(reader: &mut Reader<'_>, is_head: bool, buffer: &mut Vec<u8>) -> io::Result<u16> {
    let asked = Asked {
        head: is_head,
        websocket: false,
    };
    let mut response = ResponseHead::new();
    let len = loop {
        let parsed = response.parse(buffer, &HeadLimits::RESPONSE, asked);
        match parsed.map_err(|_malformed| io::ErrorKind::InvalidData)? {
            Parsed::Complete(len) if response.is_interim() => {
                buffer.drain(..len);
                response.clear();
                if !buffer.is_empty() {
                    continue;
                }
            }
            Parsed::Complete(len) => break len,
            Parsed::Partial => {}
        }
        if pieces::read_more(reader, buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    buffer.drain(..len);
    let said = response.framing();
    let framing = if reader.tells_end() && !said.is_empty() {
        Framing::UntilClose
    } else {
        said
    };
    body(reader, BodyRelay::new(framing, Framing::UntilClose), buffer).await?;
    Ok(response.status())
}

/// Reads a body that begins with what the buffer holds.
async fn body(
    reader: &mut Reader<'_>,
    mut relay: BodyRelay,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let mut nothing = Vec::new();
    loop {
        let mut at = 0;
        while at < buffer.len() && !relay.is_done() {
            let rest = buffer.get(at..).unwrap_or_default();
            let step = relay.step(rest, &mut nothing).map_err(io::Error::other)?;
            nothing.clear();
            at += step.consumed;
        }
        buffer.clear();
        if relay.is_done() || relay.received() >= BODY_MAX {
            return Ok(());
        }
        if pieces::read_more(reader, buffer).await? == 0 {
            return relay.end(b"", &mut nothing).map_err(io::Error::other);
        }
    }
}
