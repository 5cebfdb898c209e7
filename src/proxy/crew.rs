//! How connections are spread over the workers.
//!
//! The kernel spreads connections by a hash. Of thousands, each worker gets its part; of a few that
//! live long (another proxy's, gRPC's) one worker may get all. So a worker that has clearly more
//! to do than another one hands a connection that it has just accepted over to that one. Only
//! accepting looks at others: a request never does (I6).

use std::{
    cell::Cell,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::mpsc;

use super::{addresses::Addresses, listener::Place};
use crate::{net, plan};

/// What a connection counts for that waits for its next request...
const AT_REST: u32 = 1;
/// ...and one that is new, or whose requests follow each other.
const AT_WORK: u32 = 4;
/// A connection is handed over if this worker has more to do than the other by more than one part
/// in so many: of a few connections each is placed, of many hardly any.
const MORE_PART: u32 = 4;
/// How many other workers are looked at. On machines with many cores, looking at all of them would
/// cost more than the best one brings.
const LOOKS: usize = 8;
/// Connections that may be on their way to one worker.
const WAITING: usize = 256;

/// A connection on its way to another worker.
#[derive(Debug)]
pub(crate) struct Handed {
    /// The connection.
    pub(crate) stream: net::Detached,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// Of the listener that it came by.
    pub(crate) settings: Box<plan::Listener>,
    /// What it takes of that listener's limit.
    pub(crate) place: Place,
    /// What it counts for at its new worker.
    pub(crate) load: Load,
}

/// The worker's own end of the way that connections come.
pub(crate) type Door = mpsc::Receiver<Handed>;

/// One worker as the others see it; aligned, so that two workers write to two cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Desk {
    /// What its connections count for. Others add to it what they hand over.
    load: AtomicU32,
    door: mpsc::Sender<Handed>,
}

/// All workers, from where one of them sits.
#[derive(Debug)]
pub(crate) struct Crew {
    desks: Arc<[Desk]>,
    addresses: Arc<Addresses>,
    own: usize,
    /// Which other one is looked at first.
    next: Cell<usize>,
}

impl Crew {
    /// The seats of so many workers.
    pub(crate) fn seats(workers: u16) -> Vec<(Self, Door)> {
        let desk = |_| {
            let (door, own_end) = mpsc::channel(WAITING);
            let load = AtomicU32::new(0);
            (Desk { load, door }, own_end)
        };
        let (desks, doors): (Vec<_>, Vec<_>) = (0..workers).map(desk).unzip();
        let desks: Arc<[Desk]> = desks.into();
        let addresses = Addresses::new();
        let seat = |(own, door)| {
            let crew = Self {
                desks: Arc::clone(&desks),
                addresses: Arc::clone(&addresses),
                own,
                next: Cell::new(own),
            };
            (crew, door)
        };
        doors.into_iter().enumerate().map(seat).collect()
    }

    /// The connections of each client address, of all workers.
    pub(crate) const fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// Counts a connection that stays with this worker.
    pub(crate) fn keep(&self) -> Load {
        Load::new(&self.desks, self.own)
    }

    /// The way to another worker that has clearly less to do, and what a connection counts for
    /// there.
    pub(crate) fn freer(&self) -> Option<(mpsc::Permit<'_, Handed>, Load)> {
        let at = self.freer_at()?;
        // A worker that goes down takes no more, nor does one that has got too many already.
        let permit = self.desks.get(at)?.door.try_reserve().ok()?;
        Some((permit, Load::new(&self.desks, at)))
    }

    fn freer_at(&self) -> Option<usize> {
        let mine = self.load(self.own);
        if mine == 0 {
            return None;
        }
        let count = self.desks.len();
        let from = self.next.replace(self.next.get().wrapping_add(LOOKS));
        let others = (0..count).map(|step| from.wrapping_add(step) % count);
        let others = others.filter(|at| *at != self.own).take(LOOKS);
        let (theirs, at) = others.map(|at| (self.load(at), at)).min()?;
        (mine > theirs.saturating_add(theirs / MORE_PART)).then_some(at)
    }

    fn load(&self, at: usize) -> u32 {
        let desk = self.desks.get(at);
        desk.map_or(u32::MAX, |desk| desk.load.load(Ordering::Relaxed))
    }
}

/// What one connection counts for at its worker, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Load {
    desks: Arc<[Desk]>,
    at: usize,
    weight: Cell<u32>,
}

impl Load {
    fn new(desks: &Arc<[Desk]>, at: usize) -> Self {
        let load = Self {
            desks: Arc::clone(desks),
            at,
            weight: Cell::new(0),
        };
        load.weigh(AT_WORK);
        load
    }

    /// Requests follow each other.
    pub(crate) fn works(&self) {
        self.weigh(AT_WORK);
    }

    /// No request has come for a while.
    pub(crate) fn rests(&self) {
        self.weigh(AT_REST);
    }

    fn weigh(&self, weight: u32) {
        let before = self.weight.replace(weight);
        if weight != before
            && let Some(desk) = self.desks.get(self.at)
        {
            // The sum wraps, so what is taken away may be added.
            let more = weight.wrapping_sub(before);
            desk.load.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.weigh(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    type Seats = Vec<(Crew, Door)>;

    /// A connection arrives at a worker; where it ends up.
    fn arrive(seats: &Seats, at: usize) -> Load {
        let crew = &seats[at].0;
        let load = crew.freer().map(|(_permit, load)| load);
        load.unwrap_or_else(|| crew.keep())
    }

    fn counts(loads: &[Load], workers: u16) -> Vec<usize> {
        let of = |at| loads.iter().filter(|load| load.at == at).count();
        (0..usize::from(workers)).map(of).collect()
    }

    #[test]
    fn a_few_connections_that_all_land_on_one_worker_are_spread_evenly() {
        for (workers, connections, expected) in [
            (2, 2, &[1, 1][..]),
            (2, 4, &[2, 2]),
            (2, 9, &[5, 4]),
            (4, 4, &[1, 1, 1, 1]),
            (4, 16, &[4, 4, 4, 4]),
            (1, 16, &[16]),
        ] {
            let seats = Crew::seats(workers);
            let loads: Vec<_> = (0..connections).map(|_| arrive(&seats, 0)).collect();
            assert_eq!(counts(&loads, workers), expected, "{workers} workers");
        }
    }

    #[test]
    fn connections_at_rest_count_for_little() {
        let seats = Crew::seats(2);
        let (first, second) = (&seats[0].0, &seats[1].0);
        let resting: Vec<_> = (0..8).map(|_| first.keep()).collect();
        resting.iter().for_each(Load::rests);
        let busy: Vec<_> = (0..4).map(|_| second.keep()).collect();
        assert_eq!(arrive(&seats, 0).at, 0, "8 at rest are less than 4 at work");
        assert_eq!(arrive(&seats, 1).at, 0);
        resting.iter().for_each(Load::works);
        assert_eq!(arrive(&seats, 0).at, 1);
        drop((resting, busy));
        assert_eq!(
            (first.load(0), first.load(1)),
            (0, 0),
            "what ends counts no more"
        );
    }

    #[test]
    fn of_many_connections_few_are_handed_over() {
        let seats = Crew::seats(2);
        let kept: Vec<_> = (0..80).map(|at| seats[at % 2].0.keep()).collect();
        let more: Vec<_> = (0..12).map(|_| arrive(&seats, 0)).collect();
        assert_eq!(more[10].at, 0, "51 is not over 40 and a quarter of it");
        assert_eq!(more[11].at, 1);
        drop(kept);
    }

    #[test]
    fn a_worker_that_takes_no_more_gets_no_more() {
        let mut seats = Crew::seats(2);
        let kept = seats[0].0.keep();
        seats[1].1.close();
        assert_eq!(arrive(&seats, 0).at, 0, "it goes down");
        drop(kept);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn wherever_connections_land_no_worker_has_a_quarter_more_than_its_part(
            landings in prop::collection::vec(0_usize..4, 64),
        ) {
            let seats = Crew::seats(4);
            let loads: Vec<_> = landings.iter().map(|at| arrive(&seats, *at)).collect();
            for count in counts(&loads, 4) {
                prop_assert!((12..=20).contains(&count), "{count} of 64");
            }
        }
    }
}
