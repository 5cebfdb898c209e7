//! Questions put to endpoints, again and again: are you well?
//!
//! Each endpoint has a task of its own, and each question a connection of its own, which shows
//! that connections are taken. Questions of one upstream are spread over their interval. They are
//! no requests: nothing else counts them, and no version is charged with them.

mod ask;
mod pulse;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use self::{ask::Way, pulse::Pulse};
use super::Task;
pub use crate::net::tls::Client as CheckTls;
use crate::{
    config::{self, HealthCheck},
    model::{Endpoint, UpstreamName},
};

/// The first questions come within this time, so that new endpoints need not wait for long.
const FIRST_WITHIN: Duration = Duration::from_millis(200);

/// The word of checks on an endpoint has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Of which upstream.
    pub upstream: UpstreamName,
    /// Which endpoint.
    pub address: SocketAddr,
    /// Whether it is well.
    pub is_healthy: bool,
    /// What it has answered last, in words.
    pub why: String,
}

/// What is to be asked, and of whom.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// With a `health_check`, or nothing is asked.
    pub upstream: &'a config::Upstream,
    /// How TLS is spoken to it.
    pub tls: Option<CheckTls>,
    /// Its endpoints.
    pub endpoints: &'a [Endpoint],
}

/// The questions at work. Dropping it ends them all.
#[derive(Debug)]
pub struct Checks {
    into: mpsc::Sender<Checked>,
    running: HashMap<UpstreamName, Running>,
    counts: HashMap<UpstreamName, Arc<Counts>>,
}

/// Of one upstream.
#[derive(Debug)]
struct Running {
    check: Arc<HealthCheck>,
    way: Way,
    tasks: HashMap<SocketAddr, Task>,
}

/// Answers since the start.
#[derive(Debug, Default)]
struct Counts {
    passed: AtomicU64,
    failed: AtomicU64,
}

impl Checks {
    /// Nothing is asked yet. Answers that change something go there.
    pub fn new(into: mpsc::Sender<Checked>) -> Self {
        Self {
            into,
            running: HashMap::new(),
            counts: HashMap::new(),
        }
    }

    /// After a reload: what is asked in the same way goes on. Needs a runtime.
    pub fn replace<'a>(&mut self, all: impl Iterator<Item = Wanted<'a>>) {
        let mut before = std::mem::take(&mut self.running);
        for wanted in all {
            let Some(check) = &wanted.upstream.health_check else {
                continue;
            };
            let name = &wanted.upstream.name;
            let way = Way::new(wanted.upstream, wanted.tls);
            let kept = before.remove(name);
            let kept = kept.filter(|known| *known.check == *check && known.way == way);
            let running = kept.unwrap_or_else(|| Running {
                check: Arc::new(check.clone()),
                way,
                tasks: HashMap::new(),
            });
            self.running.insert(name.clone(), running);
            self.ask(name, wanted.endpoints);
        }
    }

    /// These are the upstream's endpoints now: new ones are asked, gone ones are not any more.
    pub fn ask(&mut self, upstream: &UpstreamName, endpoints: &[Endpoint]) {
        let Some(running) = self.running.get_mut(upstream) else {
            return;
        };
        let counts = Arc::clone(self.counts.entry(upstream.clone()).or_default());
        let mut before = std::mem::take(&mut running.tasks);
        for address in endpoints.iter().map(|endpoint| endpoint.address) {
            let start = || {
                let asking = Asking {
                    upstream: upstream.clone(),
                    address,
                    check: Arc::clone(&running.check),
                    way: running.way.clone(),
                    counts: Arc::clone(&counts),
                    into: self.into.clone(),
                };
                Task(tokio::spawn(asking.run()))
            };
            let task = before.remove(&address).unwrap_or_else(start);
            running.tasks.insert(address, task);
        }
    }

    /// Good and bad answers since the start, by upstream.
    pub fn counts(&self) -> Vec<(UpstreamName, u64, u64)> {
        let counts = self.counts.iter().map(|(name, counts)| {
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (name.clone(), of(&counts.passed), of(&counts.failed))
        });
        counts.collect()
    }
}

/// What asks one endpoint.
#[derive(Debug)]
struct Asking {
    upstream: UpstreamName,
    address: SocketAddr,
    check: Arc<HealthCheck>,
    way: Way,
    counts: Arc<Counts>,
    into: mpsc::Sender<Checked>,
}

impl Asking {
    /// Until nobody listens any more.
    async fn run(self) {
        let check = &*self.check;
        let mut pulse = Pulse::default();
        let first = FIRST_WITHIN.min(check.interval);
        tokio::time::sleep(first.mul_f64(fastrand::f64())).await;
        loop {
            let answer = self.ask().await;
            let count = match &answer {
                Ok(()) => &self.counts.passed,
                Err(_) => &self.counts.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(is_healthy) = pulse.beat(answer.is_ok(), check.healthy, check.unhealthy) {
                let checked = Checked {
                    upstream: self.upstream.clone(),
                    address: self.address,
                    is_healthy,
                    why: answer.err().unwrap_or_default(),
                };
                if self.into.send(checked).await.is_err() {
                    return;
                }
            }
            let wait = check.interval.mul_f64(0.9 + 0.2 * fastrand::f64());
            tokio::time::sleep(wait).await;
        }
    }

    /// One question; what is wrong, in words.
    async fn ask(&self) -> Result<(), String> {
        let limit = self.check.timeout;
        let asking = self.way.ask(&self.check, self.address);
        timeout(limit, asking)
            .await
            .unwrap_or_else(|_| Err(format!("no answer in {limit:?}")))
    }
}

#[cfg(test)]
mod tests;
