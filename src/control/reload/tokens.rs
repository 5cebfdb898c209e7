//! The file that `admin.tokens_file` names: read, and what is wrong with it as a problem of the
//! file that names it. Nothing of what it holds is ever repeated.

use std::path::Path;

use super::{place, problem, read, tls::open_to_others};
use crate::{
    config::{Config, Problem},
    control::Tokens,
};

/// The tokens that a config names, and what is wrong or odd; `text` is the file that names them.
pub(super) fn read_tokens(config: &Config, text: &str) -> (Tokens, Vec<Problem>) {
    let Some(path) = &config.admin.tokens_file else {
        return (Tokens::default(), Vec::new());
    };
    let mut problems: Vec<Problem> = Vec::new();
    let tokens = understood(path).unwrap_or_else(|why| {
        let message = format!("the tokens of {} cannot be used: {why}", path.display());
        let help = "lines are `ROLE NAME TOKEN`, such as `operate deploy TOKEN` with a token from \
                    `head -c 32 /dev/urandom | base64`";
        problems.push(about(path, text, ("tokens_unusable", message), help));
        Tokens::default()
    });
    if open_to_others(path) {
        let shown = path.display();
        let message = format!("the tokens of {shown} are open to others than their owner");
        let help = format!("`chmod 600 {shown}`, and make it serin's own");
        problems.push(Problem {
            is_warning: true,
            ..about(path, text, ("tokens_exposed", message), &help)
        });
    }
    (tokens, problems)
}

fn understood(path: &Path) -> Result<Tokens, String> {
    let bytes = read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    Tokens::parse(&text).map_err(|(line, why)| format!("line {line}: {why}"))
}

fn about(path: &Path, text: &str, (code, message): (&'static str, String), help: &str) -> Problem {
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
