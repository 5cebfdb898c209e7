//! Who is alive: sources of endpoints.
//!
//! *Owns:* asking a source again and again, its last good answer, its pace; asking endpoints
//! whether they are well.
//! *Does not know:* plans, the proxy, rollouts.
//! *Invariants:* I8: an error or an empty answer never removes working endpoints; it is told.
//! *Read next:* `fixed.rs` (the loop), `dns.rs`, `file.rs`; then `crate::control`.

mod dns;
mod file;
mod fixed;
mod health;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use tokio::{sync::mpsc, task::JoinHandle};

pub use self::dns::Names;
use self::fixed::{List, Pace};
pub use self::health::{CheckTls, Checked, Checks, Wanted};
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
}

/// The sources at work, one task for each upstream. Dropping it stops them all.
#[derive(Debug)]
pub struct Sources {
    names: Names,
    into: mpsc::Sender<Discovered>,
    running: HashMap<UpstreamName, (Source, Task)>,
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
    spawn_with(Names::system(), upstreams, into)
}

/// Like [`spawn`], and says who is asked for the addresses of host names.
pub fn spawn_with(
    names: Names,
    upstreams: &[config::Upstream],
    into: mpsc::Sender<Discovered>,
) -> Sources {
    let mut sources = Sources {
        names,
        into,
        running: HashMap::new(),
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
    }

    fn start(&self, upstream: &config::Upstream) -> Task {
        let (names, outlet) = (self.names.clone(), Outlet::new(upstream, &self.into));
        Task(match upstream.source.clone() {
            Source::Static(written) => {
                let list = List::new(&written);
                tokio::spawn(fixed::run(list, Pace::OF_HOSTS, names, outlet))
            }
            Source::File(path) => tokio::spawn(file::run(path, names, outlet)),
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

#[cfg(test)]
mod tests;
