//! The file as it is written: shown without secrets, and texts that may become it, tried.

use serde_json::Value;

use super::{Handle, Refusal, RefusalKind, recall::unreadable, reload::read_text};
use crate::config;

impl Handle {
    /// What the file says now, as JSON without what is or may be a secret; `None`: there is none.
    pub async fn written(&self) -> Result<Option<Value>, Refusal> {
        let Some(path) = self.path.clone() else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || read_text(&path)).await;
        let read = read.map_err(unreadable)?;
        let (_, text) = read.map_err(|_| Refusal {
            kind: RefusalKind::Unreadable,
            message: "the file cannot be read".to_owned(),
            help: "`serin validate` says why; the last good one is in force".to_owned(),
        })?;
        Ok(Some(config::redacted(&text)))
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
