//! What is wrong with a file, and how it is shown.

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
