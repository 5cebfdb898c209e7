//! Reads typed values out of the tree and notes every misfit on the way.
//!
//! A type that can stand in the file is a [`Shape`]: it reads itself from a node, and it describes
//! itself as JSON Schema. Blocks of keys are declared once with `block!` (see `declare.rs`): the
//! struct, the reader, the accepted keys, the defaults, the manual and `serin schema` all come from
//! that one declaration, so they cannot disagree. Reading goes on after a misfit: what could not be
//! read is `None`, and `build.rs` makes a `Config` only if nothing was noted.

use serde_json::Value as Json;

use super::{
    declare::{KeyInfo, Need},
    guess,
    parse::parse,
    problem::Problem,
    tree::{Entry, Node, Place, Value},
    units::Misfit,
};

/// Something that can stand in the file.
pub(super) trait Shape: Sized {
    /// Reads a node. `None`: a problem was noted.
    fn read(node: &Node, walk: &mut Walk) -> Option<Self>;

    /// The JSON Schema of what [`Shape::read`] takes.
    fn describe() -> Json;
}

/// A value, where it stands, and whether a person wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands: a scalar itself, the key of a list or a mapping; for a default, the key of
    /// the block that lacks it.
    pub at: Place,
    /// Whether it is in the file; if not, it is the default.
    pub is_written: bool,
    /// Whether nothing was noted while it was read; if not, what seems absent may be unread.
    pub is_clean: bool,
}

impl<T: Shape> Placed<T> {
    /// Reads a value that stands in the file.
    pub(super) fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let before = walk.problems.len();
        let value = T::read(node, walk)?;
        let is_clean = walk.problems.len() == before && !walk.is_partial;
        Some(Self {
            value,
            at: node.place(),
            is_written: true,
            is_clean,
        })
    }
}

impl<T> Placed<T> {
    /// A value that a person wrote elsewhere, or in another form.
    pub(super) const fn written(value: T, at: Place) -> Self {
        Self {
            value,
            at,
            is_written: true,
            is_clean: true,
        }
    }

    /// A value that nobody wrote.
    pub(super) const fn filled(value: T, at: Place) -> Self {
        Self {
            value,
            at,
            is_written: false,
            is_clean: true,
        }
    }
}

/// The problems noted so far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// In the order of finding.
    pub problems: Vec<Problem>,
    /// The text broke off: what is missing may have been meant to follow.
    pub is_partial: bool,
    /// Keys that a person meant to write, by the place of their block.
    unread: Vec<(Place, &'static str)>,
}

impl Walk {
    /// Starts with what is wrong with the text as YAML.
    pub(super) fn new(problems: Vec<Problem>, is_partial: bool) -> Self {
        Self {
            problems,
            is_partial,
            unread: Vec::new(),
        }
    }

    /// Whether a key of the block at a place was not even meant to be written: it is neither
    /// misspelt nor unreadable (which is reported already).
    pub(super) fn is_absent(&self, block: Place, key: &str) -> bool {
        !self.is_partial
            && !self
                .unread
                .iter()
                .any(|(at, unread)| *at == block && *unread == key)
    }

    /// Notes an error.
    pub(super) fn error(
        &mut self,
        at: Place,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(
            at,
            Misfit {
                code,
                message: message.into(),
                help: help.into(),
            },
            false,
        );
    }

    /// Notes a warning.
    pub(super) fn warn(
        &mut self,
        at: Place,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(
            at,
            Misfit {
                code,
                message: message.into(),
                help: help.into(),
            },
            true,
        );
    }

    /// Notes a misfit.
    pub(super) fn note(&mut self, at: Place, misfit: Misfit, is_warning: bool) {
        let Misfit {
            code,
            message,
            help,
        } = misfit;
        let Place {
            line,
            column,
            width,
        } = at;
        self.problems.push(Problem {
            line,
            column,
            width,
            code,
            message,
            help,
            is_warning,
        });
    }

    /// Notes that something else stands where `expects` should.
    pub(super) fn wrong_kind(&mut self, node: &Node, expects: &str) {
        let found = match &node.value {
            Value::Broken => return,
            Value::Null => {
                let help = format!("write {expects}, or remove the key");
                self.error(node.owner, "empty_value", "this key has no value", help);
                return;
            }
            Value::Scalar { text, .. } => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        };
        self.error(
            node.at,
            "wrong_type",
            format!("expected {expects}, found {found}"),
            "",
        );
    }

    /// Refuses a word that this build does not have yet.
    pub(super) fn not_yet(&mut self, at: Place, what: &str) {
        let message = format!("`{what}` is not available yet");
        let help = "this build cannot do it and will not pretend to: remove it";
        self.error(at, "not_available_yet", message, help);
    }

    /// The entries of a block whose keys are known; notes the keys that are not.
    pub(super) fn entries<'a>(
        &mut self,
        node: &'a Node,
        keys: &[KeyInfo],
        later: &[&str],
    ) -> Option<&'a [Entry]> {
        let Value::Map(entries) = &node.value else {
            self.wrong_kind(node, &format!("a mapping with {}", expected(keys)));
            return None;
        };
        for Entry { key, at, .. } in entries {
            if later.contains(&key.as_str()) {
                self.not_yet(*at, key);
            } else if !keys.iter().any(|known| known.name() == key) {
                self.unknown_key(node.owner, *at, key, keys);
            }
        }
        Some(entries)
    }

    fn unknown_key(&mut self, block: Place, at: Place, key: &str, keys: &[KeyInfo]) {
        let help = match guess::nearest(key, keys.iter().map(KeyInfo::name)) {
            Some(meant) => {
                self.unread.push((block, meant));
                format!("did you mean `{meant}`?")
            }
            None => format!("expected {}", guess::one_of(keys.iter().map(KeyInfo::name))),
        };
        self.error(at, "unknown_key", format!("unknown key `{key}`"), help);
    }

    /// The value of one key of a block, or its default.
    pub(super) fn field<T: Shape>(
        &mut self,
        owner: Place,
        entries: &[Entry],
        key: &KeyInfo,
    ) -> Option<Placed<T>> {
        let mut written = entries.iter().filter(|entry| entry.key == key.name());
        if let Some(Entry { value: node, .. }) = written.next() {
            let value = Placed::read(node, self);
            // A duplicate is an error already; what is wrong inside it is shown all the same.
            for Entry { value: other, .. } in written {
                drop(T::read(other, self));
            }
            if value.is_none() {
                self.unread.push((owner, key.name()));
            }
            return value;
        }
        match key.need {
            Need::Optional => None,
            Need::Default(text) => {
                let value = T::read(&standing_in(text, owner)?, self)?;
                Some(Placed::filled(value, owner))
            }
            Need::Required => {
                if self.is_absent(owner, key.name()) {
                    let message = format!("`{}` is missing", key.name());
                    self.error(owner, "missing_key", message, lower_first(key.doc));
                }
                None
            }
        }
    }
}

/// A default's text as a node that stands where its block stands.
fn standing_in(text: &str, at: Place) -> Option<Node> {
    fn place(node: &mut Node, at: Place) {
        (node.at, node.owner) = (at, at);
        match &mut node.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| place(node, at)),
            Value::Map(entries) => entries.iter_mut().for_each(|e| place(&mut e.value, at)),
            Value::Null | Value::Broken | Value::Scalar { .. } => {}
        }
    }
    let mut node = parse(text).root?;
    place(&mut node, at);
    Some(node)
}

fn expected(keys: &[KeyInfo]) -> String {
    guess::one_of(keys.iter().take(6).map(KeyInfo::name))
}

fn lower_first(doc: &str) -> String {
    let doc = doc.trim().trim_end_matches('.');
    let sentence = doc.split(". ").next().unwrap_or(doc);
    let mut chars = sentence.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

/// Reads one scalar with a parser of its text.
pub(super) fn scalar<T>(
    node: &Node,
    walk: &mut Walk,
    expects: &str,
    parse: impl FnOnce(&str) -> Result<T, Misfit>,
) -> Option<T> {
    let Value::Scalar { text, .. } = &node.value else {
        walk.wrong_kind(node, expects);
        return None;
    };
    if text.contains("${") {
        let help = "this file has no templates; a secret is named by its file (`file:/path`)";
        walk.error(
            node.at,
            "no_templates",
            "`${...}` is not replaced here",
            help,
        );
        return None;
    }
    parse(text)
        .map_err(|misfit| walk.note(node.at, misfit, false))
        .ok()
}

/// Reads one of a few words.
pub(super) fn word<T: Copy>(
    node: &Node,
    walk: &mut Walk,
    words: &[(&str, T)],
    later: &[&str],
) -> Option<T> {
    let expects = guess::one_of(words.iter().map(|(word, _)| *word));
    let Value::Scalar { text, .. } = &node.value else {
        walk.wrong_kind(node, &expects);
        return None;
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
        return Some(*value);
    }
    if later.contains(&text.as_str()) {
        walk.not_yet(node.at, text);
        return None;
    }
    let help = match guess::nearest(text, words.iter().map(|(word, _)| *word)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected {expects}"),
    };
    walk.error(
        node.at,
        "unknown_value",
        format!("unknown value `{text}`"),
        help,
    );
    None
}
