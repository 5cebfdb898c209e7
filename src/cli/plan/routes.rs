//! Which matches get nothing, and which requests another split takes than before.
//!
//! Every match of both files is asked for by a request that has what the match wants and nothing
//! more. Where it ends up is what the proxy itself would find.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
};

use super::sides::Side;
use crate::{
    config::{Match, PathMatch},
    model::SplitName,
    plan::Head,
};

/// A path below a prefix that no file names.
const BELOW: &str = "serin-plan-asks";
/// A method that no file names.
const METHOD: &str = "SERIN-PLAN";

/// A request that a match is made for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Witness {
    host: String,
    path: String,
    method: String,
    fields: Vec<(String, String)>,
}

/// Requests of one kind that go elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// Which requests.
    pub(super) what: String,
    /// The split that took them.
    pub(super) before: Option<SplitName>,
    /// The split that takes them.
    pub(super) after: Option<SplitName>,
}

/// What is to be said of matches.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Matches of the new file that get no request at all.
    pub(super) shadowed: Vec<String>,
    /// Requests that another split takes.
    pub(super) moved: Vec<Moved>,
    /// Each split of the old file with each of the new one that takes requests of it.
    pub(super) pairs: Vec<(SplitName, SplitName)>,
}

impl Witness {
    fn all(found: &Match) -> Vec<Self> {
        let any = [String::new()];
        let hosts = if found.hosts.is_empty() {
            &any[..]
        } else {
            &found.hosts
        };
        let (path, below) = match &found.path {
            PathMatch::Exact(path) => (path.clone(), None),
            PathMatch::Prefix(path) => {
                let below = format!("{}/{BELOW}", path.trim_end_matches('/'));
                (below, Some(path.clone()))
            }
        };
        let method = found.methods.first();
        let method = method.map_or_else(|| METHOD.to_owned(), String::clone);
        let field = |field: &crate::config::HeaderMatch| {
            let value = field.value.as_deref().unwrap_or(BELOW);
            (field.name.clone(), value.to_owned())
        };
        let fields: Vec<_> = found.headers.iter().map(field).collect();
        let hosts = hosts.iter().map(|host| match host.strip_prefix("*.") {
            Some(rest) => format!("{BELOW}.{rest}"),
            None if host == "*" => String::new(),
            None => host.clone(),
        });
        let paths: Vec<String> = [Some(path), below].into_iter().flatten().collect();
        let all = hosts.flat_map(|host| {
            let (method, fields) = (method.clone(), fields.clone());
            paths.clone().into_iter().map(move |path| Self {
                host: host.clone(),
                path,
                method: method.clone(),
                fields: fields.clone(),
            })
        });
        all.collect()
    }

    fn shown(&self) -> String {
        let method = Some(&self.method).filter(|method| *method != METHOD);
        let host = self.host.replace(BELOW, "*");
        let path = self.path.replace(BELOW, "...");
        let fields = self.fields.iter().map(|(name, _)| name.as_str());
        let fields: Vec<&str> = fields.collect();
        let mut shown = method.map_or_else(String::new, |method| format!("{method} "));
        shown.push_str(&host);
        shown.push_str(&path);
        if !fields.is_empty() {
            shown.extend([" with ", &fields.join(", ")]);
        }
        shown
    }
}

impl Head for Witness {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_bytes())
    }

    fn cookies<'a>(&'a self, _each: &mut dyn FnMut(&'a [u8])) {}

    fn client(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }
}

/// Looks at every match of both files.
pub(super) fn compare(before: &Side, after: &Side) -> Routes {
    let mut routes = Routes {
        shadowed: shadowed(after),
        ..Routes::default()
    };
    let splits = before.config.splits.iter().chain(&after.config.splits);
    let matches = splits.flat_map(|split| &split.routes);
    let mut seen = HashSet::new();
    for witness in matches.flat_map(Witness::all) {
        if !seen.insert(witness.clone()) {
            continue;
        }
        let (old, new) = (taker(before, &witness), taker(after, &witness));
        if let (Some(old), Some(new)) = (&old, &new) {
            let pair = (old.clone(), new.clone());
            if !routes.pairs.contains(&pair) {
                routes.pairs.push(pair);
            }
        }
        let moved = Moved {
            what: witness.shown(),
            before: old,
            after: new,
        };
        if moved.before != moved.after && !routes.moved.iter().any(|it| it.what == moved.what) {
            routes.moved.push(moved);
        }
    }
    routes
}

fn taker(side: &Side, witness: &Witness) -> Option<SplitName> {
    let (id, _) = side.plan.find(witness)?;
    Some(side.plan.split(id)?.name.clone())
}

/// Matches whose own requests all end elsewhere.
fn shadowed(side: &Side) -> Vec<String> {
    let splits = side.config.splits.iter();
    let matches = splits.flat_map(|split| split.routes.iter().map(move |route| (split, route)));
    let gets_nothing = matches.filter(|(split, route)| {
        let reaches = |witness: &Witness| {
            let Some((id, number)) = side.plan.find(witness) else {
                return false;
            };
            let found = side.plan.split(id);
            found.is_some_and(|found| {
                let name = found.routes.get(number.index());
                found.name == split.name && name == Some(&route.name)
            })
        };
        !Witness::all(route).iter().any(reaches)
    });
    let shown = gets_nothing.map(|(split, route)| format!("{}.{}", split.name, route.name));
    shown.collect()
}
