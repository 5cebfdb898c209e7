//! From text to a tree in which every node knows its place. The only file that names the YAML
//! library.
//!
//! Why the library's events and not its serde side: serde stops at the first thing that does not
//! fit, and a person who mends a file wants to see all of it at once. So the text becomes a plain
//! tree here, and `walk.rs` reads typed values out of it and notes each misfit.
//!
//! YAML is taken without its traps: no anchors, aliases, tags or second documents, no duplicate
//! keys, scalars stay text until a key's own type reads them.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, options};

use super::{
    problem::Problem,
    tree::{Entry, Node, Place, Value},
};

/// Text over this length is refused before it is parsed.
const MAX_BYTES: usize = 4 << 20;

/// What a text became.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The tree; after a syntax error what came before it.
    pub root: Option<Node>,
    /// Whether the whole text could be read.
    pub is_whole: bool,
    /// What is wrong with the text as YAML.
    pub problems: Vec<Problem>,
}

/// Parses one document.
pub(super) fn parse(text: &str) -> Parsed {
    let mut builder = Builder::new(text);
    if text.len() > MAX_BYTES {
        builder.error(
            Place::START,
            "too_large",
            "a config file has at most 4 MiB",
            "",
        );
        return builder.finish(false);
    }
    let options = options! { emit_comments: false, emit_unresolved_aliases: true };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                let marker = error.marker();
                let place = Place {
                    line: marker.line(),
                    column: marker.col() + 1,
                    width: 1,
                };
                builder.syntax(place, &error.info());
                return builder.finish(false);
            }
        };
        if !builder.take(event, &span) {
            return builder.finish(false);
        }
    }
    builder.finish(true)
}

/// A collection that is not closed yet.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<Entry>, Option<Key>),
}

/// A key that waits for its value.
struct Key {
    text: String,
    at: Place,
    plain: bool,
}

struct Builder<'a> {
    /// Each with its length in characters, without the space at its end. Counting it for each value
    /// would cost the square of a long line.
    lines: Vec<(&'a str, usize)>,
    open: Vec<Open>,
    root: Option<Node>,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lines: text
                .lines()
                .map(|line| (line, line.trim_end().chars().count()))
                .collect(),
            open: Vec::new(),
            root: None,
            problems: Vec::new(),
        }
    }

    /// Takes one event; `false` if reading on makes no sense.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
    fn take(&mut self, event: Event<'_>, span: &Span) -> bool {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(anchor, tag.is_some(), place);
                let plain = style == ScalarStyle::Plain;
                return self.scalar(text.into_owned(), plain, place);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.properties(anchor, tag.is_some(), place);
                return self.start(Open::List(place, Vec::new()), place);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.properties(anchor, tag.is_some(), place);
                return self.start(Open::Map(place, Vec::new(), None), place);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = "write the value itself; this format has no anchors";
                self.error(
                    place,
                    "alias_not_allowed",
                    "an alias cannot stand here",
                    help,
                );
                if self.waits_for_key() {
                    return false;
                }
                self.put(Node {
                    at: place,
                    owner: place,
                    value: Value::Broken,
                });
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let help = "remove the `---` and what follows it";
                self.error(
                    place,
                    "several_documents",
                    "a file holds one document",
                    help,
                );
                return false;
            }
            _ => {}
        }
        true
    }

    fn properties(&mut self, anchor: usize, tagged: bool, place: Place) {
        if anchor != 0 {
            let help = "this format has no anchors: write the value where it is needed";
            self.error(
                place,
                "anchor_not_allowed",
                "an anchor cannot stand here",
                help,
            );
        }
        if tagged {
            let help = "remove the `!tag`: every key has its own type";
            self.error(place, "tag_not_allowed", "a tag cannot stand here", help);
        }
    }

    fn scalar(&mut self, text: String, plain: bool, at: Place) -> bool {
        if let Some(Open::Map(_, _, pending @ None)) = self.open.last_mut() {
            *pending = Some(Key { text, at, plain });
            return true;
        }
        let is_null = plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let value = if is_null {
            Value::Null
        } else {
            Value::Scalar { text, plain }
        };
        self.put(Node {
            at,
            owner: at,
            value,
        });
        true
    }

    fn waits_for_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map(_, _, None)))
    }

    fn start(&mut self, open: Open, place: Place) -> bool {
        if self.waits_for_key() {
            self.error(
                place,
                "bad_key",
                "a key must be a word, not a list or a mapping",
                "",
            );
            return false;
        }
        self.open.push(open);
        true
    }

    fn close(&mut self) {
        let node = match self.open.pop() {
            Some(Open::List(at, nodes)) => Node {
                at,
                owner: at,
                value: Value::List(nodes),
            },
            Some(Open::Map(at, entries, _)) => {
                self.duplicates(&entries);
                Node {
                    at,
                    owner: at,
                    value: Value::Map(entries),
                }
            }
            None => return,
        };
        self.put(node);
    }

    fn put(&mut self, mut node: Node) {
        match self.open.last_mut() {
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, entries, pending)) => {
                if let Some(Key { text, at, plain }) = pending.take() {
                    node.owner = at;
                    entries.push(Entry {
                        key: text,
                        at,
                        plain,
                        value: node,
                    });
                }
            }
            None => self.root = Some(node),
        }
    }

    fn duplicates(&mut self, entries: &[Entry]) {
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for entry in entries {
            if let Some(first) = seen.get(entry.key.as_str()) {
                let message = format!("`{}` is written twice", entry.key);
                let help = format!("it is first written in line {}; keep one", first.line);
                self.error(entry.at, "duplicate_key", &message, &help);
            } else {
                seen.insert(&entry.key, entry.at);
            }
        }
    }

    /// Closes what a broken text left open, so that what came before is looked at too.
    fn finish(mut self, is_whole: bool) -> Parsed {
        while !self.open.is_empty() {
            self.close();
        }
        Parsed {
            root: self.root,
            is_whole,
            problems: self.problems,
        }
    }

    fn place(&self, span: &Span) -> Place {
        let (line, column) = (span.start.line().max(1), span.start.col() + 1);
        let source = self.lines.get(line - 1).map_or(0, |(_, length)| *length);
        let end = if span.end.line() == line {
            span.end.col()
        } else {
            source
        };
        Place {
            line,
            column,
            width: end.min(source).saturating_sub(column - 1).max(1),
        }
    }

    fn syntax(&mut self, place: Place, what: &str) {
        let lines = self.lines.len().max(1);
        let message = format!("this is not YAML: {what}");
        let has_tab = self
            .lines
            .get(place.line.saturating_sub(1))
            .is_some_and(|(line, _)| {
                line.chars()
                    .take_while(|c| c.is_whitespace())
                    .any(|c| c == '\t')
            });
        let help = if has_tab {
            "indent with spaces: YAML has no tabs"
        } else {
            "look above it too: a `[`, a `{` or a quote may not be closed, or an indent not match"
        };
        self.error(
            Place {
                line: place.line.clamp(1, lines),
                ..place
            },
            "syntax",
            &message,
            help,
        );
    }

    fn error(&mut self, place: Place, code: &'static str, message: &str, help: &str) {
        self.problems.push(Problem {
            line: place.line,
            column: place.column,
            width: place.width,
            code,
            message: message.into(),
            help: help.into(),
            is_warning: false,
        });
    }
}
