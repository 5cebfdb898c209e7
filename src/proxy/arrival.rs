//! How a client's connection has come: from whom, and over what.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use super::{
    crowd::Counted, h1, h2, headers::AddressText, listener::Open, wire::Wire, worker::Worker,
};
use crate::{
    net::{self, tls},
    plan,
};

/// How a client's connection has come.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The client's address, or that of the proxy before us.
    pub(crate) peer: IpAddr,
    /// The same as text.
    pub(crate) peer_text: AddressText,
    /// What TLS has told, if it is spoken.
    pub(crate) secure: Option<Rc<Secure>>,
}

/// What the handshake has told about a client.
#[derive(Debug)]
pub(crate) struct Secure {
    /// The subject of the certificate that it has proven to own.
    pub(crate) subject: Option<String>,
}

/// A connection that requests can be read from.
#[derive(Debug)]
struct Ready {
    wire: Wire,
    arrival: Arrival,
    is_h2: bool,
}

/// Serves a connection from its first byte to its end.
pub(crate) async fn serve(worker: Rc<Worker>, open: Open, stream: net::Stream, peer: IpAddr) {
    let settings = open.listener().settings();
    let Ok(_counted) = count(&worker, &open, &settings, peer) else {
        return;
    };
    if settings.tls.is_none() {
        drop(settings);
        let arrival = Arrival::plain(peer);
        return h1::downstream::serve(worker, open, Wire::Tcp(stream), arrival).await;
    }
    // What only the beginning needs is let go with it.
    let Some(ready) = Box::pin(begin(&worker, &open, &settings, stream, peer)).await else {
        return;
    };
    drop(settings);
    let Ready {
        wire,
        arrival,
        is_h2,
    } = ready;
    if is_h2 {
        Box::pin(h2::downstream::serve(
            worker,
            open,
            (wire, Vec::new()),
            arrival,
        ))
        .await;
    } else {
        h1::downstream::serve(worker, open, wire, arrival).await;
    }
}

/// Counts a client's connection, if there is a limit for each; an error: it has too many.
fn count(
    worker: &Worker,
    open: &Open,
    settings: &plan::Listener,
    client: IpAddr,
) -> Result<Option<Counted>, TooMany> {
    let Some(max) = settings.limits.max_connections_per_ip else {
        return Ok(None);
    };
    let counted = worker.crowd.enter(&settings.name, client, max);
    if counted.is_none() {
        open.listener().refuse();
        open.listener().cut_off("connections_of_one_client");
    }
    counted.map(Some).ok_or(TooMany)
}

/// A client has as many connections as it may.
#[derive(Debug)]
struct TooMany;

/// All that comes before the first request.
async fn begin(
    worker: &Rc<Worker>,
    open: &Open,
    settings: &plan::Listener,
    stream: net::Stream,
    peer: IpAddr,
) -> Option<Ready> {
    let mut arrival = Arrival::plain(peer);
    let Some(tls) = &settings.tls else {
        return Some(Ready {
            wire: Wire::Tcp(stream),
            arrival,
            is_h2: false,
        });
    };
    let slot = worker.wheel.slot();
    slot.arm(settings.timeouts.tls_handshake);
    let shaking = tls::Stream::accept(stream, Arc::clone(&tls.config));
    let stream = match slot.guard(shaking).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => {
            open.listener().cut_off("tls_handshake");
            return None;
        }
        Err(_expired) => {
            open.listener().cut_off("tls_handshake_timeout");
            return None;
        }
    };
    arrival.secure = Some(Rc::new(Secure {
        subject: stream.peer_subject(),
    }));
    Some(Ready {
        is_h2: stream.is_h2(),
        wire: Wire::Tls(Box::new(stream)),
        arrival,
    })
}

impl Arrival {
    /// Over a plain socket.
    pub(crate) fn plain(peer: IpAddr) -> Self {
        Self {
            peer,
            peer_text: AddressText::new(peer),
            secure: None,
        }
    }

    /// Who the client has proven to be, if it has.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.secure.as_ref()?.subject.as_deref()
    }

    /// `http` or `https`.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.secure.is_some() {
            "https"
        } else {
            "http"
        }
    }
}
