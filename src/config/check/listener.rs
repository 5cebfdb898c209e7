//! Whether listeners fit together, each in itself and with the others.

use std::{collections::HashSet, net::SocketAddr};

use crate::config::{
    ProxyMode,
    leaf::Bytes,
    schema::{FileBlock, LimitsBlock, ListenerBlock, Protocol, ProxyProtocolForm, TlsBlock},
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together in and between listeners.
pub(super) fn check(file: &FileBlock, walk: &mut Walk) {
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
pub(super) fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_family && same_ip
}

fn one_listener(listener: &ListenerBlock, walk: &mut Walk) {
    protocols(listener, walk);
    if let Some(tls) = &listener.tls {
        certificates(tls, walk);
    }
    proxy_protocol(listener, walk);
    if let Some(limits) = &listener.limits {
        nested_limits(&limits.value, walk);
    }
}

/// What is written must have an effect.
fn protocols(listener: &ListenerBlock, walk: &mut Walk) {
    let Some(Placed {
        value: list,
        at,
        is_clean: true,
        ..
    }) = &listener.protocols
    else {
        return;
    };
    let written = |protocol| list.iter().find(|at| at.value == protocol);
    let has_tls = listener.tls.is_some();
    let (h2, h2c) = (written(Protocol::H2), written(Protocol::H2c));
    if let Some(h2) = h2.filter(|_| !has_tls) {
        let help = "write `h2c` for HTTP/2 without TLS, or give the listener certificates: `tls:`";
        walk.error(
            h2.at,
            "conflict",
            "`h2` is chosen in the TLS handshake",
            help,
        );
    }
    if let Some(h2c) = h2c.filter(|_| has_tls) {
        let help = "write `h2` for HTTP/2 over TLS";
        walk.error(h2c.at, "conflict", "`h2c` is HTTP/2 without TLS", help);
    }
    let has_h2 = h2.is_some() || h2c.is_some();
    let word = if has_tls { "h2" } else { "h2c" };
    if let Some(grpc) = written(Protocol::Grpc).filter(|_| !has_h2) {
        let help = format!("write `{word}`, too");
        walk.error(grpc.at, "conflict", "`grpc` needs HTTP/2", help);
    }
    if !has_h2 && written(Protocol::H1).is_none() {
        let message = format!("a listener must speak `h1` or `{word}`");
        let help = "remove the key to let clients choose";
        walk.error(*at, "missing_value", message, help);
    }
}

fn certificates(block: &Placed<TlsBlock>, walk: &mut Walk) {
    let tls = &block.value;
    if let Some(Placed { value, at, .. }) = &tls.certificates
        && value.is_empty()
    {
        let help = "write `certificates: [{ cert: PATH, key: PATH }]`";
        walk.error(*at, "empty_list", "there is no certificate", help);
    }
    let pairs = tls.certificates.iter().flat_map(|list| &list.value);
    let mut seen = HashSet::new();
    for pair in pairs {
        let cert = pair.value.cert.as_ref().map(|at| &at.value.0);
        if let Some(cert) = cert.filter(|cert| !seen.insert(*cert)) {
            let message = format!("the certificate {} is listed twice", cert.display());
            walk.warn(pair.at, "duplicate_name", message, "keep one");
        }
    }
    if let Some(auth) = &tls.client_auth
        && tls.client_ca.is_none()
        && walk.is_absent(block.at, "client_ca")
    {
        let help = "write `client_ca:` with the authorities that sign clients' certificates";
        walk.error(
            auth.at,
            "missing_key",
            "`client_auth` needs a `client_ca`",
            help,
        );
    }
}

/// Whoever is believed can say that it is anybody: nobody is believed by chance.
fn proxy_protocol(listener: &ListenerBlock, walk: &mut Walk) {
    let Some(form) = &listener.proxy_protocol else {
        return;
    };
    let (mode, from, at) = match &form.value {
        ProxyProtocolForm::Mode(mode) => (*mode, None, form.at),
        ProxyProtocolForm::Block(block) => {
            let Some(mode) = &block.mode else { return };
            (mode.value, block.from.as_ref(), mode.at)
        }
    };
    let Some(listed) = from.or(listener.trusted_proxies.as_ref()) else {
        return;
    };
    if mode != ProxyMode::Disabled && listed.value.is_empty() {
        let at = if listed.is_written { listed.at } else { at };
        let help = "name the networks of the proxies before this one: \
                    `trusted_proxies: [10.0.0.0/8]`, or `from:` here";
        walk.error(
            at,
            "missing_value",
            "`proxy_protocol` believes nobody",
            help,
        );
    }
}

fn nested_limits(limits: &LimitsBlock, walk: &mut Walk) {
    if let (Some(each), Some(all)) = (&limits.max_connections_per_ip, &limits.max_connections)
        && each.value.0 > all.value.0
    {
        let message = "one client may have more connections than all: this limit is never reached";
        let help = format!("`max_connections` is {}: write less", all.value.0);
        walk.warn(each.at, "empty_limit", message, help);
    }
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
