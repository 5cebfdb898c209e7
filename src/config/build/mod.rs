//! From what was read to the [`Config`] that others see: short forms are spelled out, places are
//! forgotten.
//!
//! `None` means that something could not be read; then a problem was noted where that happened.

mod analysis;
mod rollout;
mod split;

use std::hash::Hasher;

pub(super) use self::{
    analysis::{Metric, compared, latency_limits},
    split::path,
};

use super::{
    AccessLog, Admin, Config, Drain, Limits, Listener, ListenerTimeouts, Metrics, Source, Upstream,
    UpstreamTimeouts,
    leaf::{Count, OrZero, Text},
    schema::{
        AdminForm, DnsForm, DomainName, FileBlock, LimitsBlock, ListenerBlock, Protocol,
        UpstreamBlock,
    },
    tree::Node,
    walk::{Placed, Shape, Walk},
};
use crate::model::{ListenerName, UpstreamName, number::length};

/// A hash of the text; the same text has the same hash in every process.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// Spells out `listen:`.
pub(super) fn expand(file: &mut FileBlock) {
    if let Some(listen) = file.listen.clone().filter(|_| file.listeners.is_none()) {
        file.listeners = one_listener(listen);
    }
}

/// One listener with every default.
pub(super) fn one_listener(
    address: Placed<std::net::SocketAddr>,
) -> Option<Placed<Vec<Placed<ListenerBlock>>>> {
    let at = address.at;
    // The keys that the empty mapping lacks are given below.
    let mut value = ListenerBlock::read(&Node::empty(at), &mut Walk::default())?;
    let name = ListenerName::new("default").ok()?;
    value.name = Some(Placed::filled(name, at));
    value.address = Some(address);
    let list = vec![Placed::filled(value, at)];
    Some(Placed::filled(list, at))
}

/// Makes the config.
pub(super) fn config(file: &FileBlock, hash: u64) -> Option<Config> {
    let listeners = &file.listeners.as_ref()?.value;
    let upstreams = &file.upstreams.as_ref()?.value.items;
    let splits = &file.splits.as_ref()?.value.items;
    let workers = file.workers.as_ref().map(|at| u16::try_from(at.value.0));
    Some(Config {
        hash,
        listeners: listeners
            .iter()
            .map(|at| listener(&at.value))
            .collect::<Option<_>>()?,
        admin: admin(&file.admin.as_ref()?.value),
        workers: workers.transpose().ok()?,
        state_dir: plain(file.state_dir.as_ref()),
        upstreams: upstreams
            .iter()
            .map(|(name, block)| upstream(&name.value, &block.value))
            .collect::<Option<_>>()?,
        splits: splits
            .iter()
            .map(|(name, block)| split::split(&name.value, &block.value))
            .collect::<Option<_>>()?,
        drain: drain(file)?,
        access_log: access_log(file)?,
        metrics: metrics(file)?,
    })
}

/// A value without its place.
fn plain<T: Clone>(at: Option<&Placed<T>>) -> Option<T> {
    at.map(|at| at.value.clone())
}

fn listener(block: &ListenerBlock) -> Option<Listener> {
    let timeouts = &block.timeouts.as_ref()?.value;
    let protocols = &block.protocols.as_ref()?.value;
    let trusted = &block.trusted_proxies.as_ref()?.value;
    Some(Listener {
        name: plain(block.name.as_ref())?,
        address: plain(block.address.as_ref())?,
        websocket: protocols.iter().any(|at| at.value == Protocol::Websocket),
        timeouts: ListenerTimeouts {
            request_header: plain(timeouts.request_header.as_ref())?,
            body_idle: plain(timeouts.body_idle.as_ref())?,
            idle: plain(timeouts.idle.as_ref())?,
            stream_idle: plain(timeouts.stream_idle.as_ref())?,
        },
        limits: limits(&block.limits.as_ref()?.value)?,
        trusted_proxies: trusted.iter().map(|at| at.value).collect(),
    })
}

fn limits(block: &LimitsBlock) -> Option<Limits> {
    Some(Limits {
        max_connections: u32::try_from(block.max_connections.as_ref()?.value.0).ok()?,
        max_headers: length(block.max_headers.as_ref()?.value.0),
        max_header_fields: length(block.max_header_fields.as_ref()?.value.0),
        max_header_line: length(block.max_header_line.as_ref()?.value.0),
        max_target: length(block.max_target.as_ref()?.value.0),
        max_body: block.max_body.as_ref().map(|at| at.value.0),
    })
}

fn admin(form: &AdminForm) -> Admin {
    match form {
        AdminForm::None => Admin::default(),
        AdminForm::Http(address) => Admin {
            http: Some(*address),
            unix: None,
        },
        AdminForm::Block(block) => Admin {
            http: plain(block.http.as_ref()),
            unix: plain(block.unix.as_ref()),
        },
    }
}

fn upstream(name: &UpstreamName, block: &UpstreamBlock) -> Option<Upstream> {
    let timeouts = &block.timeouts.as_ref()?.value;
    Some(Upstream {
        name: name.clone(),
        source: source(block)?,
        timeouts: UpstreamTimeouts {
            connect: plain(timeouts.connect.as_ref())?,
            response_header: plain(timeouts.response_header.as_ref())?,
            body_idle: plain(timeouts.body_idle.as_ref())?,
            idle: plain(timeouts.idle.as_ref())?,
        },
        max_idle_connections: length(block.max_idle_connections.as_ref()?.value.0),
    })
}

fn source(block: &UpstreamBlock) -> Option<Source> {
    if let Some(list) = &block.r#static {
        return Some(Source::Static(
            list.value.iter().map(|at| at.value.0.clone()).collect(),
        ));
    }
    if let Some(path) = &block.file {
        return Some(Source::File(path.value.clone()));
    }
    let DnsForm(dns) = &block.dns.as_ref()?.value;
    let DomainName(name) = plain(dns.name.as_ref())?;
    Some(Source::Dns {
        name,
        port: u16::try_from(dns.port.as_ref()?.value.0).ok()?,
        min_ttl: plain(dns.min_ttl.as_ref())?,
        max_ttl: plain(dns.max_ttl.as_ref())?,
    })
}

fn drain(file: &FileBlock) -> Option<Drain> {
    let block = &file.drain.as_ref()?.value;
    let OrZero(lag) = plain(block.lag.as_ref())?;
    Some(Drain {
        timeout: plain(block.timeout.as_ref())?,
        lag,
    })
}

/// The outer `None`: it could not be read; the inner one: there is none.
#[expect(
    clippy::option_option,
    reason = "the two say different things, one line apart"
)]
fn access_log(file: &FileBlock) -> Option<Option<AccessLog>> {
    let Some(Placed { value: block, .. }) = &file.access_log else {
        return Some(None);
    };
    let sample = &block.sample.as_ref()?.value;
    Some(Some(AccessLog {
        path: plain(block.path.as_ref())?,
        success: plain(sample.success.as_ref())?,
        failure: plain(sample.failure.as_ref())?,
    }))
}

fn metrics(file: &FileBlock) -> Option<Metrics> {
    let block = &file.metrics.as_ref()?.value;
    let Text(prefix) = plain(block.prefix.as_ref())?;
    let Count(max_series) = plain(block.max_series.as_ref())?;
    Some(Metrics {
        prefix: prefix.into(),
        max_series: length(max_series),
    })
}
