//! Recorded rollouts: verdicts and their moments as the reference has them.

use std::path::Path;

use serde_json::Value;

/// Verdicts with their seconds.
fn replayed(file: &Path, settings: &Value) -> Vec<(String, f64)> {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("settings.json");
    serde_json::to_writer(std::fs::File::create(&named).unwrap(), settings).unwrap();
    let mut out = Vec::new();
    assert_eq!(
        serin::cli::replay::replay(file, &named, &mut out).unwrap(),
        0
    );
    let text = String::from_utf8(out).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (
            line["verdict"].as_str().unwrap().to_owned(),
            line["t"].as_f64().unwrap(),
        )
    };
    text.lines().map(line).collect()
}

#[test]
fn recorded_rollouts_are_judged_as_by_the_reference() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let index = std::fs::File::open(folder.join("index.json")).unwrap();
    let index: Value = serde_json::from_reader(index).unwrap();
    for case in index.as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let expected: Vec<(String, f64)> = serde_json::from_value(case["expect"].clone()).unwrap();
        assert_eq!(
            replayed(&folder.join(file), &case["settings"]),
            expected,
            "{file}"
        );
    }
}

#[test]
fn a_bad_trace_or_setting_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes())
            .unwrap();
        path
    };
    let trace = write("trace.jsonl", "{\"tick_ms\": 5}\n");
    let settings = write("settings.json", "{}");
    let unknown = write("unknown.json", "{\"alfa\": 0.01}");
    let missing = folder.path().join("missing.json");
    let told = |trace: &Path, settings: &Path| {
        let error = serin::cli::replay::replay(trace, settings, &mut Vec::new()).unwrap_err();
        format!("{error:#}")
    };
    let cases = [
        (
            told(&trace, &settings),
            "trace.jsonl, line 1: missing field `arms`",
        ),
        (told(&trace, &unknown), "unknown field `alfa`"),
        (told(&trace, &missing), "cannot open the settings"),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}");
    }
}
