//! A listener as others see it.

use super::{plain, split::some};
use crate::{
    config::{
        Certificate, Cidr, ClientAuth, Clients, Limits, Listener, ListenerTimeouts, ListenerTls,
        ProxyMode, ProxyProtocol,
        leaf::{SecretFile, Window},
        schema::{
            CertificateBlock, LimitsBlock, ListenerBlock, MinRate, Protocol, ProxyProtocolForm,
            TlsBlock,
        },
        walk::Placed,
    },
    model::number::length,
};

pub(super) fn listener(block: &ListenerBlock) -> Option<Listener> {
    let timeouts = &block.timeouts.as_ref()?.value;
    let protocols = block.protocols.as_ref();
    let speaks =
        |protocol| protocols.is_none_or(|list| list.value.iter().any(|at| at.value == protocol));
    let tls = some(block.tls.as_ref(), tls)?;
    // Each kind of HTTP/2 means something in its place only.
    let h2 = tls.is_some() && speaks(Protocol::H2);
    let h2c = tls.is_none() && speaks(Protocol::H2c);
    let trusted_proxies = networks(&block.trusted_proxies.as_ref()?.value);
    Some(Listener {
        name: plain(block.name.as_ref())?,
        address: plain(block.address.as_ref())?,
        h1: speaks(Protocol::H1),
        h2,
        h2c,
        grpc: (h2 || h2c) && speaks(Protocol::Grpc),
        websocket: speaks(Protocol::Websocket),
        tls,
        proxy_protocol: proxy_protocol(block, &trusted_proxies)?,
        timeouts: ListenerTimeouts {
            request_header: plain(timeouts.request_header.as_ref())?,
            tls_handshake: plain(timeouts.tls_handshake.as_ref())?,
            body_idle: plain(timeouts.body_idle.as_ref())?,
            idle: plain(timeouts.idle.as_ref())?,
            stream_idle: plain(timeouts.stream_idle.as_ref())?,
        },
        limits: limits(&block.limits.as_ref()?.value)?,
        trusted_proxies,
    })
}

fn networks(list: &[Placed<Cidr>]) -> Vec<Cidr> {
    list.iter().map(|at| at.value).collect()
}

fn tls(block: &TlsBlock) -> Option<ListenerTls> {
    let certificates = &block.certificates.as_ref()?.value;
    let ca = path(block.client_ca.as_ref());
    let auth = plain(block.client_auth.as_ref()).unwrap_or(ClientAuth::Required);
    Some(ListenerTls {
        certificates: certificates
            .iter()
            .map(|at| certificate(&at.value))
            .collect::<Option<_>>()?,
        clients: ca.map(|ca| Clients { ca, auth }),
        unknown_sni: plain(block.unknown_sni.as_ref())?,
    })
}

fn certificate(block: &CertificateBlock) -> Option<Certificate> {
    Some(Certificate {
        cert: path(block.cert.as_ref())?,
        key: path(block.key.as_ref())?,
        ocsp: path(block.ocsp.as_ref()),
    })
}

/// The path of a file that a key names.
pub(super) fn path(at: Option<&Placed<SecretFile>>) -> Option<std::path::PathBuf> {
    at.map(|at| at.value.0.clone())
}

fn proxy_protocol(block: &ListenerBlock, trusted: &[Cidr]) -> Option<ProxyProtocol> {
    let (mode, from) = match &block.proxy_protocol.as_ref()?.value {
        ProxyProtocolForm::Mode(mode) => (*mode, None),
        ProxyProtocolForm::Block(block) => (plain(block.mode.as_ref())?, block.from.as_ref()),
    };
    let from = match (mode, from) {
        (ProxyMode::Disabled, _) => Vec::new(),
        (_, Some(from)) => networks(&from.value),
        (_, None) => trusted.to_vec(),
    };
    Some(ProxyProtocol { mode, from })
}

fn limits(block: &LimitsBlock) -> Option<Limits> {
    let per_ip = block.max_connections_per_ip.as_ref();
    let MinRate(min_rate) = plain(block.min_rate.as_ref())?;
    let Window(stream_window) = plain(block.stream_window.as_ref())?;
    let Window(connection_window) = plain(block.connection_window.as_ref())?;
    let many = |n: u64| u32::try_from(n).ok();
    Some(Limits {
        max_connections: many(block.max_connections.as_ref()?.value.0)?,
        max_connections_per_ip: per_ip.and_then(|at| many(at.value.0)),
        max_headers: length(block.max_headers.as_ref()?.value.0),
        max_header_fields: length(block.max_header_fields.as_ref()?.value.0),
        max_header_line: length(block.max_header_line.as_ref()?.value.0),
        max_target: length(block.max_target.as_ref()?.value.0),
        max_body: block.max_body.as_ref().map(|at| at.value.0),
        min_rate,
        max_streams_per_connection: many(block.max_streams_per_connection.as_ref()?.value.0)?,
        max_header_list: length(block.max_header_list.as_ref()?.value.0),
        max_resets: many(block.max_resets.as_ref()?.value.0)?,
        max_control_frames: many(block.max_control_frames.as_ref()?.value.0)?,
        max_continuation_frames: many(block.max_continuation_frames.as_ref()?.value.0)?,
        stream_window,
        connection_window,
    })
}
