//! News: what has happened, as a log line and on a channel for live readers.

use tokio::sync::broadcast;

use crate::model::{Epoch, Moment, Share, SplitName};

/// How many lines a slow reader may be behind before it misses some.
pub(super) const NEWS_MAX: usize = 1_024;

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// When.
    pub at: Moment,
    /// `config_loaded`, `config_rejected`, `discovery`, `started`, `stepped`, `paused`,
    /// `rolled_back`, `aborted`, `promoted`, `gate_shut`, `dry_run_failed`, `evidence_invalid`,
    /// `evidence_valid`, `shadow_alarm`, `clumped_failures`, ...
    pub what: &'static str,
    /// On which split, if on one.
    pub split: Option<SplitName>,
    /// Its epoch then.
    pub epoch: Option<Epoch>,
    /// The canary's share then in force.
    pub share: Option<Share>,
    /// Who or what: `judge`, `absolute`, `config`, `schedule`, `discovery`, or the operator.
    pub by: String,
    /// One sentence for people, with the numbers.
    pub text: String,
    /// A person should look at it.
    pub is_warning: bool,
}

/// Tells news; readers that are slow or gone hold nobody up.
#[derive(Debug)]
pub(super) struct Announcer(broadcast::Sender<News>);

impl Announcer {
    /// Tells on this channel.
    pub(super) fn new(channel: broadcast::Sender<News>) -> Self {
        Self(channel)
    }

    /// Writes the log line and tells whoever listens.
    pub(super) fn tell(&self, news: News) {
        let split = news.split.as_ref().map(SplitName::as_str);
        let share = news.share.map(|share| share.to_string());
        let epoch = news.epoch.map(|epoch| epoch.0);
        if news.is_warning {
            tracing::warn!(
                event = news.what,
                split,
                epoch,
                share,
                by = news.by,
                "{}",
                news.text
            );
        } else {
            tracing::info!(
                event = news.what,
                split,
                epoch,
                share,
                by = news.by,
                "{}",
                news.text
            );
        }
        // Nobody listening is no error.
        let _listeners = self.0.send(news);
    }
}
