//! For humans and scrapers: what is going on, and the operator's acts.
//!
//! *Owns:* the admin API, metrics text, the event stream, the status page, questions to webhooks.
//! *Does not know:* the proxy, the inside of plans, how control decides.
//! *Invariants:* it reads snapshots and sends commands; nothing here changes traffic by itself. No
//! request is slower than its limit, longer than its limit, or without an answer in JSON or text.
//! *Read next:* `api.rs`, `wire.rs`, `metrics.rs`, `hooks.rs`.

mod api;
mod endpoints;
mod evidence;
mod guard;
mod health;
mod hooks;
mod listen;
mod metrics;
mod process;
mod rollouts;
mod stream;
pub mod wire;

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Router,
    error_handling::HandleErrorLayer,
    extract::DefaultBodyLimit,
    middleware,
    response::Html,
    routing::{get, post},
};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower::{
    ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer,
    timeout::TimeoutLayer,
};

use self::listen::{Bound, Open};
pub use self::{
    listen::Taken,
    process::{Asked, Process, Upgrade},
};
use crate::control::Handle;

/// The longest body of a request.
const BODY_MAX: usize = 64 << 10;
/// The longest time until the head of an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Requests at a time; more are turned away with 503.
const REQUESTS_MAX: usize = 64;
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
    feed: Arc<stream::Feed>,
    ending: CancellationToken,
}

/// Who is on the other end of a connection.
#[derive(Debug, Clone)]
struct Peer(Option<SocketAddr>);

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
                Some(opened.map_err(|error| cannot(&path.display(), error))?)
            }
        };
        Ok(Self { http, unix })
    }

    /// Serves in the background.
    pub fn serve(self, handle: Handle, process: Process) -> Serving {
        let ending = CancellationToken::new();
        let hooks = hooks::follow(handle.clone(), ending.clone());
        let feed = Arc::new(stream::Feed::default());
        let made = feed_readers(Arc::clone(&feed), handle.clone(), ending.clone());
        let router = router(State {
            handle,
            process,
            started: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            feed,
            ending: ending.clone(),
        });
        let mut serving = Serving {
            http: None,
            unix: None,
            lent: Vec::new(),
            servers: JoinSet::new(),
            ending,
        };
        serving.servers.spawn(hooks);
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
            serving.start(bound, &router);
        }
        serving
    }
}

impl Serving {
    fn start(&mut self, bound: Bound, router: &Router) {
        let ending = self.ending.clone();
        let is_kept = matches!(&bound.open, Open::Unix { is_kept: true, .. });
        let lent = bound.listener.lend().ok();
        self.lent
            .extend(lent.map(|socket| Lent { socket, is_kept }));
        self.servers
            .spawn(listen::serve(bound.listener, router.clone(), ending));
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

fn router(state: State) -> Router {
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(guard::overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(REQUESTS_MAX))
        .layer(TimeoutLayer::new(ANSWER_WITHIN));
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/startupz", get(health::startupz))
        .route("/metrics", get(metrics::scrape))
        .route("/v1/splits", get(api::splits))
        .route("/v1/splits/{split}", get(api::split).post(api::act))
        .route("/v1/splits/{split}/analysis", get(api::analysis))
        .route(
            "/v1/splits/{split}/weights",
            axum::routing::put(api::set_weights),
        )
        .route("/v1/rollouts", get(rollouts::rollouts))
        .route("/v1/rollouts/{id}/{what}", get(rollouts::show))
        .route("/v1/upstreams", get(api::upstreams))
        .route("/v1/endpoints", get(endpoints::list))
        .route("/v1/endpoints/{act}", post(endpoints::act))
        .route("/v1/config", get(api::config))
        .route("/v1/config:reload", post(api::reload))
        .route("/v1/events", get(stream::events))
        .route("/v1/process", get(process::show))
        .route("/v1/process:upgrade", post(process::upgrade))
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(middleware::from_fn(guard::no_foreign_pages))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(layers)
        .with_state(state)
}

/// The status page: one file, nothing loaded from elsewhere.
async fn page() -> ([(&'static str, &'static str); 2], Html<&'static str>) {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
    ];
    (headers, Html(include_str!("dashboard.html")))
}
