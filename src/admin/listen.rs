//! Accepts connections and serves HTTP/1.1 on them, within limits.
//!
//! Admin shares the process's file descriptors with the proxy, so a scraper that leaks connections
//! must not be able to take them all: each listener has a bound, and a head has a time.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::caller::{Peer, Remote};
use crate::{control::Handle, net};

/// Connections of one listener at a time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 128;
/// The longest time for a head, and between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// The longest time for a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// After an accept that failed (too many open files, say).
const PAUSE: Duration = Duration::from_millis(100);

/// An open listener.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Sockets that another process has made for admin.
#[derive(Debug, Default)]
pub struct Taken {
    /// For the TCP address.
    pub http: Option<OwnedFd>,
    /// For the unix socket.
    pub unix: Option<OwnedFd>,
    /// The unix socket's file stays when this process ends: somebody else keeps it open.
    pub is_unix_kept: bool,
}

impl Taken {
    /// Keeps a socket for what it can be used for.
    pub fn take(&mut self, socket: OwnedFd, is_kept: bool) {
        let is_unix = std::os::unix::net::UnixListener::from(socket);
        let is_named = is_unix
            .local_addr()
            .is_ok_and(|it| it.as_pathname().is_some());
        let socket = OwnedFd::from(is_unix);
        if is_named {
            self.unix = Some(socket);
            self.is_unix_kept = is_kept;
        } else {
            self.http = Some(socket);
        }
    }
}

/// An open listener, and where.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: Listener,
    pub(super) open: Open,
}

impl Bound {
    /// The path of a unix socket.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.open {
            Open::Tcp(_) => None,
            Open::Unix { path, .. } => Some(path),
        }
    }
}

/// Where a listener listens.
#[derive(Debug)]
pub(super) enum Open {
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        /// The file is not ours to remove.
        is_kept: bool,
    },
}

/// Takes the socket if it is one for this address, else binds one.
pub(super) async fn open_tcp(wanted: SocketAddr, taken: Option<OwnedFd>) -> io::Result<Bound> {
    let fits =
        |actual: SocketAddr| actual == wanted || (wanted.port() == 0 && actual.ip() == wanted.ip());
    let taken = taken.map(net::Bound::from);
    let taken = taken.filter(|it| it.local_addr().is_ok_and(fits));
    let listener = match taken {
        Some(taken) => {
            taken.set_nonblocking(true)?;
            TcpListener::from_std(taken)?
        }
        None => TcpListener::bind(wanted).await?,
    };
    let open = Open::Tcp(listener.local_addr()?);
    let listener = Listener::Tcp(listener);
    Ok(Bound { listener, open })
}

/// Takes the socket if it has this path, else binds one.
pub(super) async fn open_unix(
    path: &Path,
    (taken, is_kept): (Option<OwnedFd>, bool),
) -> io::Result<Bound> {
    let taken = taken.map(std::os::unix::net::UnixListener::from);
    let is_at = |it: &std::os::unix::net::UnixListener| {
        it.local_addr()
            .is_ok_and(|at| at.as_pathname() == Some(path))
    };
    let (listener, is_kept) = match taken.filter(is_at) {
        Some(taken) => {
            taken.set_nonblocking(true)?;
            (UnixListener::from_std(taken)?, is_kept)
        }
        None => (bind_unix(path).await?, false),
    };
    Ok(Bound {
        listener: Listener::Unix(listener),
        open: Open::Unix {
            path: path.to_owned(),
            is_kept,
        },
    })
}

/// Serves until `ending`, and then until requests under way have ended.
pub(super) async fn serve(
    listener: Listener,
    router: Router,
    handle: Handle,
    ending: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let accepted = async {
            let permit = Arc::clone(&room)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            Ok::<_, io::Error>((permit, listener.accept().await?))
        };
        let (permit, connection) = tokio::select! {
            () = ending.cancelled() => break,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "admin cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let (router, ending) = (router.clone(), ending.clone());
        let handle = handle.clone();
        open.spawn(async move {
            match connection {
                Accepted::Tcp(stream, from) => {
                    receive((stream, from), router, &handle, ending).await;
                }
                Accepted::Unix(stream) => {
                    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                    converse(stream, Peer::Unix(uid), router, ending).await;
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// A second hold on the socket.
    pub(super) fn lend(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Self::Unix(listener) => listener.as_fd().try_clone_to_owned(),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, address))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

/// A connection over TCP, in TLS if the file in force says so.
async fn receive(
    (stream, from): (TcpStream, SocketAddr),
    router: Router,
    handle: &Handle,
    ending: CancellationToken,
) {
    let mut remote = Remote {
        from,
        is_here: stream.local_addr().is_ok_and(|at| at.ip().is_loopback()),
        is_tls: false,
        subject: None,
    };
    let Some(tls) = handle.admission().tls.clone() else {
        return converse(stream, Peer::Tcp(remote), router, ending).await;
    };
    let accepted = net::tls::Stream::accept(stream, tls.config);
    match timeout(HANDSHAKE_WITHIN, accepted).await {
        Ok(Ok(stream)) => {
            remote.is_tls = true;
            remote.subject = stream.peer_subject();
            converse(stream, Peer::Tcp(remote), router, ending).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %from, "no TLS with a caller of admin"),
        Err(_) => tracing::debug!(%from, "a caller of admin was too slow to speak TLS"),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    ending: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, peer) = (router.clone(), peer.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer: Result<_, Infallible> = router.oneshot(request).await;
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection has ended early");
    }
}

/// Binds a unix socket in place of one that nobody listens on; anything else that is there stays.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    if is_socket && UnixStream::connect(path).await.is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    // The owner and the group operate; the directory decides who else may reach it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
