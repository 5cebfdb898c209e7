//! The map of the house, enforced: which room may use which, what pure rooms must not name, how
//! long things may be. A new dependency between rooms is a visible line in [`ROOMS`].
//!
//! Every problem is told as `file:line: what; how to mend it`, all of them at once.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test reads files, and stops where it stands"
)]

#[path = "tidy/invariants.rs"]
mod invariants;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::path::Path;

use source::{Source, functions, paths, reachable, repository};

/// Room, and the rooms it may use (`docs/ARCHITECTURE.md` tells why).
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &["model"]),
    ("net", &[]),
    ("config", &["model"]),
    ("plan", &["model", "config"]),
    ("measure", &["model"]),
    ("judge", &["model", "measure"]),
    ("record", &["model", "measure", "judge"]),
    ("rollout", &["model", "config", "judge"]),
    ("proxy", &["model", "clock", "net", "plan", "measure"]),
    ("discover", &["model", "clock", "net", "config"]),
    (
        "control",
        &[
            "model", "clock", "config", "plan", "measure", "judge", "record", "rollout", "discover",
        ],
    ),
    (
        "admin",
        &[
            "model", "clock", "net", "measure", "judge", "record", "control",
        ],
    ),
    (
        "app",
        &[
            "model", "clock", "net", "config", "plan", "measure", "judge", "rollout", "proxy",
            "discover", "control", "admin",
        ],
    ),
    (
        "cli",
        &[
            "model", "clock", "net", "config", "plan", "measure", "judge", "record", "rollout",
            "control", "admin", "app",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Rooms that are functions of their arguments (invariant I2).
const PURE: &[&str] = &["model", "plan", "measure", "judge", "record", "rollout"];

/// What a pure room must not name: the start of a path.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "socket2",
    "hyper",
    "axum",
    "rusqlite",
    "notify",
    "fastrand",
    "getrandom",
    "rand",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
];

/// A crate (or a part of one), and the only places that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("serde_saphyr", &["src/config/parse.rs"]),
    (
        "serde",
        &[
            "src/config/",
            "src/admin/wire",
            "src/control/journal",
            "src/discover/marathon/wire.rs",
            "src/record/wire",
            "src/fleet/wire",
            "src/discover/aws",
            "src/discover/cloud_map",
            "src/discover/ecs",
            "src/cli",
        ],
    ),
    ("postcard", &["src/record/wire"]),
    ("axum", &["src/admin/"]),
    ("tower", &["src/admin/"]),
    ("prometheus", &["src/admin/metrics/classic.rs"]),
    ("rusqlite", &["src/control/journal"]),
    ("aws_sigv4", &["src/discover/aws/"]),
    ("aws_credential_types", &["src/discover/aws/"]),
    ("aws_smithy_types", &["src/discover/aws/"]),
    (
        "roxmltree",
        &["src/discover/aws/", "src/discover/ecs/hosts.rs"],
    ),
    ("form_urlencoded", &["src/discover/aws/"]),
    ("notify", &["src/control/reload", "src/discover/file"]),
    ("hickory_resolver", &["src/discover/dns"]),
    ("hdrhistogram", &["src/measure/"]),
    ("httparse", &["src/proxy/h1/tests/"]),
    ("x509_parser", &["src/plan/tls", "src/net/subject.rs"]),
    (
        "rustls_native_certs",
        &["src/control/reload/tls.rs", "src/net/web.rs"],
    ),
    (
        "rustls",
        &[
            "src/plan/tls",
            "src/net",
            "src/proxy/",
            "src/discover/marathon/login.rs",
        ],
    ),
    ("rcgen", &["src/plan/tls/tests", "src/control/", "src/net/"]),
    ("tokio_rustls", &["src/net/tls.rs"]),
    ("h2::server", &["src/proxy/h2/"]),
    ("h2::client", &["src/proxy/h2/"]),
    ("wide::u8x16", &["src/proxy/h1/scan.rs"]),
    ("clap", &["src/cli", "src/main.rs"]),
    ("tar", &["src/cli/bundle.rs"]),
    ("clap_complete", &["src/cli/shell.rs"]),
    ("clap_mangen", &["src/cli/shell.rs"]),
    ("ratatui", &["src/cli/top/"]),
    ("anyhow", &["src/cli", "src/app", "src/main.rs"]),
    ("mimalloc", &["src/main.rs"]),
    ("socket2", &["src/net/mod.rs"]),
    ("rustix", &["src/app/"]),
    ("listenfd", &["src/app/systemd.rs"]),
    ("sd_notify", &["src/app/systemd.rs"]),
    (
        "tokio::net",
        &[
            "src/net/",
            "src/discover/",
            "src/admin/",
            "src/cli",
            "src/app/upgrade",
        ],
    ),
    ("std::net::TcpListener", &["src/net/mod.rs"]),
    ("std::net::TcpStream", &["src/net/mod.rs"]),
];

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const LINE_WIDTH: usize = 100;

/// Ends the test with all problems, if there are any.
fn report(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "\n{} problem(s):\n{}\n",
        problems.len(),
        problems.join("\n")
    );
}

fn rust() -> Vec<&'static Source> {
    repository()
        .iter()
        .filter(|source| source.is_rust())
        .collect()
}

/// The room a file of `src/` belongs to.
fn room(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    let first = inner.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// Whether a path is `start`, or begins with it and goes on.
fn begins(path: &str, start: &str) -> bool {
    path.strip_prefix(start)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn edges(source: &Source, problems: &mut Vec<String>) {
    let Some(from) = room(&source.path) else {
        return;
    };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == from) else {
        problems.push(format!(
            "{}:1: `{from}` is no room; add it to ROOMS",
            source.path
        ));
        return;
    };
    let code = if source.is_test() {
        &source.code
    } else {
        source.product()
    };
    for (line, path) in paths(code) {
        let mut parts = path.split("::");
        let is_ours = matches!(parts.next(), Some("crate" | "serin"));
        let Some(to) = parts.next().filter(|_| is_ours) else {
            continue;
        };
        let is_room = ROOMS.iter().any(|(name, _)| *name == to);
        if is_room && to != from && !allowed.contains(&to) {
            problems.push(format!(
                "{}:{line}: `{from}` may not use `{to}`; let the caller bring what is needed, \
                 or argue for a new edge in ROOMS (it may use: {})",
                source.path,
                allowed.join(", ")
            ));
        }
    }
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut problems = Vec::new();
    for source in rust() {
        edges(source, &mut problems);
    }
    report(&problems);
}

#[test]
fn a_room_is_not_left_through_super() {
    let mut problems = Vec::new();
    for source in rust()
        .iter()
        .filter(|source| source.path.starts_with("src/"))
    {
        let is_door = source.path.ends_with("/mod.rs");
        let depth = source.path.matches('/').count() - usize::from(is_door);
        for (line, path) in paths(source.product()) {
            let up = path.split("::").take_while(|part| *part == "super").count();
            if up >= depth.max(1) {
                problems.push(format!(
                    "{}:{line}: `{path}` leaves the room; write `crate::...`",
                    source.path
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn no_rooms_use_each_other() {
    fn reaches(from: &str, wanted: &str) -> bool {
        let uses = ROOMS
            .iter()
            .find(|(name, _)| *name == from)
            .map_or(&[][..], |(_, uses)| uses);
        uses.iter()
            .any(|room| *room == wanted || reaches(room, wanted))
    }
    for (name, _) in ROOMS {
        assert!(!reaches(name, name), "ROOMS has a circle through `{name}`");
    }
}

fn impurities(source: &Source, problems: &mut Vec<String>) {
    if !room(&source.path).is_some_and(|room| PURE.contains(&room)) {
        return;
    }
    for (line, path) in paths(source.product()) {
        if let Some(what) = IMPURE.iter().find(|what| begins(&path, what)) {
            problems.push(format!(
                "{}:{line}: `{what}` in a pure room; let the caller bring the value (I2)",
                source.path
            ));
        }
    }
}

#[test]
fn pure_rooms_have_no_io_clock_or_chance() {
    let mut problems = Vec::new();
    for source in rust() {
        impurities(source, &mut problems);
    }
    report(&problems);
}

#[test]
fn crates_are_named_only_in_their_place() {
    let mut problems = Vec::new();
    for source in rust()
        .iter()
        .filter(|source| source.path.starts_with("src/"))
    {
        for (line, path) in paths(source.product()) {
            let Some((name, places)) = CRATES.iter().find(|(name, _)| begins(&path, name)) else {
                continue;
            };
            if !places.iter().any(|place| source.path.starts_with(place)) {
                problems.push(format!(
                    "{}:{line}: `{name}` belongs to {}; go through what those offer",
                    source.path,
                    places.join(", ")
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut problems = Vec::new();
    for source in rust() {
        let lines = source.product().lines().count();
        if lines > FILE_LINES {
            problems.push(format!(
                "{}:{lines}: the file has {lines} lines without its tests, {FILE_LINES} are \
                 allowed; move what has a name of its own into a file of its own",
                source.path
            ));
        }
        for (line, text) in (1..).zip(source.text.lines()) {
            let width = text.chars().count();
            if width > LINE_WIDTH {
                problems.push(format!(
                    "{}:{line}: {width} columns, {LINE_WIDTH} are allowed; break the line",
                    source.path
                ));
            }
        }
        for (line, name, length) in functions(&source.code) {
            if length > FUNCTION_LINES {
                problems.push(format!(
                    "{}:{line}: `{name}` has {length} lines of code, {FUNCTION_LINES} are \
                     allowed; give a part of it a name",
                    source.path
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn files_say_what_they_are() {
    let mut problems = Vec::new();
    for source in rust() {
        if !source.text.starts_with("//!") {
            problems.push(format!(
                "{}:1: no `//!`; begin with what the file owns and why it is so",
                source.path
            ));
        }
        let is_door = source.path.starts_with("src/") && source.path.ends_with("/mod.rs");
        let is_room = is_door && source.path.matches('/').count() == 2;
        if is_room && !source.text.contains("*Owns:*") {
            problems.push(format!(
                "{}:1: the door of a room says `*Owns:*`, `*Does not know:*`, `*Invariants:*`, \
                 `*Read next:*`",
                source.path
            ));
        }
    }
    report(&problems);
}

#[test]
fn no_file_is_dead() {
    let sources = rust();
    let is_root = |path: &str| {
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        let is_target = ["tests", "benches", "examples", "fuzz/fuzz_targets"]
            .iter()
            .any(|it| folder == Path::new(it));
        is_target
            || path.ends_with("/main.rs")
            || path.ends_with("src/lib.rs")
            || path == "build.rs"
    };
    let roots: Vec<&str> = sources
        .iter()
        .map(|it| &*it.path)
        .filter(|it| is_root(it))
        .collect();
    let alive = reachable(&sources, &roots);
    let dead = sources
        .iter()
        .filter(|source| !alive.contains(&source.path));
    let problems: Vec<String> = dead
        .map(|source| {
            format!(
                "{}:1: no `mod` leads here; name it or remove it",
                source.path
            )
        })
        .collect();
    report(&problems);
}

#[test]
fn a_forbidden_edge_and_an_impurity_are_found() {
    let text = "//! A file.\nuse crate::{model::Share, rollout::{Phase, Step}};\n// crate::admin\n\
                fn f() { let _ = \"crate::app\"; std::time::Instant::now(); }\n";
    let judge = Source::new("src/judge/odd.rs", text);
    let (mut found, mut impure) = (Vec::new(), Vec::new());
    edges(&judge, &mut found);
    impurities(&judge, &mut impure);
    assert_eq!(
        found.len(),
        2,
        "both names of `rollout`, nothing else: {found:?}"
    );
    assert!(found[0].starts_with("src/judge/odd.rs:2: `judge` may not use `rollout`"));
    assert_eq!(impure.len(), 1, "{impure:?}");
    assert!(impure[0].starts_with("src/judge/odd.rs:4: `std::time::Instant`"));
}
