//! The files that `tls` keys name: read, and what is wrong with them as problems of the file that
//! names them.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{place, problem, read};
use crate::{
    clock,
    config::{Config, Problem},
    model::Moment,
    plan::{Tls, TlsProblem, needs_system_roots, tls_files, tls_keys},
};

/// How long before the end of a certificate people are told.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Files as they are now.
#[derive(Debug, Default)]
pub(super) struct Files {
    contents: HashMap<PathBuf, Vec<u8>>,
    unreadable: Vec<(PathBuf, io::Error)>,
}

impl Files {
    /// Reads all that a config names.
    pub(super) fn read(config: &Config) -> Self {
        let mut files = Self::default();
        for path in tls_files(config) {
            match read(path) {
                Ok(content) => drop(files.contents.insert(path.to_owned(), content)),
                Err(error) => files.unreadable.push((path.to_owned(), error)),
            }
        }
        files
    }

    /// Whether they are what was read before.
    pub(super) fn are_known(&self, known: &Tls) -> bool {
        self.unreadable.is_empty() && known.is_read_from(&self.contents)
    }

    /// What they make, and what is wrong or odd; `text` is the file that names them.
    pub(super) fn understood(self, config: &Config, text: &str) -> (Tls, Vec<Problem>) {
        let roots = if needs_system_roots(config) {
            // What cannot be read of them is not trusted; nothing at all is a problem.
            rustls_native_certs::load_native_certs().certs
        } else {
            Vec::new()
        };
        let (tls, wrong) = Tls::read(config, &self.contents, &roots);
        let unreadable = self.unreadable.iter();
        let mut problems: Vec<Problem> = unreadable
            .map(|(path, error)| unreadable_file(path, error, text))
            .collect();
        problems.extend(wrong.iter().map(|wrong| unusable(wrong, text)));
        problems.extend(ending(&tls, text, clock::now()));
        let keys = tls_keys(config).into_iter();
        problems.extend(keys.filter_map(|key| exposed(key, text)));
        (tls, problems)
    }
}

fn about(path: &Path, text: &str, code: &'static str, message: String, help: &str) -> Problem {
    let path = path.display().to_string();
    let (line, column) = place(text, &path);
    Problem {
        line,
        column,
        width: path.chars().count().max(1),
        help: help.to_owned(),
        ..problem(code, message)
    }
}

fn unreadable_file(path: &Path, error: &io::Error, text: &str) -> Problem {
    let message = format!("{} cannot be read: {error}", path.display());
    let help = "relative paths begin where serin was started; it must be allowed to read the file";
    about(path, text, "tls_unreadable", message, help)
}

fn unusable(wrong: &TlsProblem, text: &str) -> Problem {
    let TlsProblem { owner, path, why } = wrong;
    let (code, help) = ("tls_unusable", why.help());
    let Some(path) = path else {
        let help = help.to_owned();
        let message = format!("{owner}: {why}");
        let name = owner.split_once(' ').map_or(&**owner, |(_, name)| name);
        let (line, column) = place(text, name);
        return Problem {
            line,
            column,
            width: name.chars().count().max(1),
            help,
            ..problem(code, message)
        };
    };
    let message = format!("{owner}: {} cannot be used: {why}", path.display());
    about(path, text, code, message, help)
}

/// What has ended or soon will. A proxy that is told to go on with such a certificate goes on.
fn ending(tls: &Tls, text: &str, now: Moment) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for (owner, dated) in tls.certificates() {
        let Some(words) = ends(dated.not_after, now) else {
            continue;
        };
        let message = format!("{owner}: the certificate {} {words}", dated.path.display());
        let help = "renew it: the new file is in force as soon as it is there";
        let path = &dated.path;
        problems.push(Problem {
            is_warning: true,
            ..about(path, text, "certificate_ends", message, help)
        });
    }
    problems.sort_by(|one, other| one.message.cmp(&other.message));
    problems
}

/// When a certificate ends, in words, if people should hear of it.
pub(in crate::control) fn ends(not_after: Moment, now: Moment) -> Option<String> {
    const DAY: u64 = 24 * 60 * 60;
    if not_after <= now {
        let days = now.since(not_after).as_secs() / DAY;
        return Some(format!("has expired, {days} days ago"));
    }
    let left = not_after.since(now);
    (left < SOON).then(|| format!("expires in {} days", left.as_secs() / DAY))
}

/// Whether others than the owner may do anything with a file.
pub(super) fn open_to_others(path: &Path) -> bool {
    const OTHERS: u32 = 0o077;
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0)
}

/// Whether others than the owner may read a key.
fn exposed(key: &Path, text: &str) -> Option<Problem> {
    if !open_to_others(key) {
        return None;
    }
    let shown = key.display();
    let message = format!("the private key {shown} is open to others than its owner");
    let help = format!("`chmod 600 {shown}`, and make it serin's own");
    Some(Problem {
        is_warning: true,
        ..about(key, text, "key_exposed", message, &help)
    })
}
