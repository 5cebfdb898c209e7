//! Whether the keys of an upstream fit together.

use std::{collections::HashSet, net::IpAddr};

use super::{balance, breaker, health, marathon, warm_up};
use crate::config::{
    UpstreamProtocol, Verify,
    schema::{DnsForm, EndpointForm, UpstreamBlock},
    tree::Place,
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together in one upstream.
pub(super) fn check(block: &Placed<UpstreamBlock>, at: Place, walk: &mut Walk) {
    let Placed {
        value: block,
        is_clean,
        ..
    } = block;
    let sources = [
        block
            .cloud_map
            .as_ref()
            .map(|source| ("cloud_map", source.at)),
        block.dns.as_ref().map(|source| ("dns", source.at)),
        block
            .marathon
            .as_ref()
            .map(|source| ("marathon", source.at)),
        block.ecs.as_ref().map(|source| ("ecs", source.at)),
        block.file.as_ref().map(|source| ("file", source.at)),
        block.r#static.as_ref().map(|source| ("static", source.at)),
    ];
    let mut written: Vec<(&str, Place)> = sources.into_iter().flatten().collect();
    written.sort_by_key(|(_, at)| (at.line, at.column));
    if let Some((second, place)) = written.get(1) {
        let message =
            format!("this upstream has two sources of endpoints, the second is `{second}`");
        walk.error(*place, "conflict", message, "keep one of them");
    }
    if written.is_empty() && *is_clean {
        let help = "write `static: [\"10.0.0.1:8080\"]`, `cloud_map:`, `dns:`, `ecs:`, `file:` or \
                    `marathon:`";
        walk.error(at, "missing_key", "this upstream has no endpoints", help);
    }
    if let Some(list) = &block.r#static {
        endpoints(list.at, &list.value, walk);
    }
    tls(block, walk);
    proxy_protocol(block, walk);
    balance::check(block, walk);
    breaker::check(block, walk);
    health::check(block, walk);
    warm_up::check(block, walk);
    if let Some(block) = &block.dns {
        dns(block, walk);
    }
    if let Some(block) = &block.marathon {
        marathon::check(block, walk);
    }
}

fn dns(block: &Placed<DnsForm>, walk: &mut Walk) {
    let Placed {
        value: DnsForm(dns),
        at,
        ..
    } = block;
    if let (Some(min), Some(max)) = (&dns.min_ttl, &dns.max_ttl)
        && min.value > max.value
    {
        let place = if min.is_written { min.at } else { max.at };
        let message = "`min_ttl` is longer than `max_ttl`";
        walk.error(place, "conflict", message, "swap the two, or remove one");
    }
    if let Some(srv) = &dns.srv {
        let other = dns.name.as_ref().map(|name| name.at);
        if other.or(dns.port.as_ref().map(|port| port.at)).is_some() {
            let message = "SRV records name hosts and ports themselves";
            let help = "keep `srv`, or `name` and `port`";
            walk.error(srv.at, "conflict", message, help);
        }
        return;
    }
    let missing = match (&dns.name, &dns.port) {
        (Some(_), Some(_)) => return,
        (None, _) => "name",
        (Some(_), None) => "port",
    };
    if ["srv", missing].iter().all(|key| walk.is_absent(*at, key)) {
        let message = format!("`{missing}` is missing");
        let help = "write `name` and `port`, or `srv` for SRV records";
        walk.error(*at, "missing_key", message, help);
    }
}

fn endpoints(at: Place, list: &[Placed<EndpointForm>], walk: &mut Walk) {
    if list.is_empty() {
        let help = "an upstream needs an endpoint; a split without a canary needs no `canary`";
        walk.error(at, "empty_list", "this list of endpoints is empty", help);
    }
    let mut seen = HashSet::new();
    for Placed {
        value: endpoint,
        at,
        ..
    } in list
    {
        if !seen.insert((&endpoint.0.host, endpoint.0.port)) {
            let message = format!("`{}:{}` is listed twice", endpoint.0.host, endpoint.0.port);
            let help = "give it a `weight` if it is to get more requests";
            walk.error(*at, "duplicate_endpoint", message, help);
        }
    }
}

fn tls(block: &UpstreamBlock, walk: &mut Walk) {
    let protocol = block.protocol.as_ref();
    let is_h2 = protocol.is_some_and(|at| at.value == UpstreamProtocol::H2);
    let at = match (&block.tls, protocol) {
        (Some(tls), Some(protocol)) if protocol.value == UpstreamProtocol::H2c => {
            let help = "write `protocol: h2` for HTTP/2 over TLS, or remove `tls`";
            walk.error(protocol.at, "conflict", "`h2c` is HTTP/2 without TLS", help);
            tls.at
        }
        (Some(tls), _) => tls.at,
        (None, Some(protocol)) if is_h2 => protocol.at,
        (None, _) => return,
    };
    let tls = block.tls.as_ref().map(|at| &at.value);
    if let Some(verify) = tls.and_then(|tls| tls.verify.as_ref())
        && verify.value == Verify::None
    {
        let message = "whoever answers at the endpoint's address is trusted";
        let help = "name the authority that signs its certificate: `ca: PATH`";
        walk.warn(verify.at, "unverified_tls", message, help);
        return;
    }
    let is_named = tls.is_some_and(|tls| tls.server_name.is_some());
    if let Some(list) = block.r#static.as_ref().filter(|_| !is_named)
        && has_several_names(&list.value)
    {
        let message = "the endpoints have several names, and their certificates need one";
        let help = "write `tls: { server_name: NAME }` with a name that all certificates have";
        walk.error(at, "missing_key", message, help);
    }
}

/// What is said of a client at the beginning of a connection must hold to its end.
fn proxy_protocol(block: &UpstreamBlock, walk: &mut Walk) {
    if let (Some(header), Some(protocol)) = (&block.proxy_protocol, &block.protocol)
        && header.value.0.is_some()
        && protocol.value != UpstreamProtocol::H1
    {
        let message = "`proxy_protocol` tells of one client, and a connection of HTTP/2 has many";
        let help = "write `protocol: h1`, or let the endpoints read `X-Forwarded-For`";
        walk.error(header.at, "conflict", message, help);
    }
}

/// Whether a host name is among several hosts. One address is as good as another: each certificate
/// is held to its own.
fn has_several_names(list: &[Placed<EndpointForm>]) -> bool {
    let hosts: HashSet<&str> = list.iter().map(|at| at.value.0.host.as_str()).collect();
    let is_name = |host: &&str| host.parse::<IpAddr>().is_err();
    hosts.len() > 1 && hosts.iter().any(is_name)
}
