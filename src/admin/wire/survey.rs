//! Endpoints as the page draws them: a cell each, or a cell for some when there are thousands.
//!
//! An event must stay small however many endpoints there are, so neighbours share a cell then, and
//! a cell looks like the worst of them: one bad endpoint of 5,000 is not lost among good ones.

use serde::{Deserialize, Serialize};

use crate::{control::EndpointStatus, model::EndpointState};

/// How many cells all upstreams have together, about.
const CELLS_MAX: usize = 2_048;
/// The most cells of one upstream, and the fewest that it can have.
const CELLS_OF_ONE: (usize, usize) = (256, 8);

/// How many endpoints there are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct States {
    /// They get requests.
    pub healthy: usize,
    /// Checks fail.
    pub unhealthy: usize,
    /// Out for a while, because of how they answered.
    pub ejected: usize,
    /// New: they get less.
    pub warming: usize,
    /// Their source says that they go.
    pub draining: usize,
}

/// An `endpoints` event of the event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// In the order of the file.
    pub upstreams: Vec<Surveyed>,
}

/// One upstream's endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surveyed {
    /// Its name.
    pub upstream: String,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// How many share a cell, at most.
    pub per_cell: usize,
    /// By address.
    pub cells: Vec<Cell>,
}

/// One endpoint, or some neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How many endpoints it stands for.
    pub count: usize,
    /// The address of the worst of them.
    pub address: String,
    /// Its state.
    pub state: String,
    /// Why it is ejected or unhealthy.
    pub why: Option<String>,
    /// For how long it is ejected still.
    pub ejected_seconds: Option<f64>,
    /// Failures in a row, the most of one.
    pub failures: u32,
    /// Until it begins to answer, the slowest.
    pub latency_ms: Option<f64>,
    /// Requests under way at all of them.
    pub in_flight: u32,
}

impl From<[usize; 5]> for States {
    /// In the order of [`EndpointState::ALL`].
    fn from(counts: [usize; 5]) -> Self {
        let mut states = Self::default();
        for (state, count) in EndpointState::ALL.iter().zip(counts) {
            match *state {
                EndpointState::Healthy => states.healthy = count,
                EndpointState::Unhealthy => states.unhealthy = count,
                EndpointState::Ejected => states.ejected = count,
                EndpointState::Warming => states.warming = count,
                EndpointState::Draining => states.draining = count,
            }
        }
        states
    }
}

impl From<Vec<EndpointStatus>> for Survey {
    /// Of all endpoints, those of an upstream beside each other.
    fn from(all: Vec<EndpointStatus>) -> Self {
        let of_one = |a: &EndpointStatus, b: &EndpointStatus| a.upstream == b.upstream;
        let count = all.chunk_by(of_one).count().max(1);
        let (most, fewest) = CELLS_OF_ONE;
        let cells_max = (CELLS_MAX / count).clamp(fewest, most);
        let upstreams = all.chunk_by(of_one);
        Self {
            upstreams: upstreams
                .filter_map(|endpoints| surveyed(endpoints, cells_max))
                .collect(),
        }
    }
}

fn surveyed(endpoints: &[EndpointStatus], cells_max: usize) -> Option<Surveyed> {
    let per_cell = endpoints.len().div_ceil(cells_max).max(1);
    Some(Surveyed {
        upstream: endpoints.first()?.upstream.to_string(),
        endpoints: endpoints.len(),
        per_cell,
        cells: endpoints.chunks(per_cell).filter_map(cell).collect(),
    })
}

fn cell(endpoints: &[EndpointStatus]) -> Option<Cell> {
    let worst = endpoints
        .iter()
        .max_by_key(|endpoint| (gravity(endpoint.state), endpoint.failures, endpoint.latency))?;
    let slowest = endpoints.iter().filter_map(|endpoint| endpoint.latency);
    let millis = |seconds: f64| (seconds * 1e4).round() / 10.0;
    Some(Cell {
        count: endpoints.len(),
        address: worst.address.to_string(),
        state: worst.state.to_string(),
        why: worst.why.clone(),
        ejected_seconds: worst.out_for.map(|left| left.as_secs_f64().round()),
        failures: endpoints
            .iter()
            .map(|endpoint| endpoint.failures)
            .max()
            .unwrap_or_default(),
        latency_ms: slowest.max().map(|took| millis(took.as_secs_f64())),
        in_flight: endpoints.iter().map(|endpoint| endpoint.in_flight).sum(),
    })
}

/// What a person wants to know of first.
const fn gravity(state: EndpointState) -> u8 {
    match state {
        EndpointState::Healthy => 0,
        EndpointState::Draining => 1,
        EndpointState::Warming => 2,
        EndpointState::Unhealthy => 3,
        EndpointState::Ejected => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::UpstreamName;

    fn endpoints(upstream: &str, count: u16) -> Vec<EndpointStatus> {
        let endpoint = |number: u16| EndpointStatus {
            upstream: UpstreamName::new(upstream).unwrap(),
            address: ([10, 0, 0, 1], number).into(),
            zone: None,
            version: None,
            weight: 1,
            state: EndpointState::Healthy,
            warmth: 256,
            age: None,
            failures: 0,
            why: None,
            out_for: None,
            in_flight: 1,
            latency: Some(Duration::from_micros(4_260)),
        };
        (0..count).map(endpoint).collect()
    }

    #[test]
    fn a_few_endpoints_have_a_cell_each() {
        let mut all = endpoints("old", 3);
        all.extend(endpoints("new", 1));
        let survey = Survey::from(all);
        let shown: Vec<_> = survey
            .upstreams
            .iter()
            .map(|it| {
                (
                    it.upstream.as_str(),
                    it.endpoints,
                    it.per_cell,
                    it.cells.len(),
                )
            })
            .collect();
        assert_eq!(shown, [("old", 3, 1, 3), ("new", 1, 1, 1)]);
        let first = &survey.upstreams[0].cells[0];
        assert_eq!((first.count, first.latency_ms), (1, Some(4.3)));
    }

    #[test]
    fn thousands_share_cells_and_a_bad_one_is_seen() {
        let mut all = endpoints("old", 5_000);
        all[3_333].state = EndpointState::Ejected;
        all[3_333].why = Some("5 failures in a row".to_owned());
        all[3_334].failures = 4;
        let survey = Survey::from(all);
        let old = &survey.upstreams[0];
        assert!(
            old.cells.len() <= 256 && old.per_cell == 20,
            "{}",
            old.cells.len()
        );
        assert_eq!(
            old.cells.iter().map(|cell| cell.count).sum::<usize>(),
            5_000
        );
        let bad: Vec<_> = old
            .cells
            .iter()
            .filter(|it| it.state == "ejected")
            .collect();
        assert_eq!(bad.len(), 1);
        assert_eq!(
            (bad[0].address.as_str(), bad[0].failures),
            ("10.0.0.1:3333", 4)
        );
        let length = super::super::to_json(&survey).len();
        assert!(length < 64 << 10, "{length}");
    }

    #[test]
    fn many_upstreams_keep_the_event_small() {
        let mut all = Vec::new();
        for number in 0..1_000 {
            all.extend(endpoints(&format!("u{number}"), 40));
        }
        let cells = Survey::from(all).upstreams;
        assert!(cells.iter().all(|upstream| upstream.cells.len() <= 8));
    }
}
