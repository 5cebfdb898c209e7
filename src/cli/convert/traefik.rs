//! Traefik's files as YAML, static and dynamic ones in one (`---` between them): entry points,
//! routers with their rules, services, weighted ones, certificates.

use std::collections::BTreeMap;

use super::{
    draft::{Draft, Listener, Match, Split, Upstream, Weighted, is_path, time},
    quoted,
};
use crate::config::{Foreign, foreign};

type Keys = BTreeMap<&'static str, String>;

/// Services in services are followed this deep.
const DEEPEST: usize = 4;

/// Reads the file.
pub(super) fn convert(text: &str) -> Result<String, String> {
    let documents = foreign(text)?;
    let mut draft = Draft::default();
    let certificates = documents
        .iter()
        .flat_map(|it| it.at(&["tls", "certificates"]).items());
    let certificates: Vec<(String, String)> = certificates
        .filter_map(|it| it.get("certFile").text().zip(it.get("keyFile").text()))
        .map(|(cert, key)| (cert.to_owned(), key.to_owned()))
        .collect();
    let routers = || {
        documents
            .iter()
            .flat_map(|it| it.at(&["http", "routers"]).entries())
    };
    for (name, point) in documents
        .iter()
        .flat_map(|it| it.get("entryPoints").entries())
    {
        let is_tls = routers().any(|(_, router)| {
            let mut points = router.get("entryPoints").items().iter();
            router.get("tls").line > 0 && points.any(|it| it.text() == Some(name))
        });
        entry(point, (name, is_tls, &certificates), &mut draft);
    }
    let services: Vec<&(String, Foreign)> = documents
        .iter()
        .flat_map(|it| it.at(&["http", "services"]).entries())
        .collect();
    for (name, service) in &services {
        balanced(name, service, &mut draft);
    }
    for (name, router) in routers() {
        route(name, router, &services, &mut draft);
    }
    for kind in ["middlewares", "serversTransports"] {
        for (name, found) in documents
            .iter()
            .flat_map(|it| it.at(&["http", kind]).entries())
        {
            draft.leave(found.line, format!("{kind}: {name}"));
        }
    }
    for kind in ["tcp", "udp"] {
        for found in documents
            .iter()
            .map(|it| it.get(kind))
            .filter(|it| it.is_there())
        {
            draft.leave(found.line, format!("{kind} routers"));
        }
    }
    draft.file("traefik")
}

fn entry(
    point: &Foreign,
    (name, is_tls, certificates): (&str, bool, &[(String, String)]),
    draft: &mut Draft,
) {
    let Some(address) = point.get("address").text() else {
        draft.leave(point.line, format!("the entry point {name}: no address"));
        return;
    };
    let address = address.split('/').next().unwrap_or(address);
    let address = match address.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.to_owned(),
    };
    if is_tls && certificates.is_empty() {
        draft.leave(
            point.line,
            format!("the entry point {name}: no certificate is in a file"),
        );
    }
    let certificates = if is_tls {
        certificates.to_vec()
    } else {
        Vec::new()
    };
    let listener = Listener {
        address,
        certificates,
    };
    draft.listen(listener, point.line);
}

/// A service with servers of its own.
fn balanced(name: &str, service: &Foreign, draft: &mut Draft) {
    let balancer = service.get("loadBalancer");
    if !balancer.is_there() {
        if !service.get("weighted").is_there() {
            draft.leave(
                service.line,
                format!("the service {name}: no load balancer"),
            );
        }
        return;
    }
    let mut upstream = Upstream {
        name: name.to_owned(),
        ..Upstream::default()
    };
    for server in balancer.get("servers").items() {
        let url = server.get("url").text().unwrap_or("");
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let place = rest.split('/').next().unwrap_or(rest);
        let has_port = place
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if scheme == "https" { 443 } else { 80 };
        let place = if has_port {
            place.to_owned()
        } else {
            format!("{place}:{port}")
        };
        let weight = server
            .get("weight")
            .number()
            .filter(|it| (1.0..1e6).contains(it));
        let weight = weight
            .and_then(|it| format!("{it:.0}").parse().ok())
            .unwrap_or(1);
        upstream.endpoints.push((place, weight));
        match scheme {
            "https" => drop(upstream.keys.insert("tls", "{}".to_owned())),
            "h2c" => drop(upstream.keys.insert("protocol", "h2c".to_owned())),
            _ => {}
        }
    }
    let check = balancer.get("healthCheck");
    if let Some(path) = check.get("path").text().filter(|path| is_path(path)) {
        let mut parts = vec![format!("path: {}", quoted(path))];
        let span = |key| check.get(key).text().and_then(|text| time(text, 1.0));
        let interval = span("interval").unwrap_or_else(|| "30s".to_owned());
        let timeout = span("timeout").unwrap_or_else(|| "5s".to_owned());
        parts.push(format!("interval: {interval}, timeout: {timeout}"));
        upstream
            .keys
            .insert("health_check", format!("{{ {} }}", parts.join(", ")));
    }
    if balancer.get("passHostHeader").text() == Some("false") {
        draft.leave(balancer.line, format!("{name}: passHostHeader: false"));
    }
    draft.upstream(upstream, service.line);
}

/// What a service leads to, with weights; and its cookie.
fn versions(
    name: &str,
    services: &[&(String, Foreign)],
    depth: usize,
) -> (Weighted, Option<Foreign>) {
    let bare = name.split('@').next().unwrap_or(name);
    let Some((_, service)) = services.iter().find(|(known, _)| known == bare) else {
        return (vec![(bare.to_owned(), 100.0)], None);
    };
    let weighted = service.get("weighted");
    if !weighted.is_there() || depth == 0 {
        let sticky = service.at(&["loadBalancer", "sticky", "cookie"]);
        let sticky = (sticky.line > 0).then(|| sticky.clone());
        return (vec![(bare.to_owned(), 100.0)], sticky);
    }
    let mut all = Weighted::new();
    for part in weighted.get("services").items() {
        let weight = part.get("weight").number().unwrap_or(1.0).max(0.0);
        let Some(inner) = part.get("name").text() else {
            continue;
        };
        let (below, _) = versions(inner, services, depth - 1);
        let total: f64 = below.iter().map(|(_, weight)| weight).sum();
        let part = |share: f64| {
            if total > 0.0 {
                weight * share / total
            } else {
                0.0
            }
        };
        all.extend(below.into_iter().map(|(name, share)| (name, part(share))));
    }
    let sticky = weighted.at(&["sticky", "cookie"]);
    (all, (sticky.line > 0).then(|| sticky.clone()))
}

fn route(name: &str, router: &Foreign, services: &[&(String, Foreign)], draft: &mut Draft) {
    let rule = router.get("rule");
    let matches = match rule.text().map(alternatives) {
        Some(Some(matches)) => matches,
        Some(None) => {
            draft.leave(rule.line, format!("{name}: {}", rule.text().unwrap_or("")));
            return;
        }
        None => {
            draft.leave(router.line, format!("{name}: it has no rule"));
            return;
        }
    };
    for found in router.get("middlewares").items() {
        draft.leave(
            found.line,
            format!("{name}: the middleware {}", found.text().unwrap_or("?")),
        );
    }
    let Some(service) = router.get("service").text() else {
        draft.leave(router.line, format!("{name}: it has no service"));
        return;
    };
    let (versions, sticky) = versions(service, services, DEEPEST);
    let mut keys = Keys::new();
    if let Some(cookie) = sticky {
        let is_secure = cookie.get("secure").text() == Some("true");
        let is_name = |it: &&str| {
            !it.is_empty()
                && it
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let named = cookie.get("name").text().filter(is_name);
        let named = named.filter(|it| !it.starts_with("__"));
        let named = named.map_or_else(String::new, |it| format!("name: {}, ", quoted(it)));
        keys.insert(
            "sticky",
            format!("{{ cookie: {{ {named}secure: {is_secure} }} }}"),
        );
    }
    let split = Split {
        name: name.to_owned(),
        matches,
        versions,
        keys,
    };
    draft.split(split, router.line);
}

/// A rule as matches of which one must fit; `None`: it cannot be said here.
fn alternatives(rule: &str) -> Option<Vec<Match>> {
    let mut all = Vec::new();
    for alternative in rule.split("||") {
        // Brackets around more than one matcher would have to be multiplied out.
        let mut found = Match::default();
        for matcher in alternative.split("&&") {
            one(matcher.trim(), &mut found)?;
        }
        all.push(found);
    }
    Some(all)
}

fn one(matcher: &str, found: &mut Match) -> Option<()> {
    let (name, rest) = matcher.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    if arguments.contains(['(', ')', '!']) {
        return None;
    }
    let arguments = arguments
        .split(',')
        .map(|it| it.trim().trim_matches(['`', '"', '\'']));
    let arguments: Vec<String> = arguments.map(str::to_owned).collect();
    let first = arguments.first().filter(|it| !it.is_empty())?.clone();
    match (name.trim(), arguments.get(1)) {
        ("Host", _) => found.hosts.extend(arguments),
        ("PathPrefix", None) => {
            let path = first.trim_end_matches('/');
            found.path = (!path.is_empty()).then(|| (path.to_owned(), false));
        }
        ("Path", None) => found.path = Some((first, true)),
        ("Method", _) => found.methods.extend(arguments),
        ("Header" | "Headers", Some(value)) => {
            found
                .headers
                .push((first.to_ascii_lowercase(), Some(value.clone())));
        }
        _ => return None,
    }
    Some(())
}
