//! A file of Serin in the making, and what could not be taken over.
//!
//! Whatever another proxy's file says goes through here, so that names are sound and given once, a
//! split has two versions at most, and what is left out is told with its line.

use std::collections::{BTreeMap, HashSet};

mod checks;
mod text;

pub(super) use self::checks::{is_endpoint, is_field, is_host, is_path, time};
use self::text::{listeners, said};

/// The versions of a split: an upstream and its weight each.
pub(super) type Weighted = Vec<(String, f64)>;

/// A file in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    listeners: Vec<Listener>,
    upstreams: Vec<Upstream>,
    splits: Vec<Split>,
    notes: Vec<(usize, String)>,
    names: HashSet<String>,
}

/// Where to listen.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// An address and a port.
    pub(super) address: String,
    /// Files of certificates and their keys.
    pub(super) certificates: Vec<(String, String)>,
}

/// Where requests go.
#[derive(Debug, Default, Clone)]
pub(super) struct Upstream {
    /// What it is called there.
    pub(super) name: String,
    /// Addresses and weights.
    pub(super) endpoints: Vec<(String, u32)>,
    /// Instead of endpoints, a name in the DNS and its port.
    pub(super) dns: Option<String>,
    /// Further keys, each as a line of YAML in its flow style.
    pub(super) keys: BTreeMap<&'static str, String>,
}

/// Who gets which requests.
#[derive(Debug, Default, Clone)]
pub(super) struct Split {
    /// What it is called there.
    pub(super) name: String,
    /// What it takes; empty: everything.
    pub(super) matches: Vec<Match>,
    /// By what the upstreams are called there.
    pub(super) versions: Weighted,
    /// Further keys, each as YAML.
    pub(super) keys: BTreeMap<&'static str, String>,
}

/// What is asked of a request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// Hosts.
    pub(super) hosts: Vec<String>,
    /// `(path, whether it is one path only)`.
    pub(super) path: Option<(String, bool)>,
    /// Fields and their values.
    pub(super) headers: Vec<(String, Option<String>)>,
    /// Methods.
    pub(super) methods: Vec<String>,
}

impl Draft {
    /// Notes what is not taken over.
    pub(super) fn leave(&mut self, line: usize, what: impl Into<String>) {
        let note = (line, what.into());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds a listener; one address is listened on once.
    pub(super) fn listen(&mut self, listener: Listener, line: usize) {
        let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
        let is_known = |known: &Listener| port(&known.address) == port(&listener.address);
        if listener.address.parse::<std::net::SocketAddr>().is_err() {
            self.leave(line, format!("the address {}", listener.address));
        } else if let Some(known) = self.listeners.iter_mut().find(|known| is_known(known)) {
            let new = listener.certificates.into_iter();
            let certificates = &mut known.certificates;
            new.for_each(|pair| {
                if !certificates.contains(&pair) {
                    certificates.push(pair);
                }
            });
        } else {
            self.listeners.push(listener);
        }
    }

    /// Adds an upstream; endpoints that are no addresses are left.
    pub(super) fn upstream(&mut self, mut upstream: Upstream, line: usize) {
        if self
            .upstreams
            .iter()
            .any(|known| known.name == upstream.name)
        {
            return;
        }
        let mut seen = HashSet::new();
        let name = upstream.name.clone();
        upstream.endpoints.retain(|(endpoint, _)| {
            let is_new = seen.insert(endpoint.clone());
            let is_sound = is_endpoint(endpoint);
            if !is_sound {
                self.leave(line, format!("the endpoint {endpoint} of {name}"));
            }
            is_new && is_sound
        });
        upstream.dns = upstream.dns.filter(|dns| is_endpoint(dns));
        if upstream.name_tls() {
            let what = format!("{name}: the name of its certificates; look at `server_name`");
            self.leave(line, what);
        }
        if upstream.endpoints.is_empty() && upstream.dns.is_none() {
            self.leave(
                line,
                format!("{name}: it has no endpoint that could be written"),
            );
        } else {
            self.upstreams.push(upstream);
        }
    }

    /// Adds a split.
    pub(super) fn split(&mut self, mut split: Split, line: usize) {
        split.versions.retain(|(name, _)| {
            let is_known = self.upstreams.iter().any(|known| known.name == *name);
            if !is_known {
                self.notes
                    .push((line, format!("{}: {name} is not there", split.name)));
            }
            is_known
        });
        let is_odd = |found: &Match| found.hosts.iter().any(|host| !is_host(host));
        let before = split.matches.len();
        for found in &mut split.matches {
            if is_odd(found) {
                found.hosts.retain(|host| is_host(host));
                let what = format!("{}: hosts that cannot be written here", split.name);
                self.notes.push((line, what));
                if found.hosts.is_empty() {
                    found.headers.push(("x-not-taken-over".to_owned(), None));
                }
            }
        }
        split.matches.retain(|found| {
            let is_sound = found.path.as_ref().is_none_or(|(path, _)| is_path(path));
            is_sound && found.headers.iter().all(|(name, _)| is_field(name))
        });
        if split.matches.len() < before {
            self.leave(
                line,
                format!("{}: a match that cannot be written here", split.name),
            );
        }
        let is_lost = before > 0 && split.matches.is_empty();
        if split.versions.len() < 2 && split.keys.remove("rollout").is_some() {
            self.leave(
                line,
                format!("{}: the rollout, without its canary", split.name),
            );
        }
        if split.versions.is_empty() || is_lost {
            self.leave(line, format!("{}: nothing is left of it", split.name));
            return;
        }
        self.splits.push(split);
    }

    /// Whether an upstream of this name is there.
    pub(super) fn has_upstream(&self, name: &str) -> bool {
        self.upstreams.iter().any(|upstream| upstream.name == name)
    }

    /// Two upstreams with the weights of their endpoints.
    pub(super) fn by_weight(&self, stable: &str, canary: &str) -> Weighted {
        let weight = |name: &str| {
            let upstream = self.upstreams.iter().find(|upstream| upstream.name == name);
            let endpoints = upstream.iter().flat_map(|upstream| &upstream.endpoints);
            endpoints.map(|(_, weight)| f64::from(*weight)).sum()
        };
        [stable, canary]
            .map(|name| (name.to_owned(), weight(name)))
            .into()
    }

    /// The file; the error says that nothing is in it.
    pub(super) fn file(mut self, from: &str) -> Result<String, String> {
        if self.splits.is_empty() {
            let notes = self.notes.iter().map(|(line, what)| said(*line, what));
            let notes: Vec<String> = notes.take(5).collect();
            return Err(format!(
                "there is nothing in it that Serin could serve: {}",
                notes.join("; ")
            ));
        }
        let mut lines = vec![
            format!("# Made by `serin convert --from {from}`."),
            "# `serin validate` checks it after changes; `serin plan` says what it leads to."
                .into(),
        ];
        if self.listeners.len() > 1 {
            self.leave(
                0,
                "which listener serves what: here each serves every split",
            );
        }
        self.notes.sort();
        self.notes.dedup();
        if !self.notes.is_empty() {
            lines.push("# Not taken over:".into());
        }
        let notes = self
            .notes
            .iter()
            .map(|(line, what)| format!("# - {}", said(*line, what)));
        lines.extend(notes);
        lines.extend(listeners(&self.listeners));
        let names = self.names_of_upstreams();
        lines.push("upstreams:".into());
        for upstream in &self.upstreams {
            lines.extend(upstream.lines(&names));
        }
        lines.push("splits:".into());
        let splits = std::mem::take(&mut self.splits);
        for split in &splits {
            let name = self.name("split", &split.name);
            lines.extend(split.lines(&name, &names));
        }
        lines.push(String::new());
        Ok(lines.join("\n"))
    }

    /// By what it is called there: what each upstream is called here.
    fn names_of_upstreams(&mut self) -> BTreeMap<String, String> {
        let names: Vec<String> = self.upstreams.iter().map(|it| it.name.clone()).collect();
        let pairs = names.into_iter().map(|name| {
            let here = self.name("upstream", &name);
            (name, here)
        });
        pairs.collect()
    }

    /// A sound name that nothing else of its kind has.
    fn name(&mut self, kind: &str, after: &str) -> String {
        let is_sound = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let letter = |c: char| if is_sound(c) { c } else { '-' };
        let bare: String = after.chars().map(letter).take(50).collect();
        let bare = bare.trim_matches(['-', '.']).to_owned();
        let bare = if bare.is_empty() {
            "it".to_owned()
        } else {
            bare
        };
        let (mut name, mut number) = (bare.clone(), 2);
        while !self.names.insert(format!("{kind} {name}")) {
            name = format!("{bare}.{number}");
            number += 1;
        }
        name
    }
}
