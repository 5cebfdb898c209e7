//! An upstream as others see it.

use super::{
    aws, balance, breaker, health, listener::path, marathon::marathon, plain, split::some, warm_up,
};
use crate::{
    config::{
        Buffer, Certificate, Source, Upstream, UpstreamProtocol, UpstreamTimeouts, UpstreamTls,
        Verify,
        leaf::Bytes,
        schema::{BufferBlock, DnsForm, DomainName, ProxyHeader, UpstreamBlock, UpstreamTlsBlock},
        walk::Placed,
    },
    model::{UpstreamName, number::length},
};

pub(super) fn upstream(name: &UpstreamName, block: &UpstreamBlock) -> Option<Upstream> {
    let timeouts = &block.timeouts.as_ref()?.value;
    let source = source(block)?;
    let protocol = plain(block.protocol.as_ref())?;
    let ProxyHeader(proxy_protocol) = plain(block.proxy_protocol.as_ref())?;
    Some(Upstream {
        name: name.clone(),
        protocol,
        tls: tls(block, protocol, &source)?,
        proxy_protocol,
        source,
        timeouts: UpstreamTimeouts {
            connect: plain(timeouts.connect.as_ref())?,
            response_header: plain(timeouts.response_header.as_ref())?,
            body_idle: plain(timeouts.body_idle.as_ref())?,
            idle: plain(timeouts.idle.as_ref())?,
        },
        max_idle_connections: length(block.max_idle_connections.as_ref()?.value.0),
        buffer: block
            .buffer
            .as_ref()
            .map(|at| buffer(&at.value))
            .unwrap_or_default(),
        health_check: some(block.health_check.as_ref(), health::health_check)?,
        balance: balance::balance(&block.balance.as_ref()?.value)?,
        outlier_detection: balance::outlier_detection(&block.outlier_detection.as_ref()?.value)?,
        circuit_breaker: some(block.circuit_breaker.as_ref(), breaker::circuit_breaker)?,
        warm_up: some(block.warm_up.as_ref(), warm_up::warm_up)?,
    })
}

fn buffer(block: &BufferBlock) -> Buffer {
    let bytes = |at: Option<&Placed<Bytes>>| at.map_or(0, |at| length(at.value.0));
    Buffer {
        request: bytes(block.request.as_ref()),
        response: bytes(block.response.as_ref()),
    }
}

/// The outer `None`: it could not be read; the inner one: plain text.
#[expect(
    clippy::option_option,
    reason = "the two say different things, one line apart"
)]
fn tls(
    block: &UpstreamBlock,
    protocol: UpstreamProtocol,
    source: &Source,
) -> Option<Option<UpstreamTls>> {
    let written = some(block.tls.as_ref(), |block| written_tls(block, source))?;
    let is_implied = protocol == UpstreamProtocol::H2;
    Some(written.or_else(|| {
        is_implied.then(|| UpstreamTls {
            ca: None,
            server_name: name_of(source),
            certificate: None,
            verify: Verify::Full,
        })
    }))
}

fn written_tls(block: &UpstreamTlsBlock, source: &Source) -> Option<UpstreamTls> {
    let server_name = plain(block.server_name.as_ref()).map(|DomainName(name)| name);
    Some(UpstreamTls {
        ca: path(block.ca.as_ref()),
        server_name: server_name.or_else(|| name_of(source)),
        certificate: some(block.certificate.as_ref(), |block| {
            Some(Certificate {
                cert: path(block.cert.as_ref())?,
                key: path(block.key.as_ref())?,
                ocsp: None,
            })
        })?,
        verify: plain(block.verify.as_ref())?,
    })
}

/// The one name that all endpoints have, if they have one.
fn name_of(source: &Source) -> Option<String> {
    match source {
        Source::Dns { name, .. } => Some(name.clone()),
        Source::Static(endpoints) => {
            let first = &endpoints.first()?.host;
            let is_one = endpoints.iter().all(|endpoint| endpoint.host == *first);
            let is_name = first.parse::<std::net::IpAddr>().is_err();
            (is_one && is_name).then(|| first.clone())
        }
        Source::CloudMap(_)
        | Source::Ecs(_)
        | Source::File(_)
        | Source::Marathon(_)
        | Source::Srv { .. } => None,
    }
}

/// Where endpoints come from; `None`: that could not be read.
pub(in crate::config) fn source(block: &UpstreamBlock) -> Option<Source> {
    if let Some(cloud_map) = &block.cloud_map {
        return aws::cloud_map(&cloud_map.value).map(Source::CloudMap);
    }
    if let Some(ecs) = &block.ecs {
        return aws::ecs(&ecs.value).map(Source::Ecs);
    }
    if let Some(list) = &block.r#static {
        return Some(Source::Static(
            list.value.iter().map(|at| at.value.0.clone()).collect(),
        ));
    }
    if let Some(path) = &block.file {
        return Some(Source::File(path.value.clone()));
    }
    if let Some(block) = &block.marathon {
        return marathon(&block.value).map(|marathon| Source::Marathon(Box::new(marathon)));
    }
    let DnsForm(dns) = &block.dns.as_ref()?.value;
    let min_ttl = plain(dns.min_ttl.as_ref())?;
    let max_ttl = plain(dns.max_ttl.as_ref())?;
    if let Some(DomainName(name)) = plain(dns.srv.as_ref()) {
        return Some(Source::Srv {
            name,
            min_ttl,
            max_ttl,
        });
    }
    let DomainName(name) = plain(dns.name.as_ref())?;
    Some(Source::Dns {
        name,
        port: u16::try_from(dns.port.as_ref()?.value.0).ok()?,
        min_ttl,
        max_ttl,
    })
}
