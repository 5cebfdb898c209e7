//! What is told of requests beside serving them: the access log and spans, each by a thread of its
//! own, and the end of those threads, which may be stuck.

use std::{thread::JoinHandle, time::Duration};

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{LOOK, join};
use crate::{
    config::Config,
    measure::Outlets,
    proxy::{AccessLog, Tracing},
};

/// How long the last lines and spans may take when the process ends.
const GRACE: Duration = Duration::from_secs(2);

/// What tells of requests.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) access_log: Option<AccessLog>,
    pub(super) tracing: Option<Tracing>,
    pub(super) outlets: Outlets,
    pub(super) tellers: Tellers,
}

/// The threads, each with what it tells.
#[derive(Debug, Default)]
pub(super) struct Tellers(Vec<(&'static str, JoinHandle<()>)>);

impl Telling {
    /// Starts what the file asks for.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let mut telling = Self::default();
        if let Some(settings) = &config.access_log {
            let dropped = telling.outlets.log_dropped.clone();
            let (sink, thread) = AccessLog::start(settings, dropped)
                .with_context(|| format!("cannot open the access log {:?}", settings.path))?;
            telling.access_log = Some(sink);
            telling.tellers.0.push(("access log", thread));
        }
        if let Some(settings) = &config.tracing {
            let (tracing, thread) = Tracing::start(settings, &telling.outlets)
                .with_context(|| format!("cannot send spans to {}", settings.otlp))?;
            telling.tracing = Some(tracing);
            telling.tellers.0.push(("spans", thread));
        }
        Ok(telling)
    }
}

impl Tellers {
    /// Waits until all has been told, but not for one that is stuck: it ends with the process.
    pub(super) async fn end(self) {
        let ended = timeout(GRACE, async {
            let mut look = interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !self.0.iter().all(|(_, thread)| thread.is_finished()) {
                let _at = look.tick().await;
            }
        });
        let _stuck = ended.await;
        for (name, thread) in self.0 {
            if thread.is_finished() {
                join(name, thread);
            } else {
                tracing::warn!("the {name} is stuck: what it has not told yet is lost");
            }
        }
    }
}
