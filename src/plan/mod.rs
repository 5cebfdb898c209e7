//! What the proxy obeys right now: one immutable snapshot.
//!
//! *Owns:* matching, splitting, affinity, endpoint choice, what counts against a version, the same
//! in words; the snapshot and its publication.
//! *Does not know:* rollouts, judges, sockets, the clock, chance (the caller brings both).
//! *Invariants:* I1 (only control publishes), I5 (one request reads one plan), generations rise.
//! *Read next:* `route.rs`, `split.rs`, `affinity.rs`, then `crate::proxy::handle`.

mod affinity;
mod assets;
mod balance;
mod choose;
mod classify;
mod compile;
mod cookie;
mod explain;
mod keys;
mod path;
mod publish;
mod retry;
mod ring;
mod rotation;
mod route;
mod sign;
mod split;
mod tls;
mod version_override;
mod vitals;
mod warm_up;
mod zone;

#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

pub use self::{
    affinity::{Affinity, Secrets},
    assets::Assets,
    balance::Target,
    choose::{Ask, Load},
    classify::{Classify, Ending, Fitting},
    compile::{Inputs, Shift, compile},
    explain::{Explanation, explain},
    keys::Keys,
    publish::{Publisher, Reader, channel},
    retry::{Again, Asked, Retry, Standing, Trouble},
    ring::Ring,
    rotation::Rotation,
    route::Routes,
    split::{SHADOW, Why},
    tls::{
        ClientTls, Dated, Listener, ReadError, ServerTls, Tickets, Tls, TlsProblem,
        needs_system_roots, tls_files, tls_keys,
    },
    version_override::Override,
    vitals::{Ejected, Vitals, Ward},
    warm_up::{Copied, Warmth},
    zone::Near,
};
/// Parts of the file that the data plane obeys as they are written.
pub use crate::config::{
    AccessLog, Balance, Buffer, Cidr, CircuitBreaker, Hedge, HedgeAfter, LogField, LogFormat,
    LogPath, LogPiece, LongLived, OnUnhealthy, OutlierDetection, ProxyMode, ProxyProtocol,
    ProxyVersion, RequestStart, Tracing, UpstreamProtocol, UpstreamTimeouts, WarmUp,
};
use crate::model::{
    EndpointKey, Generation, Moment, Point, Role, RouteId, RouteName, Share, SplitId, SplitKey,
    SplitName, Stage, UpstreamId, UpstreamName, VersionName,
};

/// The whole snapshot.
#[derive(Debug)]
pub struct Plan {
    /// Its number.
    pub generation: Generation,
    /// Addresses to accept on; shared with the plan before if nothing changed in them.
    pub listeners: Arc<[Listener]>,
    /// Which split takes which request.
    pub routes: Arc<Routes>,
    /// By [`SplitId`].
    pub splits: Box<[Arc<Split>]>,
    /// By [`UpstreamId`].
    pub upstreams: Box<[Arc<Upstream>]>,
    /// How long-lived streams end; `None`: they are left alone.
    pub long_lived: Option<LongLived>,
    /// Until when endpoints may be warming up: a request that begins later need not look.
    pub warming_until: Moment,
    /// Whose each endpoint is; shared with the plan before if nothing changed in it.
    owners: Arc<FxHashMap<EndpointKey, UpstreamId>>,
}

impl Plan {
    /// A plan that listens nowhere and takes nothing, for the time before the first real one.
    pub fn empty(generation: Generation) -> Self {
        Self {
            generation,
            listeners: Arc::new([]),
            routes: Arc::default(),
            splits: Box::default(),
            upstreams: Box::default(),
            long_lived: None,
            warming_until: Moment::ZERO,
            owners: Arc::default(),
        }
    }

    /// The split that takes a request, and which of its matches does.
    pub fn find(&self, head: &impl Head) -> Option<(SplitId, RouteId)> {
        self.routes.find(head)
    }

    /// A split of this plan.
    pub fn split(&self, id: SplitId) -> Option<&Arc<Split>> {
        self.splits.get(id.index())
    }

    /// An upstream of this plan.
    pub fn upstream(&self, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(id.index())
    }

    /// The upstream that an endpoint may be chosen for; `None`: it is gone.
    pub fn owner(&self, endpoint: EndpointKey) -> Option<&Arc<Upstream>> {
        self.upstream(*self.owners.get(&endpoint)?)
    }
}

/// One split as the data plane obeys it.
#[derive(Debug, PartialEq)]
pub struct Split {
    /// Its name.
    pub name: SplitName,
    /// The same in every plan.
    pub key: SplitKey,
    /// The stage that samples of this plan's requests carry.
    pub stage: Stage,
    /// Labels, by [`RouteId`].
    pub routes: Box<[RouteName]>,
    /// The version users have today.
    pub stable: Version,
    /// The version being tried.
    pub canary: Option<Version>,
    /// The canary's share in force.
    pub share: Share,
    /// How clients keep their version.
    pub affinity: Option<Affinity>,
    /// How testers choose their version.
    pub version_override: Option<Override>,
    /// What becomes of an attempt that has failed, or cannot be made.
    pub retry: Retry,
    /// When an attempt gets a second one beside it; `None`: never.
    pub hedge: Option<Hedge>,
    /// Files that only one version has.
    pub assets: Option<Assets>,
    /// How endpoints are told when a request came.
    pub request_start: RequestStart,
    /// What counts against a version.
    pub classify: Classify,
    /// Instead of the upstream's `response_header`.
    pub response_header: Option<Duration>,
    /// From the end of the request's head to the last byte of the answer.
    pub total: Option<Duration>,
}

/// A version: an upstream in its place in a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name (the upstream's).
    pub name: VersionName,
    /// Where its endpoints are.
    pub upstream: UpstreamId,
}

/// A group of endpoints.
#[derive(Debug, PartialEq)]
pub struct Upstream {
    /// Its name.
    pub name: UpstreamName,
    /// The usable ones only.
    pub endpoints: Box<[Target]>,
    /// What is spoken to them.
    pub protocol: UpstreamProtocol,
    /// How TLS is spoken to them; `None`: plain text.
    pub tls: Option<ClientTls>,
    /// Each connection begins with the PROXY protocol, in this version.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Limits in time towards it.
    pub timeouts: UpstreamTimeouts,
    /// Idle connections kept to each endpoint by each worker.
    pub max_idle_connections: usize,
    /// What they are spared of slow clients.
    pub buffer: Buffer,
    /// How one of the endpoints is chosen.
    pub balance: Balance,
    /// When an endpoint is ejected; `None`: never.
    pub outlier_detection: Option<OutlierDetection>,
    /// How much it is asked to do at a time; `None`: no limit.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// What a new endpoint is sent first; `None`: nothing.
    pub warm_up: Option<WarmUp>,
    /// What all workers know of its endpoints; the same in every plan.
    pub ward: Arc<Ward>,
    /// Until when some endpoints are new.
    new_until: Moment,
    /// Places of those that were warming up when the plan was made.
    warming: Box<[u32]>,
    /// Which endpoints are in the proxy's own zone, if that matters.
    near: Option<Near>,
    /// By which ring endpoints are chosen, if they are.
    ring: Ring,
}

impl Upstream {
    /// The hash of the key that a request is sent by.
    pub fn hash(&self, head: &impl Head) -> Option<u64> {
        ring::hash(&self.balance.policy, head)
    }
}

/// A request's head, as matching and affinity see it. `proxy` brings one kind for each protocol.
pub trait Head {
    /// The method, as sent (methods are case-sensitive).
    fn method(&self) -> &[u8];
    /// The host without its port, as sent; may hold upper case. Empty if there is none.
    fn host(&self) -> &[u8];
    /// The path without its query, as sent.
    fn path(&self) -> &[u8];
    /// The first value of a field; the name is lower case.
    fn field(&self, name: &str) -> Option<&[u8]>;
    /// Calls `each` with the value of every `Cookie` field, in order.
    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8]));
    /// The client's address, as far as it is believed.
    fn client(&self) -> IpAddr;
}

/// What chance has brought for one request: the pure rooms draw no numbers themselves.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// Where the request falls if it is on its own (low discrepancy per split).
    pub point: Point,
    /// 64 random bits for a client that is seen for the first time.
    pub fresh: u64,
}

/// Which version a request is for, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The version's part.
    pub role: Role,
    /// A signed override chose: never counted in verdict, share or users.
    pub overridden: bool,
    /// Of the tenth of stable that stands in for a canary in the shadow A/A.
    pub is_shadow: bool,
    /// A hash of the client, if it has a key; the unit of counting in sticky splits.
    pub user: Option<u64>,
    /// What the client must remember from now on, if that is not what it remembers.
    pub remember: Option<Remember>,
}

/// What a cookie of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    /// The version's part in the rollout that the affinity's `tag` stands for.
    pub role: Role,
    /// Where the client falls.
    pub point: Point,
    /// Tells the client from others.
    pub id: u64,
}
