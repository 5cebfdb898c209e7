//! Verbs that this process does.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{Output, Print};

/// `validate`
#[derive(Debug, Args)]
pub(in crate::cli) struct Validate {
    /// Config files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// The same as -o json
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) print: Print,
}

impl Validate {
    /// Whether a program reads what is found.
    pub(in crate::cli) const fn is_json(&self) -> bool {
        self.json || self.print.output.is_json()
    }
}

/// `serin run`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// The file; it is watched, and a save is in force at once
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: PathBuf,
    /// Where rollouts are kept over a restart, instead of the file's `state_dir`
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state_dir: Option<PathBuf>,
    /// How to log on standard error; `SERIN_LOG` chooses the level, such as `debug`
    #[arg(long, value_enum, value_name = "text|json", default_value_t = LogFormat::Text)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub(in crate::cli) log_format: LogFormat,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `serin override`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Override {
    /// In which split
    pub(in crate::cli) split: String,
    /// Which version
    pub(in crate::cli) version: String,
    /// The file whose `override: { signed_by: ... }` names the secret
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) print: Print,
}

/// `serin explain`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    /// The request's path, or a URL
    pub(in crate::cli) target: String,
    /// The file that says how traffic is split
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: PathBuf,
    /// The request's method
    #[arg(short = 'X', long, default_value = "GET")]
    pub(in crate::cli) method: String,
    /// A field of the request's head, such as `Cookie: a=b`; may be given again
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(in crate::cli) headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(in crate::cli) client: IpAddr,
    #[command(flatten)]
    pub(in crate::cli) print: Print,
}

/// `serin replay`.
#[derive(Debug, Args)]
#[command(
    override_usage = "serin replay <REC> [--config <FILE>] [--split <NAME>]\n       \
                            serin replay <TRACE.jsonl> <SETTINGS.json>"
)]
pub(in crate::cli) struct Replay {
    /// A record out of `records` in the state directory; or a trace: one JSON object a tick
    #[arg(value_name = "REC")]
    pub(in crate::cli) recording: PathBuf,
    /// For a trace: the judge's settings, one JSON object
    #[arg(value_name = "SETTINGS.json")]
    pub(in crate::cli) settings: Option<PathBuf>,
    /// Judge the record by the criteria of this file instead of those that it was judged by
    #[arg(short, long, value_name = "FILE", conflicts_with = "settings")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// By this split of the file, instead of the one with the record's name
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(in crate::cli) split: Option<String>,
    /// How to print what comes of a record; of a trace it is always JSON
    #[arg(short, long, value_enum, default_value_t = Output::Text, hide_possible_values = true)]
    #[arg(value_name = "text|wide|json", hide_default_value = true)]
    pub(in crate::cli) output: Output,
}
