//! Tasks of Marathon apps: asked for by the clock, and at once when an event says that something
//! has changed.
//!
//! Each answer is the whole truth; nothing is built up from events. What was good stays in force
//! while no master answers, or answers what cannot be understood, and both are told.

mod events;
mod login;
mod masters;
mod ports;
mod tasks;
mod wire;

use std::{cmp::Reverse, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

use self::{
    masters::Masters,
    tasks::{Found, Memory, Selection},
    wire::{App, Wanted},
};
use super::{DiscoverError, Names, Outlet, hosts::Hosts};
use crate::{
    config::Marathon,
    model::{Endpoint, Health},
};

/// An answer that takes longer than this is told of as a problem, and waited for.
const SLOW: Duration = Duration::from_secs(4);
/// The first wait after an error; each further error doubles it, up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How long events must have been quiet before it is asked...
const QUIET: Duration = Duration::from_millis(30);
/// ...and for how long that quiet is waited for.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two questions, whatever the events.
const SPACE: Duration = Duration::from_millis(250);
/// As often as control wants to hear of a loss before it is believed.
const INSISTENCE: usize = 3;

/// Keeps the tasks of some apps fresh.
pub(super) async fn run(how: Marathon, names: Names, outlet: Outlet) {
    let changed = Notify::new();
    let mut source = Marathons::new(&how, names, outlet);
    tokio::select! {
        () = source.ask_again_and_again(&changed) => {}
        () = events::listen(&how, &changed) => {}
    }
}

/// What one source knows between two answers.
struct Marathons<'a> {
    how: &'a Marathon,
    masters: Masters,
    path: String,
    memory: Memory,
    hosts: Hosts,
    names: Names,
    outlet: Outlet,
    /// Endpoints that could be used, and that were unhealthy, when last told.
    told: (usize, usize),
}

impl<'a> Marathons<'a> {
    fn new(how: &'a Marathon, names: Names, outlet: Outlet) -> Self {
        Self {
            how,
            masters: Masters::new(how),
            path: path(how),
            memory: Memory::default(),
            hosts: Hosts::default(),
            names,
            outlet,
            told: (0, 0),
        }
    }

    /// Ends when nobody listens any more.
    async fn ask_again_and_again(&mut self, changed: &Notify) {
        let mut errors = 0;
        loop {
            let began = Instant::now();
            let outlet = self.outlet.clone();
            let answer = {
                let mut answer = pin!(self.answer());
                if let Ok(answer) = timeout(SLOW, &mut answer).await {
                    answer
                } else {
                    let slow = format!("Marathon has not answered for {SLOW:?}");
                    if !outlet.tell(Err(DiscoverError::Unreachable(slow))).await {
                        return;
                    }
                    answer.await
                }
            };
            let is_heard = match answer {
                Ok(selection) => {
                    errors = 0;
                    self.tell(selection).await
                }
                Err(error) => {
                    errors += 1;
                    self.outlet.tell(Err(error)).await
                }
            };
            if !is_heard {
                return;
            }
            wait(began, pace(self.how.interval, errors), changed).await;
        }
    }

    async fn answer(&mut self) -> Result<Selection, DiscoverError> {
        let answer = self.masters.ask(&self.path).await?;
        let wanted = Wanted {
            apps: self.how.apps.clone(),
            labels: self.how.labels.clone(),
        };
        // Megabytes take time, in which control must be free to roll back.
        let read = tokio::task::spawn_blocking(move || wire::read(&answer, &wanted)).await;
        let read = read.map_err(|error| DiscoverError::Unreachable(error.to_string()))?;
        let apps = read.map_err(|error| {
            DiscoverError::Malformed(format!("Marathon's answer cannot be understood: {error}"))
        })?;
        understood(self.how, &mut self.memory, &apps)
    }

    async fn tell(&mut self, selection: Selection) -> bool {
        let hosts = selection.found.iter().map(|found| found.host.as_str());
        let error = self.hosts.refresh(&self.names, hosts).await;
        let endpoints = endpoints(&selection.found, &self.hosts);
        let usable = endpoints.iter().filter(|it| it.is_usable()).count();
        let is_ill = |it: &&Endpoint| it.health == Health::Unhealthy;
        let unhealthy = endpoints.iter().filter(is_ill).count();
        let (had, were_unhealthy) = self.told;
        let is_on_purpose = selection.is_whole && unhealthy <= were_unhealthy && error.is_none();
        let times = if is_on_purpose && usable * 2 < had {
            INSISTENCE
        } else {
            1
        };
        self.told = (usable, unhealthy);
        let is_known = !endpoints.is_empty() || error.is_none();
        for _ in 0..if is_known { times } else { 0 } {
            if !self.outlet.tell(Ok(Arc::clone(&endpoints))).await {
                return false;
            }
        }
        // What is known is in force; what is not has the last word.
        match error.or(selection.skipped.map(DiscoverError::Missing)) {
            Some(error) => self.outlet.tell(Err(error)).await,
            None => true,
        }
    }
}

/// The endpoints of an answer; the error says why there can be none.
fn understood(
    how: &Marathon,
    memory: &mut Memory,
    apps: &[App],
) -> Result<Selection, DiscoverError> {
    if apps.is_empty() {
        let error = match how.apps.as_slice() {
            [] => "Marathon has no app with such labels".to_owned(),
            ids => format!("Marathon has no app `{}`", ids.join("`, `")),
        };
        return Err(DiscoverError::Missing(error));
    }
    let is_there = |id: &String| apps.iter().any(|app| app.id == *id);
    let mut selection = memory.select(apps, how);
    selection.is_whole &= how.apps.iter().all(is_there);
    match &selection.skipped {
        Some(skipped) if selection.found.is_empty() => Err(DiscoverError::Missing(skipped.clone())),
        Some(_) | None => Ok(selection),
    }
}

/// When to ask next: within the interval, all proxies at other times.
fn pace(interval: Duration, errors: u32) -> Duration {
    let jitter = 1.0 - 0.2 * fastrand::f64();
    let retry = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(errors.saturating_sub(1)));
    let wait = if errors == 0 { interval } else { retry };
    wait.min(interval).mul_f64(jitter)
}

/// Until the next question is due, or events say that it is worth asking.
async fn wait(began: Instant, longest: Duration, changed: &Notify) {
    tokio::select! {
        () = changed.notified() => {}
        () = sleep(longest) => return,
    }
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience && timeout(QUIET, changed.notified()).await.is_ok() {}
    sleep_until(began + SPACE).await;
}

/// What is asked: filtered by the master where it can.
fn path(how: &Marathon) -> String {
    let mut path =
        "/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness".to_owned();
    // A master takes any id that has this text in it.
    if let Some(id) = shared(&how.apps) {
        path.push_str("&id=");
        path.push_str(id);
    }
    let rule = |rule: &crate::config::LabelRule| match &rule.value {
        None => rule.name.clone(),
        Some(value) if rule.is_negated => format!("{}!={value}", rule.name),
        Some(value) => format!("{}=={value}", rule.name),
    };
    if !how.labels.is_empty() {
        let rules: Vec<String> = how.labels.iter().map(rule).collect();
        path.push_str("&label=");
        path.push_str(&rules.join(",").replace('=', "%3D").replace('!', "%21"));
    }
    path
}

/// The beginning that all ids share.
fn shared(ids: &[String]) -> Option<&str> {
    let (first, rest) = ids.split_first()?;
    let length = rest.iter().fold(first.len(), |length, id| {
        let same = first.bytes().zip(id.bytes()).take_while(|(a, b)| a == b);
        length.min(same.count())
    });
    first.get(..length).filter(|shared| shared.len() > 1)
}

/// Sorted by address; of doubles the one that is the most alive.
fn endpoints(found: &[Found], hosts: &Hosts) -> Arc<[Endpoint]> {
    let endpoint = |found: &Found| {
        let address = SocketAddr::new(hosts.address(&found.host)?, found.port);
        Some(Endpoint {
            health: found.health,
            draining: found.is_draining,
            zone: found.zone.clone(),
            version: found.version.clone(),
            ..Endpoint::new(address)
        })
    };
    let mut endpoints: Vec<Endpoint> = found.iter().filter_map(endpoint).collect();
    let life = |it: &Endpoint| match it.health {
        Health::Healthy => 2,
        Health::Unknown => 1,
        Health::Unhealthy => 0,
    };
    endpoints.sort_by_key(|it| (it.address, it.draining, Reverse(life(it))));
    endpoints.dedup_by_key(|endpoint| endpoint.address);
    endpoints.into()
}

#[cfg(test)]
pub(crate) mod tests;
