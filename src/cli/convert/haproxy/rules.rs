//! Frontends: binds, and the ACLs that say which backend a request is for.

use std::collections::{BTreeMap, HashMap};

use super::{Line, Section, unknown};
use crate::cli::convert::{
    draft::{Draft, Listener, Match, Split},
    quoted,
};

/// Binds, and what each rule sends to which backend.
pub(super) fn frontend(section: &Section<'_>, draft: &mut Draft) {
    let mut acls: HashMap<&str, Vec<&Line<'_>>> = HashMap::new();
    for line in section.lines.iter().filter(|line| line.word(0) == "acl") {
        acls.entry(line.word(1)).or_default().push(line);
    }
    let sticky = section.lines.iter().find(|line| line.word(0) == "cookie");
    for line in &section.lines {
        match line.word(0) {
            "bind" => bind(line, draft),
            "use_backend" => {
                let (matches, is_whole) = condition(line, &acls);
                if !is_whole {
                    draft.leave(line.number, line.rest(0));
                }
                if !matches.is_empty() {
                    route(line.word(1), matches, (line.number, sticky), draft);
                }
            }
            "default_backend" => route(line.word(1), Vec::new(), (line.number, sticky), draft),
            _ => {}
        }
    }
    if section.kind == "listen" {
        route(section.name, Vec::new(), (section.number, sticky), draft);
    } else {
        unknown(section, draft);
    }
}

fn bind(line: &Line<'_>, draft: &mut Draft) {
    for address in line.word(1).split(',') {
        let address = address.trim_start_matches("ipv4@");
        let address = match address.rsplit_once(':') {
            Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
            Some(("::" | "[::]" | ":::", port)) => format!("[::]:{port}"),
            Some(_) | None => address.to_owned(),
        };
        let certificate = line.after("crt");
        let pairs = certificate.map(|file| (file.to_owned(), file.to_owned()));
        if line.has("ssl") && certificate.is_none() {
            draft.leave(line.number, format!("bind {address}: no `crt`"));
            continue;
        }
        let listener = Listener {
            address,
            certificates: pairs.into_iter().collect(),
        };
        draft.listen(listener, line.number);
    }
}

fn route(
    backend: &str,
    matches: Vec<Match>,
    (number, sticky): (usize, Option<&Line<'_>>),
    draft: &mut Draft,
) {
    let mut keys = BTreeMap::new();
    if let Some(cookie) = sticky.map(|line| line.word(1)) {
        let is_name = cookie
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && !cookie.is_empty() {
            keys.insert(
                "sticky",
                format!("{{ cookie: {{ name: {} }} }}", quoted(cookie)),
            );
        }
    }
    let mut versions = vec![(backend.to_owned(), 100.0)];
    let canary = format!("{backend}-canary");
    if draft.has_upstream(&canary) {
        versions = draft.by_weight(backend, &canary);
    }
    let split = Split {
        name: backend.to_owned(),
        matches,
        versions,
        keys,
    };
    draft.split(split, number);
}

/// `if a b || c`: one match for each alternative; `false`: a part of it was left out.
fn condition(line: &Line<'_>, acls: &HashMap<&str, Vec<&Line<'_>>>) -> (Vec<Match>, bool) {
    let Some(place) = line.words.iter().position(|word| *word == "if") else {
        // `unless`, or a rule for everything.
        return (Vec::new(), false);
    };
    let (mut all, mut current, mut is_whole) = (Vec::new(), Some(Match::default()), true);
    for word in line.words.iter().skip(place + 1) {
        if matches!(*word, "||" | "or") {
            all.extend(current.replace(Match::default()));
            continue;
        }
        let found = acls.get(word);
        let Some(found) = found.filter(|found| found.len() == 1) else {
            (is_whole, current) = (false, None);
            continue;
        };
        for line in found {
            if !criterion(line, current.as_mut()) {
                (is_whole, current) = (false, None);
            }
        }
    }
    all.extend(current);
    all.retain(|found| *found != Match::default());
    (all, is_whole)
}

/// Adds what an ACL asks for; `false`: it cannot be said here.
fn criterion(acl: &Line<'_>, found: Option<&mut Match>) -> bool {
    let Some(found) = found else { return true };
    let flags = ["-i", "-m", "str", "beg", "--"];
    let values = acl
        .words
        .iter()
        .skip(3)
        .filter(|word| !flags.contains(word));
    let values: Vec<String> = values.map(|value| (*value).to_owned()).collect();
    let Some(first) = values.first().cloned() else {
        return false;
    };
    let is_beg = acl.has("beg");
    match acl.word(2) {
        "hdr(host)" | "req.hdr(host)" | "hdr_dom(host)" if !is_beg => found.hosts.extend(values),
        "hdr_end(host)" | "req.hdr_end(host)" => {
            let wild = values
                .iter()
                .map(|it| format!("*.{}", it.trim_start_matches('.')));
            found.hosts.extend(wild);
        }
        "path_beg" if values.len() == 1 => found.path = Some((first, false)),
        "path" if is_beg && values.len() == 1 => found.path = Some((first, false)),
        "path" if values.len() == 1 => found.path = Some((first, true)),
        "method" => found.methods.extend(values),
        other => {
            let field = other
                .strip_prefix("req.")
                .unwrap_or(other)
                .strip_prefix("hdr(");
            let Some(field) = field.and_then(|it| it.strip_suffix(')')) else {
                return false;
            };
            if values.len() != 1 || is_beg {
                return false;
            }
            found
                .headers
                .push((field.to_ascii_lowercase(), Some(first)));
        }
    }
    true
}
