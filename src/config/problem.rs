//! What is wrong with a file, and how it is shown.
//!
//! The look is rustc's, which is known to help: what is wrong, where, the line itself with carets,
//! and how to mend it. All problems of a file are shown at once, in the order of its lines.

use std::fmt;

use serde_json::{Value, json};

/// Columns of a source line that are shown; a longer line is cut around the caret.
const SHOWN: usize = 96;

/// One thing that is wrong: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters the caret underlines, at least 1.
    pub width: usize,
    /// A stable word for machines: `unknown_key`, `unknown_upstream`, ...
    pub code: &'static str,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// How to mend it; empty if the message says it all.
    pub help: String,
    /// A warning does not keep the file from coming into force.
    pub is_warning: bool,
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    /// The file's name, as the user gave it.
    pub name: String,
    /// The text.
    pub text: String,
    /// What is wrong.
    pub list: Vec<Problem>,
}

impl Problems {
    /// Puts problems in the order of the file and drops those said twice.
    pub(super) fn new(name: &str, text: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by(|a, b| (a.line, a.column, a.code).cmp(&(b.line, b.column, b.code)));
        list.dedup();
        Self {
            name: name.into(),
            text: text.into(),
            list,
        }
    }

    /// Whether there is nothing to say, not even a warning.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many problems there are, warnings included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether something keeps the file from coming into force.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| !problem.is_warning)
    }

    /// How many problems keep the file from coming into force.
    pub fn errors(&self) -> usize {
        self.list
            .iter()
            .filter(|problem| !problem.is_warning)
            .count()
    }

    /// How many problems are warnings.
    pub fn warnings(&self) -> usize {
        self.len() - self.errors()
    }

    /// The same for machines: `[{file, line, column, width, level, code, message, help}]`.
    pub fn to_json(&self) -> Value {
        self.list.iter().map(|problem| self.one(problem)).collect()
    }

    fn one(&self, problem: &Problem) -> Value {
        json!({
            "file": self.name,
            "line": problem.line,
            "column": problem.column,
            "width": problem.width,
            "level": problem.level(),
            "code": problem.code,
            "message": problem.message,
            "help": problem.help,
        })
    }

    /// `2 errors, 1 warning`.
    pub fn summary(&self) -> String {
        let count = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{n} {word}s")),
        };
        let parts = [
            count(self.errors(), "error"),
            count(self.warnings(), "warning"),
        ];
        let said: Vec<String> = parts.into_iter().flatten().collect();
        if said.is_empty() {
            "no problems".to_owned()
        } else {
            said.join(", ")
        }
    }
}

impl Problem {
    /// `error` or `warning`.
    pub const fn level(&self) -> &'static str {
        if self.is_warning { "warning" } else { "error" }
    }
}

impl fmt::Display for Problems {
    /// Every problem with its line and carets, an empty line between two; nothing if there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            self.show(problem, f)?;
        }
        Ok(())
    }
}

impl Problems {
    fn show(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            line,
            column,
            code,
            message,
            help,
            ..
        } = problem;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}[{code}]: {}", problem.level(), harmless(message))?;
        writeln!(f, "{margin}--> {}:{line}:{column}", harmless(&self.name))?;
        if let Some(source) = self.text.lines().nth(line.saturating_sub(1)) {
            let (shown, indent, width) = excerpt(source, *column, problem.width);
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {shown}")?;
            writeln!(f, "{margin} | {}{}", " ".repeat(indent), "^".repeat(width))?;
        }
        if !help.is_empty() {
            writeln!(f, "{margin} = help: {}", harmless(help))?;
        }
        Ok(())
    }
}

/// The part of a line that is shown, how far the carets are indented, and how many there are.
fn excerpt(source: &str, column: usize, width: usize) -> (String, usize, usize) {
    let chars: Vec<char> = harmless(source.trim_end()).chars().collect();
    let start = column.saturating_sub(1).min(chars.len());
    let from = if chars.len() <= SHOWN {
        0
    } else {
        start.saturating_sub(SHOWN / 2)
    };
    let shown: String = chars.iter().skip(from).take(SHOWN).collect();
    let width = width.clamp(1, SHOWN.saturating_sub(start - from).max(1));
    (shown, start - from, width)
}

/// Text for a terminal: a file must not be able to move the cursor or set colours.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
