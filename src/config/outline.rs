//! What differs between two files, key by key, in the words of the files.
//!
//! A key that is written nowhere has its default, which the schema knows: what a file says without
//! words is compared, too. Short forms count as what they stand for.

use serde_json::Value as Json;

use super::{
    parse::parse,
    schema,
    tree::{Entry, Node, Value},
};

/// Keys that hold things with names; one that is only in one of the files is one difference.
const COLLECTIONS: [&str; 3] = ["listeners", "upstreams", "splits"];

/// One key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it stands, such as `splits.shop.weight`.
    pub key: String,
    /// What the old file says; `None`: nothing.
    pub old: Option<String>,
    /// What the new file says; `None`: nothing.
    pub new: Option<String>,
}

/// A key by its parts, and its value.
type Line = (Vec<String>, String);

/// What differs, in the order of the new file, then what only the old one has.
pub fn differences(old: &str, new: &str) -> Vec<Difference> {
    let (before, after) = (outline(old), outline(new));
    let schema = schema::json_schema();
    let mut found = Vec::new();
    let find = |lines: &[Line], key: &[String]| {
        let known = lines.iter().find(|(known, _)| known == key);
        known.map(|(_, value)| value.clone())
    };
    for (key, value) in &after {
        if let Some(whole) = only_in(key, &after, &before) {
            note(&mut found, whole, None, Some("added".to_owned()));
            continue;
        }
        let other = find(&before, key).or_else(|| default_of(&schema, key));
        if other.as_ref() != Some(value) {
            note(&mut found, key.join("."), other, Some(value.clone()));
        }
    }
    for (key, value) in &before {
        if let Some(whole) = only_in(key, &before, &after) {
            note(&mut found, whole, Some("removed".to_owned()), None);
        } else if find(&after, key).is_none() {
            let other = default_of(&schema, key);
            if other.as_ref() != Some(value) {
                note(&mut found, key.join("."), Some(value.clone()), other);
            }
        }
    }
    found
}

fn note(found: &mut Vec<Difference>, key: String, old: Option<String>, new: Option<String>) {
    if !found.iter().any(|known| known.key == key) {
        found.push(Difference { key, old, new });
    }
}

/// The named thing that a key belongs to, if the other file does not have it.
fn only_in(key: &[String], here: &[Line], there: &[Line]) -> Option<String> {
    let (kind, name) = (key.first()?, key.get(1)?);
    let has = |lines: &[Line]| {
        let mut keys = lines.iter();
        keys.any(|(key, _)| key.first() == Some(kind) && key.get(1) == Some(name))
    };
    let is_named = COLLECTIONS.contains(&kind.as_str());
    (is_named && has(here) && !has(there)).then(|| format!("{kind}.{name}"))
}

/// Every key of a text with its value; what cannot be parsed has none.
fn outline(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(root) = parse(text).root {
        walk(&root, &mut Vec::new(), &mut lines);
    }
    // What a thing is called is its key already.
    lines.retain(
        |(key, value)| !matches!(key.as_slice(), [.., it, last] if last == "name" && it == value),
    );
    lines
}

fn walk(node: &Node, path: &mut Vec<String>, lines: &mut Vec<Line>) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                path.push(entry.key.clone());
                walk(&entry.value, path, lines);
                path.pop();
            }
        }
        Value::List(nodes) if nodes.iter().any(|node| matches!(node.value, Value::Map(_))) => {
            for (number, node) in (1..).zip(nodes) {
                let name = name_of(node);
                let is_step = name.is_none() && is_single(node);
                path.push(name.unwrap_or_else(|| number.to_string()));
                if is_step {
                    lines.push((path.clone(), flow(node)));
                } else {
                    walk(node, path, lines);
                }
                path.pop();
            }
        }
        Value::Map(_) | Value::List(_) | Value::Null | Value::Broken | Value::Scalar { .. } => {
            lines.push(long_form(path, flow(node)));
        }
    }
}

/// What a short form stands for.
fn long_form(path: &[String], value: String) -> Line {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let long: Vec<&str> = match words.as_slice() {
        ["listen"] => vec!["listeners", "default", "address"],
        ["admin"] if value != "none" => vec!["admin", "http"],
        [rest @ .., "sticky", "cookie"] => [rest, &["sticky", "cookie", "name"]].concat(),
        [rest @ .., "rollback_if", metric] => {
            [rest, &["analysis", "metrics", metric, "margin"]].concat()
        }
        same => same.to_vec(),
    };
    (long.into_iter().map(str::to_owned).collect(), value)
}

fn name_of(node: &Node) -> Option<String> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let name = entries.iter().find(|entry| entry.key == "name")?;
    match &name.value.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        Value::Null | Value::Broken | Value::List(_) | Value::Map(_) => None,
    }
}

fn is_single(node: &Node) -> bool {
    matches!(&node.value, Value::Map(entries) if entries.len() == 1)
        || !matches!(node.value, Value::Map(_))
}

/// A value in one line.
fn flow(node: &Node) -> String {
    let entry = |entry: &Entry| format!("{}: {}", entry.key, flow(&entry.value));
    match &node.value {
        Value::Null | Value::Broken => "~".to_owned(),
        Value::Scalar { text, .. } => text.clone(),
        Value::List(nodes) => {
            let all: Vec<String> = nodes.iter().map(flow).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Map(entries) => {
            let all: Vec<String> = entries.iter().map(entry).collect();
            match all.as_slice() {
                [] => "{}".to_owned(),
                [one] => one.clone(),
                several => format!("{{{}}}", several.join(", ")),
            }
        }
    }
}

/// What holds if nobody writes the key.
fn default_of(schema: &Json, path: &[String]) -> Option<String> {
    let Some((key, rest)) = path.split_first() else {
        return schema.get("default").map(shown);
    };
    if let Some(forms) = schema.get("anyOf").and_then(Json::as_array) {
        return forms.iter().find_map(|form| default_of(form, path));
    }
    if let Some(items) = schema.get("items") {
        return default_of(items, rest);
    }
    let known = schema.get("properties").and_then(|keys| keys.get(key));
    let named = schema
        .get("additionalProperties")
        .filter(|it| it.is_object());
    default_of(known.or(named)?, rest)
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let all: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", all.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &[&str]) {
        let words = |side: Option<String>| side.unwrap_or_else(|| "nothing".to_owned());
        let found = differences(old, new).into_iter();
        let found = found.map(|it| format!("{}: {} -> {}", it.key, words(it.old), words(it.new)));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{old:?} {new:?}");
    }

    #[test]
    fn what_differs_is_told_by_key() {
        let split = |more: &str| format!("splits: {{ shop: {{ stable: a, canary: b{more} }} }}");
        let same: &[&str] = &[];
        check(&split(""), &split(""), same);
        let weight = ", weight: 5%";
        let told = ["splits.shop.weight: nothing -> 5%"];
        check(&split(""), &split(weight), &told);
        let told = ["splits.shop.weight: 5% -> nothing"];
        check(&split(weight), &split(""), &told);
        let unhealthy = ", on_unhealthy: fail";
        let told = ["splits.shop.on_unhealthy: fallback_to_stable -> fail"];
        check(&split(""), &split(unhealthy), &told);
        check(
            &split(""),
            &split(", on_unhealthy: fallback_to_stable"),
            same,
        );
        let (one, two) = (
            ", sticky: { cookie: c }",
            ", sticky: { cookie: { name: c } }",
        );
        check(&split(one), &split(two), same);
        let long = "listeners: [{ name: default, address: \"a:1\" }]";
        check("listen: \"a:1\"", long, same);
    }

    #[test]
    fn a_thing_that_only_one_has_is_one_difference() {
        let both = "upstreams: { a: { static: [\"h:1\"], protocol: h1 }, b: { file: x } }";
        let one = "upstreams: { b: { file: x } }";
        check(one, both, &["upstreams.a: nothing -> added"]);
        check(both, one, &["upstreams.a: removed -> nothing"]);
    }

    #[test]
    fn steps_are_told_by_their_number() {
        let steps = |steps: &str| format!("splits: {{ s: {{ rollout: {{ steps: [{steps}] }} }} }}");
        check(
            &steps("{ set_weight: 1% }, { pause: 5m }"),
            &steps("{ set_weight: 2% }, { pause: 5m }, { bake: 1h }"),
            &[
                "splits.s.rollout.steps.1: set_weight: 1% -> set_weight: 2%",
                "splits.s.rollout.steps.3: nothing -> bake: 1h",
            ],
        );
    }
}
