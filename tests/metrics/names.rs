//! Rules, alerts, the dashboard and the documents name only what is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use super::House;

/// Labels that scraping, rules or histograms add.
const ADDED: [&str; 4] = ["instance", "job", "le", "alertname"];

/// Every metric and its labels.
type Known = BTreeMap<String, BTreeSet<String>>;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of labels in `a="...",b=~"..."`.
fn labels(inner: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut name, mut is_quoted, mut before) = (String::new(), false, ' ');
    for character in inner.chars() {
        match character {
            '"' if before != '\\' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            ',' => name.clear(),
            '=' | '!' | '~' => {
                if !name.is_empty() {
                    names.insert(std::mem::take(&mut name));
                }
            }
            other => name.push(other),
        }
        before = character;
    }
    names.iter().map(|name| name.trim().to_owned()).collect()
}

/// What a text of metrics has.
fn known(texts: &[&str]) -> Known {
    let mut known = Known::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if name.starts_with("serin_") || name.starts_with("process_") {
            let inner = rest
                .strip_prefix('{')
                .and_then(|rest| rest.split_once("} "));
            let labels = inner.map(|(inner, _)| labels(inner)).unwrap_or_default();
            known.entry(name.to_owned()).or_default().extend(labels);
        }
    }
    known
}

/// Every metric that a text names, with the labels that it asks for right behind it.
fn named(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut all = Vec::new();
    for start in ["serin_", "process_"] {
        for (place, _) in text.match_indices(start) {
            let before = text[..place].chars().next_back().unwrap_or(' ');
            // The end of another word, or what a rule records.
            if before.is_ascii_alphanumeric() || "_:/-".contains(before) {
                continue;
            }
            let rest = &text[place..];
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let inner = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let asked = inner
                .map(|(inner, _)| inner)
                .filter(|inner| inner.contains('='));
            all.push((name.to_owned(), asked.map(labels).unwrap_or_default()));
        }
    }
    all
}

/// The labels of `by (...)`, `on (...)` and `{{...}}`.
fn grouped(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (start, end) in [("by (", ')'), ("on (", ')'), ("$labels.", ' ')] {
        for (place, _) in text.match_indices(start) {
            let rest = &text[place + start.len()..];
            let inner = rest.split([end, '}']).next().unwrap();
            all.extend(inner.split(',').map(|name| name.trim().to_owned()));
        }
    }
    all
}

fn check(what: &str, text: &str, known: &Known, problems: &mut Vec<String>) {
    let names = named(text);
    assert!(!names.is_empty(), "{what} names nothing");
    for (name, labels) in names {
        let Some(its) = known.get(&name) else {
            problems.push(format!("{what}: there is no `{name}`"));
            continue;
        };
        for label in labels {
            if !its.contains(&label) && !ADDED.contains(&label.as_str()) {
                problems.push(format!("{what}: `{name}` has no label `{label}`"));
            }
        }
    }
    let all: BTreeSet<&String> = known.values().flatten().collect();
    for label in grouped(text) {
        if !all.contains(&label) && !ADDED.contains(&label.as_str()) {
            problems.push(format!("{what}: no metric has a label `{label}`"));
        }
    }
}

/// Every expression of the dashboard, with the labels of its legends.
fn expressions(json: &serde_json::Value, out: &mut Vec<String>) {
    match json {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    ("expr" | "query", Some(text)) if text.contains('_') => {
                        out.push(text.to_owned());
                    }
                    ("legendFormat" | "titleFormat", Some(text)) => {
                        let names = text.split("{{").skip(1);
                        let names = names.filter_map(|rest| rest.split_once("}}"));
                        let names = names.map(|(name, _)| format!("by ({name})"));
                        out.extend(names);
                    }
                    _ => expressions(value, out),
                }
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|value| expressions(value, out)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_named_elsewhere_is_there() {
    let house = House::start("").await;
    let (_, real) = house.scrape("text/plain").await;
    // What needs traffic, TLS or a failure is in the text that the admin tests hold.
    let held = read("tests/snapshots/admin__metrics.snap");
    let known = known(&[&real, &held]);
    let mut problems = Vec::new();
    for path in [
        "deploy/prometheus/rules.yml",
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/rules_test.yml",
    ] {
        check(path, &read(path), &known, &mut problems);
    }
    let dashboard = read("deploy/grafana/serin.json");
    let mut found = Vec::new();
    expressions(&serde_json::from_str(&dashboard).unwrap(), &mut found);
    assert!(found.len() > 60, "{}", found.len());
    check("serin.json", &found.join("\n"), &known, &mut problems);
    let operations = read("docs/operations.md");
    let families = names_of_families(&operations, &known);
    problems.extend(families);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// In documents a histogram is named without what its series add.
fn names_of_families(text: &str, known: &Known) -> Vec<String> {
    let is_there = |name: &String| {
        let is_histogram = known.contains_key(&format!("{name}_bucket"));
        known.contains_key(name) || is_histogram
    };
    let names = named(text).into_iter().map(|(name, _)| name);
    let missing = names.filter(|name| name != "serin_" && !is_there(name));
    missing
        .map(|name| format!("docs/operations.md: there is no `{name}`"))
        .collect()
}

#[test]
fn each_alert_has_its_place_in_the_runbook_and_is_tried() {
    let (alerts, tests) = (
        read("deploy/prometheus/alerts.yml"),
        read("deploy/prometheus/rules_test.yml"),
    );
    let operations = read("docs/operations.md");
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 20);
    for name in &names {
        let anchor = format!("docs/operations.md#{}\n", name.to_lowercase());
        assert!(alerts.contains(&anchor), "{name} has no runbook");
        assert!(operations.contains(&format!("### {name}\n")), "{name}");
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name}");
        assert!(tests.contains(&format!("alertname: {name},")), "{name}");
    }
    let told = operations
        .lines()
        .filter_map(|line| line.strip_prefix("### Serin"));
    for name in told {
        let name = format!("Serin{name}");
        assert!(names.contains(&name.as_str()), "{name} is no alert");
    }
}

#[test]
fn rules_and_alerts_do_what_their_tests_say() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for arguments in [
        &["check", "rules", "rules.yml", "alerts.yml"][..],
        &["test", "rules", "rules_test.yml"],
    ] {
        let mut promtool = Command::new("promtool");
        let Ok(output) = promtool.args(arguments).current_dir(&place).output() else {
            eprintln!("SKIPPED: promtool is in the Debian package `prometheus`");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let blamed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{blamed}");
    }
}
