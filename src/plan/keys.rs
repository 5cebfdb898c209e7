//! What lives as long as the process, whatever plans come and go: numbers for splits and
//! endpoints, and the keys of session tickets.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use super::Tickets;
use crate::model::{EndpointKey, SplitKey, SplitName, UpstreamName};

/// Allots keys that mean the same in every plan of this process.
///
/// A key is never given back, so that pools and recorders never take one thing for another. What
/// is kept for each is a few dozen bytes.
#[derive(Debug, Default)]
pub struct Keys {
    splits: FxHashMap<SplitName, SplitKey>,
    endpoints: FxHashMap<UpstreamName, FxHashMap<SocketAddr, EndpointKey>>,
    next_endpoint: u32,
    /// Made when the first listener speaks TLS.
    tickets: Option<Tickets>,
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

    /// The keys of an upstream's endpoints.
    pub fn endpoints(
        &mut self,
        upstream: &UpstreamName,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Vec<EndpointKey> {
        if !self.endpoints.contains_key(upstream) {
            self.endpoints
                .insert(upstream.clone(), FxHashMap::default());
        }
        let Some(known) = self.endpoints.get_mut(upstream) else {
            return Vec::new();
        };
        let next = &mut self.next_endpoint;
        let key = |address| {
            *known.entry(address).or_insert_with(|| {
                let key = EndpointKey(*next);
                *next = next.saturating_add(1);
                key
            })
        };
        addresses.map(key).collect()
    }
}
