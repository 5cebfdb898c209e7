//! `serin completions` and `serin man`: what shells and `man` want to know of the command line.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory as _};

use super::{Trouble, args::Line, screen::Screen};

/// `serin completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    shell: clap_complete::Shell,
}

/// `serin man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page of serin and of each verb into this directory; without it the page of serin is
    /// printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints what completes words in a shell.
pub(super) fn completions(screen: &mut Screen, wanted: &Completions) -> Result<(), Trouble> {
    let mut text = Vec::new();
    clap_complete::generate(wanted.shell, &mut Line::command(), "serin", &mut text);
    Ok(screen.write(&String::from_utf8_lossy(&text))?)
}

/// Prints the page of serin, or writes all pages.
pub(super) fn man(screen: &mut Screen, wanted: &Man) -> Result<(), Trouble> {
    let mut root = Line::command();
    root.build();
    let Some(directory) = &wanted.directory else {
        return Ok(screen.write(&page(&root)?)?);
    };
    write(&root, directory).map_err(|error| {
        let message = format!("cannot write to {}: {error}", directory.display());
        Trouble::unasked(message, "name a directory that is yours, such as man/man1")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that writes files and ends"
)]
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    std::fs::write(directory.join(format!("{name}.1")), page(command)?)?;
    command
        .get_subcommands()
        .try_for_each(|verb| write(verb, directory))
}

fn page(command: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test reads what was written")]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn verbs(command: &Command, path: &str, all: &mut Vec<String>) {
        for verb in command.get_subcommands() {
            let path = format!("{path}-{}", verb.get_name());
            verbs(verb, &path, all);
            all.push(path);
        }
    }

    #[test]
    fn every_verb_has_a_page_and_the_first_page_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut root = Line::command();
        root.build();
        write(&root, directory.path()).unwrap();
        let first = std::fs::read_to_string(directory.path().join("serin.1")).unwrap();
        let mut all = Vec::new();
        verbs(&root, "serin", &mut all);
        assert!(all.len() > 25, "{all:?}");
        for verb in all {
            let page = std::fs::read_to_string(directory.path().join(format!("{verb}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{verb}: {page}");
            let is_deep = verb.contains("gate-") || verb.contains("debug-");
            let name = verb.replace('-', "\\-");
            assert!(is_deep || first.contains(&name), "{name} is not in {first}");
        }
    }

    #[test]
    fn every_shell_learns_every_verb() {
        let verbs: Vec<String> = Line::command()
            .get_subcommands()
            .map(|it| it.get_name().to_owned())
            .collect();
        for shell in clap_complete::Shell::value_variants() {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Line::command(), "serin", &mut text);
            let text = String::from_utf8(text).unwrap();
            for verb in &verbs {
                assert!(text.contains(verb), "{shell}: no {verb}");
            }
        }
    }
}
