//! Reads the repository's files as text, and Rust source as far as tidy needs to understand it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// The same with comments and literals blanked, line for line; empty unless Rust.
    pub(crate) code: String,
}

impl Source {
    /// A file as if it had been read.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_rust = Path::new(path).extension().is_some_and(|it| it == "rs");
        let code = if is_rust {
            code_only(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|it| it == "rs")
    }

    /// Whether it holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.split('/').any(is_test_name)
    }

    /// Its code without the tests at its end.
    pub(crate) fn product(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let end = self
            .code
            .find("#[cfg(test)]\nmod ")
            .filter(|&at| self.code[at..].contains('{'));
        end.map_or(&self.code, |at| &self.code[..at])
    }
}

fn is_test_name(part: &str) -> bool {
    part == "tests.rs" || part == "tests" || part.ends_with("_tests.rs")
}

/// Every text file of the repository, sorted by path; read once.
pub(crate) fn repository() -> &'static [Source] {
    static ALL: OnceLock<Vec<Source>> = OnceLock::new();
    ALL.get_or_init(read_all)
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .expect("the repository is readable")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                if !is_foreign(root, &path) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                if name != ".git" {
                    found.push(Source::new(&name, &text));
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What nobody wrote by hand for this repository, or what is data on purpose odd.
fn is_foreign(root: &Path, folder: &Path) -> bool {
    let skipped = [
        "target",
        ".git",
        "tests/fixtures",
        "load-tests/results",
        "fuzz/corpus",
    ];
    skipped.iter().any(|name| folder == root.join(name)) || folder.ends_with("__pycache__")
}

/// Blanks comments, strings and characters; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, is_code) = piece(rest);
        let (head, tail) = rest.split_at(length);
        if is_code {
            code.push_str(head);
        } else {
            code.extend(head.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = tail;
    }
    code
}

/// The length of the piece that a text begins with, and whether it is code.
fn piece(rest: &str) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |at| at + 2), false);
    }
    let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let (prefix, after) = rest.split_at(word);
    if matches!(prefix, "" | "b" | "c") && after.starts_with('"') {
        return (word + string_length(after), false);
    }
    if matches!(prefix, "r" | "br" | "cr") {
        let fence = after.bytes().take_while(|&b| b == b'#').count();
        if after[fence..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(fence));
            let body = &after[fence + 1..];
            let end = body.find(&close).map_or(body.len(), |at| at + close.len());
            return (word + fence + 1 + end, false);
        }
    }
    if matches!(prefix, "" | "b") && after.starts_with('\'') {
        return character(after).map_or((word + 1, true), |length| (word + length, false));
    }
    let next = after.chars().next().map_or(0, char::len_utf8);
    (if word > 0 { word } else { next }, true)
}

fn string_length(quoted: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in quoted.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    quoted.len()
}

/// The length of a character literal; `None` if the quote begins a lifetime.
fn character(quoted: &str) -> Option<usize> {
    let mut chars = quoted.char_indices().skip(1);
    let (_, first) = chars.next()?;
    let (at, second) = chars.next()?;
    match (first, second) {
        ('\\', escaped) => {
            let from = at + escaped.len_utf8();
            Some(from + quoted[from..].find('\'')? + 1)
        }
        (_, '\'') => Some(at + 1),
        _ => None,
    }
}

/// Whether a character may be part of a name.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every path that code names, use trees written out, with its line from 1.
pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = tree(&tokens, at, "", &mut found);
    }
    found
}

type Token<'a> = (usize, &'a str);

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let next = rest.chars().next().map_or(0, char::len_utf8);
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => next,
                _ => word,
            };
            let (token, tail) = rest.split_at(length);
            found.push((line, token));
            rest = tail.trim_start();
        }
    }
    found
}

/// Reads one path or use tree at `at`; answers where to read on.
fn tree(tokens: &[Token<'_>], at: usize, prefix: &str, found: &mut Vec<(usize, String)>) -> usize {
    let is_name = |at: usize| {
        tokens
            .get(at)
            .is_some_and(|(_, token)| token.starts_with(is_word) || *token == "*")
    };
    let is = |at: usize, wanted: &str| tokens.get(at).is_some_and(|(_, token)| *token == wanted);
    if !is_name(at) {
        return at + 1;
    }
    if is(at, "as") {
        return at + 2;
    }
    let (line, first) = tokens[at];
    let mut full = format!("{prefix}{first}");
    let mut at = at + 1;
    while is(at, "::") && is_name(at + 1) {
        full = format!("{full}::{}", tokens[at + 1].1);
        at += 2;
    }
    if is(at, "::") && is(at + 1, "{") {
        at += 2;
        while at < tokens.len() && !is(at, "}") {
            at = tree(tokens, at, &format!("{full}::"), found);
        }
        return at + 1;
    }
    found.push((line, full));
    at
}

/// The files that `mod name;` lines of these roots reach, the roots among them.
pub(crate) fn reachable(sources: &[&Source], roots: &[&str]) -> Vec<String> {
    let mut reached: Vec<String> = Vec::new();
    let mut open: Vec<String> = roots.iter().map(|&root| root.to_owned()).collect();
    while let Some(path) = open.pop() {
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            continue;
        };
        if reached.contains(&path) {
            continue;
        }
        let folder = children_folder(&path);
        for name in declared(&source.code) {
            open.push(format!("{folder}/{name}.rs"));
            open.push(format!("{folder}/{name}/mod.rs"));
        }
        open.extend(path_attributes(source));
        reached.push(path);
    }
    reached
}

fn children_folder(path: &str) -> String {
    let path = PathBuf::from(path);
    let folder = path
        .parent()
        .unwrap_or(Path::new(""))
        .to_string_lossy()
        .into_owned();
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let is_root =
        matches!(&*name, "mod" | "lib" | "main") || ["tests", "benches"].contains(&&*folder);
    if is_root {
        folder
    } else {
        format!("{folder}/{name}")
    }
}

/// The names of `mod name;` lines.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    })
}

fn path_attributes(source: &Source) -> Vec<String> {
    let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for line in source.text.lines() {
        if let Some(rest) = line.trim().strip_prefix("#[path = \"") {
            let target = rest.trim_end_matches("\"]");
            found.push(plain(&folder.join(target)));
        }
    }
    found
}

/// Every function with a body: its line, its name, its lines that hold code.
pub(crate) fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, text) in lines.iter().enumerate() {
        let Some(name) = text.split("fn ").nth(1).filter(|_| is_function(text)) else {
            continue;
        };
        let name = name.split(|c: char| !is_word(c)).next().unwrap_or_default();
        let mut depth = 0_i32;
        let mut length = 0;
        for (offset, line) in lines[at..].iter().enumerate() {
            depth += net_braces(line);
            length += usize::from(!line.trim().is_empty());
            let is_over = depth <= 0 && (line.contains('}') || line.trim_end().ends_with(';'));
            if is_over {
                break;
            }
            assert!(at + offset < lines.len(), "`{name}` does not end");
        }
        found.push((at + 1, name, length));
    }
    found
}

fn is_function(line: &str) -> bool {
    line.trim_start()
        .split(' ')
        .take_while(|word| !word.contains('('))
        .any(|word| word == "fn")
        || line.trim_start().starts_with("fn ")
}

fn net_braces(line: &str) -> i32 {
    line.chars()
        .map(|c| i32::from(c == '{') - i32::from(c == '}'))
        .sum()
}

/// A path without `..`.
fn plain(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().filter_map(|part| part.to_str()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}
