//! What was decided, when and why: a bounded list, newest last.

use crate::model::{Moment, Share};

/// How many lines one split keeps.
const ENTRIES_MAX: usize = 100;

/// One line of history.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// `started`, `stepped`, `rolled_back`, `aborted`, `promoted`, `paused`, ...
    pub what: &'static str,
    /// The share then in force.
    pub share: Share,
    /// Who or what: `judge`, `absolute`, `config`, or the operator.
    pub by: String,
    /// Why, in words, with the numbers.
    pub why: String,
}

/// Every word of [`Entry::what`].
const WORDS: [&str; 16] = [
    "aborted",
    "barred",
    "excused",
    "failed",
    "gate_closed",
    "gate_opened",
    "paused",
    "promoted",
    "refused",
    "resumed",
    "rolled_back",
    "started",
    "stepped",
    "undone",
    "waiting",
    "weight_set",
];

impl Entry {
    /// The word itself, for a text that was kept; `decided` if no build has ever used it.
    pub fn word(text: &str) -> &'static str {
        WORDS
            .iter()
            .find(|word| **word == text)
            .copied()
            .unwrap_or("decided")
    }
}

/// The last decisions of one split.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<Entry>);

impl History {
    /// Adds a line; the oldest goes when there are too many.
    pub fn add(&mut self, entry: Entry) {
        if self.0.len() == ENTRIES_MAX {
            self.0.remove(0);
        }
        self.0.push(entry);
    }

    /// The lines, newest last.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}
