//! What holds of every verb: it has help, and what it prints a program can read with `-o json`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands"
)]

#[path = "support/control.rs"]
#[expect(dead_code, reason = "these tests use a part of it")]
mod control;

use std::{
    collections::BTreeSet,
    process::{Command as Program, Output},
};

/// Verbs, and the words after them; FILE is a config file.
const CALLS: &[(&str, &[&str])] = &[
    ("validate", &["FILE"]),
    ("plan", &["FILE", "--rate", "2000"]),
    ("diff", &["FILE", "FILE"]),
    ("schema", &[]),
    ("explain", &["-c", "FILE", "/cart"]),
    ("override", &["-c", "FILE", "shop", "ecs"]),
    ("status", &[]),
    ("why", &[]),
    ("rollouts", &[]),
    ("events", &[]),
    ("endpoints", &[]),
    ("audit", &[]),
    ("log", &["info"]),
    ("eject", &["127.0.0.1:8081"]),
    ("uneject", &["127.0.0.1:8081"]),
    ("set-weight", &["shop", "5%"]),
    ("promote", &["shop"]),
    ("pause", &["shop"]),
    ("resume", &["shop"]),
    ("abort", &["shop"]),
    ("retry", &["shop"]),
    ("undo", &["shop"]),
    ("gate", &["open", "shop"]),
    ("health", &[]),
];

/// Verbs whose JSON other tests read, since it takes a record, traffic or another process.
const ELSEWHERE: &[&str] = &["replay", "demo", "upgrade", "drain"];

/// Verbs that print no facts: they serve, draw, write a file, or print what other programs take.
const NO_FACTS: &[&str] = &["run", "top", "debug", "convert", "completions", "man"];

fn serin(words: &[&str], admin: &str) -> Output {
    Program::new(env!("CARGO_BIN_EXE_serin"))
        .args(words)
        .env("SERIN_ADMIN", admin)
        .output()
        .unwrap()
}

/// The verbs as the help lists them.
fn verbs() -> BTreeSet<String> {
    let help = String::from_utf8(serin(&["--help"], "").stdout).unwrap();
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next();
    let is_verb = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let lines = listed.unwrap().lines().filter(is_verb);
    lines
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

fn file(directory: &tempfile::TempDir) -> String {
    let (file, key) = (
        directory.path().join("serin.yaml"),
        directory.path().join("preview.key"),
    );
    std::fs::write(&key, "a secret of more than 16 bytes\n").unwrap();
    let text = format!(
        "version: 1\nlisten: \"127.0.0.1:0\"\nupstreams:\n  \
         mesos: {{ static: [\"127.0.0.1:1\"] }}\n  ecs: {{ static: [\"127.0.0.1:2\"] }}\n\
         splits:\n  shop:\n    stable: mesos\n    canary: ecs\n    \
         override: {{ header: x-serin-version, signed_by: {:?} }}\n    rollout:\n      \
         steps:\n      - set_weight: 10%\n      - bake: 10m\n",
        key.display().to_string()
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[tokio::test]
async fn a_program_can_read_what_every_verb_prints() {
    let directory = tempfile::tempdir().unwrap();
    let (serving, _fake) = control::admin(&directory).await;
    let admin = serving.http().unwrap().to_string();
    let file = file(&directory);
    let work = move || {
        let known = CALLS.iter().map(|(verb, _)| *verb);
        let known = known
            .chain(ELSEWHERE.iter().copied())
            .chain(NO_FACTS.iter().copied());
        let known: BTreeSet<String> = known.map(str::to_owned).collect();
        assert_eq!(
            verbs(),
            known,
            "a verb has no line in this test, or is gone"
        );
        for (verb, words) in CALLS {
            let words = words
                .iter()
                .map(|word| if *word == "FILE" { &file } else { *word });
            let words: Vec<&str> = std::iter::once(*verb).chain(words).collect();
            let json = serin(&[&words[..], &["-o", "json"]].concat(), &admin);
            let (out, wrong) = (&json.stdout, String::from_utf8_lossy(&json.stderr));
            let is_asked = json.status.code().is_some_and(|code| code < 2);
            let is_refused = !wrong.is_empty();
            assert!(is_asked, "{words:?}: {wrong}");
            let values = serde_json::Deserializer::from_slice(out).into_iter();
            let values: Vec<serde_json::Value> = values.map(Result::unwrap).collect();
            let is_told = values.iter().all(serde_json::Value::is_object) && !values.is_empty();
            assert!(is_told || is_refused, "{words:?} prints {values:?}");
        }
        for verb in ELSEWHERE {
            let help = String::from_utf8(serin(&[verb, "--help"], "").stdout).unwrap();
            assert!(help.contains("-o, --output"), "{verb}: {help}");
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[test]
fn bash_understands_the_completion() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("serin.bash");
    std::fs::write(&script, serin(&["completions", "bash"], "").stdout).unwrap();
    // What is asked of it: the verbs that begin so.
    let ask = format!(
        "set -e; source {}; COMP_WORDS=(serin set); COMP_CWORD=1; _serin serin set serin; \
         echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let told = Program::new("bash").args(["-c", &ask]).output().unwrap();
    let wrong = String::from_utf8_lossy(&told.stderr);
    assert_eq!(
        String::from_utf8_lossy(&told.stdout).trim(),
        "set-weight",
        "{wrong}"
    );
}
