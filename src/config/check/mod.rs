//! What no single value can say: whether the parts of the file fit together.
//!
//! *Owns:* references, uniqueness, contradictions, and the warnings about what is allowed but
//! rarely meant.
//! *Does not know:* how values are read; it gets them with their places.
//! *Invariants:* every check runs, whatever the others found; what could not be read is passed over
//! in silence, for it is reported already.
//! *Read next:* `split.rs`.

mod analysis;
mod overlap;
mod rollout;
mod split;

use std::{collections::HashSet, net::SocketAddr};

use super::{
    guess,
    leaf::{Bytes, Text},
    schema::{AdminForm, DnsForm, FileBlock, LimitsBlock, ListenerBlock, Protocol, UpstreamBlock},
    tree::Place,
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together.
pub(super) fn check(root: &Placed<FileBlock>, walk: &mut Walk) {
    let file = &root.value;
    let keys = ["listen", "listeners"];
    if file.listeners.is_none() && keys.iter().all(|key| walk.is_absent(root.at, key)) {
        let help = "write `listen: \"0.0.0.0:8080\"`";
        walk.error(
            Place::START,
            "missing_key",
            "there is no address to accept on",
            help,
        );
    }
    listeners(file, walk);
    admin(file, walk);
    metrics(file, walk);
    if let Some(Placed {
        value: upstreams,
        at,
        ..
    }) = &file.upstreams
    {
        if upstreams.names.is_empty() {
            walk.error(
                *at,
                "empty_list",
                "there is no upstream",
                "write at least one",
            );
        }
        for (name, block) in &upstreams.items {
            upstream(block, name.at, walk);
        }
    }
    if let Some(Placed {
        value: splits, at, ..
    }) = &file.splits
    {
        if splits.names.is_empty() {
            walk.error(*at, "empty_list", "there is no split", "write at least one");
        }
        for (name, block) in &splits.items {
            split::check(block, name.at, walk);
        }
        overlap::check(&splits.items, walk);
    }
    references(file, walk);
}

fn listeners(file: &FileBlock, walk: &mut Walk) {
    let Some(Placed {
        value: listeners,
        at,
        ..
    }) = &file.listeners
    else {
        return;
    };
    if let Some(listen) = file.listen.as_ref().filter(|listen| listen.at != *at) {
        let help = "`listen` is short for one of `listeners`: keep one of the two";
        walk.error(
            listen.at,
            "conflict",
            "`listen` and `listeners` are both written",
            help,
        );
    }
    if listeners.is_empty() {
        walk.error(
            *at,
            "empty_list",
            "there is no listener",
            "write at least one",
        );
    }
    let (mut names, mut addresses) = (HashSet::new(), Vec::new());
    for Placed {
        value: listener, ..
    } in listeners
    {
        if let Some(name) = &listener.name
            && !names.insert(&name.value)
        {
            let message = format!("two listeners are called `{}`", name.value);
            walk.error(
                name.at,
                "duplicate_name",
                message,
                "metrics tell them apart by name",
            );
        }
        if let Some(address) = &listener.address {
            if addresses.iter().any(|other| clash(*other, address.value)) {
                let message = format!("two listeners want the address {}", address.value);
                walk.error(
                    address.at,
                    "duplicate_address",
                    message,
                    "give each its own port",
                );
            }
            addresses.push(address.value);
        }
        one_listener(listener, walk);
    }
}

/// Whether both cannot be bound. Port 0 never clashes: the system chooses.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_family && same_ip
}

fn one_listener(listener: &ListenerBlock, walk: &mut Walk) {
    if let Some(protocols) = &listener.protocols
        && !protocols.value.iter().any(|at| at.value == Protocol::H1)
    {
        let help = "write `[h1]` or `[h1, websocket]`";
        walk.error(
            protocols.at,
            "missing_value",
            "a listener must speak `h1`",
            help,
        );
    }
    if let Some(limits) = &listener.limits {
        nested_limits(&limits.value, walk);
    }
}

fn nested_limits(limits: &LimitsBlock, walk: &mut Walk) {
    let Some(whole) = &limits.max_headers else {
        return;
    };
    let parts = [
        ("max_header_line", &limits.max_header_line),
        ("max_target", &limits.max_target),
    ];
    for (name, part) in parts {
        if let Some(Placed {
            value: Bytes(part),
            at,
            ..
        }) = part
            && *part > whole.value.0
        {
            let message = format!("`{name}` is larger than `max_headers`");
            let help = format!("a whole head has at most {} bytes here", whole.value.0);
            walk.error(*at, "conflict", message, help);
        }
    }
}

fn admin(file: &FileBlock, walk: &mut Walk) {
    let Some(admin) = &file.admin else { return };
    let (http, at) = match &admin.value {
        AdminForm::None => return,
        AdminForm::Http(address) => (*address, admin.at),
        AdminForm::Block(block) => match &block.http {
            Some(http) => (http.value, http.at),
            None if block.unix.is_none() && admin.is_clean => {
                let help = "write `admin: none` if nobody may ask";
                walk.error(admin.at, "missing_key", "`admin` names no address", help);
                return;
            }
            None => return,
        },
    };
    if !http.ip().is_loopback() {
        let message = format!("anyone who reaches {http} can shift traffic");
        let help = "the admin address has no passwords: keep it on 127.0.0.1";
        walk.warn(at, "admin_exposed", message, help);
    }
    let listeners = file.listeners.iter().flat_map(|at| &at.value);
    let addresses = listeners.filter_map(|at| at.value.address.as_ref());
    if let Some(listener) = addresses.into_iter().find(|at| clash(at.value, http)) {
        let message = format!("a listener and `admin` want the address {http}");
        let place = if admin.is_written { at } else { listener.at };
        walk.error(
            place,
            "duplicate_address",
            message,
            "give each its own port",
        );
    }
}

fn metrics(file: &FileBlock, walk: &mut Walk) {
    let prefix = file
        .metrics
        .as_ref()
        .and_then(|at| at.value.prefix.as_ref());
    let Some(Placed {
        value: Text(prefix),
        at,
        ..
    }) = prefix
    else {
        return;
    };
    let mut chars = prefix.chars();
    let starts = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = format!("`{prefix}` cannot start the name of a metric");
        walk.error(
            *at,
            "bad_name",
            message,
            "use letters, digits and `_`, a letter first",
        );
    }
}

fn upstream(block: &Placed<UpstreamBlock>, at: Place, walk: &mut Walk) {
    let Placed {
        value: block,
        is_clean,
        ..
    } = block;
    let sources = [
        block.r#static.as_ref().map(|source| ("static", source.at)),
        block.file.as_ref().map(|source| ("file", source.at)),
        block.dns.as_ref().map(|source| ("dns", source.at)),
    ];
    let written: Vec<(&str, Place)> = sources.into_iter().flatten().collect();
    if let Some((second, place)) = written.get(1) {
        let message =
            format!("this upstream has two sources of endpoints, the second is `{second}`");
        walk.error(
            *place,
            "conflict",
            message,
            "keep one of `static`, `file` and `dns`",
        );
    }
    if written.is_empty() && *is_clean {
        let help = "write `static: [\"10.0.0.1:8080\"]`, `file:` or `dns:`";
        walk.error(at, "missing_key", "this upstream has no endpoints", help);
    }
    if let Some(list) = &block.r#static {
        endpoints(list.at, &list.value, walk);
    }
    if let Some(Placed {
        value: DnsForm(dns),
        ..
    }) = &block.dns
        && let (Some(min), Some(max)) = (&dns.min_ttl, &dns.max_ttl)
        && min.value > max.value
    {
        let place = if min.is_written { min.at } else { max.at };
        let message = "`min_ttl` is longer than `max_ttl`";
        walk.error(place, "conflict", message, "swap the two, or remove one");
    }
}

fn endpoints(at: Place, list: &[Placed<super::schema::EndpointForm>], walk: &mut Walk) {
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

/// Every version is an upstream, and every upstream is some version.
fn references(file: &FileBlock, walk: &mut Walk) {
    let Some(Placed {
        value: upstreams, ..
    }) = &file.upstreams
    else {
        return;
    };
    let splits = file.splits.iter().flat_map(|at| &at.value.items);
    let versions = splits.flat_map(|(_, block)| [&block.value.stable, &block.value.canary]);
    let versions: Vec<_> = versions.flatten().collect();
    let mut all_known = file.splits.as_ref().is_some_and(|splits| splits.is_clean);
    for version in &versions {
        let name = version.value.as_str();
        if upstreams.names.iter().any(|known| known == name) {
            continue;
        }
        all_known = false;
        let known = || upstreams.names.iter().map(String::as_str);
        let help = match guess::nearest(name, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if upstreams.names.is_empty() => "write it under `upstreams`".to_owned(),
            None => format!("expected {}", guess::one_of(known().take(12))),
        };
        let message = format!("there is no upstream `{name}`");
        walk.error(version.at, "unknown_upstream", message, help);
    }
    // A misspelt version would otherwise be told twice.
    for (name, _) in upstreams.items.iter().filter(|_| all_known) {
        if !versions.iter().any(|version| version.value == name.value) {
            let message = format!("no split uses the upstream `{}`", name.value);
            walk.warn(
                name.at,
                "unused_upstream",
                message,
                "it is discovered all the same",
            );
        }
    }
}
