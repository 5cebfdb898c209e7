//! Who is alive: sources of endpoints.
//!
//! *Owns:* asking a source again and again, its last good answer, its pace; asking endpoints
//! whether they are well.
//! *Does not know:* plans, the proxy, rollouts.
//! *Invariants:* I8: an error or an empty answer never removes working endpoints; it is told.
//! *Read next:* `fixed.rs` (the loop), `dns.rs`, `file.rs`, `ecs.rs`; then `crate::control`.

mod aws;
mod cloud_map;
mod dns;
mod ecs;
mod file;
mod fixed;
mod health;
mod hosts;
mod marathon;
mod srv;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

#[cfg(test)]
pub(crate) use self::marathon::tests::{RECORDED, Rehearsal};
pub use self::{
    aws::Environment,
    dns::Names,
    health::{CheckTls, Checked, Checks, Wanted},
};
use self::{
    ecs::{Fleet, Word},
    fixed::{List, Pace},
    marathon::{Cluster, Heard},
};
use crate::{
    clock,
    config::{self, Source},
    model::{Endpoint, Moment, UpstreamName},
};

/// A source has answered, or failed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    /// Whose endpoints.
    pub upstream: UpstreamName,
    /// When the source was asked.
    pub as_of: Moment,
    /// The endpoints, sorted by address and without doubles, or what went wrong in words.
    pub result: Result<Arc<[Endpoint]>, DiscoverError>,
}

/// Why a source gave no endpoints. The last good ones stay in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The source could not be asked.
    #[error("{0}")]
    Unreachable(String),
    /// The answer could not be understood.
    #[error("{0}")]
    Malformed(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Missing(String),
}

/// The sources at work, one task for each upstream. Dropping it stops them all.
#[derive(Debug)]
pub struct Sources {
    names: Names,
    environment: Environment,
    into: mpsc::Sender<Discovered>,
    running: HashMap<UpstreamName, (Source, Task)>,
    /// Services of ECS, each asked for once, however many upstreams pick tasks of it.
    fleets: HashMap<Fleet, (watch::Receiver<Word>, Task)>,
    /// Apps of Marathons, likewise.
    clusters: HashMap<Cluster, (watch::Receiver<Heard>, Task)>,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a task for each upstream, which asks its source again and again. Needs a runtime.
pub fn spawn(upstreams: &[config::Upstream], into: mpsc::Sender<Discovered>) -> Sources {
    spawn_with(
        (Names::system(), Environment::of_process()),
        upstreams,
        into,
    )
}

/// Like [`spawn`], and says who is asked for the addresses of host names, and what the environment
/// says of Amazon's APIs.
pub fn spawn_with(
    (names, environment): (Names, Environment),
    upstreams: &[config::Upstream],
    into: mpsc::Sender<Discovered>,
) -> Sources {
    let mut sources = Sources {
        names,
        environment,
        into,
        running: HashMap::new(),
        fleets: HashMap::new(),
        clusters: HashMap::new(),
    };
    sources.replace(upstreams);
    sources
}

/// The endpoints that are known without asking anybody: addresses written in the file.
pub fn at_once(upstream: &config::Upstream) -> Option<Discovered> {
    let Source::Static(written) = &upstream.source else {
        return None;
    };
    let are_addresses = written.iter().all(|one| one.host.parse::<IpAddr>().is_ok());
    are_addresses.then(|| Discovered {
        upstream: upstream.name.clone(),
        as_of: clock::now(),
        result: Ok(List::new(written).endpoints()),
    })
}

impl Sources {
    /// After a reload: unchanged sources keep running, new and changed ones start, gone ones stop.
    pub fn replace(&mut self, upstreams: &[config::Upstream]) {
        let mut before = std::mem::take(&mut self.running);
        for upstream in upstreams {
            let kept = before
                .remove(&upstream.name)
                .filter(|(source, _)| *source == upstream.source);
            let running = kept.unwrap_or_else(|| (upstream.source.clone(), self.start(upstream)));
            self.running.insert(upstream.name.clone(), running);
        }
        let sources = self.running.values().map(|(source, _)| source);
        let wanted: HashSet<Fleet> = sources.filter_map(Fleet::of).collect();
        self.fleets.retain(|fleet, _| wanted.contains(fleet));
        let sources = self.running.values().map(|(source, _)| source);
        let wanted: HashSet<Cluster> = sources.filter_map(Cluster::of).collect();
        self.clusters.retain(|cluster, _| wanted.contains(cluster));
    }

    /// What is heard of a service of ECS; it is asked for from the first time on.
    fn fleet(&mut self, ecs: &config::Ecs) -> watch::Receiver<Word> {
        let fleet = Fleet::new(ecs);
        let (words, _) = self.fleets.entry(fleet.clone()).or_insert_with(|| {
            let (tell, words) = watch::channel(Word::default());
            let asking = ecs::ask(fleet, self.environment.clone(), tell);
            (words, Task(tokio::spawn(asking)))
        });
        words.clone()
    }

    /// What is heard of some apps of a Marathon; they are asked for from the first time on.
    fn cluster(&mut self, how: &config::Marathon) -> watch::Receiver<Heard> {
        let cluster = Cluster::new(how);
        let (answers, _) = self.clusters.entry(cluster.clone()).or_insert_with(|| {
            let (tell, answers) = watch::channel(Heard::default());
            (answers, Task(tokio::spawn(marathon::ask(cluster, tell))))
        });
        answers.clone()
    }

    fn start(&mut self, upstream: &config::Upstream) -> Task {
        let (names, outlet) = (self.names.clone(), Outlet::new(upstream, &self.into));
        Task(match upstream.source.clone() {
            Source::CloudMap(cloud_map) => {
                tokio::spawn(cloud_map::run(cloud_map, self.environment.clone(), outlet))
            }
            Source::Dns {
                name,
                port,
                min_ttl,
                max_ttl,
            } => {
                let list = List::of_name(&name, port);
                let pace = Pace {
                    shortest: min_ttl,
                    longest: max_ttl.max(min_ttl),
                };
                tokio::spawn(fixed::run(list, pace, names, outlet))
            }
            Source::Ecs(ecs) => {
                let words = self.fleet(&ecs);
                tokio::spawn(ecs::run(ecs, words, outlet))
            }
            Source::File(path) => tokio::spawn(file::run(path, names, outlet)),
            Source::Marathon(how) => {
                let answers = self.cluster(&how);
                tokio::spawn(marathon::run(*how, answers, names, outlet))
            }
            Source::Srv {
                name,
                min_ttl,
                max_ttl,
            } => {
                let pace = Pace {
                    shortest: min_ttl,
                    longest: max_ttl.max(min_ttl),
                };
                tokio::spawn(srv::run(name, pace, names, outlet))
            }
            Source::Static(written) => {
                let list = List::new(&written);
                tokio::spawn(fixed::run(list, Pace::OF_HOSTS, names, outlet))
            }
        })
    }
}

/// Where a source's answers go.
#[derive(Debug, Clone)]
struct Outlet {
    upstream: UpstreamName,
    into: mpsc::Sender<Discovered>,
}

impl Outlet {
    fn new(upstream: &config::Upstream, into: &mpsc::Sender<Discovered>) -> Self {
        Self {
            upstream: upstream.name.clone(),
            into: into.clone(),
        }
    }

    /// Tells endpoints, and then what is odd about those that are left out: it has the last word.
    /// What is odd alone says nothing of endpoints.
    async fn tell_with(&self, all: Vec<Endpoint>, odd: Option<DiscoverError>) -> bool {
        let is_told = odd.is_some() && all.is_empty() || self.tell(Ok(all.into())).await;
        match odd {
            Some(odd) if is_told => self.tell(Err(odd)).await,
            Some(_) | None => is_told,
        }
    }

    /// Waits until there is room; `false`: nobody listens any more.
    async fn tell(&self, result: Result<Arc<[Endpoint]>, DiscoverError>) -> bool {
        let (upstream, as_of) = (self.upstream.clone(), clock::now());
        self.into
            .send(Discovered {
                upstream,
                as_of,
                result,
            })
            .await
            .is_ok()
    }
}

#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
pub(crate) mod mutation;
#[cfg(test)]
mod tests;
