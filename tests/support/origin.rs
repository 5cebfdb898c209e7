//! Origins: one that answers requests properly, one that does with a connection what it is told.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use super::client::find;

/// A request as the origin got it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub line: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Head and body as they came.
    pub raw: Vec<u8>,
}

impl Seen {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

/// A server on a port of its own; it ends when dropped.
#[derive(Debug)]
pub struct Origin {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: mpsc::UnboundedReceiver<Seen>,
    task: JoinHandle<()>,
}

impl Origin {
    /// Answers every request with what `answer` makes of it.
    pub async fn answering(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let (tell, seen) = mpsc::unbounded_channel();
        Self::start(seen, move |stream| {
            serve(stream, Arc::clone(&answer), tell.clone())
        })
        .await
    }

    /// Answers every request with 200 and this body, at an address that the test has chosen.
    pub async fn saying_at(address: SocketAddr, body: &'static str) -> Self {
        let (tell, seen) = mpsc::unbounded_channel();
        let answer = Arc::new(move |_: &Seen| ok(body));
        Self::start_at(address, seen, move |stream| {
            serve(stream, Arc::clone(&answer), tell.clone())
        })
        .await
    }

    /// Answers every request with 200 and this body.
    pub async fn saying(body: &'static str) -> Self {
        Self::answering(move |_| ok(body)).await
    }

    /// Does with each connection what it is told.
    pub async fn doing<F, T>(what: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (_, seen) = mpsc::unbounded_channel();
        Self::start(seen, what).await
    }

    async fn start<F, T>(seen: mpsc::UnboundedReceiver<Seen>, what: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(any, seen, what).await
    }

    async fn start_at<F, T>(
        address: SocketAddr,
        seen: mpsc::UnboundedReceiver<Seen>,
        what: F,
    ) -> Self
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                serving.spawn(what(stream));
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

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A 200 with a body.
pub fn ok(body: &str) -> Vec<u8> {
    answer(200, body)
}

/// An answer with a body.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An address that refuses connections.
pub async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&Seen) -> Vec<u8>>,
    tell: mpsc::UnboundedSender<Seen>,
) {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await {
        let answer = answer(&seen);
        let closes = find(&answer, b"Connection: close").is_some();
        let _heard = tell.send(seen);
        if stream.write_all(&answer).await.is_err() || closes {
            return;
        }
    }
}

/// Reads one request; `None` at the end.
pub async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let mut seen = Seen {
        line: lines.next().unwrap().to_owned(),
        ..Seen::default()
    };
    seen.fields = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let total = if seen.field("transfer-encoding") == Some("chunked") {
        loop {
            if let Some(at) = find(&buffer[end - 2..], b"\r\n0\r\n") {
                let tail = end - 2 + at + 2;
                if let Some(close) = find(&buffer[tail..], b"\r\n\r\n") {
                    break tail + close + 4;
                }
            }
            fill(stream, buffer).await?;
        }
    } else {
        let length: usize = seen
            .field("content-length")
            .map_or(0, |value| value.parse().unwrap());
        while buffer.len() < end + length {
            fill(stream, buffer).await?;
        }
        end + length
    };
    seen.raw = buffer.drain(..total).collect();
    seen.body = seen.raw[end..].to_vec();
    Some(seen)
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    matches!(stream.read_buf(buffer).await, Ok(1..)).then_some(())
}
