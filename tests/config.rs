//! The files that ship with Serin, read as a user would, and the schema that they are held to.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;
use serin::config::{self, Config, Written};

const SHIPPED: [&str; 4] = [
    "config/minimal.yaml",
    "config/edge.yaml",
    "config/sidecar.yaml",
    "config/reference.yaml",
];

#[expect(clippy::disallowed_methods, reason = "tests read the files that ship")]
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the file exists")
}

fn load(path: &str) -> Config {
    let loaded = config::load(&read(path), path);
    let (config, problems) = loaded
        .map_err(|problems| problems.to_string())
        .expect("it loads");
    assert!(problems.is_empty(), "{path}:\n{problems}");
    config
}

/// Every key that the schema has, as a path (`upstreams.*.static`), with its default.
fn schema_keys() -> BTreeMap<String, Option<Value>> {
    fn walk(schema: &Value, path: &str, keys: &mut BTreeMap<String, Option<Value>>) {
        for (key, of) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            keys.insert(path.clone(), of.get("default").cloned());
            walk(of, &path, keys);
        }
        let nested = schema
            .get("additionalProperties")
            .filter(|of| of.get("properties").is_some());
        if let Some(of) = nested {
            walk(of, &format!("{path}.*"), keys);
        }
        if let Some(of) = schema.get("items") {
            walk(of, path, keys);
        }
        for of in schema
            .get("anyOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            walk(of, path, keys);
        }
    }
    let mut keys = BTreeMap::new();
    walk(&config::json_schema(), "", &mut keys);
    keys
}

/// Every key of a file as such a path, with the values that stand behind it.
fn file_keys(file: &Value) -> BTreeMap<String, Vec<Value>> {
    fn walk(value: &Value, path: &str, keys: &mut BTreeMap<String, Vec<Value>>) {
        match value {
            Value::Object(entries) => {
                let is_named = path == "upstreams" || path == "splits";
                for (key, value) in entries {
                    let step = if is_named { "*" } else { key };
                    let path = if path.is_empty() {
                        step.into()
                    } else {
                        format!("{path}.{step}")
                    };
                    keys.entry(path.clone()).or_default().push(value.clone());
                    walk(value, &path, keys);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path, keys)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut keys = BTreeMap::new();
    walk(file, "", &mut keys);
    keys
}

/// The reference as plain values. Another reader than ours reads it, which shows that the file is
/// YAML as others understand it.
fn reference() -> Value {
    serde_saphyr::from_str(&read("config/reference.yaml")).expect("it is YAML")
}

#[test]
fn every_file_that_ships_loads_without_a_word() {
    for path in SHIPPED {
        load(path);
    }
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let mut written: BTreeSet<String> = file_keys(&reference()).into_keys().collect();
    for line in read("config/reference.yaml").lines() {
        // `# listen: ...`: a short form that cannot stand beside its long form.
        let key = line
            .strip_prefix("# ")
            .and_then(|rest| rest.split_once(": "));
        written.extend(
            key.filter(|(key, _)| !key.contains(' '))
                .map(|(key, _)| key.to_owned()),
        );
    }
    let has_free_keys = |path: &str| path.contains(".headers.") || path.contains(".attributes.");
    written.retain(|path| !path.ends_with(".*") && !has_free_keys(path));
    let known: BTreeSet<String> = schema_keys().into_keys().collect();
    let missing: Vec<_> = known.difference(&written).collect();
    let unknown: Vec<_> = written.difference(&known).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:?}, unknown {unknown:?}"
    );
}

#[test]
fn the_reference_shows_the_true_defaults() {
    let written = file_keys(&reference());
    for (path, default) in schema_keys() {
        let scalar = default.filter(|default| !default.is_object());
        let Some(default) = scalar.filter(|_| path != "admin") else {
            continue;
        };
        let values = written.get(&path).cloned().unwrap_or_default();
        let is_shown = values.contains(&default) || path.ends_with("analysis.metrics");
        let is_optional = path.ends_with("analysis.absolute") || path.ends_with("analysis.rules");
        assert!(
            is_shown || is_optional,
            "{path}: the default {default} is not among {values:?}"
        );
    }
}

/// Every key and every text of a schema, in lower case.
fn words_of(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::String(word) => drop(words.insert(word.to_lowercase())),
        Value::Array(items) => items.iter().for_each(|item| words_of(item, words)),
        Value::Object(entries) => {
            words.extend(entries.keys().map(|key| key.to_lowercase()));
            entries.values().for_each(|value| words_of(value, words));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn json_is_taken_and_means_the_same() {
    let json = reference().to_string();
    let (from_json, _) = config::load(&json, "x.json").expect("it loads");
    let Config { hash, text, .. } = load("config/reference.yaml");
    assert_eq!(
        Config {
            hash,
            text,
            ..from_json
        },
        load("config/reference.yaml")
    );
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_nothing() {
    let text = format!(
        "\u{feff}{}",
        read("config/reference.yaml").replace('\n', "\r\n")
    );
    let (config, problems) = config::load(&text, "x.yaml").expect("it loads");
    assert!(problems.is_empty(), "{problems}");
    let Config { hash, text, .. } = load("config/reference.yaml");
    assert_eq!(
        Config {
            hash,
            text,
            ..config
        },
        load("config/reference.yaml")
    );
}

#[test]
fn a_file_of_a_hundred_splits_is_read() {
    let upstream = |i| format!("  u{i}: {{ static: [\"127.0.0.1:{}\"] }}\n", 1000 + i);
    let split = |i| {
        let versions = format!("stable: u{i}, canary: u{}, weight: 5%", i + 100);
        format!("  s{i}: {{ match: {{ hosts: h{i} }}, {versions}, sticky: {{ cookie: c }} }}\n")
    };
    let upstreams: String = (0..200).map(upstream).collect();
    let splits: String = (0..100).map(split).collect();
    let text = format!("listen: \"127.0.0.1:0\"\nupstreams:\n{upstreams}splits:\n{splits}");
    let (config, problems) = config::load(&text, "x.yaml").expect("it loads");
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(config.splits.len(), 100);
}

#[test]
fn no_key_and_no_word_is_a_boolean_of_yaml_1_1() {
    let mut found = BTreeSet::new();
    words_of(&config::json_schema(), &mut found);
    for boolean in ["on", "off", "yes", "no", "y", "n"] {
        assert!(
            !found.contains(boolean),
            "{boolean} is a boolean for YAML 1.1 readers"
        );
    }
}

/// Scalars that readers of YAML 1.1 and of 1.2 take for different things: booleans, octal and
/// base-60 numbers, numbers with `_`, dates.
fn is_two_faced(scalar: &str) -> bool {
    let word = ["on", "off", "yes", "no", "y", "n"].contains(&scalar.to_lowercase().as_str());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let octal = scalar.len() > 1 && scalar.starts_with('0') && digits(scalar);
    let sexagesimal = scalar.contains(':') && scalar.split(':').all(digits);
    let grouped = scalar.contains('_') && scalar.split('_').all(digits);
    let date = scalar.len() == 10 && scalar.split('-').all(digits) && scalar.contains('-');
    word || octal || sexagesimal || grouped || date
}

#[test]
fn the_files_that_ship_mean_the_same_to_readers_of_yaml_1_1() {
    for path in SHIPPED {
        for (i, line) in read(path).lines().enumerate() {
            let code = line.split(" #").next().unwrap_or(line);
            if code.trim_start().starts_with('#') {
                continue;
            }
            let plain = code
                .split(['"', '\''])
                .step_by(2)
                .collect::<Vec<_>>()
                .join(" ");
            let tokens = plain.split([' ', ',', '[', ']', '{', '}']);
            for token in tokens.map(|token| token.trim_end_matches(':')) {
                assert!(!is_two_faced(token), "{path}:{}: `{token}`", i + 1);
            }
        }
    }
}

#[test]
fn short_forms_and_defaults_become_this_config() {
    let shown = |path| {
        format!(
            "{:#?}",
            Config {
                hash: 0,
                text: Written::default(),
                ..load(path)
            }
        )
    };
    insta::assert_snapshot!("minimal", shown("config/minimal.yaml"));
    insta::assert_snapshot!("reference", shown("config/reference.yaml"));
}

#[test]
fn what_is_not_written_is_the_judges_default() {
    let text = "listen: \"127.0.0.1:0\"\nupstreams: { a: { static: [\"a:1\"] } }\n\
                splits: { s: { stable: a } }\n";
    let (config, problems) = config::load(text, "x.yaml").expect("it loads");
    assert!(problems.is_empty(), "{problems}");
    let analysis = &config.splits.first().expect("a split").analysis;
    insta::assert_debug_snapshot!("judge_defaults", analysis);
}
