//! No text makes loading panic, and the same text always says the same.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::{fs, path::Path};

use proptest::{
    prelude::*,
    test_runner::{Config as ProptestConfig, RngSeed},
};
use serin::config::{self, Problems};

/// The same inputs in each run, unless `PROPTEST_RNG_SEED` says otherwise.
fn same_each_time() -> ProptestConfig {
    let config = ProptestConfig::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    ProptestConfig {
        rng_seed,
        failure_persistence: None,
        ..config
    }
}

#[expect(clippy::disallowed_methods, reason = "tests read the files that ship")]
fn shipped(index: usize) -> String {
    let names = ["reference", "edge", "sidecar", "minimal"];
    let name = names
        .get(index % names.len())
        .expect("an index below the length");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/{name}.yaml"));
    fs::read_to_string(path).expect("the file exists")
}

/// One thing that a hand on a keyboard, or a broken tool, does to a file.
#[derive(Debug, Clone)]
enum Slip {
    Cut(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, String),
    DropLine(prop::sample::Index),
    RepeatLine(prop::sample::Index),
    Indent(prop::sample::Index, bool),
}

fn slip() -> impl Strategy<Value = Slip> {
    let at = any::<prop::sample::Index>;
    let scrap = prop_oneof![
        "[-\\[\\]{}:,#&*!|>'\"%@`?~ \t\n]{1,3}",
        "(null|true|no|5|5%|-1|1e9|0x1f|\\.\\.\\.|---|<<: |\\$\\{A\\}|\u{e9}\u{1F600}|\u{0})",
        "\\PC{0,6}",
    ];
    prop_oneof![
        (at(), at()).prop_map(|(a, b)| Slip::Cut(a, b)),
        (at(), scrap).prop_map(|(a, text)| Slip::Insert(a, text)),
        at().prop_map(Slip::DropLine),
        at().prop_map(Slip::RepeatLine),
        (at(), any::<bool>()).prop_map(|(a, deeper)| Slip::Indent(a, deeper)),
    ]
}

fn slipped(text: &str, slip: &Slip) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let place = |index: &prop::sample::Index| index.index(lines.len().max(1));
    match slip {
        Slip::Cut(a, b) => {
            let from = a.index(chars.len() + 1);
            let until = (from + b.index(40)).min(chars.len());
            return chars
                .iter()
                .take(from)
                .chain(chars.iter().skip(until))
                .collect();
        }
        Slip::Insert(a, scrap) => {
            let at = a.index(chars.len() + 1);
            let head: String = chars.iter().take(at).collect();
            let tail: String = chars.iter().skip(at).collect();
            return format!("{head}{scrap}{tail}");
        }
        Slip::DropLine(a) if !lines.is_empty() => drop(lines.remove(place(a))),
        Slip::RepeatLine(a) if !lines.is_empty() => {
            let at = place(a);
            lines.insert(at, lines.get(at).cloned().unwrap_or_default());
        }
        Slip::Indent(a, deeper) if !lines.is_empty() => {
            let at = place(a);
            if let Some(line) = lines.get_mut(at) {
                *line = if *deeper {
                    format!(" {line}")
                } else {
                    line.replacen(' ', "", 1)
                };
            }
        }
        Slip::DropLine(_) | Slip::RepeatLine(_) | Slip::Indent(..) => {}
    }
    lines.join("\n")
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let first = config::load(text, "x.yaml");
    prop_assert_eq!(
        &first,
        &config::load(text, "x.yaml"),
        "loading is deterministic"
    );
    let (is_taken, problems): (bool, &Problems) = match &first {
        Ok((_, problems)) => (true, problems),
        Err(problems) => (false, problems),
    };
    prop_assert_eq!(is_taken, !problems.has_errors());
    let lines = text.lines().count().max(1);
    for problem in &problems.list {
        let inside = (1..=lines + 1).contains(&problem.line);
        prop_assert!(
            inside && problem.column > 0 && problem.width > 0,
            "{:?}",
            problem
        );
    }
    let shown = problems.to_string();
    prop_assert!(
        shown.chars().all(|c| c == '\n' || !c.is_control()),
        "{:?}",
        shown
    );
    prop_assert_eq!(
        problems.to_json().as_array().map(Vec::len),
        Some(problems.len())
    );
    Ok(())
}

proptest! {
    #![proptest_config(same_each_time())]

    #[test]
    fn a_file_with_slips_never_panics(
        file in 0_usize..4,
        slips in prop::collection::vec(slip(), 1..6),
    ) {
        let text = slips.iter().fold(shipped(file), |text, slip| slipped(&text, slip));
        holds(&text)?;
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        holds(&text)?;
    }

    #[test]
    fn nothing_that_looks_like_yaml_panics(
        text in "([a-z]{0,3}|[-:?,#&*!|>'\"%@`{}\\[\\]]| |\n|\t){0,60}",
    ) {
        holds(&text)?;
    }
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    for open in ["[", "{a: ", "- ", "? "] {
        let text = open.repeat(100_000);
        assert!(config::load(&text, "x.yaml").is_err());
    }
}
