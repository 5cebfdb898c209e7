//! The addresses of hosts that a source names: agents of a cluster, targets of SRV records.
//!
//! A host that was found keeps its last good address. Only for a host of which nothing is known yet
//! does an answer wait.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{DiscoverError, Names, dns::Host};

/// Agents keep their addresses: they are asked for no more often.
const SHORTEST: Duration = Duration::from_secs(30);
/// They are asked for no less often.
const LONGEST: Duration = Duration::from_mins(5);
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
        let (mut asking, mut error) = (JoinSet::new(), None);
        for name in wanted {
            let known = self.0.remove(name);
            let (mut host, due) = known.unwrap_or_else(|| (Host::new(name), now));
            if host.is_literal() || due > now {
                self.0.insert(name.to_owned(), (host, due));
                continue;
            }
            let (names, name) = (names.clone(), name.to_owned());
            asking.spawn(async move { (host.ask(&names).await, name, host) });
        }
        for (answer, name, host) in asking.join_all().await {
            let holds = match answer {
                Ok(holds) => holds.clamp(SHORTEST, LONGEST),
                Err(failed) => {
                    error = error.or(Some(failed));
                    RETRY
                }
            };
            self.0.insert(name, (host, now + holds));
        }
        error
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
