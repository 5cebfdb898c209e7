//! The admin API as its client sees it: one short connection for each question.

use std::{path::PathBuf, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::Trouble;
use crate::admin::wire;

/// Where admin listens unless told otherwise.
const DEFAULT: &str = "127.0.0.1:9900";
/// To connect and to get the head of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is not a stream.
const LONGEST: usize = 64 << 20;

/// Where the admin API is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

/// A client of one admin API.
#[derive(Debug, Clone)]
pub(super) struct Client {
    place: Place,
    shown: String,
}

impl Client {
    /// From `--admin`, else `SERIN_ADMIN`, else the default.
    pub(super) fn new(admin: Option<&str>) -> Result<Self, Trouble> {
        let set = std::env::var("SERIN_ADMIN")
            .ok()
            .filter(|set| !set.is_empty());
        let shown = admin
            .map(str::to_owned)
            .or(set)
            .unwrap_or_else(|| DEFAULT.to_owned());
        let place = match shown.strip_prefix("unix:") {
            Some("") => None,
            Some(path) => Some(Place::Unix(PathBuf::from(path))),
            None => {
                let bare = shown
                    .strip_prefix("http://")
                    .unwrap_or(&shown)
                    .trim_end_matches('/');
                let has_port = bare
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
                has_port.then(|| Place::Tcp(bare.to_owned()))
            }
        };
        let Some(place) = place else {
            let help = "give HOST:PORT or unix:PATH, as under `admin:` in the file";
            return Err(Trouble::unasked(
                format!("`{shown}` is not an address"),
                help,
            ));
        };
        Ok(Self { place, shown })
    }

    /// The address as it was given.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// How a person gets at a path of it.
    pub(super) fn address_of(&self, path: &str) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}{path}"),
            Place::Unix(socket) => {
                let socket = socket.display();
                format!("curl --unix-socket {socket} http://localhost{path}")
            }
        }
    }

    /// Reads JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.json(Method::GET, path, String::new(), None).await
    }

    /// Sends an act, and reads what it led to.
    pub(super) async fn act<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
        if_epoch: Option<u64>,
    ) -> Result<T, Trouble> {
        self.json(method, path, body, if_epoch).await
    }

    /// Status code and text, whatever they are.
    pub(super) async fn probe(&self, path: &str) -> Result<(StatusCode, String), Trouble> {
        let answer = self
            .send(self.request(Method::GET, path, String::new(), None)?)
            .await?;
        let status = answer.status();
        let body = self.whole(answer).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The event stream.
    pub(super) async fn events(&self) -> Result<Events, Trouble> {
        let request = self.request(Method::GET, "/v1/events", String::new(), None)?;
        let answer = self.send(request).await?;
        if !answer.status().is_success() {
            return Err(self.refused(answer).await);
        }
        Ok(Events {
            body: answer.into_body(),
            text: Vec::new(),
        })
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
        if_epoch: Option<u64>,
    ) -> Result<T, Trouble> {
        let answer = self
            .send(self.request(method, path, body, if_epoch)?)
            .await?;
        if !answer.status().is_success() {
            return Err(self.refused(answer).await);
        }
        let body = self.whole(answer).await?;
        wire::from_json(&body).map_err(|error| self.strange(&error))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: String,
        if_epoch: Option<u64>,
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let host = match &self.place {
            Place::Tcp(address) => address.as_str(),
            Place::Unix(_) => "localhost",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(epoch) = if_epoch {
            request = request.header(header::IF_MATCH, format!("\"{epoch}\""));
        }
        if let Some(user) = std::env::var("USER").ok().filter(|user| !user.is_empty()) {
            request = request.header("x-serin-actor", user);
        }
        request.body(Full::from(body)).map_err(|error| {
            let help = "names hold letters, digits, `_`, `-` and `.`";
            Trouble::unasked(format!("`{path}` cannot be asked: {error}"), help)
        })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Trouble> {
        let sent = timeout(PATIENCE, async {
            match &self.place {
                Place::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await,
                Place::Unix(path) => exchange(UnixStream::connect(path).await?, request).await,
            }
        });
        match sent.await {
            Ok(answer) => answer.map_err(|error| self.unreachable(&error.to_string())),
            Err(_) => Err(self.unreachable("no answer in 10 s")),
        }
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Bytes, Trouble> {
        let body = http_body_util::Limited::new(answer.into_body(), LONGEST);
        let body = timeout(PATIENCE, body.collect()).await;
        match body {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.strange(&error.to_string())),
            Err(_) => Err(self.strange("the answer did not end in 10 s")),
        }
    }

    async fn refused(&self, answer: Response<Incoming>) -> Trouble {
        let status = answer.status();
        match self
            .whole(answer)
            .await
            .map(|body| wire::from_json::<wire::Failure>(&body))
        {
            Ok(Ok(wire::Failure { error })) => Trouble::refused(error.message, error.help),
            Ok(Err(_)) => self.strange(&format!("it answered {status}")),
            Err(trouble) => trouble,
        }
    }

    fn unreachable(&self, why: &str) -> Trouble {
        let help = "is `serin run` up? its admin address is `admin:` in its file; \
                    give it with --admin or SERIN_ADMIN";
        Trouble::unasked(
            format!("cannot reach the admin API at {}: {why}", self.shown),
            help,
        )
    }

    fn strange(&self, why: &str) -> Trouble {
        let help = "is it serin's admin address, and of the same version?";
        Trouble::unasked(
            format!("cannot understand the answer of {}: {why}", self.shown),
            help,
        )
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> std::io::Result<Response<Incoming>> {
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(std::io::Error::other)?;
    // It ends with its answer; what goes wrong in it is told there.
    tokio::spawn(connection);
    sender
        .send_request(request)
        .await
        .map_err(std::io::Error::other)
}

/// Events as they come.
#[derive(Debug)]
pub(super) struct Events {
    body: Incoming,
    text: Vec<u8>,
}

impl Events {
    /// Kind and JSON of the next event; `None` when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Some(event);
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Some(data) = frame.data_ref() {
                self.text.extend_from_slice(data);
            }
            if self.text.len() > LONGEST {
                return None;
            }
        }
    }
}

/// One block of an event stream; `None`: a comment.
fn parse(block: &str) -> Option<(String, String)> {
    let field = |name: &str| {
        let lines = block
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let values: Vec<&str> = lines
            .map(|value| value.strip_prefix(' ').unwrap_or(value))
            .collect();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    Some((field("event")?, field("data")?))
}
