//! From what was written, what is alive and what is decided: the plan.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use super::{
    Affinity, Assets, Classify, ClientTls, Keys, Listener, Near, Override, Plan, Retry, Ring,
    Routes, Secrets, Split, Target, Tls, Upstream, Version, WarmUp, affinity::Bond,
    warm_up::warming,
};
use crate::{
    config::{self, Config},
    model::{
        Endpoint, EndpointKey, Epoch, Generation, Moment, Nonce, RouteId, Share, SplitId,
        SplitName, Stage, UpstreamId, UpstreamName, VersionName, Zone,
    },
};

/// What control has decided for one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Of its rollout; with the nonce, what cookies are bound to.
    pub epoch: Epoch,
    /// Tells rollouts of the same epoch apart.
    pub nonce: Nonce,
    /// The stage that samples carry.
    pub stage: Stage,
    /// The canary's share.
    pub share: Share,
}

impl Shift {
    /// Nothing was decided: stable only.
    const NONE: Self = Self {
        epoch: Epoch(0),
        nonce: Nonce(0),
        stage: Stage(0),
        share: Share::ZERO,
    };
}

/// What [`compile`] needs.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// What the human wrote.
    pub config: &'a Config,
    /// The last good endpoints by upstream.
    pub endpoints: &'a HashMap<UpstreamName, Arc<[Endpoint]>>,
    /// By split; a split that is not here gets its stable version only.
    pub shifts: &'a HashMap<SplitName, Shift>,
    /// What cookies and overrides are signed with.
    pub secrets: &'a Secrets,
    /// What the `tls` keys of the config name.
    pub tls: &'a Tls,
    /// The plan in force: parts that did not change are shared.
    pub previous: Option<&'a Plan>,
    /// The number of the new plan.
    pub generation: Generation,
    /// When it is made.
    pub now: Moment,
}

/// Makes a plan. Pure: the same inputs and keys give the same plan.
pub fn compile(inputs: &Inputs<'_>, keys: &mut Keys) -> Plan {
    let (config, previous) = (inputs.config, inputs.previous);
    let listeners = compile_listeners(inputs, keys);
    let ids: Ids<'_> = config
        .upstreams
        .iter()
        .map(|upstream| &upstream.name)
        .zip(numbers(UpstreamId))
        .collect();
    // A config is consistent: no split is ever left out.
    let known = config
        .splits
        .iter()
        .filter(|split| ids.contains_key(&split.stable));
    let written: Vec<&config::Split> = known.collect();
    let matches = written
        .iter()
        .zip(numbers(SplitId))
        .flat_map(|(split, id)| {
            let routes = split.routes.iter().zip(numbers(RouteId));
            routes.map(move |(found, route)| (id, route, found))
        });
    let routes = shared(Routes::new(matches), previous.map(|plan| &plan.routes));

    let old: FxHashMap<_, _> = previous
        .iter()
        .flat_map(|plan| &plan.splits)
        .map(|split| (&split.name, split))
        .collect();
    let splits = written.iter().filter_map(|split| {
        let new = compile_split(split, &ids, inputs, keys)?;
        let same = old.get(&new.name).copied();
        Some(shared(new, same))
    });
    let splits = splits.collect();

    let old: FxHashMap<_, _> = previous
        .iter()
        .flat_map(|plan| &plan.upstreams)
        .map(|up| (&up.name, up))
        .collect();
    let upstreams = config.upstreams.iter().map(|upstream| {
        let endpoints = inputs
            .endpoints
            .get(&upstream.name)
            .map_or(&[][..], |list| list);
        let tls = inputs.tls.clients.get(&upstream.name);
        let same = old.get(&upstream.name).copied();
        let before = (same.map(|old| &**old), inputs.now);
        let new = compile_upstream((upstream, endpoints), tls, before, keys);
        shared(new, same)
    });
    let upstreams: Box<[_]> = upstreams.collect();
    let owners = owners(&upstreams, previous);
    let warming_until = upstreams.iter().map(|upstream| upstream.warming_until());
    let warming_until = warming_until.max().unwrap_or(Moment::ZERO);

    Plan {
        generation: inputs.generation,
        listeners,
        routes,
        splits,
        upstreams,
        long_lived: config.drain.long_lived,
        warming_until,
        owners,
    }
}

type Ids<'a> = FxHashMap<&'a UpstreamName, UpstreamId>;

fn numbers<T>(id: impl Fn(u32) -> T) -> impl Iterator<Item = T> {
    (0..).map(id)
}

/// The old one if it is the same: workers and pools need not look at it again.
fn shared<T: PartialEq>(new: T, old: Option<&Arc<T>>) -> Arc<T> {
    old.filter(|old| ***old == new)
        .map_or_else(|| Arc::new(new), Arc::clone)
}

/// Whose each endpoint is: made here, so that workers need not.
fn owners(
    upstreams: &[Arc<Upstream>],
    previous: Option<&Plan>,
) -> Arc<FxHashMap<EndpointKey, UpstreamId>> {
    let are_shared = |plan: &&Plan| {
        let pairs = || plan.upstreams.iter().zip(upstreams);
        plan.upstreams.len() == upstreams.len() && pairs().all(|(old, new)| Arc::ptr_eq(old, new))
    };
    if let Some(plan) = previous.filter(are_shared) {
        return Arc::clone(&plan.owners);
    }
    let count = upstreams.iter().map(|upstream| upstream.endpoints.len());
    let mut owners = FxHashMap::with_capacity_and_hasher(count.sum(), rustc_hash::FxBuildHasher);
    for (upstream, id) in upstreams.iter().zip(numbers(UpstreamId)) {
        owners.extend(upstream.endpoints.iter().map(|target| (target.key, id)));
    }
    Arc::new(owners)
}

/// A listener whose certificates nobody has read is left out: it must not speak plain text.
fn compile_listeners(inputs: &Inputs<'_>, keys: &mut Keys) -> Arc<[Listener]> {
    let old = inputs.previous.map(|plan| &plan.listeners);
    let listeners = inputs.config.listeners.iter().filter_map(|written| {
        let tls = match written.tls {
            Some(_) => {
                let tls = inputs.tls.servers.get(&written.name)?;
                let known = old.iter().flat_map(|old| old.iter());
                let known = known.filter_map(|known| known.tls.as_ref());
                // Its sessions are kept with it.
                let same = known.into_iter().find(|known| *known == tls).cloned();
                Some(same.unwrap_or_else(|| tls.with_tickets(keys.tickets())))
            }
            None => None,
        };
        let written = Arc::new(written.clone());
        Some(Listener { written, tls })
    });
    let listeners: Vec<Listener> = listeners.collect();
    match old {
        Some(old) if **old == *listeners => Arc::clone(old),
        Some(_) | None => listeners.into(),
    }
}

fn compile_split(
    split: &config::Split,
    ids: &Ids<'_>,
    inputs: &Inputs<'_>,
    keys: &mut Keys,
) -> Option<Split> {
    let version = |name: &UpstreamName| {
        ids.get(name).map(|id| Version {
            name: VersionName::from(name),
            upstream: *id,
        })
    };
    let shift = inputs
        .shifts
        .get(&split.name)
        .copied()
        .unwrap_or(Shift::NONE);
    let canary = split.canary.as_ref().and_then(version);
    let bond = Bond {
        epoch: shift.epoch,
        nonce: shift.nonce,
        canary: canary.as_ref().map(|version| &version.name),
    };
    let affinity = split.sticky.as_ref();
    let affinity = affinity.map(|sticky| Affinity::new(sticky, &split.name, inputs.secrets, bond));
    let version_override = split.version_override.as_ref();
    Some(Split {
        name: split.name.clone(),
        key: keys.split(&split.name),
        stage: shift.stage,
        routes: split
            .routes
            .iter()
            .map(|found| found.name.clone())
            .collect(),
        stable: version(&split.stable)?,
        share: if canary.is_some() {
            shift.share
        } else {
            Share::ZERO
        },
        canary,
        affinity,
        version_override: version_override
            .and_then(|written| Override::new(written, &split.name, inputs.secrets)),
        retry: Retry::new(&split.retry_policy, split.on_unhealthy),
        hedge: split.hedge.clone(),
        assets: split.assets.as_ref().map(Assets::new),
        request_start: split.request_start,
        classify: Classify::new(&split.classify),
        response_header: split.timeouts.response_header,
        total: split.timeouts.total,
    })
}

fn compile_upstream(
    (upstream, endpoints): (&config::Upstream, &[Endpoint]),
    tls: Option<&ClientTls>,
    (before, now): (Option<&Upstream>, Moment),
    keys: &mut Keys,
) -> Upstream {
    let tls = tls.filter(|_| upstream.tls.is_some());
    // Without what its TLS is made of, nothing is sent there at all.
    let is_ready = tls.is_some() == upstream.tls.is_some();
    let usable = endpoints
        .iter()
        .filter(|found| found.is_usable() && is_ready);
    let usable: Vec<&Endpoint> = usable.collect();
    let addresses = usable.iter().map(|endpoint| endpoint.address);
    let (ward, found) = keys.endpoints(&upstream.name, addresses);
    let before = before.map_or(&[][..], |before| &before.endpoints);
    let mut targets: Vec<(Target, Option<Zone>)> = found
        .into_iter()
        .zip(usable)
        .map(|((key, vitals), endpoint)| {
            let new = Target::new(key, endpoint.address, endpoint.weight);
            let target = Target {
                vitals,
                ..came(new, before, (upstream.warm_up.is_some(), now))
            };
            (target, endpoint.zone.clone())
        })
        .collect();
    // Discovery may answer in any order and name an address twice; the plan must not care.
    targets.sort_by_key(|(target, _)| target.key);
    targets.dedup_by_key(|(target, _)| target.key);
    let (targets, zones): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    let endpoints = Target::list(targets);
    let balance = upstream.balance.clone();
    let own = balance.zone.as_ref();
    let warm_up = upstream.warm_up.as_ref();
    let new_until = new_until(&endpoints, (warm_up, balance.slow_start), now);
    Upstream {
        name: upstream.name.clone(),
        protocol: upstream.protocol,
        tls: tls.cloned(),
        proxy_protocol: upstream.proxy_protocol,
        timeouts: upstream.timeouts,
        max_idle_connections: upstream.max_idle_connections,
        buffer: upstream.buffer,
        outlier_detection: upstream.outlier_detection.clone(),
        circuit_breaker: upstream.circuit_breaker,
        ward,
        new_until,
        warming: warming(&endpoints, warm_up, (new_until, now)),
        warm_up: upstream.warm_up.clone(),
        near: own.and_then(|own| Near::new(&endpoints, &zones, own)),
        ring: Ring::new(&balance.policy, &endpoints),
        balance,
        endpoints,
    }
}

/// An endpoint with when it came, and how far it has warmed up. Those that came first were there
/// from the start.
fn came(target: Target, before: &[Target], (warms_up, now): (bool, Moment)) -> Target {
    let known = before.binary_search_by_key(&target.key, |target| target.key);
    match known.ok().and_then(|place| before.get(place)) {
        Some(known) => Target {
            since: known.since,
            warmth: known.warmth.clone(),
            ..target
        },
        None if before.is_empty() => target,
        None => Target {
            since: now,
            warmth: warms_up.then(Arc::default),
            ..target
        },
    }
}

/// Until when some endpoints are new. If more than half of them are, none is spared: the others
/// would have to carry it all.
fn new_until(
    targets: &[Target],
    (warm_up, slow_start): (Option<&WarmUp>, Duration),
    now: Moment,
) -> Moment {
    let until = |target: &Target| target.ready(warm_up) + slow_start;
    let came = || targets.iter().filter(|target| target.since > Moment::ZERO);
    let new = came().filter(|target| now < until(target)).count();
    if new * 2 > targets.len() {
        return Moment::ZERO;
    }
    came().map(until).max().unwrap_or(Moment::ZERO)
}
