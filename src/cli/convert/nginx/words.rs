//! `nginx.conf` as a tree of directives.

/// A directive, with what stands in its braces.
#[derive(Debug)]
pub(super) struct Directive {
    /// Where it begins.
    pub(super) line: usize,
    /// Its name and what follows it.
    pub(super) words: Vec<String>,
    /// What stands in its braces.
    pub(super) block: Vec<Directive>,
}

/// Blocks in blocks are read this deep.
const DEEPEST: usize = 16;

/// Every directive of a text.
pub(super) fn read(text: &str) -> Vec<Directive> {
    block(&mut tokens(text).into_iter(), 0)
}

impl Directive {
    /// Its first word.
    pub(super) fn name(&self) -> &str {
        self.word(0)
    }

    /// One of its words; empty if there is none.
    pub(super) fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    /// The first directive of a name in the block.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        self.block.iter().find(|directive| directive.name() == name)
    }

    /// `weight=5`: what stands behind the `=`.
    pub(super) fn set(&self, key: &str) -> Option<&str> {
        let mut words = self.words.iter();
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

/// Words, `{`, `}` and `;`, each with its line.
fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut word = String::new();
        let mut quote = None;
        let mut was_quoted = false;
        for c in line.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') if word.is_empty() => (quote, was_quoted) = (Some(c), true),
                (None, '#') if word.is_empty() => break,
                // `${variable}` is part of a word.
                (None, '{') if word.ends_with('$') => {}
                (None, '}') if word.contains('$') => {}
                (None, ';' | '{' | '}') => {
                    flush(&mut tokens, &mut word, (number, was_quoted));
                    was_quoted = false;
                    tokens.push((number, c.to_string()));
                }
                (None, c) if c.is_whitespace() => {
                    flush(&mut tokens, &mut word, (number, was_quoted));
                    was_quoted = false;
                }
                (Some(_) | None, c) => word.push(c),
            }
        }
        flush(&mut tokens, &mut word, (number, was_quoted));
    }
    tokens
}

fn flush(tokens: &mut Vec<(usize, String)>, word: &mut String, (line, quoted): (usize, bool)) {
    if !word.is_empty() || quoted {
        tokens.push((line, std::mem::take(word)));
    }
}

fn block(tokens: &mut impl Iterator<Item = (usize, String)>, depth: usize) -> Vec<Directive> {
    let mut all = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut begun = 0;
    while let Some((line, token)) = tokens.next() {
        if words.is_empty() {
            begun = line;
        }
        match token.as_str() {
            ";" => {
                if !words.is_empty() {
                    all.push(Directive {
                        line: begun,
                        words: std::mem::take(&mut words),
                        block: Vec::new(),
                    });
                }
            }
            "{" if depth < DEEPEST => {
                let inner = block(tokens, depth + 1);
                all.push(Directive {
                    line: begun,
                    words: std::mem::take(&mut words),
                    block: inner,
                });
            }
            "}" if depth > 0 => return all,
            "{" | "}" => {}
            _ => words.push(token),
        }
    }
    all
}
