//! The addresses of hosts that a source names: agents of a cluster, targets of SRV records.
//!
//! A host that was found keeps its last good address. Name servers that do not answer hold nothing
//! up for long.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{DiscoverError, Names, dns::Host};

/// Agents keep their addresses: they are asked for no more often.
const SHORTEST: Duration = Duration::from_secs(30);
/// They are asked for no less often.
const LONGEST: Duration = Duration::from_mins(5);
/// How long an answer waits for addresses: what else it says must not be late.
const PATIENCE: Duration = Duration::from_secs(2);
/// After an error.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of hosts, by name.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, (Host, Instant)>);

impl Hosts {
    /// Asks for those of these hosts that are due, and forgets all others. The first error.
    pub(super) async fn refresh<'a>(
        &mut self,
        names: &Names,
        hosts: impl Iterator<Item = &'a str>,
    ) -> Option<DiscoverError> {
        let wanted: HashSet<&str> = hosts.collect();
        self.0.retain(|name, _| wanted.contains(name.as_str()));
        let now = Instant::now();
        let (mut asking, mut late) = (JoinSet::new(), BTreeSet::new());
        for name in wanted {
            let known = self.0.entry(name.to_owned());
            let (host, due) = known.or_insert_with(|| (Host::new(name), now));
            if host.is_literal() || *due > now {
                continue;
            }
            // If there is no answer in time, this holds.
            *due = now + RETRY;
            let (names, mut host, name) = (names.clone(), host.clone(), name.to_owned());
            late.insert(name.clone());
            asking.spawn(async move { (host.ask(&names).await, name, host) });
        }
        let (mut error, until) = (None, now + PATIENCE);
        while let Ok(Some(answer)) = timeout_at(until, asking.join_next()).await {
            let Ok((answer, name, host)) = answer else {
                continue;
            };
            late.remove(&name);
            match answer {
                Ok(holds) => {
                    let due = now + holds.clamp(SHORTEST, LONGEST);
                    self.0.insert(name, (host, due));
                }
                Err(failed) => error = error.or(Some(failed)),
            }
        }
        let late = late.first().map(|name| {
            let what = format!("cannot find the addresses of `{name}`: no answer in {PATIENCE:?}");
            DiscoverError::Unreachable(what)
        });
        error.or(late)
    }

    /// The address of a host, the first if it has several: all of them are one machine.
    pub(super) fn address(&self, name: &str) -> Option<IpAddr> {
        self.0.get(name)?.0.addresses().next()
    }

    /// All addresses of a host.
    pub(super) fn addresses(&self, name: &str) -> impl Iterator<Item = IpAddr> + '_ {
        let known = self.0.get(name).into_iter();
        known.flat_map(|(host, _)| host.addresses())
    }

    /// As if a host that is an address had been asked for.
    #[cfg(test)]
    pub(super) fn learn(&mut self, address: &str) {
        let known = (Host::new(address), Instant::now());
        self.0.insert(address.to_owned(), known);
    }
}
