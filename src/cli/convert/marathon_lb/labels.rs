//! What the labels of one app say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Settings;

/// Labels that are taken over, or that say nothing to Serin.
const KNOWN: [&str; 13] = [
    "GROUP",
    "VHOST",
    "PATH",
    "STICKY",
    "MODE",
    "ENABLED",
    "PORT",
    "DEPLOYMENT_GROUP",
    "DEPLOYMENT_COLOUR",
    "DEPLOYMENT_ALT_PORT",
    "DEPLOYMENT_STARTED_AT",
    "DEPLOYMENT_TARGET_INSTANCES",
    "APP_ID",
];

/// One port of one app.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) app: String,
    pub(super) index: usize,
    /// As a name in the file.
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    pub(super) path: String,
    pub(super) is_sticky: bool,
    /// Its deployment group, and when it was started in it.
    pub(super) group: Option<(String, String)>,
    pub(super) port: Option<u64>,
    /// What was not taken over.
    pub(super) notes: Vec<String>,
}

/// The ports of an app that marathon-lb would serve; `left`: those that Serin cannot.
pub(super) fn ports(
    app: &Value,
    settings: &Settings<'_>,
    left: &mut Vec<String>,
) -> Result<Vec<Served>, String> {
    let id = app
        .get("id")
        .and_then(Value::as_str)
        .ok_or("an app has no `id`")?
        .trim_end_matches('/');
    let empty = serde_json::Map::new();
    let labels = app
        .get("labels")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let labels: BTreeMap<&str, &str> = labels
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("HAPROXY_")?, value.as_str()?)))
        .collect();
    let label = |index: usize, name: &str| labels.get(format!("{index}_{name}").as_str()).copied();
    let Some(group) = labels.get("GROUP") else {
        return Ok(Vec::new());
    };
    if settings
        .group
        .is_some_and(|wanted| !group.split(',').any(|one| one == wanted))
    {
        return Ok(Vec::new());
    }
    let service = service_ports(app);
    let named = labels.keys();
    let named = named.filter_map(|name| name.split('_').next()?.parse::<usize>().ok());
    let indexes: BTreeSet<usize> = (0..service.len().max(1)).chain(named).collect();
    let mut served = Vec::new();
    for index in indexes {
        if label(index, "ENABLED") == Some("false") {
            continue;
        }
        let hosts = hosts(label(index, "VHOST").unwrap_or_default());
        let is_http = !hosts.is_empty() || has_http_check(app, index);
        let mode = label(index, "MODE").unwrap_or(if is_http { "http" } else { "tcp" });
        if mode != "http" {
            left.push(format!(
                "port {index} of {id} is TCP for marathon-lb: if it speaks HTTP, give it \
                 HAPROXY_{index}_MODE=http"
            ));
            continue;
        }
        let own = label(index, "PORT").and_then(|port| port.parse().ok());
        served.push(Served {
            app: id.to_owned(),
            index,
            name: String::new(),
            hosts,
            path: label(index, "PATH").unwrap_or("/").to_owned(),
            is_sticky: label(index, "STICKY") == Some("true"),
            group: deployment(&labels),
            port: own.or_else(|| service.get(index).copied().flatten()),
            notes: unknown(&labels, index),
        });
    }
    Ok(served)
}

fn hosts(text: &str) -> Vec<String> {
    let words = text.split([',', ' ']).filter(|host| !host.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

fn deployment(labels: &BTreeMap<&str, &str>) -> Option<(String, String)> {
    let group = labels.get("DEPLOYMENT_GROUP")?;
    let started = labels.get("DEPLOYMENT_STARTED_AT").copied();
    Some(((*group).to_owned(), started.unwrap_or_default().to_owned()))
}

/// Labels of a port, and of its app if it is the first, that have no meaning for Serin.
fn unknown(labels: &BTreeMap<&str, &str>, index: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, value) in labels {
        let number = name.split_once('_').and_then(|(first, rest)| {
            let number = first.parse::<usize>().ok()?;
            Some((number, rest))
        });
        let (of, bare) = number.unwrap_or((0, name));
        if of == index && !KNOWN.contains(&bare) {
            let value = value.escape_debug();
            notes.push(format!("not taken over: HAPROXY_{name}={value}"));
        }
    }
    notes
}

/// The service ports of an app, wherever its version of Marathon keeps them.
fn service_ports(app: &Value) -> Vec<Option<u64>> {
    let container = app.get("container");
    let docker = container.and_then(|it| it.get("docker"));
    let within = |of: Option<&Value>, list: &str, key: &str| -> Option<Vec<Option<u64>>> {
        let list = of?.get(list)?.as_array()?;
        let port = |it: &Value| it.get(key).and_then(Value::as_u64);
        Some(list.iter().map(port).collect()).filter(|ports: &Vec<_>| !ports.is_empty())
    };
    within(container, "portMappings", "servicePort")
        .or_else(|| within(docker, "portMappings", "servicePort"))
        .or_else(|| within(Some(app), "portDefinitions", "port"))
        .unwrap_or_default()
}

fn has_http_check(app: &Value, index: usize) -> bool {
    let checks = app.get("healthChecks").and_then(Value::as_array);
    checks.into_iter().flatten().any(|check| {
        let protocol = check
            .get("protocol")
            .and_then(Value::as_str)
            .unwrap_or("HTTP");
        let of = check.get("portIndex").and_then(Value::as_u64).unwrap_or(0);
        protocol.contains("HTTP") && usize::try_from(of) == Ok(index)
    })
}
