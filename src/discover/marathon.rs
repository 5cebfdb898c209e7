//! Tasks of Marathon apps: asked for by the clock, and at once when an event says that something
//! has changed.
//!
//! Upstreams that pick from the same apps (the two halves of a rolling deployment) share the
//! questions and see the same answers. Each answer is the whole truth; nothing is built up from
//! events. What was good stays in force while no master answers, or answers what cannot be
//! understood, and both are told.

mod cluster;
mod events;
mod login;
mod masters;
mod ports;
mod tasks;
mod wire;

use std::{cmp::Reverse, net::SocketAddr, sync::Arc};

use tokio::sync::watch;

pub(super) use self::cluster::{Cluster, Heard, ask};
use self::{
    tasks::{Found, Memory, Selection},
    wire::App,
};
use super::{DiscoverError, Names, Outlet, hosts::Hosts};
use crate::{
    config::Marathon,
    model::{Endpoint, Health},
};

/// As often as control wants to hear of a loss before it is believed.
const INSISTENCE: usize = 3;

/// Tells the tasks of one upstream after each answer.
pub(super) async fn run(
    how: Marathon,
    mut answers: watch::Receiver<Heard>,
    names: Names,
    outlet: Outlet,
) {
    let mut picking = Picking {
        memory: Memory::default(),
        hosts: Hosts::default(),
        names,
        outlet,
        told: (0, 0),
    };
    answers.mark_changed();
    while answers.changed().await.is_ok() {
        let Heard(Some(answer)) = answers.borrow_and_update().clone() else {
            continue;
        };
        let selection = answer.and_then(|apps| understood(&how, &mut picking.memory, &apps));
        let is_heard = match selection {
            Ok(selection) => picking.tell(selection).await,
            Err(error) => picking.outlet.tell(Err(error)).await,
        };
        if !is_heard {
            return;
        }
    }
}

/// What one upstream knows between two answers.
struct Picking {
    memory: Memory,
    hosts: Hosts,
    names: Names,
    outlet: Outlet,
    /// Endpoints that could be used, and that were unhealthy, when last told.
    told: (usize, usize),
}

impl Picking {
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
