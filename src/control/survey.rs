//! All endpoints as they are now: for those who ask, and counted by state for all.

use std::{collections::HashMap, net::SocketAddr};

use super::{Control, EndpointStatus};
use crate::{
    measure::EndpointGauge,
    model::{Endpoint, EndpointKey, EndpointState, Moment, UpstreamName},
    plan::{Target, Upstream},
};

/// What workers have under way at an endpoint, together, and the slowest of what they expect.
type Gauges = HashMap<EndpointKey, EndpointGauge>;

impl Control {
    /// Every endpoint of every upstream, in the order of the file.
    pub(super) fn survey(&mut self, now: Moment) -> Vec<EndpointStatus> {
        let plan = self.in_force.plan();
        let gauges = self.book.endpoints();
        let upstreams = plan.upstreams.iter();
        let all = upstreams.flat_map(|upstream| self.survey_of(upstream, &gauges, now));
        all.collect()
    }

    fn survey_of(&self, upstream: &Upstream, gauges: &Gauges, now: Moment) -> Vec<EndpointStatus> {
        let targets: HashMap<SocketAddr, &Target> = upstream
            .endpoints
            .iter()
            .map(|target| (target.address, target))
            .collect();
        let known = self.in_force.endpoints.in_force(&upstream.name);
        let source = self.in_force.endpoints.get(&upstream.name);
        let unwell = |address| {
            let why = source.and_then(|known| known.health.why(address));
            why.map(|why| why.to_string())
        };
        let status = |endpoint: &Endpoint| {
            let target = targets.get(&endpoint.address).copied();
            let state = target.map_or_else(
                || unused(endpoint),
                |target| state_of(upstream, target, now),
            );
            let gauge = target.and_then(|target| gauges.get(&target.key));
            let out = target.and_then(|target| self.ejections.get(target.key));
            EndpointStatus {
                upstream: upstream.name.clone(),
                address: endpoint.address,
                zone: endpoint.zone.clone(),
                version: endpoint.version.clone(),
                weight: endpoint.weight,
                state,
                warmth: target.map_or(0, |target| upstream.warmth(target, now)),
                age: target
                    .filter(|target| target.since > Moment::ZERO)
                    .map(|target| now.since(target.since)),
                failures: target.map_or(0, |target| target.vitals.failures()),
                why: match state {
                    EndpointState::Ejected => out.map(|out| out.why.clone()),
                    EndpointState::Unhealthy => unwell(endpoint.address),
                    EndpointState::Healthy | EndpointState::Warming | EndpointState::Draining => {
                        None
                    }
                },
                out_for: target
                    .filter(|target| !target.vitals.is_ejected_for_good())
                    .and_then(|target| target.vitals.until())
                    .map(|until| until.since(now))
                    .filter(|left| !left.is_zero()),
                in_flight: gauge.map_or(0, |gauge| gauge.in_flight),
                latency: gauge.and_then(|gauge| gauge.latency),
            }
        };
        known.iter().map(status).collect()
    }

    /// Requests under way, and connections that wait for one, by upstream.
    pub(super) fn in_flight(&mut self) -> HashMap<UpstreamName, (u64, u64)> {
        let plan = self.in_force.plan();
        let mut sums = HashMap::new();
        for gauge in self.book.endpoints().values() {
            if let Some(upstream) = plan.owner(gauge.endpoint) {
                let (busy, idle): &mut (u64, u64) = sums.entry(upstream.name.clone()).or_default();
                *busy += u64::from(gauge.in_flight);
                *idle += u64::from(gauge.idle);
            }
        }
        sums
    }

    /// How many endpoints of an upstream there are in each state, in the order of
    /// [`EndpointState::ALL`].
    pub(super) fn states(&mut self, upstream: &UpstreamName, now: Moment) -> [usize; 5] {
        let plan = self.in_force.plan();
        let mut counts = [0; 5];
        let mut count = |state: EndpointState| {
            let place = EndpointState::ALL.iter().position(|known| *known == state);
            if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
                *count += 1;
            }
        };
        let known = self.in_force.endpoints.in_force(upstream);
        let unused_ones = known.iter().filter(|endpoint| !endpoint.is_usable());
        unused_ones.for_each(|endpoint| count(unused(endpoint)));
        let mut upstreams = plan.upstreams.iter();
        if let Some(upstream) = upstreams.find(|known| known.name == *upstream) {
            let targets = upstream.endpoints.iter();
            targets.for_each(|target| count(state_of(upstream, target, now)));
        }
        counts
    }
}

/// Of an endpoint that no requests go to.
fn unused(endpoint: &Endpoint) -> EndpointState {
    if endpoint.draining {
        EndpointState::Draining
    } else {
        EndpointState::Unhealthy
    }
}

fn state_of(upstream: &Upstream, target: &Target, now: Moment) -> EndpointState {
    match upstream.warmth(target, now) {
        _ if target.vitals.is_ejected(now) => EndpointState::Ejected,
        256.. => EndpointState::Healthy,
        _ => EndpointState::Warming,
    }
}
