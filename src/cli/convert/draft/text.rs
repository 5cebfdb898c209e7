//! A draft as the text of a file.

use std::collections::{BTreeMap, HashSet};

use super::{Listener, Match, Split, Upstream, is_host};
use crate::cli::convert::quoted;

/// A note with its line.
pub(super) fn said(line: usize, what: &str) -> String {
    let what: String = what.chars().filter(|c| !c.is_control()).take(200).collect();
    if line == 0 {
        what
    } else {
        format!("line {line}: {what}")
    }
}

/// Where to listen.
pub(super) fn listeners(listeners: &[Listener]) -> Vec<String> {
    if listeners.is_empty() {
        return vec!["listen: \"0.0.0.0:8080\"   # nothing was said: choose an address".into()];
    }
    let mut lines = vec!["listeners:".into()];
    for (number, listener) in (1..).zip(listeners) {
        let port = listener
            .address
            .rsplit_once(':')
            .map_or("", |(_, port)| port);
        lines.push(format!("  - name: web-{number}-{port}"));
        lines.push(format!("    address: {}", quoted(&listener.address)));
        if !listener.certificates.is_empty() {
            lines.push("    tls:".into());
            lines.push("      certificates:".into());
        }
        let pairs = listener.certificates.iter().map(|(cert, key)| {
            format!(
                "        - {{ cert: {}, key: {} }}",
                quoted(cert),
                quoted(key)
            )
        });
        lines.extend(pairs);
    }
    lines
}

impl Upstream {
    /// As it stands in the file.
    pub(super) fn lines(&self, names: &BTreeMap<String, String>) -> Vec<String> {
        let name = names.get(&self.name).map_or("it", String::as_str);
        let mut lines = vec![format!("  {}:", quoted(name))];
        if let Some(dns) = self.dns.as_ref().filter(|_| self.endpoints.is_empty()) {
            lines.push(format!("    dns: {}", quoted(dns)));
        } else {
            lines.push("    static:".into());
        }
        let endpoints = self.endpoints.iter().map(|(address, weight)| match weight {
            0 | 1 => format!("      - {}", quoted(address)),
            weight => format!(
                "      - {{ address: {}, weight: {weight} }}",
                quoted(address)
            ),
        });
        lines.extend(endpoints);
        lines.extend(self.keys.iter().map(written));
        lines
    }

    /// Several names need one that all certificates have; whether one was chosen.
    pub(super) fn name_tls(&mut self) -> bool {
        let hosts = self.endpoints.iter();
        let hosts = hosts.filter_map(|(endpoint, _)| Some(endpoint.rsplit_once(':')?.0));
        let hosts: HashSet<&str> = hosts.collect();
        let is_name = |host: &str| host.parse::<std::net::IpAddr>().is_err() && is_host(host);
        let mut names: Vec<&str> = hosts.iter().copied().filter(|host| is_name(host)).collect();
        names.sort_unstable();
        let is_bare = |tls: &String| !tls.contains("verify") && !tls.contains("server_name");
        let is_bare = self.keys.get("tls").is_some_and(is_bare);
        let Some(name) = names.first().filter(|_| hosts.len() > 1 && is_bare) else {
            return false;
        };
        let name = quoted(name);
        self.keys
            .insert("tls", format!("{{ server_name: {name} }}"));
        true
    }
}

/// A key with its value; a block begins in the next line.
fn written((key, value): (&&'static str, &String)) -> String {
    if value.starts_with('\n') {
        format!("    {key}:{value}")
    } else {
        format!("    {key}: {value}")
    }
}

impl Split {
    /// As it stands in the file.
    pub(super) fn lines(&self, name: &str, names: &BTreeMap<String, String>) -> Vec<String> {
        let mut lines = vec![format!("  {}:", quoted(name))];
        match self.matches.as_slice() {
            [] => {}
            [one] if *one == Match::default() => {}
            [one] => lines.push(format!("    match: {}", one.shown(None))),
            several => {
                lines.push("    match:".into());
                let numbered = (1..).zip(several);
                lines.extend(numbered.map(|(number, found)| {
                    let name = format!("{}-{number}", name.chars().take(50).collect::<String>());
                    format!("      - {}", found.shown(Some(&name)))
                }));
            }
        }
        let mut versions = self.versions.clone();
        // The heaviest is what users have today.
        versions.sort_by(|a, b| b.1.total_cmp(&a.1));
        let total: f64 = versions.iter().map(|(_, weight)| weight).sum();
        let here = |it: &String| quoted(names.get(it).map_or("it", String::as_str));
        let mut versions = versions.iter();
        if let Some((stable, _)) = versions.next() {
            lines.push(format!("    stable: {}", here(stable)));
        }
        if let Some((canary, weight)) = versions.next() {
            lines.push(format!("    canary: {}", here(canary)));
            let share = if total > 0.0 {
                100.0 * weight / total
            } else {
                0.0
            };
            if !self.keys.contains_key("rollout") {
                let share = (share * 100.0).round() / 100.0;
                lines.push(format!("    weight: {share}%"));
            }
        }
        for (left, _) in versions {
            lines.push(format!(
                "    # a third version was left out: {}",
                here(left)
            ));
        }
        lines.extend(self.keys.iter().map(written));
        lines
    }
}

impl Match {
    fn shown(&self, name: Option<&str>) -> String {
        let list = |items: &[String]| {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        };
        let mut keys = Vec::new();
        keys.extend(name.map(|name| format!("name: {}", quoted(name))));
        let mut hosts = self.hosts.clone();
        hosts.dedup();
        if !hosts.is_empty() {
            keys.push(format!("hosts: {}", list(&hosts)));
        }
        if let Some((path, is_exact)) = &self.path {
            let key = if *is_exact { "path" } else { "path_prefix" };
            keys.push(format!("{key}: {}", quoted(path)));
        }
        if !self.headers.is_empty() {
            let mut seen = HashSet::new();
            let fields = self
                .headers
                .iter()
                .filter(|(name, _)| seen.insert(name.clone()));
            let fields = fields.map(|(name, value)| {
                let value = value
                    .as_ref()
                    .map_or_else(|| "~".to_owned(), |it| quoted(it));
                format!("{}: {value}", quoted(name))
            });
            keys.push(format!(
                "headers: {{ {} }}",
                fields.collect::<Vec<_>>().join(", ")
            ));
        }
        if !self.methods.is_empty() {
            keys.push(format!("methods: {}", list(&self.methods)));
        }
        format!("{{ {} }}", keys.join(", "))
    }
}
