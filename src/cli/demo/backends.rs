//! The two versions of the demo's shop: real HTTP servers on loopback, with the delays of a small
//! web application, of which the second can be broken.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{Fault, version};
use crate::model::Role;

/// Half of the answers take less.
const MEDIAN_SECONDS: f64 = 0.012;
/// How much delays spread: the 99th percentile is about three times the median.
const SPREAD: f64 = 0.45;
/// What a slow canary adds.
const LATE: Duration = Duration::from_millis(700);

/// Both backends; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Backends {
    stable: SocketAddr,
    canary: SocketAddr,
    moods: [watch::Sender<Fault>; 2],
    _tasks: JoinSet<()>,
}

impl Backends {
    /// Opens both on ports of the system's choice.
    pub(super) async fn start() -> std::io::Result<Self> {
        let listeners = [listener().await?, listener().await?];
        let [stable, canary] = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        let moods = [
            watch::Sender::new(Fault::None),
            watch::Sender::new(Fault::None),
        ];
        let mut tasks = JoinSet::new();
        for ((listener, mood), role) in listeners
            .into_iter()
            .zip(&moods)
            .zip([Role::Stable, Role::Canary])
        {
            tasks.spawn(serve(listener, role, mood.subscribe()));
        }
        Ok(Self {
            stable,
            canary,
            moods,
            _tasks: tasks,
        })
    }

    /// Where the stable version and the canary listen.
    pub(super) const fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.stable, self.canary)
    }

    /// From now on the canary does this.
    pub(super) fn break_canary(&self, fault: Fault) {
        let [_, canary] = &self.moods;
        canary.send_replace(fault);
    }
}

async fn listener() -> std::io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
}

/// Accepts until the version is dead; then the listener and every connection are gone at once.
async fn serve(listener: TcpListener, role: Role, mut mood: watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, role, mood.clone()));
                }
            }
            changed = mood.changed() => {
                if changed.is_err() || *mood.borrow() == Fault::Dead {
                    return;
                }
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, role: Role, mood: watch::Receiver<Fault>) {
    let service = service_fn(move |request| answer(request, role, mood.clone()));
    let server = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A connection that ends badly is the proxy's matter: it is what is shown.
    let _ended = server.await;
}

async fn answer(
    _request: Request<Incoming>,
    role: Role,
    mood: watch::Receiver<Fault>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let fault = *mood.borrow();
    tokio::time::sleep(delay()).await;
    if fault == Fault::Latency {
        tokio::time::sleep(LATE).await;
    }
    let (status, body) = if fault == Fault::Errors {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            Bytes::from_static(b"undefined method `price'\n"),
        )
    } else {
        (StatusCode::OK, Bytes::from_static(&PAGE))
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let name = http::HeaderValue::from_static(version(role));
    response.headers_mut().insert("x-version", name);
    Ok(response)
}

/// A page of two KiB.
static PAGE: [u8; 2_048] = [b'.'; 2_048];

/// A log-normal delay, by Box and Muller.
fn delay() -> Duration {
    let (u, v) = (1.0 - fastrand::f64(), fastrand::f64());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    Duration::from_secs_f64(MEDIAN_SECONDS * (SPREAD * normal).exp())
}
