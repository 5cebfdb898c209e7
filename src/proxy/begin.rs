//! What comes before a connection's first request: who the client is, told by the proxy before us,
//! and the TLS handshake.

use std::{io, net::IpAddr, rc::Rc, sync::Arc};

use tokio::io::AsyncReadExt as _;

use super::{
    arrival::{Arrival, Secure},
    h1, h2,
    listener::Open,
    proxy_protocol::{self, Ends, Reading},
    timer::Slot,
    wire::Wire,
    worker::Worker,
};
use crate::{
    net::{self, tls},
    plan::{self, ProxyMode},
};

/// More than the longest header of the PROXY protocol.
const HEADER_MAX: usize = 4_200;

/// A connection that requests can be read from.
#[derive(Debug)]
struct Ready {
    wire: Wire,
    arrival: Arrival,
    is_h2: bool,
}

/// Whether anything comes before the first request of a peer.
pub(crate) fn is_needed(settings: &plan::Listener, peer: IpAddr) -> bool {
    settings.tls.is_some() || reads_header(settings, peer)
}

/// Serves a connection from its first byte to its end.
pub(crate) async fn serve(worker: Rc<Worker>, mut open: Open, stream: net::Stream, peer: IpAddr) {
    let settings = open.listener().settings();
    // What only the beginning needs is let go with it.
    let beginning = Box::pin(begin(&worker, &mut open, &settings, (stream, peer)));
    let ready = match beginning.await {
        Ok(ready) => ready,
        Err(cause) => return worker.reject(cause),
    };
    drop(settings);
    let Ready {
        wire,
        arrival,
        is_h2,
    } = ready;
    if is_h2 {
        let serving = h2::downstream::serve(worker, open, (wire, Vec::new()), arrival);
        Box::pin(serving).await;
    } else {
        h1::downstream::serve(worker, open, wire, arrival).await;
    }
}

/// Whether a peer tells who it speaks for, or is not served because it may not.
fn reads_header(settings: &plan::Listener, peer: IpAddr) -> bool {
    match settings.proxy_protocol.mode {
        ProxyMode::Disabled => false,
        ProxyMode::Accept => is_believed(settings, peer),
        ProxyMode::Require => true,
    }
}

/// Whether a peer's header is believed.
pub(crate) fn is_believed(settings: &plan::Listener, peer: IpAddr) -> bool {
    let mut from = settings.proxy_protocol.from.iter();
    settings.proxy_protocol.mode != ProxyMode::Disabled && from.any(|it| it.contains(peer))
}

/// All that comes before the first request; the error is what is counted.
async fn begin(
    worker: &Rc<Worker>,
    open: &mut Open,
    settings: &plan::Listener,
    (mut stream, peer): (net::Stream, IpAddr),
) -> Result<Ready, &'static str> {
    let slot = worker.wheel.slot();
    slot.arm(settings.timeouts.tls_handshake);
    let mut arrival = Arrival::of(peer);
    if reads_header(settings, peer) {
        if !is_believed(settings, peer) {
            return Err("proxy_protocol");
        }
        if let Some(ends) = header(&mut stream, settings, &slot).await? {
            arrival = Arrival::through(ends);
        }
        if !open.enter(arrival.peer) {
            return Err("address_limit");
        }
    }
    let Some(tls) = &settings.tls else {
        return Ok(Ready {
            wire: Wire::Tcp(stream),
            arrival,
            is_h2: false,
        });
    };
    let shaking = tls::Stream::accept(stream, Arc::clone(&tls.config));
    let shaken = slot.guard(shaking).await;
    open.listener()
        .shook_hands(shaken.as_ref().is_ok_and(Result::is_ok));
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return Err("tls_handshake"),
        Err(_expired) => return Err("tls_handshake_timeout"),
    };
    arrival.secure = Some(Rc::new(Secure {
        asked_name: stream.asked_name(),
        subject: stream.peer_subject(),
    }));
    Ok(Ready {
        is_h2: stream.is_h2(),
        wire: Wire::Tls(Box::new(stream)),
        arrival,
    })
}

/// Reads the header and nothing behind it; `None`: the peer speaks for itself.
async fn header(
    stream: &mut net::Stream,
    settings: &plan::Listener,
    slot: &Slot,
) -> Result<Option<Ends>, &'static str> {
    let reading = read_header(stream, settings.proxy_protocol.mode == ProxyMode::Accept);
    match slot.guard(Box::pin(reading)).await {
        Ok(Ok(ends)) => Ok(ends),
        Ok(Err(_)) => Err("proxy_protocol"),
        Err(_expired) => Err("proxy_protocol_timeout"),
    }
}

async fn read_header(stream: &mut net::Stream, may_be_absent: bool) -> io::Result<Option<Ends>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut known = Vec::new();
    let mut peeked = vec![0; HEADER_MAX];
    loop {
        let room = peeked.get_mut(known.len()..).ok_or_else(invalid)?;
        let count = stream.peek(room).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (before, all) = (known.len(), known.len() + count);
        let seen = peeked.get(..all).unwrap_or_default();
        let (taken, header) = match proxy_protocol::read(seen) {
            Reading::Whole(header, len) => (len.saturating_sub(before), Some(header)),
            // All that was seen belongs to the header, so that waiting for more is not in vain.
            Reading::Partial => (count, None),
            Reading::Absent if may_be_absent && before == 0 => return Ok(None),
            Reading::Absent | Reading::Broken(_) => return Err(invalid()),
        };
        known.resize(before + taken, 0);
        let place = known.get_mut(before..).unwrap_or_default();
        let _count = stream.read_exact(place).await?;
        if let Some(header) = header {
            return Ok(header.ends);
        }
    }
}
