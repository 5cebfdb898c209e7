//! The same endpoint for the same key, for as long as it is there.
//!
//! A ring of hashes: each endpoint has points on it, and a key belongs to the endpoint of the next
//! point. An endpoint that goes leaves its keys to the others, one that comes takes its part from
//! all of them, and no key moves between two that stay.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::{Head, Target, affinity::keyed};
use crate::{
    config::Policy,
    model::number::{index, long},
};

/// Points of an endpoint with the average weight: parts differ by a tenth or so.
const POINTS: u64 = 128;

/// The ring; empty where endpoints are not chosen by key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ring(Box<[(u64, u32)]>);

impl Ring {
    /// The ring of these endpoints, if they are chosen by it.
    pub(super) fn new(policy: &Policy, targets: &[Target]) -> Self {
        let Policy::RingHash(_) = policy else {
            return Self::default();
        };
        let all: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
        let count = long(targets.len());
        let mut points = Vec::new();
        for (target, place) in targets.iter().zip(0..) {
            let weight = u64::from(target.weight);
            let own = (POINTS * weight * count / all.max(1)).max(1);
            points.extend((0..own).map(|n| (point(target, n), place)));
        }
        points.sort_unstable();
        Self(points.into())
    }

    /// Whether nothing is on it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places of endpoints, the nearest first; some come more than once.
    pub(super) fn walk(&self, hash: u64) -> impl Iterator<Item = usize> {
        let start = self.0.partition_point(|(point, _)| *point < hash);
        let (before, from) = self.0.split_at_checked(start).unwrap_or_default();
        from.iter().chain(before).map(|(_, place)| index(*place))
    }
}

/// The hash of the key that a request is sent by; `None`: it has none, or nobody asks for one.
pub(super) fn hash(policy: &Policy, head: &impl Head) -> Option<u64> {
    let Policy::RingHash(sources) = policy else {
        return None;
    };
    let hash = |key: &[u8]| {
        let mut hasher = SipHasher13::new();
        hasher.write(key);
        hasher.finish()
    };
    sources.iter().find_map(|source| keyed(source, head, hash))
}

/// The same in every process, so that several proxies agree.
fn point(target: &Target, n: u64) -> u64 {
    let mut hasher = SipHasher13::new();
    match target.address.ip() {
        std::net::IpAddr::V4(address) => hasher.write(&address.octets()),
        std::net::IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.write_u16(target.address.port());
    hasher.write_u64(n);
    hasher.finish()
}
