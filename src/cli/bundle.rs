//! `serin debug bundle`: one file with what helps others to find out what is the matter.
//!
//! It is made of what the admin API tells, which has no secrets; and then every address in it is cut
//! to its host, and of a bad file only the kinds and places of its problems are kept: somebody may
//! have written a secret where none belongs.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{Trouble, args::Admin, client::Client, screen::Screen};
use crate::{admin::wire, config::without_addresses};

/// What is asked for, and what its file is called.
const PARTS: [(&str, &str); 9] = [
    ("process.json", "/v1/process"),
    ("config.json", "/v1/config/file"),
    ("config-status.json", "/v1/config"),
    ("splits.json", "/v1/splits"),
    ("upstreams.json", "/v1/upstreams"),
    ("endpoints.json", "/v1/endpoints"),
    ("rollouts.json", "/v1/rollouts"),
    ("audit.json", "/v1/audit?limit=1000"),
    ("metrics.txt", "/metrics"),
];

/// `serin debug`.
#[derive(Debug, Subcommand)]
pub(super) enum Debug {
    /// Write one file with versions, config, splits, endpoints, metrics and acts, without secrets
    Bundle(Bundle),
}

/// `serin debug bundle`.
#[derive(Debug, Args)]
pub(super) struct Bundle {
    /// Where to write it; what is there is not written over
    #[arg(short, long, value_name = "FILE", default_value = "serin-bundle.tar")]
    file: PathBuf,
    #[command(flatten)]
    admin: Admin,
}

/// Asks for every part; one that cannot be had says why in its place.
pub(super) async fn bundle(screen: &mut Screen, wanted: &Bundle) -> Result<(), Trouble> {
    let client = Client::new(&wanted.admin)?;
    let about = format!(
        "serin {}, asked at {}\n",
        env!("CARGO_PKG_VERSION"),
        client.shown()
    );
    let mut parts = vec![("about.txt", about)];
    let mut missing = 0;
    for (name, path) in PARTS {
        let answer = client.text(path).await;
        missing += usize::from(answer.is_err());
        parts.push((name, answer.unwrap_or_else(|trouble| trouble.to_string())));
    }
    if missing == PARTS.len() {
        // Nobody is there, or nobody tells us anything: the first question says why.
        client.text("/v1/process").await?;
    }
    let cannot = |error: io::Error| {
        let help = "name another file with --file";
        Trouble::unasked(
            format!("cannot write {}: {error}", wanted.file.display()),
            help,
        )
    };
    write(&wanted.file, &parts).map_err(cannot)?;
    let all = format!("{}: {} parts", wanted.file.display(), parts.len());
    let text = match missing {
        0 => all + "\n",
        _ => format!("{all}, {missing} of them could not be had and say why\n"),
    };
    Ok(screen.write(&text)?)
}

/// Only for who has asked for it.
fn write(path: &Path, parts: &[(&str, String)]) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let mut bundle = tar::Builder::new(file);
    for (name, text) in parts {
        let text = harmless(name, text);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len().try_into().unwrap_or(0));
        header.set_mode(0o600);
        header.set_cksum();
        let place = format!("serin-bundle/{name}");
        bundle.append_data(&mut header, place, text.as_bytes())?;
    }
    bundle.into_inner()?.flush()
}

/// The same without what may be a secret.
fn harmless(name: &str, text: &str) -> String {
    let status = wire::from_json::<wire::Config>(text.as_bytes());
    let text = match status {
        Ok(mut status) if name == "config-status.json" => {
            status.problem = status.problem.as_deref().map(kinds);
            wire::to_json(&status)
        }
        Ok(_) | Err(_) => text.to_owned(),
    };
    without_addresses(&text)
}

/// Kinds and places of problems, without what is written there.
fn kinds(problem: &str) -> String {
    let kind = |line: &str| {
        let is_kind = line.starts_with("error[") || line.starts_with("warning[");
        let kind = line.split_once(']').filter(|_| is_kind);
        let place = line.trim_start().strip_prefix("--> ");
        kind.map(|(kind, _)| format!("{kind}]"))
            .or_else(|| place.map(|place| format!("  at {place}")))
    };
    problem
        .lines()
        .filter_map(kind)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_bad_file_only_kinds_and_places_are_kept() {
        let problem = "error[unknown_key]: unknown key `hunter2`\n  --> serin.yaml:3:1\n   |\n3 | \
                       password: hunter2\n   | ^^^^^^^^\n   = help: remove `hunter2`\n";
        assert_eq!(kinds(problem), "error[unknown_key]\n  at serin.yaml:3:1");
    }
}
