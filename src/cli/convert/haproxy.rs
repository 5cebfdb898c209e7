//! `haproxy.cfg`: frontends and binds, backends and servers, the ACLs that choose between them,
//! checks, cookies and timeouts.

mod rules;

use std::collections::BTreeMap;

use self::rules::frontend;
use super::draft::{Draft, Upstream, is_path, time};

/// A line of a section.
#[derive(Debug)]
struct Line<'a> {
    number: usize,
    words: Vec<&'a str>,
}

/// `frontend web`, `backend app`, ...
#[derive(Debug)]
struct Section<'a> {
    kind: &'a str,
    name: &'a str,
    number: usize,
    lines: Vec<Line<'a>>,
}

/// Reads the file.
pub(super) fn convert(text: &str) -> Result<String, String> {
    let sections = sections(text);
    let mut draft = Draft::default();
    let defaults: Vec<&Line<'_>> = sections
        .iter()
        .filter(|section| section.kind == "defaults")
        .flat_map(|section| &section.lines)
        .collect();
    for section in &sections {
        if is_tcp(section, &defaults) {
            draft.leave(
                section.number,
                format!("{} {}: mode tcp", section.kind, section.name),
            );
            continue;
        }
        match section.kind {
            "backend" | "listen" => backend(section, &defaults, &mut draft),
            "frontend" | "defaults" | "global" => {}
            other => draft.leave(section.number, format!("{other} {}", section.name)),
        }
    }
    for section in &sections {
        if matches!(section.kind, "frontend" | "listen") && !is_tcp(section, &defaults) {
            frontend(section, &mut draft);
        }
    }
    draft.file("haproxy")
}

/// Whether what a section carries is no HTTP. Its own word counts, else that of the defaults.
fn is_tcp(section: &Section<'_>, defaults: &[&Line<'_>]) -> bool {
    let is_served = matches!(section.kind, "frontend" | "backend" | "listen");
    let mut own = section.lines.iter().filter(|line| line.word(0) == "mode");
    let mut said = defaults.iter().filter(|line| line.word(0) == "mode");
    let mode = own.next_back().or(said.next_back().copied());
    is_served && mode.is_some_and(|line| line.word(1) == "tcp")
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let kinds = [
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "userlist",
        "peers",
        "resolvers",
        "cache",
        "program",
        "mailers",
        "ring",
        "http-errors",
    ];
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        if kinds.contains(first) {
            sections.push(Section {
                kind: first,
                name: words.get(1).copied().unwrap_or(""),
                number,
                lines: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(Line { number, words });
        }
    }
    sections
}

impl<'a> Line<'a> {
    fn word(&self, place: usize) -> &'a str {
        self.words.get(place).copied().unwrap_or("")
    }

    /// What follows a word.
    fn after(&self, word: &str) -> Option<&'a str> {
        let place = self.words.iter().position(|known| *known == word)?;
        self.words.get(place + 1).copied()
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn rest(&self, from: usize) -> String {
        let rest = self.words.get(from..).unwrap_or_default();
        rest.join(" ")
    }
}

/// A backend's servers; those that are called a canary are a version of their own.
fn backend(section: &Section<'_>, defaults: &[&Line<'_>], draft: &mut Draft) {
    let mut keys: BTreeMap<&'static str, String> = BTreeMap::new();
    let lines = || defaults.iter().copied().chain(&section.lines);
    timeouts(lines(), &mut keys);
    check(section, defaults, &mut keys);
    balance(section, &mut keys, draft);
    let servers: Vec<&Line<'_>> = section
        .lines
        .iter()
        .filter(|line| line.word(0) == "server")
        .collect();
    let mut versions = [Vec::new(), Vec::new()];
    for server in &servers {
        let (name, address) = (server.word(1), server.word(2));
        if server.has("backup") || server.has("disabled") {
            draft.leave(
                server.number,
                format!("server {name}: it is a backup or disabled"),
            );
            continue;
        }
        let weight: u32 = server
            .after("weight")
            .and_then(|it| it.parse().ok())
            .unwrap_or(1);
        let is_canary = name.contains("canary");
        let [stable, canary] = &mut versions;
        let list = if is_canary { canary } else { stable };
        list.push((address.trim_start_matches("ipv4@").to_owned(), weight));
        if server.has("ssl") {
            let is_blind = server.after("verify") == Some("none");
            let tls = match server.after("ca-file").filter(|_| !is_blind) {
                Some(file) => format!("{{ ca: {} }}", super::quoted(file)),
                None if is_blind => "{ verify: none }".to_owned(),
                None => "{}".to_owned(),
            };
            keys.insert("tls", tls);
        }
        for word in [
            "maxconn",
            "send-proxy",
            "send-proxy-v2",
            "resolvers",
            "source",
        ] {
            if server.has(word) {
                draft.leave(server.number, format!("server {name}: {word}"));
            }
        }
    }
    let [stable, canary] = versions;
    let both = [
        (section.name.to_owned(), stable),
        (format!("{}-canary", section.name), canary),
    ];
    for (name, endpoints) in both {
        if !endpoints.is_empty() {
            let upstream = Upstream {
                name,
                endpoints,
                dns: None,
                keys: keys.clone(),
            };
            draft.upstream(upstream, section.number);
        }
    }
    unknown(section, draft);
}

fn timeouts<'a>(
    lines: impl Iterator<Item = &'a Line<'a>>,
    keys: &mut BTreeMap<&'static str, String>,
) {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for line in lines.filter(|line| line.word(0) == "timeout") {
        let key = match line.word(1) {
            "connect" => "connect",
            "server" => "response_header",
            _ => continue,
        };
        if let Some(time) = time(line.word(2), 1e-3) {
            found.insert(key, time);
        }
    }
    if !found.is_empty() {
        let all: Vec<String> = found
            .iter()
            .map(|(key, time)| format!("{key}: {time}"))
            .collect();
        keys.insert("timeouts", format!("{{ {} }}", all.join(", ")));
    }
}

fn check(section: &Section<'_>, defaults: &[&Line<'_>], keys: &mut BTreeMap<&'static str, String>) {
    let lines = || defaults.iter().copied().chain(&section.lines);
    let servers = || lines().filter(|line| matches!(line.word(0), "server" | "default-server"));
    if !servers().any(|server| server.has("check")) {
        return;
    }
    let asked = lines().find(|line| line.words.starts_with(&["option", "httpchk"]));
    let sent = lines().find(|line| line.words.starts_with(&["http-check", "send"]));
    let path = sent.and_then(|line| line.after("uri"));
    let path = path.or(asked.and_then(|line| {
        line.words
            .iter()
            .skip(2)
            .find(|it| it.starts_with('/'))
            .copied()
    }));
    let mut parts = match asked {
        Some(_) => {
            let path = path.filter(|path| is_path(path));
            vec![format!("path: {}", super::quoted(path.unwrap_or("/")))]
        }
        None => vec!["protocol: tcp".to_owned()],
    };
    let interval = servers().find_map(|server| server.after("inter"));
    let interval = interval
        .and_then(|it| time(it, 1e-3))
        .unwrap_or_else(|| "2s".to_owned());
    // HAProxy gives a check the time until the next one.
    parts.push(format!("interval: {interval}"));
    parts.push(format!("timeout: {interval}"));
    for (word, key) in [("rise", "healthy"), ("fall", "unhealthy")] {
        let number: Option<u32> = servers().find_map(|it| it.after(word)?.parse().ok());
        let number = number.filter(|number| (1..=100).contains(number));
        parts.extend(number.map(|number| format!("{key}: {number}")));
    }
    keys.insert("health_check", format!("{{ {} }}", parts.join(", ")));
}

fn balance(section: &Section<'_>, keys: &mut BTreeMap<&'static str, String>, draft: &mut Draft) {
    let Some(line) = section.lines.iter().find(|line| line.word(0) == "balance") else {
        return;
    };
    let policy = line.word(1);
    let said = match policy {
        "roundrobin" | "static-rr" => "{ policy: round_robin }".to_owned(),
        "leastconn" => "{ policy: least_request }".to_owned(),
        "random" => "{ policy: p2c }".to_owned(),
        "source" => "{ policy: ring_hash, hash_key: client_ip }".to_owned(),
        _ => {
            let field = policy
                .strip_prefix("hdr(")
                .and_then(|it| it.strip_suffix(')'));
            let is_field = |it: &&str| it.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let Some(field) = field.filter(|it| !it.is_empty()).filter(is_field) else {
                draft.leave(line.number, format!("balance {}", line.rest(1)));
                return;
            };
            format!("{{ policy: ring_hash, hash_key: \"header:{field}\" }}")
        }
    };
    keys.insert("balance", said);
}

/// What of a section is not looked at elsewhere.
fn unknown(section: &Section<'_>, draft: &mut Draft) {
    let known = [
        "server",
        "balance",
        "timeout",
        "mode",
        "cookie",
        "option",
        "http-check",
        "bind",
        "acl",
        "use_backend",
        "default_backend",
        "default-server",
        "retries",
        "retry-on",
        "log",
        "maxconn",
        "description",
        "stats",
    ];
    for line in &section.lines {
        if !known.contains(&line.word(0)) {
            draft.leave(line.number, line.rest(0));
        }
    }
}
