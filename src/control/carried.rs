//! Counters that begin at 0 with each worker, added up so that they never fall: when a worker or
//! one of its listeners begins anew, what it had counted before stays.

use std::collections::BTreeMap;

use crate::{
    measure::{Gauges, ListenerGauges},
    model::{ListenerName, Rejection},
};

/// Sums over all workers that there were.
#[derive(Debug, Default)]
pub(super) struct Carried {
    listeners: BTreeMap<ListenerName, ListenerGauges>,
    rejections: BTreeMap<Rejection, u64>,
}

impl Carried {
    /// A worker's gauges take the place of what it held before, if it held anything.
    pub(super) fn replace(&mut self, before: Option<&Gauges>, now: &Gauges) {
        for listener in &now.listeners {
            let before = before.and_then(|held| find(held, &listener.name));
            let sum = self.listeners.entry(listener.name.clone());
            let sum = sum.or_insert_with(|| nothing_of(&listener.name));
            let rise = |of: fn(&ListenerGauges) -> u64| rise(before.map(of), of(listener));
            sum.accepted += rise(|it| it.accepted);
            sum.refused += rise(|it| it.refused);
            sum.handshakes.0 += rise(|it| it.handshakes.0);
            sum.handshakes.1 += rise(|it| it.handshakes.1);
        }
        for (cause, count) in &now.rejections {
            let before = before.and_then(|held| held.rejections.iter().find(|it| it.0 == *cause));
            let sum = self.rejections.entry(*cause).or_default();
            *sum += rise(before.map(|it| it.1), *count);
        }
    }

    /// The sums of the listeners that are open at any of these workers, with what they hold now.
    pub(super) fn listeners<'a>(
        &self,
        workers: impl Iterator<Item = &'a Gauges>,
    ) -> Vec<ListenerGauges> {
        let mut open: BTreeMap<&ListenerName, u64> = BTreeMap::new();
        for listener in workers.flat_map(|held| &held.listeners) {
            *open.entry(&listener.name).or_default() += listener.open;
        }
        let summed = open.into_iter().filter_map(|(name, open)| {
            let sum = self.listeners.get(name)?;
            Some(ListenerGauges {
                open,
                ..sum.clone()
            })
        });
        summed.collect()
    }

    /// The sum of each cause, 0 included.
    pub(super) fn rejections(&self) -> Vec<(Rejection, u64)> {
        let sum = |cause: &Rejection| self.rejections.get(cause).copied().unwrap_or_default();
        let all = Rejection::ALL.iter();
        all.map(|cause| (*cause, sum(cause))).collect()
    }
}

fn find<'a>(held: &'a Gauges, name: &ListenerName) -> Option<&'a ListenerGauges> {
    held.listeners.iter().find(|known| known.name == *name)
}

fn nothing_of(name: &ListenerName) -> ListenerGauges {
    ListenerGauges {
        name: name.clone(),
        open: 0,
        accepted: 0,
        refused: 0,
        handshakes: (0, 0),
    }
}

/// How much a counter has counted since; one that is lower than before began anew.
fn rise(before: Option<u64>, now: u64) -> u64 {
    now.checked_sub(before.unwrap_or_default()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauges(accepted: u64, failed: u64, resets: u64) -> Gauges {
        let name = ListenerName::new("web").unwrap();
        Gauges {
            listeners: vec![ListenerGauges {
                open: 2,
                accepted,
                handshakes: (accepted, failed),
                ..nothing_of(&name)
            }],
            rejections: vec![(Rejection::Resets, resets)],
            ..Gauges::default()
        }
    }

    #[test]
    fn a_counter_does_not_fall_when_a_worker_begins_anew() {
        let mut carried = Carried::default();
        let lives = [gauges(5, 1, 3), gauges(7, 1, 4), gauges(2, 0, 1)];
        let mut before = None;
        for now in &lives {
            carried.replace(before, now);
            before = Some(now);
        }
        // Another worker, which has the same listener.
        carried.replace(None, &gauges(10, 2, 0));
        let others = gauges(10, 2, 0);
        let sums = carried.listeners([&lives[2], &others].into_iter());
        assert_eq!(sums.len(), 1);
        assert_eq!((sums[0].open, sums[0].accepted), (4, 19));
        assert_eq!(sums[0].handshakes, (19, 3));
        let rejections = carried.rejections();
        assert_eq!(rejections.len(), Rejection::ALL.len());
        assert!(rejections.contains(&(Rejection::Resets, 5)));
        assert!(rejections.contains(&(Rejection::BadHead, 0)));
    }

    #[test]
    fn a_listener_that_comes_back_goes_on_with_its_counters() {
        let mut carried = Carried::default();
        let (first, without, again) = (gauges(5, 0, 0), Gauges::default(), gauges(1, 0, 0));
        carried.replace(None, &first);
        carried.replace(Some(&first), &without);
        assert!(carried.listeners([&without].into_iter()).is_empty());
        carried.replace(Some(&without), &again);
        assert_eq!(carried.listeners([&again].into_iter())[0].accepted, 6);
    }
}
