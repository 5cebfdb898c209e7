//! The file as it is written: shown without secrets, and texts that may become it, tried.

use serde_json::Value;

use super::Handle;
use crate::config;

impl Handle {
    /// What the file in force says, as JSON without what is or may be a secret.
    pub fn written(&self) -> Value {
        config::redacted(&self.config.borrow().text.0)
    }
}

/// Whether a text could come into force, and its problems as `serin validate --json` has them. What
/// it names is not looked at: who asks has not the files of this machine.
pub fn tried(text: &str) -> (bool, Value) {
    match config::load(text, "config") {
        Ok((_, warnings)) => (true, warnings.to_json()),
        Err(problems) => (false, problems.to_json()),
    }
}
