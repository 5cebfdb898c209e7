//! Connections to endpoints: TCP, TLS over it, and what is spoken on them.

use std::{io, sync::Arc};

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;

use super::{
    fault::FaultKind,
    h1::downstream::Client,
    h2,
    pool::{Lent, Place},
    proxy_protocol,
    wire::Wire,
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
        client.slot.guard(dial(client, upstream, target)).await
    } else {
        let opening = open_stream(client, upstream, (target, place), is_fresh);
        client.slot.guard(Box::pin(opening)).await
    };
    client.slot.disarm();
    made.unwrap_or(Err(FaultKind::ConnectTimeout))
}

/// A new connection.
async fn dial(client: &Client, upstream: &Upstream, target: &Target) -> Result<Lent, FaultKind> {
    let stream = net::connect(target.address).await;
    let mut stream = stream.map_err(|_| FaultKind::ConnectRefused)?;
    if let Some(version) = upstream.proxy_protocol {
        let told = introduce(client, version, &mut stream).await;
        told.map_err(|_| FaultKind::ConnectRefused)?;
    }
    let stream = match &upstream.tls {
        None => Wire::Tcp(stream),
        Some(tls) => Box::pin(secure(stream, tls, upstream, target)).await?,
    };
    Ok(Lent {
        stream,
        is_reused: false,
        made: client.worker.now(),
        counted: None,
        seat: None,
    })
}

/// Tells the endpoint who the client is.
async fn introduce(
    client: &Client,
    version: ProxyVersion,
    stream: &mut net::Stream,
) -> io::Result<()> {
    let ends = match &client.arrival.ends {
        Some(ends) => **ends,
        None => client.stream.ends()?,
    };
    let mut header = Vec::new();
    match version {
        ProxyVersion::V1 => proxy_protocol::write_v1(ends, &mut header),
        ProxyVersion::V2 => proxy_protocol::write_v2(ends, &mut header),
    }
    stream.write_all(&header).await
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
    let lent = dial(client, upstream, target).await?;
    let scheme = if upstream.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let opened = h2::upstream::Connection::open(lent.stream, scheme, worker).await;
    let connection = opened.map_err(|_: io::Error| FaultKind::ConnectRefused)?;
    let stream = Wire::ToEndpoint(Box::new(connection.stream()));
    if is_shared {
        let mut pool = worker.pool.borrow_mut();
        pool.share(place, connection, lent.made);
    }
    Ok(Lent { stream, ..lent })
}
