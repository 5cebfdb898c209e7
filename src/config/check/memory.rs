//! Cookies and keys that get in each other's way, or that no browser ever brings back.

use std::collections::HashMap;

use crate::{
    config::{
        KeySource,
        schema::{CookieForm, SplitBlock, StickyBlock},
        tree::Place,
        walk::{Placed, Walk},
    },
    model::SplitName,
};

/// Notes what is wrong with what the clients of one split bring.
pub(super) fn check(name: &SplitName, split: &SplitBlock, walk: &mut Walk) {
    let Some(sticky) = &split.sticky else { return };
    keys(name, &sticky.value, walk);
    let Some(Placed {
        value: CookieForm(cookie),
        ..
    }) = &sticky.value.cookie
    else {
        return;
    };
    let named = cookie.name.as_ref();
    let chosen = split.r#override.as_ref();
    let chosen = chosen.and_then(|at| at.value.cookie.as_ref());
    if let (Some(own), Some(chosen)) = (named, chosen)
        && own.value.0 == chosen.value.0
    {
        let message = format!("`{}` is the cookie of `sticky`, too", chosen.value.0);
        let help = "one overwrites the other: give each its own name";
        walk.error(chosen.at, "conflict", message, help);
    }
    let path = cookie.path.as_ref().filter(|path| path.value.0 != "/");
    if let Some(name) = named.filter(|name| name.value.0.starts_with("__Host-"))
        && (path.is_some() || cookie.domain.is_some())
    {
        let message = format!(
            "browsers drop `{}` with a `domain` or a `path`",
            name.value.0
        );
        let help = "remove the two, or choose a name without `__Host-`";
        walk.error(name.at, "insecure_cookie", message, help);
    }
    if let Some(path) = path {
        is_sent(&path.value.0, path.at, split, walk);
    }
    if let Some(domain) = &cookie.domain {
        is_taken(&domain.value.0, domain.at, split, walk);
    }
}

/// A key that is our own cookie, that hides those behind it, or that is never the same twice.
fn keys(name: &SplitName, sticky: &StickyBlock, walk: &mut Walk) {
    let Some(keys) = &sticky.key else { return };
    let own = match &sticky.cookie {
        Some(Placed {
            value: CookieForm(cookie),
            ..
        }) => cookie.name.as_ref().map(|name| name.value.0.clone()),
        None => None,
    };
    let own = own.unwrap_or_else(|| format!("serin_{name}"));
    for (place, key) in keys.value.0.iter().enumerate() {
        match &key.value.0 {
            KeySource::Cookie(name) if *name == own => {
                let message = format!("`{name}` is the cookie that remembers: it changes itself");
                let help = "name a cookie of the service, or leave `key` out";
                walk.error(key.at, "conflict", message, help);
            }
            KeySource::Header(name) if name == "cookie" => {
                let message = "all cookies together are hardly ever the same twice";
                let help = "name one: `cookie:uid`";
                walk.warn(key.at, "changing_key", message, help);
            }
            KeySource::ClientIp if place + 1 < keys.value.0.len() => {
                let message = "every request has an address: what follows is never looked at";
                walk.warn(key.at, "shadowed_key", message, "write `client_ip` last");
            }
            KeySource::Cookie(_) | KeySource::Header(_) | KeySource::ClientIp => {}
        }
    }
}

/// A browser sends a cookie to what is below its path only.
fn is_sent(path: &str, at: Place, split: &SplitBlock, walk: &mut Walk) {
    let Some(matches) = &split.r#match else {
        return;
    };
    let below = |asked: &str| {
        let rest = asked.strip_prefix(path.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let takes = |above: &str| {
        let rest = path.strip_prefix(above.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_sent = matches.value.0.iter().any(|found| {
        let (exact, prefix) = (&found.value.path, &found.value.path_prefix);
        match (exact, prefix) {
            (Some(exact), _) => below(&exact.value.0),
            (None, Some(prefix)) => below(&prefix.value.0) || takes(&prefix.value.0),
            (None, None) => true,
        }
    });
    if !is_sent {
        let message =
            format!("no request of this split is below {path}: the cookie never comes back");
        walk.error(
            at,
            "lost_cookie",
            message,
            "write a `path` that its matches are below",
        );
    }
}

/// A browser takes a cookie for a domain from hosts in it only.
fn is_taken(domain: &str, at: Place, split: &SplitBlock, walk: &mut Walk) {
    let Some(matches) = &split.r#match else {
        return;
    };
    let hosts = matches
        .value
        .0
        .iter()
        .filter_map(|found| found.value.hosts.as_ref());
    let hosts: Vec<&str> = hosts
        .flat_map(|hosts| hosts.value.0.iter().map(|host| host.value.0.as_str()))
        .collect();
    let domain = domain.trim_start_matches('.');
    let is_in = |host: &&str| {
        let host = host.strip_prefix("*.").unwrap_or(host);
        let rest = host.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_any = matches
        .value
        .0
        .iter()
        .any(|found| found.value.hosts.is_none());
    if !is_any && !hosts.iter().any(is_in) {
        let message = format!("no host of this split is in {domain}: browsers drop the cookie");
        walk.error(
            at,
            "lost_cookie",
            message,
            "remove `domain`, or write one of its hosts",
        );
    }
}

/// Notes cookies of one name in several splits: a browser keeps one of them.
pub(super) fn shared(splits: &[(Placed<SplitName>, Placed<SplitBlock>)], walk: &mut Walk) {
    let mut seen: HashMap<_, Vec<(&SplitName, Vec<&str>)>> = HashMap::new();
    for (name, split) in splits {
        let sticky = split.value.sticky.as_ref();
        let Some(Placed {
            value: CookieForm(cookie),
            ..
        }) = sticky.and_then(|sticky| sticky.value.cookie.as_ref())
        else {
            continue;
        };
        let Some(cookie_name) = &cookie.name else {
            continue;
        };
        let path = cookie
            .path
            .as_ref()
            .map_or("/", |path| path.value.0.as_str());
        let hosts = hosts(&split.value);
        let known = seen
            .entry((cookie_name.value.0.as_str(), path))
            .or_default();
        let meets = |other: &[&str]| {
            hosts.is_empty() || other.is_empty() || hosts.iter().any(|host| other.contains(host))
        };
        if let Some((other, _)) = known.iter().find(|(_, hosts)| meets(hosts)) {
            let message = format!("`{}` is the cookie of `{other}`, too", cookie_name.value.0);
            let help = "each overwrites the other's: give each split its own name";
            walk.warn(cookie_name.at, "shared_cookie", message, help);
        }
        known.push((&name.value, hosts));
    }
}

/// The hosts that a split names; empty: any.
fn hosts(split: &SplitBlock) -> Vec<&str> {
    let Some(matches) = &split.r#match else {
        return Vec::new();
    };
    let is_any = matches
        .value
        .0
        .iter()
        .any(|found| found.value.hosts.is_none());
    let hosts = matches
        .value
        .0
        .iter()
        .filter_map(|found| found.value.hosts.as_ref());
    let hosts = hosts.flat_map(|hosts| hosts.value.0.iter().map(|host| host.value.0.as_str()));
    hosts.filter(|_| !is_any).collect()
}
