//! Endpoints as they are now, and acts on them.

use serde::{Deserialize, Serialize};

use crate::{
    control::EndpointStatus,
    model::number::{real, whole},
};

/// `GET /v1/endpoints`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// By upstream in the order of the file, by address.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Whose.
    pub upstream: String,
    /// Address and port.
    pub address: String,
    /// Where it runs.
    pub zone: Option<String>,
    /// What runs there.
    pub version: Option<String>,
    /// Relative to the others.
    pub weight: u32,
    /// `healthy`, `unhealthy`, `ejected`, `warming`, `draining`.
    pub state: String,
    /// The part of its weight that it has now: less than 100 while it is new.
    pub weight_percent: u64,
    /// Since it came; `null`: it was there from the start, or gets no requests.
    pub age_seconds: Option<f64>,
    /// In a row.
    pub failures: u32,
    /// Why it is ejected or unhealthy.
    pub why: Option<String>,
    /// For how long still; `null`: it is not, or until somebody takes it back.
    pub ejected_seconds: Option<f64>,
    /// Requests under way.
    pub in_flight: u32,
    /// Until it begins to answer, as the most sceptical worker sees it.
    pub latency_ms: Option<f64>,
}

/// The body of `POST /v1/endpoints/{address}:eject` and `:uneject`; all of it is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointAct {
    /// Of this upstream only.
    pub upstream: Option<String>,
    /// For so long; without it until somebody takes it back.
    pub seconds: Option<u64>,
    /// Why.
    pub reason: Option<String>,
}

/// What an act on an endpoint has led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointDone {
    /// In words.
    pub message: String,
}

impl From<Vec<EndpointStatus>> for Endpoints {
    fn from(all: Vec<EndpointStatus>) -> Self {
        Self {
            endpoints: all.iter().map(Endpoint::from).collect(),
        }
    }
}

impl From<&EndpointStatus> for Endpoint {
    fn from(status: &EndpointStatus) -> Self {
        let millis = |seconds: f64| real(whole(seconds * 1e4)) / 10.0;
        Self {
            upstream: status.upstream.to_string(),
            address: status.address.to_string(),
            zone: status.zone.as_ref().map(ToString::to_string),
            version: status.version.as_ref().map(ToString::to_string),
            weight: status.weight,
            state: status.state.to_string(),
            weight_percent: (status.warmth * 100).div_ceil(256),
            age_seconds: status.age.map(|age| age.as_secs_f64()),
            failures: status.failures,
            why: status.why.clone(),
            ejected_seconds: status.out_for.map(|left| left.as_secs_f64()),
            in_flight: status.in_flight,
            latency_ms: status.latency.map(|took| millis(took.as_secs_f64())),
        }
    }
}
