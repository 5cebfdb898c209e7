//! Words and paths that must not be in the repository, and links that must lead somewhere.

use std::path::Path;

use crate::{
    report,
    source::{paths, repository},
};

/// Words that mean unfinished work, and what to do instead. Split so that this file is clean.
const UNFINISHED: &[(&str, &str)] = &[
    (
        concat!("TO", "DO"),
        "finish it, or write an issue and a comment that says why",
    ),
    (concat!("FIX", "ME"), "mend it"),
    (concat!("to", "do!("), "finish it"),
    (concat!("unimpl", "emented!("), "finish it"),
    (
        concat!("#[ig", "nore"),
        "make the test quick and sure, or remove it",
    ),
    (
        concat!("#[should_", "panic"),
        "test the value that says what went wrong",
    ),
];

/// Paths of one machine, which no other has.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/fa", "rm"),
    concat!("/ro", "ot/"),
    concat!("/tm", "p/"),
    concat!("../sha", "red"),
];

#[test]
fn nothing_is_left_unfinished_or_asleep() {
    let mut problems = Vec::new();
    for source in repository() {
        for (line, text) in (1..).zip(source.text.lines()) {
            for (word, mend) in UNFINISHED.iter().filter(|(word, _)| text.contains(word)) {
                problems.push(format!("{}:{line}: `{word}`; {mend}", source.path));
            }
            for path in MACHINE.iter().filter(|path| text.contains(**path)) {
                problems.push(format!(
                    "{}:{line}: `{path}` is of one machine; use a path from the repository or \
                     a temporary folder",
                    source.path
                ));
            }
        }
        let is_helper = source.path.starts_with("tests/support/");
        if source.is_rust() && source.is_test() && !is_helper {
            for (line, path) in paths(&source.code) {
                if path.ends_with("::sleep") || path == "sleep" {
                    problems.push(format!(
                        "{}:{line}: a test sleeps; wait for the event, or pause tokio's clock",
                        source.path
                    ));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn links_of_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut problems = Vec::new();
    let all = repository();
    for source in all
        .iter()
        .filter(|it| Path::new(&it.path).extension() == Some("md".as_ref()))
    {
        let folder = root.join(&source.path);
        let folder = folder.parent().unwrap_or(root);
        for (line, text) in (1..).zip(source.text.lines()) {
            for link in text
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let target = link.split(['#', ' ']).next().unwrap_or_default();
                let is_far = link.contains("://") || link.starts_with("mailto:");
                if !is_far && !target.is_empty() && !folder.join(target).exists() {
                    problems.push(format!(
                        "{}:{line}: `{link}` leads nowhere; mend or remove the link",
                        source.path
                    ));
                }
            }
        }
    }
    report(&problems);
}
