//! The manual of the config file, made from its schema: one section a block, one line a key. The
//! examples are pieces of `config/reference.yaml`, which a test holds to be complete.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

/// The file that has every key.
const REFERENCE: &str = include_str!("../../../config/reference.yaml");
/// A longer piece of it explains nothing.
const EXAMPLE_LINES: usize = 24;

const HEAD: &str = "# Every key of the configuration file

Made by `serin schema --format markdown` from what the program itself reads; do not edit.
[config/reference.yaml](../config/reference.yaml) has all keys in one file, `serin validate FILE` \
says what is wrong with one, and `serin schema` is for your editor.

The file is YAML 1.2. In the paths below `[]` is each entry of a list, and `NAME` is a name that you
choose. Where a key takes a mapping or something shorter, both are listed. A key without a default
may be left out, unless it is *needed*.

| type | written as |
|---|---|
| duration | a number and `us`, `ms`, `s`, `m`, `h` or `d`: `500ms`, `1h30m` |
| size | a number and `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`: `64KiB` |
| share | a number and `%`: `5%`, `0.01%` |
| margin | what is tolerated above stable: `+0.5pp`, `+20%`, `1.2x`, `+20% +10pp` |
| name | up to 63 letters, digits, `_`, `-` and `.` |
";

/// Patterns of the schema that have a name in the table above.
const KNOWN: &[(&str, &str)] = &[
    (r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$", "duration"),
    (r"^[0-9]+(B|KiB|MiB|GiB|kB|MB|GB)$", "size"),
    (r"^[0-9]+(\.[0-9]+)?%$", "share"),
    (r"^(\+?[0-9]+(\.[0-9]+)?(%|pp|x) *\+?)+$", "margin"),
    (r"^[A-Za-z0-9_.-]{1,63}$", "name"),
    (
        r"^(client_ip|cookie:.+|header:.+)$",
        "`client_ip`, `cookie:NAME` or `header:NAME`",
    ),
    (
        r"^([1-5]xx|[1-5][0-9][0-9])$",
        "status such as `5xx` or `503`",
    ),
    (r"^p[5-9][0-9](\.[0-9])?$", "quantile such as `p99`"),
    (r"^/", "path"),
    (r"^https?://", "address such as `https://host:8443`"),
    (
        r"^https?://[^/@]+/?$",
        "address such as `https://host:8443`",
    ),
];

/// One block of keys.
struct Block<'a> {
    path: String,
    about: &'a str,
    keys: &'a Map<String, Json>,
    needed: Vec<&'a str>,
}

/// The whole manual.
pub(super) fn manual(schema: &Json) -> String {
    let mut blocks = Vec::new();
    collect("", schema, &mut blocks);
    let mut text = HEAD.to_owned();
    text.push_str("\n## Contents\n\n");
    for block in &blocks {
        let depth = block.path.replace(".NAME", "").matches('.').count();
        let indent = "  ".repeat(depth + usize::from(!block.path.is_empty()));
        let (title, anchor) = (title(&block.path), anchor(&block.path));
        say(&mut text, format_args!("{indent}- [{title}](#{anchor})\n"));
    }
    for block in &blocks {
        section(&mut text, block);
    }
    text
}

/// All blocks, each before those in it.
fn collect<'a>(path: &str, schema: &'a Json, blocks: &mut Vec<Block<'a>>) {
    if let Some(keys) = schema.get("properties").and_then(Json::as_object) {
        let bare = path.trim_end_matches("[]");
        let mut known = blocks.iter();
        // One of them and a list of them have the same keys.
        if known.any(|it| it.path.trim_end_matches("[]") == bare && it.keys == keys) {
            return;
        }
        let needed = schema.get("required").and_then(Json::as_array);
        blocks.push(Block {
            path: path.to_owned(),
            about: words(schema, "description"),
            keys,
            needed: needed
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .collect(),
        });
        for (key, schema) in keys {
            let dot = if path.is_empty() { "" } else { "." };
            collect(&format!("{path}{dot}{key}"), schema, blocks);
        }
    }
    if let Some(items) = schema.get("items") {
        collect(&format!("{path}[]"), items, blocks);
    }
    if let Some(named) = schema
        .get("additionalProperties")
        .filter(|it| it.is_object())
    {
        collect(&format!("{path}.NAME"), named, blocks);
    }
    for form in schema
        .get("anyOf")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        collect(path, form, blocks);
    }
}

fn section(text: &mut String, block: &Block<'_>) {
    say(text, format_args!("\n## {}\n\n", title(&block.path)));
    if !block.about.is_empty() {
        say(text, format_args!("{}\n\n", block.about));
    }
    text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, schema) in block.keys {
        let dot = if block.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{key}", block.path);
        let default = match schema.get("default") {
            Some(default) => shown(default),
            None if block.needed.contains(&key.as_str()) => "*needed*".to_owned(),
            None => String::new(),
        };
        let (kind, meaning) = (kind(&path, schema), words(schema, "description"));
        let row = format!("`{key}` | {kind} | {default} | {meaning}");
        say(text, format_args!("| {} |\n", row.replace("||", "| |")));
    }
    if let Some(example) = example(&block.path) {
        say(text, format_args!("\n```yaml\n{example}```\n"));
    }
}

/// What may be written, in words.
fn kind(path: &str, schema: &Json) -> String {
    if let Some(forms) = schema.get("anyOf").and_then(Json::as_array) {
        let mut kinds: Vec<String> = Vec::new();
        for kind in forms.iter().map(|form| kind(path, form)) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        return kinds.join(", or ");
    }
    if let Some(word) = schema.get("const") {
        return shown(word);
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return words.iter().map(shown).collect::<Vec<_>>().join(", ");
    }
    if schema.get("properties").is_some() {
        return format!("[mapping](#{})", anchor(path));
    }
    if let Some(items) = schema.get("items") {
        let of = kind(&format!("{path}[]"), items);
        return format!("list of {of}");
    }
    if let Some(named) = schema
        .get("additionalProperties")
        .filter(|it| it.is_object())
    {
        return format!("names, each with: {}", kind(&format!("{path}.NAME"), named));
    }
    leaf(schema)
}

/// A single value.
fn leaf(schema: &Json) -> String {
    if let (Some(least), Some(most)) = (schema.get("minimum"), schema.get("maximum")) {
        return format!("{least} to {most}");
    }
    if let Some(pattern) = schema.get("pattern").and_then(Json::as_str) {
        let known = KNOWN.iter().find(|(known, _)| *known == pattern);
        return known.map_or_else(
            || format!("text like `{}`", pattern.replace('|', "\\|")),
            |(_, name)| (*name).to_owned(),
        );
    }
    if let Some(examples) = schema.get("examples").and_then(Json::as_array) {
        let examples: Vec<String> = examples.iter().map(shown).collect();
        return format!("text such as {}", examples.join(", "));
    }
    match schema.get("type") {
        Some(Json::String(kind)) if kind == "boolean" => "`true`, `false`".to_owned(),
        Some(Json::Array(_)) => "text, or `null`".to_owned(),
        _ => "text".to_owned(),
    }
}

/// A value as one writes it.
fn shown(value: &Json) -> String {
    match value {
        Json::Object(map) if map.is_empty() => "as its keys say".to_owned(),
        Json::String(word) => format!("`{}`", word.replace('|', "\\|")),
        Json::Array(list) => {
            let list = list
                .iter()
                .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            format!("`[{}]`", list.collect::<Vec<_>>().join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => format!("`{value}`"),
    }
}

fn words<'a>(schema: &'a Json, field: &str) -> &'a str {
    schema.get(field).and_then(Json::as_str).unwrap_or_default()
}

fn title(path: &str) -> String {
    if path.is_empty() {
        return "The file".to_owned();
    }
    format!("`{path}`")
}

/// What the heading of a block is called in links.
fn anchor(path: &str) -> String {
    let title = title(path).to_lowercase().replace(' ', "-");
    title
        .chars()
        .filter(|it| it.is_alphanumeric() || matches!(it, '-' | '_'))
        .collect()
}

/// The first place of the reference where this block stands, if it is short.
fn example(path: &str) -> Option<String> {
    let lines: Vec<&str> = REFERENCE.lines().collect();
    let names = path.split('.').filter(|part| *part != "NAME");
    let names: Vec<&str> = names.map(|part| part.trim_end_matches("[]")).collect();
    let found = piece(&lines, &names)?;
    let last = found.iter().rposition(|line| !line.trim().is_empty())?;
    let found = found.get(..=last)?;
    let depth = depth(found.first()?);
    let lines = found
        .iter()
        .map(|line| line.get(depth..).unwrap_or_default());
    (found.len() <= EXAMPLE_LINES).then(|| lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// The lines of a key in a key in a key.
fn piece<'a>(lines: &'a [&'a str], names: &[&str]) -> Option<&'a [&'a str]> {
    let (name, inner) = names.split_first()?;
    let start = format!("{name}:");
    let is_of = |line: &str| line.trim_start_matches([' ', '-']).starts_with(&start);
    let places = (0..).zip(lines).filter(|(_, line)| is_of(line));
    places.into_iter().find_map(|(first, line)| {
        let rest = lines.get(first + 1..)?;
        let is_after = |next: &&str| !next.trim().is_empty() && depth(next) <= depth(line);
        let end = rest.iter().position(is_after).unwrap_or(rest.len());
        if inner.is_empty() {
            return lines.get(first..=first + end);
        }
        piece(rest.get(..end)?, inner)
    })
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn say(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _cannot_fail = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config;

    #[test]
    fn the_manual_in_docs_is_what_the_schema_says() {
        let made = manual(&config::json_schema());
        assert!(
            made == include_str!("../../../docs/config.md"),
            "docs/config.md is not of this schema: \
             cargo run -- schema --format markdown > docs/config.md"
        );
    }

    #[test]
    fn every_link_leads_to_one_section_and_every_row_has_four_columns() {
        let made = manual(&config::json_schema());
        let titles = made.lines().filter_map(|line| line.strip_prefix("## "));
        let anchors: Vec<String> = titles
            .skip(2)
            .map(|it| anchor(it.trim_matches('`')))
            .collect();
        let unique: BTreeSet<&String> = anchors.iter().collect();
        assert_eq!(unique.len(), anchors.len(), "two sections of one name");
        for link in made
            .split("](#")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let is_there = link == "the-file" || anchors.iter().any(|it| it == link);
            assert!(is_there, "#{link} leads nowhere");
        }
        for row in made.lines().filter(|line| line.starts_with("| `")) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 5, "{row}");
        }
    }

    #[test]
    fn a_key_shows_its_forms_its_default_and_whether_it_is_needed() {
        let made = manual(&config::json_schema());
        for row in [
            "| `weight` | share |",
            "| `steps` | list of [mapping](#splitsnamerolloutsteps) | *needed* |",
            "| `on_failure` | `rollback`, `pause`, `notify` | `rollback` |",
        ] {
            assert!(made.contains(row), "{row} is not in\n{made}");
        }
        assert!(
            example("drain.long_lived")
                .unwrap()
                .starts_with("long_lived:")
        );
    }
}
