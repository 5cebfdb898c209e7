//! What each side has to carry, and what a bad canary costs until it is rolled back.

use std::collections::BTreeMap;

use super::sides::Side;
use crate::{
    control::{Ahead, Traffic, until_found},
    model::{Role, Share, SplitName, UpstreamName, number::real},
};

/// What a canary may fail of its requests.
pub(super) const EFFECTS: [(&str, f64); 3] = [("all", 1.0), ("20%", 0.2), ("5%", 0.05)];

/// Of one upstream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Burden {
    /// Its name.
    pub(super) upstream: UpstreamName,
    /// Endpoints that get requests now, or that are written; `None`: nobody knows.
    pub(super) endpoints: Option<usize>,
    /// Requests a second before and after.
    pub(super) rate: (f64, f64),
}

impl Burden {
    /// Requests a second at each endpoint, before and after.
    pub(super) fn each(&self) -> Option<(f64, f64)> {
        let endpoints = self.endpoints.filter(|endpoints| *endpoints > 0)?;
        let endpoints = real(u64::try_from(endpoints).ok()?);
        Some((self.rate.0 / endpoints, self.rate.1 / endpoints))
    }
}

/// Every upstream of the new file that has traffic before or after.
pub(super) fn burdens(
    before: Option<&Side>,
    after: &Side,
    traffic: &BTreeMap<SplitName, Traffic>,
    usable: &BTreeMap<String, usize>,
) -> Vec<Burden> {
    let part = |side: Option<&Side>, upstream: &UpstreamName| -> f64 {
        let splits = side.iter().flat_map(|side| &side.plan.splits);
        let of = |split: &crate::plan::Split| {
            let rate = traffic.get(&split.name).map_or(0.0, |traffic| traffic.rate);
            let roles = [
                (Role::Stable, split.share.rest()),
                (Role::Canary, split.share),
            ];
            let is_it = |role| split.version(role).name.as_str() == upstream.as_str();
            let shares = roles.iter().filter(|(role, _)| is_it(*role));
            shares
                .map(|(_, share): &(Role, Share)| rate * share.ratio())
                .sum::<f64>()
        };
        splits.map(|split| of(split)).sum()
    };
    let upstreams = after.config.upstreams.iter();
    let all = upstreams.map(|upstream| Burden {
        upstream: upstream.name.clone(),
        endpoints: usable
            .get(upstream.name.as_str())
            .copied()
            .or_else(|| after.endpoints(&upstream.name)),
        rate: (
            part(before, &upstream.name),
            part(Some(after), &upstream.name),
        ),
    });
    all.filter(|burden| burden.rate != (0.0, 0.0)).collect()
}

/// What a bad canary costs at most.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Harm {
    /// Which split.
    pub(super) split: SplitName,
    /// For each of [`EFFECTS`]: requests that fail until the rollback; `None`: it is not found
    /// within a month.
    pub(super) failed: Vec<Option<f64>>,
}

/// Of one split, at the share that costs most of those that lie ahead; `None`: its canary gets
/// nothing, or everything.
pub(super) fn harm(
    after: &Side,
    name: &SplitName,
    traffic: &Traffic,
    steps: &[Ahead],
) -> Option<Harm> {
    let (written, split) = (after.written(name)?, after.split(name)?);
    let mut shares: Vec<Share> = steps.iter().map(|step| step.share).collect();
    shares.push(split.share);
    shares.retain(|share| *share != Share::ZERO && *share != Share::FULL);
    shares.sort_unstable();
    shares.dedup();
    if shares.is_empty() {
        return None;
    }
    let at = |share, rate: f64| {
        let need = until_found(written, share, traffic, rate)?;
        Some(real(need.requests) * rate)
    };
    let worst = |rate: f64| {
        let costs: Option<Vec<f64>> = shares.iter().map(|share| at(*share, rate)).collect();
        Some(costs?.into_iter().fold(0.0, f64::max).ceil())
    };
    Some(Harm {
        split: name.clone(),
        failed: EFFECTS.iter().map(|(_, rate)| worst(*rate)).collect(),
    })
}
