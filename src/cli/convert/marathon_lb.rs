//! `HAPROXY_*` labels of Marathon apps, as marathon-lb reads them.
//!
//! Each port of an app becomes an upstream, each port with a host a split; two apps of one
//! deployment group become the stable and the canary version of one split, the one that was started
//! later being the canary. What cannot be taken over stands in the file as a comment.

mod labels;

use std::{collections::HashSet, net::SocketAddr};

use serde_json::Value;

use self::labels::{Served, ports};
use super::quoted;

/// What the labels do not say.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    /// Where Marathon is.
    pub(super) marathon: &'a str,
    /// Where to listen.
    pub(super) listen: SocketAddr,
    /// Only apps of this `HAPROXY_GROUP`.
    pub(super) group: Option<&'a str>,
}

/// One split: its stable version and perhaps its canary.
#[derive(Debug)]
struct Split<'a> {
    stable: &'a Served,
    canary: Option<&'a Served>,
    notes: Vec<String>,
}

/// Makes the file; the error says what is wrong with the answer.
pub(super) fn convert(text: &str, settings: &Settings<'_>) -> Result<String, String> {
    let answer: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut left = Vec::new();
    let mut served = Vec::new();
    for app in apps(&answer)? {
        served.extend(ports(app, settings, &mut left)?);
    }
    if served.is_empty() {
        left.insert(
            0,
            "no app has a port with HAPROXY_* labels that Serin could serve".into(),
        );
        return Err(left.join("; "));
    }
    names(&mut served);
    Ok(file(&served, &left, settings))
}

/// `{"apps": [...]}`, `{"app": {...}}`, a list, or one app.
fn apps(answer: &Value) -> Result<Vec<&Value>, String> {
    let one = answer
        .get("app")
        .or(Some(answer).filter(|it| it.get("id").is_some()));
    let all = answer.get("apps").unwrap_or(answer).as_array();
    match (all, one) {
        (Some(all), _) => Ok(all.iter().collect()),
        (None, Some(one)) => Ok(vec![one]),
        (None, None) => Err("there are no apps in it".to_owned()),
    }
}

/// Names that nobody else has.
#[derive(Debug, Default)]
struct Names(HashSet<String>);

impl Names {
    /// A name that can stand in the file, after what something is called elsewhere.
    fn give(&mut self, after: &str) -> String {
        let letter = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' || c == '_' {
                c
            } else {
                '-'
            }
        };
        let mut bare: String = after
            .trim_matches('/')
            .chars()
            .map(letter)
            .take(50)
            .collect();
        if bare.is_empty() {
            "app".clone_into(&mut bare);
        }
        let (mut name, mut number) = (bare.clone(), 2);
        while !self.0.insert(name.clone()) {
            name = format!("{bare}.{number}");
            number += 1;
        }
        name
    }
}

fn names(served: &mut [Served]) {
    let mut names = Names::default();
    for one in served {
        one.name = if one.index == 0 {
            names.give(&one.app)
        } else {
            names.give(&format!("{}-{}", one.app, one.index))
        };
    }
}

/// Ports with the same group and number are versions of one split.
fn splits(served: &[Served]) -> Vec<Split<'_>> {
    let mut splits: Vec<Split<'_>> = Vec::new();
    for one in served {
        let group = one.group.as_ref();
        let name = group.map(|(name, _)| name);
        let known = splits.iter_mut().find(|split| {
            let other = split.stable.group.as_ref().map(|(name, _)| name);
            name.is_some() && other == name && split.stable.index == one.index
        });
        match known {
            Some(split) if split.canary.is_some() => {
                split
                    .notes
                    .push(format!("a third version was left out: {}", one.app));
            }
            Some(split) if group.map(|it| &it.1) < split.stable.group.as_ref().map(|it| &it.1) => {
                split.canary = Some(std::mem::replace(&mut split.stable, one));
            }
            Some(split) => split.canary = Some(one),
            None => splits.push(Split {
                stable: one,
                canary: None,
                notes: Vec::new(),
            }),
        }
    }
    splits
}

fn file(served: &[Served], left: &[String], settings: &Settings<'_>) -> String {
    let splits = splits(served);
    let used: HashSet<&str> = splits
        .iter()
        .flat_map(|split| [Some(split.stable), split.canary])
        .flatten()
        .map(|one| one.name.as_str())
        .collect();
    let mut lines = vec![
        "# Made by `serin convert --from marathon-lb`. Look for comments: they say what was not"
            .into(),
        "# taken over. `serin validate` checks the file after changes.".into(),
    ];
    lines.extend(left.iter().map(|note| format!("# - {note}")));
    lines.push(format!("listen: {}", quoted(&settings.listen.to_string())));
    lines.push("upstreams:".into());
    for one in served.iter().filter(|one| used.contains(one.name.as_str())) {
        let (url, app) = (quoted(settings.marathon), quoted(&one.app));
        let keys = format!("url: {url}, app: {app}, port_index: {}", one.index);
        lines.push(format!("  {}:", quoted(&one.name)));
        lines.push(format!("    marathon: {{ {keys} }}"));
    }
    lines.push("splits:".into());
    let (mut names, mut claimed) = (Names::default(), HashSet::new());
    for split in &splits {
        let stable = split.stable;
        let after = stable
            .group
            .as_ref()
            .map_or(&stable.name, |(group, _)| group);
        let name = names.give(after);
        let (matched, notes) = matched(split, &name, splits.len() == 1, &mut claimed);
        lines.push(format!("  {}:", quoted(&name)));
        lines.extend(notes.iter().map(|note| format!("    # {note}")));
        lines.extend(matched);
        lines.push(format!("    stable: {}", quoted(&stable.name)));
        if let Some(canary) = split.canary {
            lines.push(format!("    canary: {}", quoted(&canary.name)));
            lines.push("    weight: 0%                          # edit and save".into());
        }
        if stable.is_sticky {
            lines.push("    # Clients stay on their version, not on a task.".into());
            lines.push("    sticky: { cookie: { secure: false } }".into());
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The requests of a split, if they are not all, and what is to be said of it.
fn matched(
    split: &Split<'_>,
    name: &str,
    is_only: bool,
    claimed: &mut HashSet<(String, String)>,
) -> (Option<String>, Vec<String>) {
    let stable = split.stable;
    let mut notes = split.notes.clone();
    notes.extend(stable.notes.iter().cloned());
    let path = stable.path.split(' ').find(|word| word.starts_with('/'));
    let path = path
        .filter(|path| !path.contains(['?', '#', '%', '"', '\\']))
        .unwrap_or("/");
    if path != stable.path {
        let label = format!(
            "HAPROXY_{}_PATH={}",
            stable.index,
            stable.path.escape_debug()
        );
        notes.push(format!("not taken over as it was: {label}"));
    }
    let mut hosts = Vec::new();
    for host in &stable.hosts {
        let letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let bare = host.strip_prefix("*.").unwrap_or(host);
        let is_name = bare.split('.').all(|part| {
            let ends = part.starts_with('-') || part.ends_with('-');
            !part.is_empty() && part.len() < 64 && !ends && part.chars().all(letter)
        });
        if !is_name {
            notes.push(format!("not taken over: the host {}", host.escape_debug()));
        } else if claimed.insert((host.clone(), path.to_owned())) {
            hosts.push(quoted(host));
        } else {
            notes.push(format!("another split takes {host}{path} already"));
        }
    }
    if hosts.is_empty() && !is_only {
        let port = stable
            .port
            .map_or_else(|| "none".to_owned(), |port| port.to_string());
        notes.push(format!(
            "it had no host of its own but the port {port}: say which requests"
        ));
        hosts.push(quoted(&format!(
            "{}.invalid",
            name.replace(['_', '.'], "-")
        )));
    }
    if hosts.is_empty() && path == "/" {
        return (None, notes);
    }
    let mut keys = Vec::new();
    if !hosts.is_empty() {
        keys.push(format!("hosts: [{}]", hosts.join(", ")));
    }
    if path != "/" {
        keys.push(format!("path_prefix: {}", quoted(path)));
    }
    (Some(format!("    match: {{ {} }}", keys.join(", "))), notes)
}

#[cfg(test)]
mod tests;
