//! Upstreams: their endpoints, connections and sources.

use std::collections::BTreeMap;

use super::text::{Kind, Text};
use crate::{
    control::{Status, Totals},
    model::{
        EndpointState, Reason,
        number::{real, real_len},
    },
};

pub(super) fn write(text: &mut Text, status: &Status, totals: &Totals) {
    endpoints(text, status, totals);
    checks(text, totals);
    connections(text, status, totals);
    sources(text, status, totals);
}

fn endpoints(text: &mut Text, status: &Status, totals: &Totals) {
    let help = "Endpoints by what is known of them.";
    text.family("upstream_endpoints", Kind::Gauge, help);
    for upstream in &status.upstreams {
        for (state, count) in EndpointState::ALL.iter().zip(upstream.states) {
            let labels = [
                ("upstream", upstream.name.as_str()),
                ("state", state.as_str()),
            ];
            text.sample(&labels, real_len(count));
        }
    }
    let help = "Requests under way, seen once a second.";
    text.family("upstream_inflight", Kind::Gauge, help);
    for upstream in &status.upstreams {
        let labels = [("upstream", upstream.name.as_str())];
        text.sample(&labels, real(upstream.in_flight));
    }
    let help = "Endpoints that got no requests for a while.";
    text.family("upstream_ejections", Kind::Counter, help);
    for upstream in &status.upstreams {
        let known = totals
            .ejections
            .iter()
            .find(|(name, _)| *name == upstream.name);
        let labels = [("upstream", upstream.name.as_str())];
        text.sample(&labels, real(known.map_or(0, |(_, count)| *count)));
    }
}

fn checks(text: &mut Text, totals: &Totals) {
    text.family("health_checks", Kind::Counter, "Answers to health checks.");
    for (upstream, passed, failed) in &totals.checks {
        for (result, count) in [("passed", passed), ("failed", failed)] {
            let labels = [("upstream", upstream.as_str()), ("result", result)];
            text.sample(&labels, real(*count));
        }
    }
}

fn connections(text: &mut Text, status: &Status, totals: &Totals) {
    let help = "Connections to endpoints, seen once a second: idle, or busy with a request.";
    text.family("upstream_connections", Kind::Gauge, help);
    for upstream in &status.upstreams {
        for (state, count) in [("idle", upstream.idle), ("busy", upstream.in_flight)] {
            let labels = [("upstream", upstream.name.as_str()), ("state", state)];
            text.sample(&labels, real(count));
        }
    }
    let help = "Connections made to endpoints, or why they could not be.";
    text.family("upstream_connects", Kind::Counter, help);
    let mut counts = BTreeMap::new();
    for (key, cell) in &totals.series {
        for (reason, count) in cell.connects.iter() {
            *counts.entry((key.version.as_str(), reason)).or_default() += count;
        }
    }
    for ((upstream, reason), count) in counts {
        let result = if reason == Reason::None {
            "ok"
        } else {
            reason.as_str()
        };
        text.sample(&[("upstream", upstream), ("result", result)], real(count));
    }
    let help = "Bytes of bodies that are held for slow clients, or to be sent again.";
    text.family("buffered_bytes", Kind::Gauge, help);
    let bytes = totals.workers.iter().map(|worker| worker.held_bytes);
    text.sample(&[], real(bytes.sum()));
}

fn sources(text: &mut Text, status: &Status, totals: &Totals) {
    let help = "Since a source last answered well.";
    text.family("discovery_age_seconds", Kind::Gauge, help);
    for upstream in &status.upstreams {
        if let Some(age) = upstream.age {
            text.sample(&[("upstream", upstream.name.as_str())], age.as_secs_f64());
        }
    }
    text.family("discovery_updates", Kind::Counter, "Answers of sources.");
    for (upstream, result, count) in &totals.discoveries {
        let labels = [("upstream", upstream.as_str()), ("result", result)];
        text.sample(&labels, real(*count));
    }
}
