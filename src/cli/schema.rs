//! `serin schema`: the JSON Schema of the config file, for completion in editors.

use std::io::Write;

use crate::config;

/// Writes the schema. Returns the exit code: 0 written, 2 it cannot be written.
pub fn schema(out: &mut impl Write) -> u8 {
    if writeln!(out, "{:#}", config::json_schema()).is_ok() {
        0
    } else {
        2
    }
}
