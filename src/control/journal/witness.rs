//! A second place that remembers rollbacks: a small file beside the configuration.
//!
//! A lost state directory looks like a first start. If this file says that a version was rolled
//! back, it was no first start, and the version stays out. It holds only splits with a version that
//! is out; `serin retry` empties it, and so does a person who deletes it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::wire;
use crate::{model::SplitName, rollout::Record};

/// What its first line says to the person who finds it.
const HEADER: &str = "# serin keeps here which versions it rolled back; `serin retry` empties it";

/// The file, as it was read or last written.
#[derive(Debug, Default)]
pub(super) struct Witness {
    path: Option<PathBuf>,
    lines: BTreeMap<SplitName, String>,
}

impl Witness {
    /// Reads the file beside this configuration. One that is absent, or that cannot be understood,
    /// knows nothing.
    pub(super) fn beside(config: Option<&Path>) -> Self {
        let Some(config) = config else {
            return Self::default();
        };
        let mut name = config.as_os_str().to_owned();
        name.push(".rolled-back");
        let path = PathBuf::from(name);
        let lines = match read(&path) {
            Ok(text) => text.lines().filter_map(line).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read what was rolled back");
                BTreeMap::new()
            }
        };
        Self {
            path: Some(path),
            lines,
        }
    }

    /// The rollouts whose versions are out.
    pub(super) fn records(&self) -> HashMap<SplitName, Record> {
        let read =
            |(split, text): (&SplitName, &String)| Some((split.clone(), wire::read_record(text)?));
        self.lines.iter().filter_map(read).collect()
    }

    /// Follows a rollout's state; writes only if something changed.
    pub(super) fn note(&mut self, split: &SplitName, record: &Record) {
        let Some(path) = &self.path else { return };
        let is_out = record.state.aborted || !record.state.barred.is_empty();
        let before = if is_out {
            let text = wire::record_text(record);
            let is_same = self.lines.get(split) == Some(&text);
            self.lines.insert(split.clone(), text);
            is_same
        } else {
            self.lines.remove(split).is_none()
        };
        if before {
            return;
        }
        if let Err(error) = write(path, &self.lines) {
            // The journal has it; a read-only directory of configurations is usual.
            tracing::debug!(path = %path.display(), %error, "no second place for rollbacks");
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn line(line: &str) -> Option<(SplitName, String)> {
    let (name, record) = line.split_once(' ')?;
    Some((SplitName::new(name).ok()?, record.to_owned()))
}

/// Whole or not at all: a crash in the middle must not leave half a line.
fn write(path: &Path, lines: &BTreeMap<SplitName, String>) -> io::Result<()> {
    if lines.is_empty() {
        return fs::remove_file(path);
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let mut file = fs::File::create(&unfinished)?;
    writeln!(file, "{HEADER}")?;
    for (split, record) in lines {
        writeln!(file, "{split} {record}")?;
    }
    file.sync_all()?;
    fs::rename(unfinished, path)
}
