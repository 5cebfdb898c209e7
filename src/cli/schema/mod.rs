//! `serin schema`: every key of the config file, for editors (JSON Schema) and for people (the
//! manual that is `docs/config.md`).

mod manual;

use std::io::Write;

use clap::{Args, ValueEnum};

use crate::config;

/// `serin schema`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The JSON Schema, or the manual of all keys
    #[arg(long, value_enum, value_name = "json|markdown", default_value_t = Format::Json)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
    /// The same as --format json
    #[arg(
        short,
        long,
        value_enum,
        value_name = "json",
        conflicts_with = "format"
    )]
    #[arg(hide_possible_values = true)]
    output: Option<JsonOnly>,
}

/// In what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Schema.
    Json,
    /// Text with tables.
    Markdown,
}

/// The only form that `-o` has here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum JsonOnly {
    /// JSON Schema.
    Json,
}

/// Writes the schema. Returns the exit code: 0 written, 2 it cannot be written.
pub(super) fn schema(wanted: &Arguments, out: &mut impl Write) -> u8 {
    let schema = config::json_schema();
    let text = match wanted.format {
        Format::Json => format!("{schema:#}\n"),
        Format::Markdown => manual::manual(&schema),
    };
    if out.write_all(text.as_bytes()).is_ok() {
        0
    } else {
        2
    }
}
