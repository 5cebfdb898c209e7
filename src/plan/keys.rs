//! What lives as long as the process, whatever plans come and go: numbers for splits and
//! endpoints, and the keys of session tickets.

use std::{net::SocketAddr, sync::Arc};

use rustc_hash::FxHashMap;

use super::{Tickets, Vitals, Ward};
use crate::model::{EndpointKey, SplitKey, SplitName, UpstreamKey, UpstreamName};

/// Allots keys that mean the same in every plan of this process.
///
/// A key is never given back, so that pools and recorders never take one thing for another. What
/// is kept for each is a few dozen bytes.
#[derive(Debug, Default)]
pub struct Keys {
    splits: FxHashMap<SplitName, SplitKey>,
    upstreams: FxHashMap<UpstreamName, Known>,
    next_endpoint: u32,
    /// Made when the first listener speaks TLS.
    tickets: Option<Tickets>,
}

/// An upstream's endpoints that ever were.
#[derive(Debug)]
struct Known {
    ward: Arc<Ward>,
    endpoints: FxHashMap<SocketAddr, (EndpointKey, Arc<Vitals>)>,
}

impl Keys {
    /// The key of a split.
    pub fn split(&mut self, name: &SplitName) -> SplitKey {
        if let Some(key) = self.splits.get(name) {
            return *key;
        }
        let key = SplitKey(u32::try_from(self.splits.len()).unwrap_or(u32::MAX));
        self.splits.insert(name.clone(), key);
        key
    }

    /// The one store of ticket keys.
    pub(super) fn tickets(&mut self) -> &Tickets {
        self.tickets.get_or_insert_with(Tickets::new)
    }

    /// What an upstream's endpoints have in common, and of each its key and how it fares.
    pub(super) fn endpoints(
        &mut self,
        upstream: &UpstreamName,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> (Arc<Ward>, Vec<(EndpointKey, Arc<Vitals>)>) {
        let number = u32::try_from(self.upstreams.len()).unwrap_or(u32::MAX);
        let fresh = || Known {
            ward: Arc::new(Ward::new(UpstreamKey(number))),
            endpoints: FxHashMap::default(),
        };
        let known = self.upstreams.entry(upstream.clone()).or_insert_with(fresh);
        let next = &mut self.next_endpoint;
        let key = |address| {
            let fresh = || {
                let key = EndpointKey(*next);
                *next = next.saturating_add(1);
                (key, Arc::default())
            };
            known.endpoints.entry(address).or_insert_with(fresh).clone()
        };
        (Arc::clone(&known.ward), addresses.map(key).collect())
    }
}
