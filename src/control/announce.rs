//! News: what has happened, as a log line and on a channel for live readers.

use tokio::sync::broadcast;

use super::Findings;
use crate::model::{Epoch, Moment, RouteName, Share, SplitName};

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

    /// Writes the log line and tells whoever listens. What took a canary's traffic away is told
    /// with what it rests on.
    pub(super) fn tell(&self, news: News, findings: Option<&Findings>) {
        match findings.filter(|_| matches!(news.what, "rolled_back" | "aborted" | "undone")) {
            Some(findings) => tell_with(&news, findings),
            None => tell_alone(&news),
        }
        // Nobody listening is no error.
        let _listeners = self.0.send(news);
    }
}

/// The log line of most news.
fn tell_alone(news: &News) {
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
}

/// The log line of a rollback: one, with the numbers of the metric that accuses the canary, the
/// requests that failed first, and where all of the evidence is.
fn tell_with(news: &News, findings: &Findings) {
    let split = news.split.as_ref().map(SplitName::as_str);
    let share = news.share.map(|share| share.to_string());
    let epoch = news.epoch.map(|epoch| epoch.0);
    let judgement = findings.judgement.as_ref();
    let metric = judgement.and_then(|it| {
        let mut metrics = it.metrics.iter();
        let accuses = metrics.find(|metric| it.cause.ends_with(&metric.metric));
        accuses.or_else(|| it.metrics.first())
    });
    let first_failed = judgement.map(|it| {
        let ids = it.first_failed.iter().map(|id| format!("{id:016x}"));
        ids.collect::<Vec<_>>().join(" ")
    });
    let [stable, canary] = &findings.versions;
    let suspect = judgement.and_then(|it| it.suspect.as_ref());
    tracing::warn!(
        event = news.what,
        split,
        epoch,
        share,
        by = news.by,
        cause = judgement.map(|it| it.cause.as_str()),
        route = judgement
            .and_then(|it| it.route.as_ref())
            .map(RouteName::as_str),
        evidence = judgement.map(|it| it.evidence),
        threshold = judgement.map(|it| it.threshold),
        metric = metric.map(|it| it.metric.as_str()),
        canary_counted = metric.map(|it| it.canary.0),
        canary_of = metric.map(|it| it.canary.1),
        stable_counted = metric.map(|it| it.stable.0),
        stable_of = metric.map(|it| it.stable.1),
        estimate = metric.map(|it| it.estimate),
        low = metric.map(|it| it.interval.0),
        high = metric.map(|it| it.interval.1),
        margin = metric.map(|it| it.margin),
        canary_requests = canary.requests,
        canary_failures = canary.failures,
        stable_requests = stable.requests,
        stable_failures = stable.failures,
        harm = judgement.map(|it| it.harm),
        first_failed,
        endpoint = suspect.map(|it| it.address.to_string()),
        evidence_at = split
            .zip(epoch)
            .map(|(split, epoch)| { format!("/v1/rollouts/{split}-{epoch}/evidence") }),
        "{}",
        news.text
    );
}
