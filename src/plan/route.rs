//! Which split takes a request.
//!
//! The most specific match wins, wherever it stands in the file: an exact host before the longest
//! wildcard before any host; then an exact path before the longest prefix; then more conditions on
//! method and fields; only then the order of the file. Hosts and prefixes are hashed, so that a
//! thousand splits cost what one costs, and nothing is allocated unless a path needs normalising.

use rustc_hash::FxHashMap;

use super::{Head, path};
use crate::{
    config::{HeaderMatch, Match, PathMatch},
    model::{RouteId, SplitId},
};

/// No host name is longer (RFC 1035 section 2.3.4).
const LONGEST_HOST: usize = 255;

/// Every match of every split, compiled.
#[derive(Debug, Default, PartialEq)]
pub struct Routes {
    /// By host name, lower case.
    exact: FxHashMap<Box<[u8]>, Paths>,
    /// By what follows `*.`, lower case.
    wild: FxHashMap<Box<[u8]>, Paths>,
    /// Whatever the host.
    any: Paths,
}

/// The matches of one host.
#[derive(Debug, Default, PartialEq)]
struct Paths {
    exact: FxHashMap<Box<[u8]>, Vec<Candidate>>,
    /// By prefix without its last slash.
    prefixes: FxHashMap<Box<[u8]>, Vec<Candidate>>,
    /// Those of the prefix `/`, which takes every path: often the only ones, so not hashed.
    root: Vec<Candidate>,
    /// The length of the longest prefix: hostile paths with many segments cost no more than it.
    longest: usize,
}

/// A match whose host and path fit. The one with more conditions stands before the others.
#[derive(Debug, PartialEq)]
struct Candidate {
    methods: Box<[String]>,
    headers: Box<[HeaderMatch]>,
    split: SplitId,
    route: RouteId,
}

impl Routes {
    /// Compiles the matches of every split, in the order of the file.
    pub fn new<'a>(matches: impl Iterator<Item = (SplitId, RouteId, &'a Match)>) -> Self {
        let mut routes = Self::default();
        for (split, route, found) in matches {
            routes.add(split, route, found);
        }
        let hosts = routes.exact.values_mut().chain(routes.wild.values_mut());
        for paths in hosts.chain([&mut routes.any]) {
            let lists = paths.exact.values_mut().chain(paths.prefixes.values_mut());
            // The sort is stable: what is equal stays in the order of the file.
            lists
                .chain([&mut paths.root])
                .for_each(|list| list.sort_by_key(|c| std::cmp::Reverse(c.conditions())));
        }
        routes
    }

    fn add(&mut self, split: SplitId, route: RouteId, found: &Match) {
        if found.hosts.is_empty() {
            self.any.add(split, route, found);
        }
        for host in &found.hosts {
            let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            let key = |name: &str| name.as_bytes().into();
            let paths = match host.strip_prefix("*.") {
                Some(suffix) => self.wild.entry(key(suffix)).or_default(),
                None if host == "*" => &mut self.any,
                None => self.exact.entry(key(&host)).or_default(),
            };
            paths.add(split, route, found);
        }
    }

    /// The most specific match that takes a request.
    pub fn find(&self, head: &impl Head) -> Option<(SplitId, RouteId)> {
        let path = path::normalise(head.path())?;
        let find = |paths: &Paths| paths.find(&path, head);
        if self.exact.is_empty() && self.wild.is_empty() {
            return find(&self.any);
        }
        let mut buffer = [0; LONGEST_HOST];
        let host = lower(head.host(), &mut buffer);
        let exact = self.exact.get(host).and_then(find);
        let wild = || suffixes(host).find_map(|suffix| self.wild.get(suffix).and_then(find));
        exact.or_else(wild).or_else(|| find(&self.any))
    }
}

impl Paths {
    fn add(&mut self, split: SplitId, route: RouteId, found: &Match) {
        let (exact, text) = match &found.path {
            PathMatch::Exact(text) => (true, text),
            PathMatch::Prefix(text) => (false, text),
        };
        // A path that climbs above the root is never asked for.
        let Some(path) = path::normalise(text.as_bytes()) else {
            return;
        };
        let list = if exact {
            self.exact.entry(path.as_ref().into()).or_default()
        } else {
            let prefix = path.strip_suffix(b"/").unwrap_or(&path);
            self.longest = self.longest.max(prefix.len());
            match prefix {
                [] => &mut self.root,
                _ => self.prefixes.entry(prefix.into()).or_default(),
            }
        };
        let methods = found.methods.clone().into();
        list.push(Candidate {
            methods,
            headers: found.headers.clone().into(),
            split,
            route,
        });
    }

    fn find(&self, path: &[u8], head: &impl Head) -> Option<(SplitId, RouteId)> {
        let taking = |list: &Vec<Candidate>| list.iter().find(|c| c.takes(head)).map(Candidate::id);
        if let Some(found) = self.exact.get(path).and_then(taking) {
            return Some(found);
        }
        let mut end = path.len().min(self.longest);
        while end > 0 {
            let prefix = path.get(..end)?;
            let at_border = matches!(path.get(end), None | Some(b'/'));
            if at_border && let Some(found) = self.prefixes.get(prefix).and_then(taking) {
                return Some(found);
            }
            end = prefix.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        }
        taking(&self.root)
    }
}

impl Candidate {
    fn conditions(&self) -> usize {
        self.headers
            .len()
            .saturating_add(usize::from(!self.methods.is_empty()))
    }

    const fn id(&self) -> (SplitId, RouteId) {
        (self.split, self.route)
    }

    fn takes(&self, head: &impl Head) -> bool {
        let method =
            self.methods.is_empty() || self.methods.iter().any(|m| m.as_bytes() == head.method());
        method
            && self
                .headers
                .iter()
                .all(|wanted| match (head.field(&wanted.name), &wanted.value) {
                    (Some(value), Some(wanted)) => value == wanted.as_bytes(),
                    (found, None) => found.is_some(),
                    (None, Some(_)) => false,
                })
    }
}

/// The host in lower case and without its last dot; empty if it is too long to be one.
fn lower<'b>(host: &[u8], buffer: &'b mut [u8; LONGEST_HOST]) -> &'b [u8] {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let Some(lower) = buffer.get_mut(..host.len()) else {
        return &[];
    };
    lower.copy_from_slice(host);
    lower.make_ascii_lowercase();
    lower
}

/// Everything behind a dot, the longest first.
fn suffixes(host: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dots = host.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    // A leading dot is no subdomain.
    dots.filter(|(at, _)| *at > 0)
        .filter_map(|(at, _)| host.get(at.saturating_add(1)..))
}
