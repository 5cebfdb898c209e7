//! The routes of a split, each judged by itself beside the whole.
//!
//! A fault of one route in sixty is diluted in the whole; a fault of all is diluted in each. So
//! half of alpha is staked on the whole and half on the routes, by their shares of the traffic
//! before the rollout, none less than a quarter of an even part. The weights are fixed before
//! anything is seen of the canary: the weighted sum of test martingales is one.

use super::{
    counted::{Extent, Tested},
    criteria::Criteria,
    strand::{Past, Strand},
    told::RouteBaseline,
};
use crate::{
    measure::Latencies,
    model::{
        Moment, RouteName,
        number::{real, real_len},
    },
};

/// The share of alpha that the whole keeps when there are several routes.
const OF_WHOLE: f64 = 0.5;
/// Stable's requests before the shares of the routes are believed.
const KNOWN: u64 = 200;
/// More routes than this are not judged by themselves.
const ROUTES_MAX: usize = 1_024;

/// One route.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// Its name.
    pub name: RouteName,
    /// Its share of alpha.
    pub weight: f64,
    /// Its tests.
    pub strand: Strand,
}

/// All routes; none if there are fewer than two.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    list: Vec<Route>,
    sum: f64,
}

impl Routes {
    /// Nothing seen yet but stable's past.
    pub(super) fn new(criteria: &Criteria, baseline: &[RouteBaseline], at: Moment) -> Self {
        let are_judged = (2..=ROUTES_MAX).contains(&baseline.len());
        let baseline = if are_judged { baseline } else { &[] };
        let weights = weights(baseline);
        let route = |(route, weight): (&RouteBaseline, f64)| Route {
            name: route.name.clone(),
            weight,
            strand: Strand::new(Extent::Route, criteria, past(route), at),
        };
        Self {
            list: baseline.iter().zip(weights).map(route).collect(),
            sum: 0.0,
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.list.iter()
    }

    /// The tests of one.
    pub(super) fn strand(&mut self, route: usize) -> Option<&mut Strand> {
        self.list.get_mut(route).map(|route| &mut route.strand)
    }

    /// Thresholds follow stable's recent past, and harm may begin now.
    pub(super) fn begin_stage(
        &mut self,
        baseline: &[RouteBaseline],
        criteria: &Criteria,
        at: Moment,
    ) {
        let nothing = Latencies::new();
        for (place, route) in self.list.iter_mut().enumerate() {
            let past = baseline.get(place).filter(|past| past.name == route.name);
            let latency = past.map_or(&nothing, |past| &past.latency);
            route.strand.begin_stage(latency, criteria, at);
        }
    }

    /// From now on the evidence of errors is divided by this.
    pub(super) fn disperse(&mut self, index: f64) {
        self.each(|strand| strand.errors.disperse(index));
    }

    /// Does something to the tests of each.
    pub(super) fn each(&mut self, act: impl Fn(&mut Strand)) {
        for route in &mut self.list {
            act(&mut route.strand);
        }
    }

    /// Takes stock after a tick of one of them.
    pub(super) fn settle(&mut self) {
        let parts = self.list.iter();
        self.sum = parts.map(|route| route.weight * route.strand.sum()).sum();
    }

    /// The weight of the whole, and the evidence of all routes by their weights.
    pub(super) fn stock(&self) -> (f64, f64) {
        if self.list.is_empty() {
            (1.0, 0.0)
        } else {
            (OF_WHOLE, self.sum)
        }
    }

    /// The largest part of any route, by its weight.
    pub(super) fn largest(&self) -> Option<(&Route, Tested)> {
        let parts = self.list.iter().filter_map(|route| {
            let part = *route.strand.largest()?;
            let evidence = route.weight * part.evidence;
            Some((route, Tested { evidence, ..part }))
        });
        parts.max_by(|a, b| a.1.evidence.total_cmp(&b.1.evidence))
    }

    /// A route by its name.
    pub(super) fn get(&self, name: &RouteName) -> Option<&Route> {
        self.list.iter().find(|route| route.name == *name)
    }
}

fn past(route: &RouteBaseline) -> Past<'_> {
    Past {
        requests: route.requests,
        failures: route.failures,
        latency: &route.latency,
    }
}

/// What each route has of alpha.
fn weights(baseline: &[RouteBaseline]) -> Vec<f64> {
    let all: u64 = baseline.iter().map(|route| route.requests).sum();
    let even = 1.0 / real_len(baseline.len().max(1));
    let share = |route: &RouteBaseline| {
        if all < KNOWN {
            even
        } else {
            (real(route.requests) / real(all)).max(even / 4.0)
        }
    };
    let shares: Vec<f64> = baseline.iter().map(share).collect();
    let sum: f64 = shares.iter().sum();
    let of_routes = 1.0 - OF_WHOLE;
    shares.iter().map(|share| of_routes * share / sum).collect()
}
