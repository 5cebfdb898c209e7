//! `nginx.conf`: upstreams, servers and locations, `split_clients`, certificates and timeouts.

mod words;

use std::collections::BTreeMap;

use self::words::{Directive, read};
use super::{
    draft::{Draft, Listener, Match, Split, Upstream, is_endpoint, time},
    quoted,
};

/// What `split_clients` makes of a variable.
struct Chosen {
    variable: String,
    source: Option<String>,
    versions: Vec<(String, f64)>,
}

/// Reads the file.
pub(super) fn convert(text: &str) -> Result<String, String> {
    let mut all = read(text);
    let inner: Vec<Directive> = all
        .iter_mut()
        .filter(|directive| directive.name() == "http")
        .flat_map(|http| std::mem::take(&mut http.block))
        .collect();
    all.extend(inner);
    let mut draft = Draft::default();
    let mut chosen = Vec::new();
    for directive in &all {
        match directive.name() {
            "upstream" => upstream(directive, &mut draft),
            "split_clients" => chosen.extend(split_clients(directive, &mut draft)),
            _ => {}
        }
    }
    for directive in &all {
        match directive.name() {
            "server" => server(directive, &chosen, &mut draft),
            "map" | "geo" | "limit_req_zone" | "proxy_cache_path" | "stream" => {
                draft.leave(directive.line, directive.words.join(" "));
            }
            _ => {}
        }
    }
    draft.file("nginx")
}

fn upstream(directive: &Directive, draft: &mut Draft) {
    let mut upstream = Upstream {
        name: directive.word(1).to_owned(),
        ..Upstream::default()
    };
    for inner in &directive.block {
        match inner.name() {
            "server" => {
                if inner
                    .words
                    .iter()
                    .any(|word| word == "backup" || word == "down")
                {
                    draft.leave(inner.line, format!("{}: a backup", inner.words.join(" ")));
                    continue;
                }
                let weight = inner
                    .set("weight")
                    .and_then(|it| it.parse().ok())
                    .unwrap_or(1);
                upstream
                    .endpoints
                    .push((with_port(inner.word(1), "80"), weight));
            }
            "least_conn" => {
                upstream
                    .keys
                    .insert("balance", "{ policy: least_request }".into());
            }
            "ip_hash" => {
                let said = "{ policy: ring_hash, hash_key: client_ip }";
                upstream.keys.insert("balance", said.into());
            }
            "hash" => match source(inner.word(1)) {
                Some(source) => {
                    let said = format!("{{ policy: ring_hash, hash_key: {} }}", quoted(&source));
                    upstream.keys.insert("balance", said);
                }
                None => draft.leave(inner.line, inner.words.join(" ")),
            },
            "random" | "keepalive" | "keepalive_timeout" | "keepalive_requests" | "zone" => {}
            _ => draft.leave(inner.line, inner.words.join(" ")),
        }
    }
    draft.upstream(upstream, directive.line);
}

fn with_port(address: &str, port: &str) -> String {
    let has_port = address
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port {
        address.to_owned()
    } else {
        format!("{address}:{port}")
    }
}

/// A variable as a source of a key.
fn source(variable: &str) -> Option<String> {
    let name = variable.trim_start_matches('$').trim_matches(['{', '}']);
    let is_name =
        |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if matches!(name, "remote_addr" | "binary_remote_addr") {
        return Some("client_ip".to_owned());
    }
    if let Some(cookie) = name.strip_prefix("cookie_").filter(|it| is_name(it)) {
        return Some(format!("cookie:{cookie}"));
    }
    let field = name.strip_prefix("http_").filter(|it| is_name(it))?;
    Some(format!("header:{}", field.replace('_', "-")))
}

fn split_clients(directive: &Directive, draft: &mut Draft) -> Option<Chosen> {
    let hashed = directive.word(1);
    let first = hashed
        .split('$')
        .find(|part| !part.is_empty())
        .unwrap_or("");
    let first = first.trim_start_matches('{');
    let first: String = first
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let source = source(&first);
    if source.is_none() {
        draft.leave(
            directive.line,
            format!("split_clients by {hashed}: every request falls anew"),
        );
    }
    let mut versions = Vec::new();
    let mut given = 0.0;
    for inner in &directive.block {
        let share = inner.word(0);
        let percent = match share.strip_suffix('%') {
            Some(number) => number
                .parse()
                .ok()
                .filter(|it: &f64| it.is_finite() && *it >= 0.0)?,
            None => (100.0_f64 - given).max(0.0),
        };
        given += percent;
        versions.push((inner.word(1).to_owned(), percent));
    }
    Some(Chosen {
        variable: directive.word(2).trim_start_matches('$').to_owned(),
        source,
        versions,
    })
}

fn server(directive: &Directive, chosen: &[Chosen], draft: &mut Draft) {
    let certificate = directive.find("ssl_certificate").map(|it| it.word(1));
    let key = directive.find("ssl_certificate_key").map(|it| it.word(1));
    for listen in directive.block.iter().filter(|it| it.name() == "listen") {
        let address = listen.word(1);
        let address = match address.parse::<u16>() {
            Ok(port) => format!("0.0.0.0:{port}"),
            Err(_) => with_port(&address.replace('*', "0.0.0.0"), "80"),
        };
        let is_tls = listen.words.iter().any(|word| word == "ssl");
        let pair = certificate.zip(key).filter(|_| is_tls);
        if is_tls && pair.is_none() {
            draft.leave(
                listen.line,
                format!("listen {address} ssl: no certificate is named"),
            );
            continue;
        }
        let certificates = pair.map(|(cert, key)| (cert.to_owned(), key.to_owned()));
        let listener = Listener {
            address,
            certificates: certificates.into_iter().collect(),
        };
        draft.listen(listener, listen.line);
    }
    let names = directive
        .block
        .iter()
        .filter(|it| it.name() == "server_name");
    let hosts = names.flat_map(|it| it.words.iter().skip(1));
    let hosts: Vec<String> = hosts
        .filter(|it| !matches!(it.as_str(), "_" | ""))
        .cloned()
        .collect();
    for inner in &directive.block {
        match inner.name() {
            "location" => location(inner, (directive, &hosts), chosen, draft),
            "listen"
            | "server_name"
            | "ssl_certificate"
            | "ssl_certificate_key"
            | "access_log"
            | "error_log" => {}
            name if name.starts_with("proxy_") => {}
            _ => draft.leave(inner.line, inner.words.join(" ")),
        }
    }
}

fn location(
    directive: &Directive,
    (server, hosts): (&Directive, &[String]),
    chosen: &[Chosen],
    draft: &mut Draft,
) {
    let (path, is_exact) = match directive.word(1) {
        "=" => (directive.word(2), true),
        "^~" => (directive.word(2), false),
        "~" | "~*" => {
            draft.leave(
                directive.line,
                format!("{}: a regular expression", directive.words.join(" ")),
            );
            return;
        }
        path => (path, false),
    };
    let Some(pass) = directive.find("proxy_pass") else {
        draft.leave(
            directive.line,
            format!("location {path}: nothing is asked for it"),
        );
        return;
    };
    let target = pass.word(1);
    let (scheme, rest) = target.split_once("://").unwrap_or(("http", target));
    let (place, below) = rest.split_once('/').unwrap_or((rest, ""));
    if !below.is_empty() {
        draft.leave(
            pass.line,
            format!("proxy_pass {target}: the path is not rewritten"),
        );
    }
    let mut keys = BTreeMap::new();
    let by_variable = chosen
        .iter()
        .find(|it| place.strip_prefix('$') == Some(it.variable.as_str()));
    let versions = match by_variable {
        Some(chosen) => {
            if let Some(source) = &chosen.source {
                keys.insert("sticky", format!("{{ key: [{}] }}", quoted(source)));
            }
            chosen.versions.clone()
        }
        None => vec![(place.to_owned(), 100.0)],
    };
    asked(&versions, scheme, pass.line, draft);
    limits(directive, server, &mut keys);
    let split = Split {
        name: hosts.first().map_or_else(|| "web".to_owned(), Clone::clone) + path,
        matches: vec![Match {
            hosts: hosts.to_vec(),
            path: (is_exact || path != "/").then(|| (path.to_owned(), is_exact)),
            ..Match::default()
        }],
        versions,
        keys,
    };
    draft.split(split, directive.line);
    rest_of(directive, draft);
}

/// Hosts that are asked without an `upstream` of their name.
fn asked(versions: &[(String, f64)], scheme: &str, line: usize, draft: &mut Draft) {
    for (name, _) in versions {
        let address = with_port(name, if scheme == "https" { "443" } else { "80" });
        if !draft.has_upstream(name) && !name.starts_with('$') && is_endpoint(&address) {
            let mut upstream = Upstream {
                name: name.clone(),
                endpoints: vec![(address, 1)],
                ..Upstream::default()
            };
            if scheme == "https" {
                upstream.keys.insert("tls", "{}".into());
            }
            draft.upstream(upstream, line);
        }
    }
}

fn limits(directive: &Directive, server: &Directive, keys: &mut BTreeMap<&'static str, String>) {
    let find = |name: &str| directive.find(name).or_else(|| server.find(name));
    if let Some(time) = find("proxy_read_timeout").and_then(|it| time(it.word(1), 1.0)) {
        keys.insert("timeouts", format!("{{ response_header: {time} }}"));
    }
    let tries = find("proxy_next_upstream_tries").and_then(|it| it.word(1).parse::<u32>().ok());
    if let Some(tries) = tries.filter(|tries| (1..=10).contains(tries)) {
        keys.insert("retry_policy", format!("{{ attempts: {tries} }}"));
    }
}

fn rest_of(directive: &Directive, draft: &mut Draft) {
    let known = [
        "proxy_pass",
        "proxy_read_timeout",
        "proxy_next_upstream",
        "proxy_next_upstream_tries",
        "proxy_http_version",
        "proxy_set_header",
    ];
    for inner in &directive.block {
        if !known.contains(&inner.name()) {
            draft.leave(inner.line, inner.words.join(" "));
        }
    }
}
