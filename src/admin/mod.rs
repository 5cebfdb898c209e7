//! For humans and scrapers: what is going on, and the operator's acts.
//!
//! *Owns:* the admin API, metrics text, the event stream, the status page, questions to webhooks.
//! *Does not know:* the proxy, the inside of plans, how control decides.
//! *Invariants:* it reads snapshots and sends commands; nothing here changes traffic by itself. No
//! request is slower than its limit, longer than its limit, or without an answer in JSON or text.
//! *Read next:* `api.rs`, `wire.rs`, `metrics.rs`, `hooks.rs`.

mod api;
mod audit;
mod caller;
mod config;
mod endpoints;
mod evidence;
mod guard;
mod health;
mod hooks;
mod in_force;
mod listen;
mod metrics;
mod pace;
mod page;
mod process;
mod rollouts;
mod routes;
mod stream;
mod table;
mod whoami;
pub mod wire;

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::Router;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::{
    listen::Taken,
    process::{Asked, Process, Upgrade, Wish},
    routes::Route,
    table::routes,
};
use self::{
    listen::{Bound, Open},
    pace::Pace,
    table::router,
};
use crate::control::Handle;

/// Event streams at a time; more are turned away with 503.
const STREAMS_MAX: usize = 64;
/// How long connections may take to end when the process goes down.
const GRACE: Duration = Duration::from_secs(1);

/// Where to listen. Nothing: no admin at all.
#[derive(Debug, Clone, Default)]
pub struct Bind {
    /// A TCP address; port 0 lets the system choose.
    pub http: Option<SocketAddr>,
    /// A unix socket; a stale one is replaced.
    pub unix: Option<PathBuf>,
    /// Nobody has asked for a unix socket at this place: admin goes on without it.
    pub is_unix_optional: bool,
}

/// Why admin cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("admin cannot listen on {place}: {source}; {help}")]
pub struct ServeError {
    place: String,
    help: &'static str,
    source: io::Error,
}

/// Admin at work. Dropping it ends it at once; [`Serving::stop`] lets requests end.
#[derive(Debug)]
pub struct Serving {
    http: Option<SocketAddr>,
    unix: Option<SocketFile>,
    /// To be lent.
    lent: Vec<Lent>,
    servers: JoinSet<()>,
    ending: CancellationToken,
}

/// What every request may use.
#[derive(Debug, Clone)]
struct State {
    handle: Handle,
    process: Process,
    /// Whether the process was ever ready (`/startupz`).
    started: Arc<AtomicBool>,
    streams: Arc<Semaphore>,
    pace: Pace,
    /// The unix socket, where whoever may open it may act.
    socket: Option<Arc<Path>>,
    feed: Arc<stream::Feed>,
    ending: CancellationToken,
}

/// Binds and serves in the background; the addresses are bound when this returns.
pub async fn serve(handle: Handle, bind: &Bind) -> Result<Serving, ServeError> {
    let sockets = Sockets::open(bind, Taken::default()).await?;
    Ok(sockets.serve(handle, Process::default()))
}

/// The sockets of admin, bound and not yet served.
#[derive(Debug)]
pub struct Sockets {
    http: Option<Bound>,
    unix: Option<Bound>,
}

impl Sockets {
    /// Takes the sockets that are there for these addresses, and binds what is missing.
    pub async fn open(bind: &Bind, taken: Taken) -> Result<Self, ServeError> {
        let http = match bind.http {
            None => None,
            Some(address) => {
                let opened = listen::open_tcp(address, taken.http).await;
                Some(opened.map_err(|error| cannot(&address, error))?)
            }
        };
        let unix = match &bind.unix {
            None => None,
            Some(path) => {
                let opened = listen::open_unix(path, (taken.unix, taken.is_unix_kept)).await;
                match opened {
                    Ok(opened) => Some(opened),
                    Err(error) if bind.is_unix_optional => {
                        let path = path.display();
                        tracing::warn!(%error, %path, "no unix socket: nobody can act");
                        None
                    }
                    Err(error) => return Err(cannot(&path.display(), error)),
                }
            }
        };
        Ok(Self { http, unix })
    }

    /// Serves in the background.
    pub fn serve(self, handle: Handle, process: Process) -> Serving {
        let ending = CancellationToken::new();
        let hooks = hooks::follow(handle.clone(), ending.clone());
        let (pace, pacing) = Pace::new();
        let socket = self.unix.as_ref().and_then(Bound::path).map(Arc::from);
        let shared = handle.clone();
        let feed = Arc::new(stream::Feed::default());
        let made = feed_readers(Arc::clone(&feed), handle.clone(), ending.clone());
        let state = State {
            handle,
            process,
            started: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            pace,
            socket,
            feed,
            ending: ending.clone(),
        };
        let statsd = metrics::to_statsd(state.clone(), ending.clone());
        let emf = metrics::to_emf(state.clone(), ending.clone());
        let router = router(state);
        let mut serving = Serving {
            http: None,
            unix: None,
            lent: Vec::new(),
            servers: JoinSet::new(),
            ending,
        };
        serving.servers.spawn(hooks);
        serving.servers.spawn(statsd);
        serving.servers.spawn(emf);
        let ending = serving.ending.clone();
        serving.servers.spawn(async move {
            let _ended = ending.run_until_cancelled(pacing).await;
        });
        serving.servers.spawn(made);
        for bound in [self.http, self.unix].into_iter().flatten() {
            match &bound.open {
                Open::Tcp(address) => serving.http = Some(*address),
                Open::Unix { path, is_kept } => {
                    serving.unix = Some(SocketFile {
                        path: path.clone(),
                        is_kept: *is_kept,
                    });
                }
            }
            serving.start(bound, &router, &shared);
        }
        serving
    }
}

impl Serving {
    fn start(&mut self, bound: Bound, router: &Router, handle: &Handle) {
        let ending = self.ending.clone();
        let is_kept = matches!(&bound.open, Open::Unix { is_kept: true, .. });
        let lent = bound.listener.lend().ok();
        self.lent
            .extend(lent.map(|socket| Lent { socket, is_kept }));
        self.servers.spawn(listen::serve(
            bound.listener,
            router.clone(),
            handle.clone(),
            ending,
        ));
    }

    /// A second hold on each socket, for the process that takes this one's place.
    pub fn lend(&self) -> io::Result<Vec<Lent>> {
        let again = |lent: &Lent| {
            let socket = lent.socket.try_clone()?;
            Ok(Lent { socket, ..*lent })
        };
        self.lent.iter().map(again).collect()
    }

    /// Another process answers now: no more connections are taken, and the unix socket stays.
    pub fn leave(&mut self) {
        if let Some(file) = &mut self.unix {
            file.is_kept = true;
        }
        self.ending.cancel();
    }

    /// The TCP address in use.
    pub const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The unix socket in use.
    pub fn unix(&self) -> Option<&Path> {
        self.unix.as_ref().map(|file| file.path.as_path())
    }

    /// Takes no more connections, ends event streams, and lets requests under way end.
    pub async fn stop(mut self) {
        self.ending.cancel();
        let ended = async { while self.servers.join_next().await.is_some() {} };
        // A client that does not read holds nobody up.
        let _in_time = tokio::time::timeout(GRACE, ended).await;
    }
}

/// A socket on its way to another process.
#[derive(Debug)]
pub struct Lent {
    /// A second hold on it.
    pub socket: OwnedFd,
    /// Its file is not ours to remove.
    pub is_kept: bool,
}

/// A unix socket's file, which goes with its server unless somebody else keeps it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // If it is gone already, that is what is wanted.
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes what readers of live events get, until the process goes down.
async fn feed_readers(feed: Arc<stream::Feed>, handle: Handle, ending: CancellationToken) {
    let _ended = ending.run_until_cancelled(feed.make(&handle)).await;
}

fn cannot(place: &impl ToString, source: io::Error) -> ServeError {
    let help = if source.kind() == io::ErrorKind::AddrInUse {
        "is another serin running? choose another address under `admin:`"
    } else {
        "choose another address under `admin:`"
    };
    ServeError {
        place: place.to_string(),
        help,
        source,
    }
}
