//! Addresses that lead in a circle, endpoints that are both versions, and limits in time that
//! others make pointless.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::listener::clash;
use crate::{
    config::{
        StaticEndpoint, build,
        collection::Several,
        schema::{AdminForm, EndpointForm, FileBlock, SplitBlock, UpstreamBlock},
        walk::{Placed, Walk},
    },
    model::UpstreamName,
};

type Upstreams = [(Placed<UpstreamName>, Placed<UpstreamBlock>)];

/// Notes what is wrong between listeners, upstreams and splits.
pub(super) fn check(file: &FileBlock, walk: &mut Walk) {
    let Some(upstreams) = &file.upstreams else {
        return;
    };
    let upstreams = &upstreams.value.items;
    for (_, upstream) in upstreams {
        circles(file, &upstream.value, walk);
    }
    let splits = file.splits.iter().flat_map(|at| &at.value.items);
    for (_, split) in splits {
        versions(&split.value, upstreams, walk);
        times(&split.value, upstreams, walk);
        hedged(&split.value, upstreams, walk);
    }
    crossed(file, walk);
}

fn statics(upstream: &UpstreamBlock) -> impl Iterator<Item = &Placed<EndpointForm>> {
    upstream.r#static.iter().flat_map(|list| &list.value)
}

/// An address of this machine as it is written.
fn address(endpoint: &StaticEndpoint) -> Option<SocketAddr> {
    let ip = match endpoint.host.as_str() {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host.parse().ok()?,
    };
    Some(SocketAddr::new(ip, endpoint.port))
}

/// An endpoint that is the proxy itself.
fn circles(file: &FileBlock, upstream: &UpstreamBlock, walk: &mut Walk) {
    let listeners = file.listeners.iter().flat_map(|at| &at.value);
    let addresses: Vec<SocketAddr> = listeners
        .filter_map(|at| at.value.address.as_ref())
        .map(|at| at.value)
        .collect();
    let admin = file.admin.as_ref().and_then(|admin| match &admin.value {
        AdminForm::Http(address) => Some(*address),
        AdminForm::Block(block) => block.http.as_ref().map(|http| http.value),
        AdminForm::None => None,
    });
    // Of an address for all, only what is surely this machine is told.
    let is_it = |listener: SocketAddr, endpoint: SocketAddr| {
        let is_here = listener.ip() == endpoint.ip() || endpoint.ip().is_loopback();
        is_here && clash(listener, endpoint)
    };
    for endpoint in statics(upstream) {
        let Some(address) = address(&endpoint.value.0) else {
            continue;
        };
        if addresses.iter().any(|listener| is_it(*listener, address)) {
            let message =
                format!("{address} is a listener of this file: requests would go in a circle");
            let help = "name the address of the service";
            // Of several listeners one may well stand behind another.
            if addresses.len() > 1 {
                walk.warn(endpoint.at, "circle", message, help);
            } else {
                walk.error(endpoint.at, "circle", message, help);
            }
        } else if admin.is_some_and(|admin| is_it(admin, address)) {
            let message = format!("{address} is the admin address: everybody could move traffic");
            let help = "name the address of the service";
            walk.error(endpoint.at, "circle", message, help);
        }
    }
}

fn of<'a>(
    name: Option<&Placed<UpstreamName>>,
    upstreams: &'a Upstreams,
) -> Option<&'a Placed<UpstreamBlock>> {
    let name = name?;
    let (_, found) = upstreams
        .iter()
        .find(|(known, _)| known.value == name.value)?;
    Some(found)
}

/// Two versions that are one.
fn versions(split: &SplitBlock, upstreams: &Upstreams, walk: &mut Walk) {
    let (Some(canary_name), Some(stable), Some(canary)) = (
        &split.canary,
        of(split.stable.as_ref(), upstreams),
        of(split.canary.as_ref(), upstreams),
    ) else {
        return;
    };
    // What could not be read is reported already, and would make two alike.
    if std::ptr::eq(stable, canary) || !stable.is_clean || !canary.is_clean {
        return;
    }
    let (stable, canary) = (&stable.value, &canary.value);
    let place = |at: &Placed<EndpointForm>| (at.value.0.host.clone(), at.value.0.port);
    let shared = statics(stable).find(|at| statics(canary).any(|other| place(at) == place(other)));
    if let Some(endpoint) = shared {
        let (host, port) = place(endpoint);
        let message = format!("stable and canary share the endpoint {host}:{port}");
        let help = "what it does counts for both: a version has endpoints of its own";
        walk.warn(canary_name.at, "shared_endpoint", message, help);
        return;
    }
    let sources = build::source(stable).zip(build::source(canary));
    if sources.is_some_and(|(stable, canary)| stable == canary) {
        let message = "stable and canary ask the same source for the same endpoints";
        let help =
            "tell the versions apart: two names, apps or services, or a half of a deployment";
        walk.warn(canary_name.at, "shared_endpoint", message, help);
    }
}

/// Two splits of which each tries what the other one leaves.
fn crossed(file: &FileBlock, walk: &mut Walk) {
    let splits = || file.splits.iter().flat_map(|at| &at.value.items);
    for (place, (_, split)) in splits().enumerate() {
        let (Some(stable), Some(canary)) = (&split.value.stable, &split.value.canary) else {
            continue;
        };
        let mut before = splits().take(place);
        let other = before.find(|(_, other)| {
            let versions = (&other.value.stable, &other.value.canary);
            let (Some(from), Some(to)) = versions else {
                return false;
            };
            from.value == canary.value && to.value == stable.value && from.value != to.value
        });
        if let Some((name, _)) = other {
            let message = format!(
                "`{}` goes the other way: one of the two goes back",
                name.value
            );
            let help = "swap `stable` and `canary` in one of them, if that is not meant";
            walk.warn(canary.at, "crossed_versions", message, help);
        }
    }
}

/// Waiting that the split's own limit cuts off.
fn times(split: &SplitBlock, upstreams: &Upstreams, walk: &mut Walk) {
    let timeouts = split.timeouts.as_ref();
    let Some(total) = timeouts.and_then(|at| at.value.total.as_ref()) else {
        return;
    };
    let versions = [&split.stable, &split.canary];
    for upstream in versions
        .into_iter()
        .filter_map(|name| of(name.as_ref(), upstreams).map(|at| &at.value))
    {
        let connect = upstream.timeouts.as_ref();
        let connect = connect.and_then(|at| at.value.connect.as_ref().filter(|at| at.is_written));
        let breaker = upstream.circuit_breaker.as_ref();
        let queue =
            breaker.and_then(|at| at.value.queue_timeout.as_ref().filter(|at| at.is_written));
        let limits = [
            (connect.map(|at| at.value), "`timeouts.connect`"),
            (queue.map(|at| at.value), "`queue_timeout`"),
        ];
        for (limit, key) in limits {
            if let Some(limit) = limit.filter(|limit| *limit > total.value) {
                let message = format!("`total` ends a request before {key} of its upstream");
                let help = format!("{key} is {limit:?}: write less there, or more here");
                walk.warn(total.at, "late_limit", message, help);
            }
        }
    }
}

/// A second attempt goes to another endpoint, if there is one.
fn hedged(split: &SplitBlock, upstreams: &Upstreams, walk: &mut Walk) {
    let Some(hedge) = &split.hedge else { return };
    let versions = [&split.stable, &split.canary];
    let mut known = versions
        .into_iter()
        .filter_map(|name| of(name.as_ref(), upstreams).map(|at| &at.value));
    let is_single = |upstream: &UpstreamBlock| {
        let list = upstream.r#static.as_ref();
        list.is_some_and(|list| list.value.len() == 1 && list.is_clean)
    };
    if split.stable.is_some() && known.all(is_single) {
        let message = "each version has one endpoint: there is no other one to ask";
        walk.warn(
            hedge.at,
            "single_endpoint",
            message,
            "add endpoints, or remove `hedge`",
        );
    }
}

/// Notes a list that names the same thing twice.
pub(super) fn twice<T: PartialEq>(
    list: Option<&Placed<Several<T>>>,
    shown: impl Fn(&T) -> &str,
    walk: &mut Walk,
) {
    let Some(list) = list else { return };
    for (place, item) in list.value.0.iter().enumerate() {
        let mut before = list.value.0.iter().take(place);
        if before.any(|other| other.value == item.value) {
            let message = format!("`{}` is listed twice", shown(&item.value));
            walk.warn(item.at, "duplicate_name", message, "keep one");
        }
    }
}
