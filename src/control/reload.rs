//! The file, and the secrets and certificates that it names: read into a [`Loaded`], or every
//! problem.

mod tls;
mod tokens;
mod watch;

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
};

use self::tokens::read_tokens;
pub(super) use self::{tls::ends, watch::watch};
use super::Tokens;
use crate::{
    config::{self, Config, Problem, Problems},
    plan::Tls,
};

/// The fewest bytes of a secret that can sign.
const SECRET_LENGTH_MIN: usize = 16;

/// A good file with what it refers to.
#[derive(Clone, PartialEq)]
pub struct Loaded {
    /// What the human wrote.
    pub config: Config,
    /// The secrets that it names, by the path as written.
    pub secrets: HashMap<PathBuf, Vec<u8>>,
    /// What its `tls` keys name.
    pub tls: Tls,
    /// What its `admin.tokens_file` names.
    pub tokens: Tokens,
    /// What is odd but no error.
    pub warnings: Problems,
}

/// Shows no secret.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("config", &self.config)
            .field("secrets", &self.secrets.keys())
            .field("tls", &self.tls)
            .field("tokens", &self.tokens)
            .field("warnings", &self.warnings)
            .finish()
    }
}

/// Reads a file with the secrets and certificates that it names. One that is missing is a problem
/// like any other.
pub fn read_config(path: &Path) -> Result<Loaded, Problems> {
    load(read_text(path)?)
}

/// Reads a file again. `None`: it and what it names are as they were, which is found without
/// parsing anything, since that takes a while for a long one.
fn read_again(path: &Path, known: &Result<Loaded, Problems>) -> Option<Result<Loaded, Problems>> {
    let written = match read_text(path) {
        Ok(written) => written,
        Err(problems) => return Some(Err(problems)),
    };
    let is_same = |known: &&Loaded| known.config.hash == config::hash(&written.1);
    let Some(known) = known.as_ref().ok().filter(is_same) else {
        return Some(load(written));
    };
    let (secrets, problems) = read_secrets(&known.config, &written.1);
    let (tokens, wrong) = read_tokens(&known.config, &written.1);
    let are_good = problems.is_empty() && wrong.iter().all(|problem| problem.is_warning);
    let are_same = are_good && secrets == known.secrets && tokens == known.tokens;
    if are_same && tls::Files::read(&known.config).are_known(&known.tls) {
        return None;
    }
    Some(load(written))
}

/// The name of a file and what is written in it.
fn read_text(path: &Path) -> Result<(String, String), Problems> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&name, &error))?;
    let text = String::from_utf8(bytes).map_err(|_| not_text(&name))?;
    Ok((name, text))
}

fn load((name, text): (String, String)) -> Result<Loaded, Problems> {
    let (config, mut warnings) = config::load(&text, &name)?;
    let (secrets, mut list) = read_secrets(&config, &text);
    let (tls, mut found) = tls::Files::read(&config).understood(&config, &text);
    let (tokens, about_tokens) = read_tokens(&config, &text);
    found.extend(about_tokens);
    let (odd, wrong): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.is_warning);
    list.extend(wrong);
    if !list.is_empty() {
        return Err(Problems { name, text, list });
    }
    if !odd.is_empty() {
        warnings.list.extend(odd);
        (warnings.name, warnings.text) = (name, text);
    }
    Ok(Loaded {
        config,
        secrets,
        tls,
        tokens,
        warnings,
    })
}

fn read_secrets(config: &Config, text: &str) -> (HashMap<PathBuf, Vec<u8>>, Vec<Problem>) {
    let mut secrets = HashMap::new();
    let mut problems = Vec::new();
    for split in &config.splits {
        let sticky = split
            .sticky
            .as_ref()
            .and_then(|sticky| sticky.secret_file.as_ref());
        let signed = split
            .version_override
            .as_ref()
            .map(|signed| &signed.signed_by);
        for path in sticky.into_iter().chain(signed) {
            match read_secret(path) {
                Ok(secret) => drop(secrets.insert(path.clone(), secret)),
                Err(why) => problems.push(secret_problem(text, split.name.as_str(), path, &why)),
            }
        }
    }
    (secrets, problems)
}

fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    let mut secret = read(path).map_err(|error| error.to_string())?;
    secret.truncate(secret.trim_ascii_end().len());
    if secret.len() < SECRET_LENGTH_MIN {
        return Err(format!(
            "it holds {} bytes, fewer than {SECRET_LENGTH_MIN}",
            secret.len()
        ));
    }
    Ok(secret)
}

#[expect(clippy::disallowed_methods, reason = "config reading is the rim")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

fn secret_problem(text: &str, split: &str, path: &Path, why: &str) -> Problem {
    let path = path.display().to_string();
    let message = format!("split {split}: the secret {path} cannot be used: {why}");
    let help = "make one with `head -c 32 /dev/urandom | base64`, readable by serin only";
    let (line, column) = place(text, &path);
    let (help, width) = (help.to_owned(), path.chars().count().max(1));
    Problem {
        line,
        column,
        width,
        help,
        ..problem("secret_unusable", message)
    }
}

/// Line and column of the first place where the file says this.
fn place(text: &str, written: &str) -> (usize, usize) {
    let found = text.lines().zip(1..).find_map(|(line, number)| {
        let (before, _) = line.split_once(written)?;
        Some((number, before.chars().count() + 1))
    });
    found.unwrap_or((1, 1))
}

fn unreadable(name: &str, error: &io::Error) -> Problems {
    one(
        name,
        problem("unreadable_file", format!("{name} cannot be read: {error}")),
    )
}

fn not_text(name: &str) -> Problems {
    let help = "save the file as UTF-8".to_owned();
    let message = format!("{name} is not UTF-8 text");
    one(
        name,
        Problem {
            help,
            ..problem("not_text", message)
        },
    )
}

fn problem(code: &'static str, message: String) -> Problem {
    let help = String::new();
    Problem {
        line: 1,
        column: 1,
        width: 1,
        code,
        message,
        help,
        is_warning: false,
    }
}

fn one(name: &str, problem: Problem) -> Problems {
    Problems {
        name: name.to_owned(),
        text: String::new(),
        list: vec![problem],
    }
}

#[cfg(test)]
mod tests;
