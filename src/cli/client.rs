//! The admin API as its client sees it: one short connection for each question.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{Trouble, args::Admin};
use crate::{
    admin::wire,
    net::web::{Trust, Web},
};

/// Where admin listens unless told otherwise.
const DEFAULT: &str = "127.0.0.1:9900";
/// Where a service of the system has its unix socket.
const SOCKET: &str = "/run/serin/admin.sock";
/// To connect and to get the head of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is not a stream.
const LONGEST: usize = 64 << 20;

/// Where the admin API is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

/// A client of one admin API.
#[derive(Debug, Clone)]
pub(super) struct Client {
    place: Place,
    shown: String,
    token: Option<HeaderValue>,
    /// Whose certificates are believed over TLS.
    trust: Trust,
}

impl Client {
    /// From `--admin`, else `SERIN_ADMIN`, else the default; the same for the token.
    pub(super) fn new(admin: &Admin) -> Result<Self, Trouble> {
        let shown = admin.admin.clone().or_else(|| set("SERIN_ADMIN"));
        let shown = shown.unwrap_or_else(by_default);
        let Some(place) = place(&shown) else {
            let help = "give HOST:PORT, https://HOST:PORT or unix:PATH, as under `admin:` in the \
                        file";
            return Err(Trouble::unasked(
                format!("`{shown}` is not an address"),
                help,
            ));
        };
        let named = admin.token_file.clone();
        let named = named.or_else(|| set("SERIN_ADMIN_TOKEN_FILE").map(PathBuf::from));
        let token = named.as_deref().map(token).transpose()?;
        let ca = admin.ca.clone();
        let ca = ca.or_else(|| set("SERIN_ADMIN_CA").map(PathBuf::from));
        Ok(Self {
            place,
            shown,
            token,
            trust: ca.map_or(Trust::System, Trust::Authorities),
        })
    }

    /// The address as it was given.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// How a person gets at a path of it.
    pub(super) fn address_of(&self, path: &str) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}{path}"),
            Place::Tls(address) => format!("https://{address}{path}"),
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

    /// The text of an answer.
    pub(super) async fn text(&self, path: &str) -> Result<String, Trouble> {
        let answer = self
            .send(self.request(Method::GET, path, String::new(), None)?)
            .await?;
        if !answer.status().is_success() {
            return Err(self.refused(answer).await);
        }
        let body = self.whole(answer).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
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
    ) -> Result<Request<Bytes>, Trouble> {
        let (host, start) = match &self.place {
            Place::Tcp(address) => (address.as_str(), String::new()),
            Place::Tls(address) => (address.as_str(), format!("https://{address}")),
            Place::Unix(_) => ("localhost", String::new()),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(start + path)
            .header(header::HOST, host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if let Some(epoch) = if_epoch {
            request = request.header(header::IF_MATCH, format!("\"{epoch}\""));
        }
        if let Some(user) = std::env::var("USER").ok().filter(|user| !user.is_empty()) {
            request = request.header("x-serin-actor", user);
        }
        request.body(Bytes::from(body)).map_err(|error| {
            let help = "names hold letters, digits, `_`, `-` and `.`";
            Trouble::unasked(format!("`{path}` cannot be asked: {error}"), help)
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Trouble> {
        let sent = timeout(PATIENCE, async {
            match &self.place {
                Place::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await,
                Place::Tls(_) => {
                    let web = Web::new(&self.trust).map_err(std::io::Error::other)?;
                    let asked = web.open(request, PATIENCE).await;
                    asked.map_err(std::io::Error::other)
                }
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

/// `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT`, `unix:PATH`.
fn place(shown: &str) -> Option<Place> {
    if let Some(path) = shown.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| Place::Unix(PathBuf::from(path)));
    }
    let (is_tls, rest) = match shown.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, shown.strip_prefix("http://").unwrap_or(shown)),
    };
    let bare = rest.trim_end_matches('/');
    let (host, port) = bare.rsplit_once(':')?;
    let is_whole = !host.is_empty() && port.parse::<u16>().is_ok();
    let place = if is_tls { Place::Tls } else { Place::Tcp };
    is_whole.then(|| place(bare.to_owned()))
}

/// What the environment says.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|set| !set.is_empty())
}

/// The socket of a service, if we may open it: there one may act. Else where one may look.
fn by_default() -> String {
    let is_open = std::os::unix::net::UnixStream::connect(SOCKET).is_ok();
    if is_open {
        format!("unix:{SOCKET}")
    } else {
        DEFAULT.to_owned()
    }
}

/// The token in a file, as it is shown. It is marked, so that nothing prints it.
#[expect(
    clippy::disallowed_methods,
    reason = "a short file, before anything else"
)]
fn token(path: &Path) -> Result<HeaderValue, Trouble> {
    let help = "the file holds one token and nothing else";
    let trouble =
        |why: String| Trouble::unasked(format!("no token in {}: {why}", path.display()), help);
    let text = std::fs::read_to_string(path).map_err(|error| trouble(error.to_string()))?;
    let word = text.trim();
    if word.is_empty() || word.contains(char::is_whitespace) {
        return Err(trouble("it is not one word".to_owned()));
    }
    let value = HeaderValue::try_from(format!("Bearer {word}"));
    let mut value = value.map_err(|_| trouble("it is not printable ASCII".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
) -> std::io::Result<Response<Incoming>> {
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(std::io::Error::other)?;
    // It ends with its answer; what goes wrong in it is told there.
    tokio::spawn(connection);
    sender
        .send_request(request.map(Full::new))
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
