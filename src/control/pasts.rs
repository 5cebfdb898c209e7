//! Stable's recent past by route: what a route is compared with at first.
//!
//! Two slots of half a minute, the older one replaced: between half a minute and a whole one. A
//! split with one route needs none, its window says the same.

use std::time::Duration;

use crate::{
    judge::RouteBaseline,
    measure::{Cell, Latencies},
    model::{Moment, RouteName},
};

/// How long a slot is filled.
const SLOT: Duration = Duration::from_secs(30);

/// Counts of one slot.
#[derive(Debug, Default)]
struct Slot {
    requests: u64,
    failures: u64,
    latency: Latencies,
}

impl Slot {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.latency.merge(&other.latency);
    }
}

/// One route's past.
#[derive(Debug)]
struct Past {
    name: RouteName,
    now: Slot,
    before: Slot,
}

/// The past of every route; empty for a split with one.
#[derive(Debug, Default)]
pub(super) struct Pasts {
    list: Vec<Past>,
    since: Option<Moment>,
}

impl Pasts {
    /// Keeps what is known of the routes that the split has now.
    pub(super) fn align(&mut self, routes: &[RouteName]) {
        let are_same = self.list.iter().map(|past| &past.name).eq(routes);
        if are_same {
            return;
        }
        let mut old = std::mem::take(&mut self.list);
        let are_several = routes.len() > 1;
        for name in routes.iter().filter(|_| are_several) {
            let known = old.iter().position(|past| past.name == *name);
            let fresh = || Past {
                name: name.clone(),
                now: Slot::default(),
                before: Slot::default(),
            };
            let past = known.map_or_else(fresh, |at| old.swap_remove(at));
            self.list.push(past);
        }
    }

    /// Counts what stable did on a route.
    pub(super) fn add(&mut self, route: usize, cell: &Cell, now: Moment) {
        let since = *self.since.get_or_insert(now);
        if now.since(since) >= SLOT {
            for past in &mut self.list {
                past.before = std::mem::take(&mut past.now);
            }
            self.since = Some(now);
        }
        if let Some(past) = self.list.get_mut(route) {
            past.now.requests += cell.trials;
            past.now.failures += cell.failures;
            past.now.latency.merge(&cell.latency);
        }
    }

    /// What the judge begins with.
    pub(super) fn baselines(&self) -> Vec<RouteBaseline> {
        let baseline = |past: &Past| {
            let mut sum = Slot::default();
            sum.add(&past.before);
            sum.add(&past.now);
            RouteBaseline {
                name: past.name.clone(),
                requests: sum.requests,
                failures: sum.failures,
                latency: sum.latency,
            }
        };
        self.list.iter().map(baseline).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_minute_to_a_minute_of_each_route_is_known() {
        let names = ["a", "b"].map(|name| RouteName::new(name).unwrap());
        let mut pasts = Pasts::default();
        pasts.align(&names);
        let cell = Cell {
            trials: 10,
            failures: 1,
            ..Cell::default()
        };
        for second in 0..100 {
            pasts.add(1, &cell, Moment::from_millis(second * 1_000));
        }
        let requests = |pasts: &Pasts| {
            let baselines = pasts.baselines().into_iter();
            baselines
                .map(|route| (route.name.to_string(), route.requests, route.failures))
                .collect::<Vec<_>>()
        };
        let known = ("b".to_owned(), 400, 40);
        assert_eq!(requests(&pasts), [("a".to_owned(), 0, 0), known.clone()]);
        // A route keeps its past when another one goes or comes.
        let [a, b] = names;
        pasts.align(&[b.clone(), RouteName::new("c").unwrap(), a]);
        assert_eq!(requests(&pasts)[0], known);
        pasts.align(&[b]);
        assert_eq!(requests(&pasts), [], "one route needs none");
    }
}
