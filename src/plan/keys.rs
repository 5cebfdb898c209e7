//! Numbers for splits and endpoints that live as long as the process.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

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
