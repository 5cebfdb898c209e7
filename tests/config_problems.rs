//! Files with seeded faults: each fault is found, in its line, and nothing else is said.
//!
//! In `fixtures/bad-configs` and `fixtures/conflicts` the comment `#! code ...` stands in every
//! line with a fault and names the codes that must be told for that line. The files of the second
//! are right in every single key: what is wrong is between two of them.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::{fs, path::Path};

use serin::config::{self, Problems};

/// Every file of both folders: its name and its text.
fn fixtures() -> Vec<(String, String)> {
    [files("bad-configs"), files("conflicts")].concat()
}

/// Every file of a folder: its name and its text.
#[expect(clippy::disallowed_methods, reason = "a test reads its fixtures")]
fn files(folder: &str) -> Vec<(String, String)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = fixtures.join(folder);
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    paths.sort();
    let name = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let text = |path: &Path| fs::read_to_string(path).expect("it is text");
    paths.iter().map(|path| (name(path), text(path))).collect()
}

fn problems(text: &str, name: &str) -> Problems {
    match config::load(text, name) {
        Ok((_, problems)) | Err(problems) => problems,
    }
}

/// What the comments of a file promise: line and code.
fn expected(text: &str) -> Vec<(usize, &str)> {
    let mut expected = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let Some((_, codes)) = line.split_once("#! ") else {
            continue;
        };
        expected.extend(codes.split_whitespace().map(|code| (i + 1, code)));
    }
    expected
}

#[test]
fn every_seeded_fault_is_found_in_its_line_and_nothing_else_is_said() {
    let mut wrong = Vec::new();
    for (name, text) in fixtures() {
        let problems = problems(&text, &name);
        let mut found: Vec<_> = problems.list.iter().map(|it| (it.line, it.code)).collect();
        let mut expected = expected(&text);
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            wrong.push(format!(
                "{name}: expected {expected:?}, found {found:?}\n{problems}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_many_kinds_of_faults() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 40, "{} files", fixtures.len());
    let most = fixtures.iter().map(|(_, text)| expected(text).len()).max();
    assert!(most >= Some(10), "one file has ten faults");
}

#[test]
fn there_are_many_conflicts_and_each_is_told_with_a_remedy() {
    let conflicts = files("conflicts");
    assert!(conflicts.len() >= 20, "{} files", conflicts.len());
    for (name, text) in conflicts {
        let found = problems(&text, &name);
        assert!(!found.list.is_empty(), "{name}: nothing is told");
        let is_helpful = found.list.iter().all(|problem| !problem.help.is_empty());
        assert!(is_helpful, "{name}: {found}");
    }
}

#[test]
fn the_caret_stands_under_what_is_wrong() {
    for (name, text) in fixtures() {
        for problem in &problems(&text, &name).list {
            let line = text.lines().nth(problem.line - 1).unwrap_or_default();
            let end = problem.column - 1 + problem.width;
            let inside = end <= line.chars().count().max(problem.column);
            assert!(inside, "{name}: {problem:?} is outside of {line:?}");
        }
    }
}

#[test]
fn problems_are_shown_like_this() {
    let shown = |start: &str| {
        let (name, text) = fixtures()
            .into_iter()
            .find(|(name, _)| name.starts_with(start))?;
        Some(problems(&text, &name).to_string())
    };
    insta::assert_snapshot!("unknown_key", shown("01").expect("a file"));
    insta::assert_snapshot!("bare_weight", shown("03").expect("a file"));
    let ten = fixtures()
        .into_iter()
        .find(|(name, _)| name.contains("ten-faults"));
    let (_, text) = ten.expect("a file");
    insta::assert_snapshot!("ten_faults", problems(&text, "ten-faults.yaml").to_string());
}
