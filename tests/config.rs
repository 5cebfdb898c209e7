//! The files that ship with Serin, read as a user would.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::{fs, path::Path};

use serin::config::{self, Config};

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

#[test]
fn every_file_that_ships_loads_without_a_word() {
    for path in [
        "config/minimal.yaml",
        "config/edge.yaml",
        "config/sidecar.yaml",
    ] {
        load(path);
    }
}
