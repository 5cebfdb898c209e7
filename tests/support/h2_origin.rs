//! Origins that speak HTTP/2 without TLS.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use super::origin::Seen;

/// What an origin answers.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub status: u16,
    pub fields: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(&'static str, String)>,
}

/// A 200 with a body.
pub fn given(body: &str) -> Given {
    Given {
        status: 200,
        body: body.as_bytes().to_vec(),
        ..Given::default()
    }
}

/// A server on a port of its own; it ends when dropped.
#[derive(Debug)]
pub struct H2Origin {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: mpsc::UnboundedReceiver<Seen>,
    task: JoinHandle<()>,
}

impl H2Origin {
    /// Answers every request with what `answer` makes of it.
    pub async fn answering(answer: impl Fn(&Seen) -> Given + Send + Sync + 'static) -> Self {
        let (tell, seen) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let mut origin = Self::doing(move |request, respond| {
            let (tell, answer) = (tell.clone(), Arc::clone(&answer));
            async move {
                if let Some(seen) = read(request).await {
                    let given = answer(&seen);
                    let _heard = tell.send(seen);
                    give(given, respond);
                }
            }
        })
        .await;
        origin.seen = seen;
        origin
    }

    /// Does with each request what it is told.
    pub async fn doing<F, T>(what: F) -> Self
    where
        F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let what = Arc::new(what);
        Self::connected(move |stream, _| streams(stream, Arc::clone(&what))).await
    }

    /// Does with each connection what it is told; it is given its number, from 0.
    pub async fn connected<F, T>(what: F) -> Self
    where
        F: Fn(TcpStream, usize) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (_, seen) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.spawn(what(stream, counted.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self {
            address,
            connections,
            seen,
            task,
        }
    }

    /// The next request that came.
    pub async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// A request that came already.
    pub fn try_next(&mut self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    /// Connections taken so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves each request of a connection in a task of its own.
pub async fn streams<F, T>(stream: TcpStream, what: Arc<F>)
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> T + Send + Sync + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    stream.set_nodelay(true).unwrap();
    let mut builder = h2::server::Builder::new();
    builder.enable_connect_protocol();
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    let mut serving = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        serving.spawn(what(request, respond));
    }
}

/// Reads a request to its end; `None` if it breaks off. Trailers are fields that begin so.
pub async fn read(request: Request<RecvStream>) -> Option<Seen> {
    let (parts, mut body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let authority = parts.uri.authority().map_or("", |it| it.as_str());
    let mut seen = Seen {
        line: format!("{} {target} HTTP/2", parts.method),
        ..Seen::default()
    };
    seen.fields = pairs("", &parts.headers);
    seen.fields.push(("host".to_owned(), authority.to_owned()));
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        let _released = body.flow_control().release_capacity(piece.len());
        seen.body.extend_from_slice(&piece);
    }
    if let Some(trailers) = body.trailers().await.ok()? {
        seen.fields.extend(pairs("trailer:", &trailers));
    }
    Some(seen)
}

fn pairs(prefix: &str, fields: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = String::from_utf8(value.as_bytes().to_vec()).unwrap();
        (format!("{prefix}{name}"), value)
    };
    fields.iter().map(pair).collect()
}

/// The head of an answer.
pub fn head(status: u16, fields: &[(&'static str, String)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status.try_into().unwrap();
    *response.headers_mut() = map(fields);
    response
}

/// Fields as the library has them.
pub fn map(fields: &[(&'static str, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_str(value).unwrap();
        map.append(HeaderName::from_static(name), value);
    }
    map
}

/// Sends a whole answer.
pub fn give(given: Given, mut respond: SendResponse<Bytes>) {
    let is_bare = given.body.is_empty() && given.trailers.is_empty();
    let sent = respond.send_response(head(given.status, &given.fields), is_bare);
    let Ok(mut stream) = sent else { return };
    if is_bare {
        return;
    }
    let ends = given.trailers.is_empty();
    // Whoever asked may be gone.
    let _sent = stream.send_data(given.body.into(), ends);
    if !ends {
        let _sent = stream.send_trailers(map(&given.trailers));
    }
}
