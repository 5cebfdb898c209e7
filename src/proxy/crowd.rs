//! How many connections each client has at a listener, over all workers, in memory that does not
//! grow with their number.
//!
//! A count-min sketch: each client has one cell in each of four rows, found by a keyed hash, and
//! the lowest of the four is its count. Others in the same cells can only make it look higher, and
//! must share all four to do so: with 60,000 connections a cell holds about eight, so a limit of
//! thirty is met by nobody who is below it. No lock is taken, and a connection may end in another
//! thread than it began in. It takes 128 KiB, and without a limit nothing is counted.

use std::{
    hash::{Hash as _, Hasher as _},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use siphasher::sip::SipHasher13;

use crate::model::ListenerName;

/// Cells of a row: a power of two.
const COLUMNS: u64 = 1 << 13;
/// Rows; each takes another part of the hash.
const ROWS: u64 = 4;
/// Of an IPv6 address, what a provider gives to one client: the first 64 bits.
const V6_SHIFT: u32 = 64;

/// The connections of all clients.
#[derive(Debug)]
pub(crate) struct Crowd {
    keys: (u64, u64),
    rows: Box<[AtomicU32]>,
}

/// One connection, counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    crowd: Arc<Crowd>,
    hash: u64,
}

impl Crowd {
    /// Nobody yet. The keys are random, so that no client can choose its cells.
    pub(crate) fn new(keys: (u64, u64)) -> Arc<Self> {
        let cells = (0..ROWS * COLUMNS).map(|_| AtomicU32::new(0));
        let rows = cells.collect();
        Arc::new(Self { keys, rows })
    }

    /// Counts a connection; `None`: its client has as many as it may.
    pub(crate) fn enter(
        self: &Arc<Self>,
        listener: &ListenerName,
        client: IpAddr,
        max: u32,
    ) -> Option<Counted> {
        let counted = Counted {
            crowd: Arc::clone(self),
            hash: self.hash(listener, client),
        };
        let before = |cell: &AtomicU32| cell.fetch_add(1, Ordering::Relaxed);
        let before = self.cells(counted.hash).map(before).min();
        // Dropped, it is not counted any more.
        before.filter(|before| *before < max).map(|_| counted)
    }

    fn hash(&self, listener: &ListenerName, client: IpAddr) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        listener.as_str().hash(&mut hasher);
        match client.to_canonical() {
            IpAddr::V4(address) => address.to_bits().hash(&mut hasher),
            IpAddr::V6(address) => (address.to_bits() >> V6_SHIFT).hash(&mut hasher),
        }
        hasher.finish()
    }

    /// One cell of each row.
    fn cells(&self, hash: u64) -> impl Iterator<Item = &AtomicU32> {
        let places = (0..ROWS).map(move |row| {
            let part = hash >> (row * u64::from(COLUMNS.trailing_zeros()));
            row * COLUMNS + part % COLUMNS
        });
        places.filter_map(|place| self.rows.get(usize::try_from(place).ok()?))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for cell in self.crowd.cells(self.hash) {
            cell.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> ListenerName {
        ListenerName::new("edge").unwrap()
    }

    #[test]
    fn a_client_has_as_many_connections_as_it_may_and_no_more() {
        let crowd = Crowd::new((1, 2));
        let enter = |client: &str| crowd.enter(&edge(), client.parse().unwrap(), 2);
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none(), "the same in IPv6's clothes");
        assert!(enter("192.0.2.2").is_some(), "another one");
        let other = ListenerName::new("other").unwrap();
        let there = crowd.enter(&other, "192.0.2.1".parse().unwrap(), 2);
        assert!(there.is_some(), "another listener");
        drop(first);
        let again = enter("192.0.2.1");
        assert!(again.is_some() && enter("192.0.2.1").is_none());
        let _home = [enter("2001:db8::1"), enter("2001:db8::ffff:2")];
        assert!(enter("2001:db8::3").is_none(), "one network is one client");
        assert!(enter("2001:db8:0:1::3").is_some());
    }

    #[test]
    fn those_below_the_limit_are_let_in_whoever_else_is_there() {
        let crowd = Crowd::new((3, 4));
        let client = |number: u32| IpAddr::V4(number.into());
        let others: Vec<Counted> = (0..60_000)
            .filter_map(|number| crowd.enter(&edge(), client(number), 30))
            .collect();
        assert_eq!(others.len(), 60_000);
        drop(others);
        let left = crowd.rows.iter();
        assert_eq!(left.map(|cell| cell.load(Ordering::Relaxed)).max(), Some(0));
    }
}
