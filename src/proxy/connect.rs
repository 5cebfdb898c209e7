//! Connections to endpoints: TCP, TLS over it, and what is spoken on them.

use std::{io, rc::Rc, sync::Arc};

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;

use super::{
    fault::FaultKind,
    h1::downstream::Client,
    h2,
    pool::{Lent, Place},
    proxy_protocol,
    wire::Wire,
    worker::Worker,
};
use crate::{
    net::{self, tls},
    plan::{ClientTls, ProxyVersion, Target, Upstream, UpstreamProtocol},
};

/// A connection to an endpoint for one exchange: a new one, or a stream of one that carries many.
pub(super) async fn connect(
    client: &Client,
    upstream: &Upstream,
    (target, place): (&Target, Place),
    is_fresh: bool,
) -> Result<Lent, FaultKind> {
    client.slot.arm(upstream.timeouts.connect);
    let made = if upstream.protocol == UpstreamProtocol::H1 {
        client.slot.guard(dial_for(client, upstream, target)).await
    } else {
        let opening = open_stream(client, upstream, (target, place), is_fresh);
        client.slot.guard(Box::pin(opening)).await
    };
    client.slot.disarm();
    made.unwrap_or(Err(FaultKind::ConnectTimeout))
}

/// A new connection for a client's exchange.
async fn dial_for(
    client: &Client,
    upstream: &Upstream,
    target: &Target,
) -> Result<Lent, FaultKind> {
    let introduction = introduction(client, upstream).map_err(|_| FaultKind::ConnectRefused)?;
    dial(&client.worker, (upstream, target), &introduction).await
}

/// A new connection for one exchange that no client waits for.
pub(super) async fn alone(
    worker: &Rc<Worker>,
    (upstream, target): (&Upstream, &Target),
    introduction: &[u8],
) -> Result<Wire, FaultKind> {
    let lent = dial(worker, (upstream, target), introduction).await?;
    if upstream.protocol == UpstreamProtocol::H1 {
        return Ok(lent.stream);
    }
    let connection = speak_h2(lent.stream, upstream, worker).await?;
    Ok(Wire::ToEndpoint(Box::new(connection.stream())))
}

/// A new connection; it begins with what is told of a client.
async fn dial(
    worker: &Worker,
    (upstream, target): (&Upstream, &Target),
    introduction: &[u8],
) -> Result<Lent, FaultKind> {
    let stream = net::connect(target.address).await;
    let mut stream = stream.map_err(|_| FaultKind::ConnectRefused)?;
    if !introduction.is_empty() {
        let told = stream.write_all(introduction).await;
        told.map_err(|_| FaultKind::ConnectRefused)?;
    }
    let stream = match &upstream.tls {
        None => Wire::Tcp(stream),
        Some(tls) => Box::pin(secure(stream, tls, upstream, target)).await?,
    };
    Ok(Lent {
        stream,
        is_reused: false,
        made: worker.now(),
        counted: None,
        seat: None,
    })
}

/// What tells an endpoint who the client is; empty where it is not told.
pub(super) fn introduction(client: &Client, upstream: &Upstream) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let Some(version) = upstream.proxy_protocol else {
        return Ok(header);
    };
    let ends = match &client.arrival.ends {
        Some(ends) => **ends,
        None => client.stream.ends()?,
    };
    match version {
        ProxyVersion::V1 => proxy_protocol::write_v1(ends, &mut header),
        ProxyVersion::V2 => proxy_protocol::write_v2(ends, &mut header),
    }
    Ok(header)
}

/// Speaks HTTP/2 on a new connection.
async fn speak_h2(
    wire: Wire,
    upstream: &Upstream,
    worker: &Rc<Worker>,
) -> Result<h2::upstream::Connection, FaultKind> {
    let scheme = if upstream.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let opened = h2::upstream::Connection::open(wire, scheme, worker).await;
    opened.map_err(|_: io::Error| FaultKind::ConnectRefused)
}

/// Speaks TLS on a new connection, and what was agreed on in it.
async fn secure(
    stream: net::Stream,
    tls: &ClientTls,
    upstream: &Upstream,
    target: &Target,
) -> Result<Wire, FaultKind> {
    let name = tls.server_name.clone();
    let name = name.unwrap_or_else(|| ServerName::IpAddress(target.address.ip().into()));
    let secured = tls::Stream::connect(stream, Arc::clone(&tls.config), name).await;
    let secured = secured.map_err(|error| {
        tracing::debug!(upstream = %upstream.name, address = %target.address, %error, "no TLS");
        FaultKind::UpstreamTls
    })?;
    if upstream.protocol == UpstreamProtocol::H2 && !secured.is_h2() {
        tracing::debug!(upstream = %upstream.name, address = %target.address, "no HTTP/2");
        return Err(FaultKind::UpstreamTls);
    }
    Ok(Wire::Tls(Box::new(secured)))
}

/// A stream of a connection that carries many; it is made if there is none with room, by one task
/// while the others wait for it.
async fn open_stream(
    client: &Client,
    upstream: &Upstream,
    (target, place): (&Target, Place),
    is_fresh: bool,
) -> Result<Lent, FaultKind> {
    let worker = &client.worker;
    // What was said of one client holds for the whole connection.
    let is_shared = upstream.proxy_protocol.is_none();
    let known = || worker.pool.borrow_mut().open_stream(place, worker.now());
    let maker = worker.pool.borrow().maker(place);
    let maker = maker.ok_or(FaultKind::ConnectRefused)?;
    let mut is_known_stale = is_fresh || !is_shared;
    let _making = loop {
        if !is_known_stale && let Some(lent) = known() {
            return Ok(lent);
        }
        match maker.begin() {
            Some(making) => break making,
            None => maker.rests().await,
        }
        is_known_stale = !is_shared;
    };
    let lent = dial_for(client, upstream, target).await?;
    let connection = speak_h2(lent.stream, upstream, worker).await?;
    let stream = Wire::ToEndpoint(Box::new(connection.stream()));
    if is_shared {
        let mut pool = worker.pool.borrow_mut();
        pool.share(place, connection, lent.made);
    }
    Ok(Lent { stream, ..lent })
}
