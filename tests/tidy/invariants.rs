//! Invariants that are absences, and documents that must not promise what is not there.

use crate::{
    ROOMS, report,
    source::{is_word, paths, repository},
};

/// A name, the places where it may stand, and the invariant that says so.
const PLACES: &[(&str, &[&str], &str)] = &[
    (
        "Publisher",
        &["src/plan/", "src/control/"],
        "only control publishes plans (I1)",
    ),
    (
        "Sidecar",
        &["src/config/"],
        "no preset outlives the reading of the file (I12)",
    ),
    (
        "Edge",
        &["src/config/"],
        "no preset outlives the reading of the file (I12)",
    ),
];

/// Rooms that a request goes through, and what must not be named there.
const PATH: &[&str] = &["src/proxy/", "src/plan/", "src/measure/"];
const WAITS: &[&str] = &[
    "Mutex",
    "RwLock",
    "Semaphore",
    "Condvar",
    "Barrier",
    "OnceLock",
];

#[test]
fn names_stand_only_where_an_invariant_lets_them() {
    let mut problems = Vec::new();
    for source in repository()
        .iter()
        .filter(|source| source.path.starts_with("src/"))
    {
        for (line, path) in paths(source.product()) {
            let is_named = |name: &str| path.split("::").any(|part| part == name);
            for (name, places, why) in PLACES.iter().filter(|(name, ..)| is_named(name)) {
                if !places.iter().any(|place| source.path.starts_with(place)) {
                    problems.push(format!("{}:{line}: `{name}` here: {why}", source.path));
                }
            }
            let is_on_path = PATH.iter().any(|room| source.path.starts_with(room));
            if let Some(name) = WAITS.iter().find(|name| is_on_path && is_named(name)) {
                problems.push(format!(
                    "{}:{line}: `{name}` on the request's path; own the value, or send it (I6)",
                    source.path
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn a_request_reads_the_plan_in_one_place() {
    let all = repository();
    let is_path = |path: &str| {
        let is_rim = path.ends_with("/worker.rs") || path.ends_with("/mod.rs");
        path.starts_with("src/proxy/") && !is_rim
    };
    let reads: Vec<&str> = all
        .iter()
        .filter(|source| is_path(&source.path))
        .flat_map(|source| {
            let count = source.product().matches(".plan()").count();
            std::iter::repeat_n(&*source.path, count)
        })
        .collect();
    assert_eq!(
        reads,
        ["src/proxy/decide.rs"],
        "a request keeps the plan of its start (I5); pass it on instead of asking again"
    );
}

/// Documents whose backticks name files and tests of this repository.
const TRUE: &[&str] = &[
    "docs/ARCHITECTURE.md",
    "docs/life-of-a-request.md",
    "docs/testing.md",
];

#[test]
fn documents_name_files_and_tests_that_exist() {
    let all = repository();
    let is_file = |name: &str| {
        all.iter().any(|source| {
            source.path == name
                || source
                    .path
                    .strip_prefix("src/")
                    .is_some_and(|it| it == name)
        })
    };
    let is_test = |name: &str| {
        let head = format!("fn {name}(");
        all.iter().any(|source| source.code.contains(&head))
    };
    let mut problems = Vec::new();
    for source in all.iter().filter(|source| TRUE.contains(&&*source.path)) {
        for (line, text) in (1..).zip(source.text.lines()) {
            for name in text.split('`').skip(1).step_by(2) {
                let names_file = name.contains('/') && name.contains(".rs") && !name.contains('*');
                let names_test = name.matches('_').count() >= 3 && name.chars().all(is_word);
                if (names_file && !is_file(name)) || (names_test && !is_test(name)) {
                    problems.push(format!(
                        "{}:{line}: `{name}` is not there; make the document true",
                        source.path
                    ));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn the_readme_shows_the_least_config_as_it_ships() {
    let text = |path: &str| {
        let all = repository();
        let source = all.iter().find(|source| source.path == path);
        source.map(|source| &*source.text).unwrap_or_default()
    };
    let shown = text("README.md").split("```").nth(1).unwrap_or_default();
    let shipped = text("config/minimal.yaml").lines();
    let shipped: Vec<&str> = shipped.filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        shown.trim_start_matches("yaml").trim(),
        shipped.join("\n").trim(),
        "README.md shows another config than config/minimal.yaml; copy it again"
    );
}

#[test]
fn the_architecture_shows_the_table_that_is_enforced() {
    let all = repository();
    let document = all
        .iter()
        .find(|source| source.path == "docs/ARCHITECTURE.md");
    let text = document.map(|source| &*source.text).unwrap_or_default();
    for (room, uses) in ROOMS
        .iter()
        .filter(|(room, _)| !matches!(*room, "main" | "lib"))
    {
        let uses = if uses.is_empty() {
            "-".to_owned()
        } else {
            uses.join(", ")
        };
        let row = format!("| `{room}` | {uses} |");
        assert!(
            text.contains(&row),
            "docs/ARCHITECTURE.md lacks the row {row}"
        );
    }
}
