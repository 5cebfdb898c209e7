//! How many connections each client address has, over all workers.
//!
//! Counted without a lock and in bounded memory: an address has a counter in each of two rows, by
//! two hashes, and its connections are at most the smaller of both. An address that shares both
//! counters with others may be held to less than its limit; never may one have more.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::model::{ListenerName, number::length};

/// Counters in a row.
const COUNTERS: usize = 16_384;

/// The counters of one process.
#[derive(Debug)]
pub(crate) struct Addresses {
    rows: [Row; 2],
}

#[derive(Debug)]
struct Row {
    hasher: RandomState,
    counters: Box<[AtomicU32]>,
}

/// A connection of an address, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Visit {
    addresses: Arc<Addresses>,
    at: [usize; 2],
}

impl Addresses {
    /// Counters of which none counts yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            rows: [Row::new(), Row::new()],
        })
    }

    /// A connection comes; `None`: its address has `max` already.
    pub(crate) fn enter(
        self: &Arc<Self>,
        listener: &ListenerName,
        address: IpAddr,
        max: u32,
    ) -> Option<Visit> {
        let key = (listener.as_str(), client(address));
        let [first, second] = &self.rows;
        let at = [first.place(&key), second.place(&key)];
        let before = self.counters(at).map(|c| c.fetch_add(1, Ordering::Relaxed));
        let visit = Visit {
            addresses: Arc::clone(self),
            at,
        };
        (before.min().unwrap_or(0) < max).then_some(visit)
    }

    fn counters(&self, at: [usize; 2]) -> impl Iterator<Item = &AtomicU32> {
        let rows = self.rows.iter().zip(at);
        rows.filter_map(|(row, at)| row.counters.get(at))
    }
}

/// Whom an address belongs to: of IPv6, a provider gives each client its first 64 bits, and the
/// client chooses the others.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

impl Row {
    fn new() -> Self {
        let mut counters = Vec::new();
        counters.resize_with(COUNTERS, AtomicU32::default);
        Self {
            hasher: RandomState::new(),
            counters: counters.into(),
        }
    }

    fn place(&self, key: &(&str, IpAddr)) -> usize {
        length(self.hasher.hash_one(key)) % COUNTERS
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for counter in self.addresses.counters(self.at) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_as_it_may_and_again_after_it_has_left() {
        let addresses = Addresses::new();
        let web = ListenerName::new("web").unwrap();
        let one: IpAddr = [192, 0, 2, 1].into();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let mut inside: Vec<_> = (0..3).map(|_| addresses.enter(&web, one, 3)).collect();
        assert!(inside.iter().all(Option::is_some));
        assert!(addresses.enter(&web, one, 3).is_none());
        assert!(addresses.enter(&web, mapped, 3).is_none(), "the same");
        assert!(addresses.enter(&web, [192, 0, 2, 2].into(), 3).is_some());
        let other = ListenerName::new("other").unwrap();
        assert!(addresses.enter(&other, one, 3).is_some());
        let home = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|it| it.parse().unwrap());
        let first = addresses.enter(&web, home[0], 1).unwrap();
        assert!(
            addresses.enter(&web, home[1], 1).is_none(),
            "one network is one client"
        );
        assert!(addresses.enter(&web, home[2], 1).is_some());
        drop(first);
        inside.pop();
        assert!(addresses.enter(&web, one, 3).is_some());
        drop(inside);
        let counts = addresses.rows.iter().flat_map(|row| row.counters.iter());
        assert_eq!(counts.map(|c| c.load(Ordering::Relaxed)).sum::<u32>(), 0);
    }
}
