//! A static bootstrap of Envoy, as YAML or JSON: listeners, routes, weighted clusters, endpoints,
//! checks and limits.

use std::collections::BTreeMap;

use super::{
    draft::{Draft, Listener, Match, Split, Upstream, is_host, is_path, time},
    quoted,
};
use crate::config::{Foreign, foreign};

type Keys = BTreeMap<&'static str, String>;

/// Reads the file.
pub(super) fn convert(text: &str) -> Result<String, String> {
    let documents = foreign(text)?;
    let mut draft = Draft::default();
    for document in &documents {
        let resources = document.get("static_resources");
        if document.get("dynamic_resources").is_there() {
            let line = document.get("dynamic_resources").line;
            draft.leave(
                line,
                "dynamic_resources: what a control plane says is not known here",
            );
        }
        for found in resources.get("clusters").items() {
            cluster(found, &mut draft);
        }
        for found in resources.get("listeners").items() {
            listener(found, &mut draft);
        }
    }
    draft.file("envoy")
}

fn place(address: &Foreign) -> Option<String> {
    let socket = address.get("socket_address");
    let port = socket.get("port_value").text()?;
    let host = socket.get("address").text()?;
    Some(if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    })
}

fn cluster(found: &Foreign, draft: &mut Draft) {
    let name = found.get("name").text().unwrap_or("cluster").to_owned();
    if found.get("type").text() == Some("EDS") {
        draft.leave(found.line, format!("{name}: its endpoints come by EDS"));
        return;
    }
    let mut upstream = Upstream {
        name,
        ..Upstream::default()
    };
    let groups = found.at(&["load_assignment", "endpoints"]).items();
    for endpoint in groups
        .iter()
        .flat_map(|group| group.get("lb_endpoints").items())
    {
        let weight = endpoint
            .get("load_balancing_weight")
            .number()
            .unwrap_or(1.0);
        let weight = if (1.0..1e6).contains(&weight) {
            format!("{weight:.0}")
        } else {
            "1".into()
        };
        match place(endpoint.at(&["endpoint", "address"])) {
            Some(place) => upstream
                .endpoints
                .push((place, weight.parse().unwrap_or(1))),
            None => draft.leave(endpoint.line, "an endpoint without a socket address"),
        }
    }
    let is_dns = found
        .get("type")
        .text()
        .is_some_and(|kind| kind.ends_with("_DNS"));
    if let ([(only, _)], true) = (upstream.endpoints.as_slice(), is_dns) {
        upstream.dns =
            Some(only.clone()).filter(|only| only.parse::<std::net::SocketAddr>().is_err());
        if upstream.dns.is_some() {
            upstream.endpoints.clear();
        }
    }
    let connect = found
        .get("connect_timeout")
        .text()
        .and_then(|text| time(text, 1.0));
    if let Some(connect) = connect {
        upstream
            .keys
            .insert("timeouts", format!("{{ connect: {connect} }}"));
    }
    policy(found, &mut upstream.keys, draft);
    checks(found, &mut upstream.keys, draft);
    ejection(found, &mut upstream.keys);
    transport(found, &mut upstream.keys);
    breaker(found, &mut upstream.keys);
    draft.upstream(upstream, found.line);
}

fn policy(found: &Foreign, keys: &mut Keys, draft: &mut Draft) {
    let policy = found.get("lb_policy");
    let said = match policy.text() {
        None => return,
        Some("ROUND_ROBIN") => "round_robin",
        Some("LEAST_REQUEST") => "least_request",
        Some("RANDOM") => "p2c",
        Some(other) => {
            draft.leave(policy.line, format!("lb_policy {other}"));
            return;
        }
    };
    keys.insert("balance", format!("{{ policy: {said} }}"));
}

fn checks(found: &Foreign, keys: &mut Keys, draft: &mut Draft) {
    let checks = found.get("health_checks").items();
    let Some(check) = checks.first() else { return };
    for more in checks.iter().skip(1) {
        draft.leave(more.line, "a second health check");
    }
    let mut parts = Vec::new();
    if let Some(path) = check
        .at(&["http_health_check", "path"])
        .text()
        .filter(|path| is_path(path))
    {
        parts.push(format!("path: {}", quoted(path)));
    } else if check.get("grpc_health_check").is_there() {
        parts.push("protocol: grpc".to_owned());
    } else {
        parts.push("protocol: tcp".to_owned());
    }
    let span = |key| check.get(key).text().and_then(|text| time(text, 1.0));
    // Envoy lets a check take longer than the time to the next one.
    let times = span("interval").zip(span("timeout"));
    if let Some((interval, timeout)) = times {
        let longer = |text: &str| {
            let number = text.trim_end_matches(char::is_alphabetic).parse::<f64>();
            let unit = if text.ends_with("ms") { 1e-3 } else { 1.0 };
            number.unwrap_or(0.0) * unit
        };
        let fits = longer(&timeout) <= longer(&interval);
        let timeout = if fits { timeout } else { interval.clone() };
        parts.push(format!("interval: {interval}, timeout: {timeout}"));
    }
    for (theirs, ours) in [
        ("healthy_threshold", "healthy"),
        ("unhealthy_threshold", "unhealthy"),
    ] {
        let number = check
            .get(theirs)
            .number()
            .filter(|it| (1.0..=100.0).contains(it));
        parts.extend(number.map(|number| format!("{ours}: {number:.0}")));
    }
    keys.insert("health_check", format!("{{ {} }}", parts.join(", ")));
}

fn ejection(found: &Foreign, keys: &mut Keys) {
    let detection = found.get("outlier_detection");
    let number = detection.get("consecutive_5xx").number();
    if let Some(number) = number.filter(|number| (1.0..=1000.0).contains(number)) {
        keys.insert(
            "outlier_detection",
            format!("{{ consecutive_failures: {number:.0} }}"),
        );
    }
}

fn transport(found: &Foreign, keys: &mut Keys) {
    let socket = found.get("transport_socket");
    let is_h2 = found.get("http2_protocol_options").is_there()
        || found.get("typed_extension_protocol_options").is_there();
    if socket.is_there() {
        let context = socket.get("typed_config");
        let validation = context.at(&["common_tls_context", "validation_context"]);
        let ca = validation.at(&["trusted_ca", "filename"]).text();
        let name = context.get("sni").text().filter(|name| is_host(name));
        let parts = [
            ca.map(|ca| format!("ca: {}", quoted(ca))),
            name.map(|name| format!("server_name: {}", quoted(name))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        keys.insert("tls", format!("{{ {} }}", parts.join(", ")));
    }
    if is_h2 {
        let word = if socket.is_there() { "h2" } else { "h2c" };
        keys.insert("protocol", word.to_owned());
    }
}

fn breaker(found: &Foreign, keys: &mut Keys) {
    let limits = found.at(&["circuit_breakers", "thresholds"]).items();
    let Some(limit) = limits.first() else { return };
    let words = ["max_requests", "max_pending"];
    let theirs = ["max_requests", "max_pending_requests"];
    let parts = words.iter().zip(theirs).filter_map(|(ours, theirs)| {
        let number = limit.get(theirs).number()?;
        let is_sound = (1.0..=1e6).contains(&number);
        is_sound.then(|| format!("{ours}: {number:.0}"))
    });
    let parts: Vec<String> = parts.collect();
    if parts.iter().any(|part| part.starts_with("max_requests")) {
        keys.insert("circuit_breaker", format!("{{ {} }}", parts.join(", ")));
    }
}

fn listener(found: &Foreign, draft: &mut Draft) {
    let Some(address) = place(found.get("address")) else {
        draft.leave(found.line, "a listener without a socket address");
        return;
    };
    let mut certificates = Vec::new();
    for chain in found.get("filter_chains").items() {
        let context = chain.at(&["transport_socket", "typed_config", "common_tls_context"]);
        for pair in context.get("tls_certificates").items() {
            let file = |key: &str| pair.at(&[key, "filename"]).text().map(str::to_owned);
            match file("certificate_chain").zip(file("private_key")) {
                Some(pair) => certificates.push(pair),
                None => draft.leave(pair.line, "a certificate that is not in files"),
            }
        }
    }
    let listener = Listener {
        address,
        certificates,
    };
    draft.listen(listener, found.line);
    for chain in found.get("filter_chains").items() {
        for filter in chain.get("filters").items() {
            let config = filter.get("typed_config");
            let routes = config.get("route_config");
            if !routes.is_there() {
                let name = filter.get("name").text().unwrap_or("?");
                draft.leave(
                    filter.line,
                    format!("the filter {name}: it has no routes in the file"),
                );
            }
            for host in routes.get("virtual_hosts").items() {
                virtual_host(host, draft);
            }
        }
    }
}

fn virtual_host(host: &Foreign, draft: &mut Draft) {
    let domains = host.get("domains").items().iter().filter_map(Foreign::text);
    let domains = domains.map(|domain| domain.rsplit_once(':').map_or(domain, |(it, _)| it));
    let hosts: Vec<String> = domains.filter(|it| *it != "*").map(str::to_owned).collect();
    let name = host.get("name").text().unwrap_or("web");
    for (number, route) in (1..).zip(host.get("routes").items()) {
        let Some(found) = matched(route.get("match"), &hosts) else {
            draft.leave(
                route.line,
                "a route by a regular expression or by what is not known here",
            );
            continue;
        };
        let action = route.get("route");
        if !action.is_there() {
            draft.leave(route.line, "a route that redirects or answers by itself");
            continue;
        }
        let mut versions = Vec::new();
        if let Some(cluster) = action.get("cluster").text() {
            versions.push((cluster.to_owned(), 100.0));
        }
        for part in action.at(&["weighted_clusters", "clusters"]).items() {
            let weight = part.get("weight").number().unwrap_or(0.0).max(0.0);
            versions.extend(
                part.get("name")
                    .text()
                    .map(|name| (name.to_owned(), weight)),
            );
        }
        let split = Split {
            name: if number == 1 {
                name.to_owned()
            } else {
                format!("{name}-{number}")
            },
            matches: vec![found],
            versions,
            keys: action_keys(action, draft),
        };
        draft.split(split, route.line);
    }
}

fn matched(found: &Foreign, hosts: &[String]) -> Option<Match> {
    let path = match (found.get("prefix").text(), found.get("path").text()) {
        (Some("/"), _) => None,
        (Some(prefix), _) => Some((prefix.trim_end_matches('/').to_owned(), false)),
        (None, Some(path)) => Some((path.to_owned(), true)),
        (None, None) => {
            let prefix = found.get("path_separated_prefix").text()?;
            Some((prefix.to_owned(), false))
        }
    };
    let mut all = Match {
        hosts: hosts.to_vec(),
        path,
        ..Match::default()
    };
    for header in found.get("headers").items() {
        let name = header.get("name").text()?;
        let exact = header.get("exact_match").text();
        let exact = exact.or(header.at(&["string_match", "exact"]).text());
        match (name, exact) {
            (":method", Some(method)) => all.methods.push(method.to_owned()),
            (name, Some(value)) => {
                all.headers
                    .push((name.to_ascii_lowercase(), Some(value.to_owned())));
            }
            (name, None) if header.get("present_match").text() == Some("true") => {
                all.headers.push((name.to_ascii_lowercase(), None));
            }
            (_, None) => return None,
        }
    }
    Some(all)
}

fn action_keys(action: &Foreign, draft: &mut Draft) -> Keys {
    let mut keys = Keys::new();
    if let Some(total) = action
        .get("timeout")
        .text()
        .and_then(|text| time(text, 1.0))
    {
        keys.insert("timeouts", format!("{{ total: {total} }}"));
    }
    let retries = action.get("retry_policy").get("num_retries").number();
    if let Some(retries) = retries.filter(|retries| (0.0..=9.0).contains(retries)) {
        keys.insert(
            "retry_policy",
            format!("{{ attempts: {:.0} }}", retries + 1.0),
        );
    }
    let mut sources = Vec::new();
    let is_by_hash = action.at(&["weighted_clusters", "use_hash_policy"]).text() == Some("true");
    for policy in action
        .get("hash_policy")
        .items()
        .iter()
        .filter(|_| is_by_hash)
    {
        let header = policy.at(&["header", "header_name"]).text();
        let cookie = policy.at(&["cookie", "name"]).text();
        let is_ip = policy.at(&["connection_properties", "source_ip"]).text() == Some("true");
        let is_name = |it: &&str| {
            it.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let source = header.filter(is_name).map(|it| format!("header:{it}"));
        let source = source.or(cookie.filter(is_name).map(|it| format!("cookie:{it}")));
        match source.or(is_ip.then(|| "client_ip".to_owned())) {
            Some(source) => sources.push(quoted(&source)),
            None => draft.leave(policy.line, "a hash_policy"),
        }
    }
    if !sources.is_empty() {
        keys.insert("sticky", format!("{{ key: [{}] }}", sources.join(", ")));
    }
    for mirror in action.get("request_mirror_policies").items() {
        draft.leave(mirror.line, "request_mirror_policies");
    }
    keys
}
