//! One question to one endpoint, over a connection of its own.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{super::Task, CheckTls};
use crate::{
    config::{self, HealthCheck, ProxyVersion, Question, UpstreamProtocol},
    net,
};

/// The header of the PROXY protocol that says: I ask for myself.
const LOCAL_V1: &[u8] = b"PROXY UNKNOWN\r\n";
const LOCAL_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
/// What an answer of the health service may be long.
const ANSWER_MAX: usize = 4_096;
/// Its status for a service that is well.
const SERVING: u8 = 1;

/// What is spoken to the endpoints of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    protocol: UpstreamProtocol,
    tls: Option<CheckTls>,
    proxy_protocol: Option<ProxyVersion>,
}

impl Way {
    pub(super) fn new(upstream: &config::Upstream, tls: Option<CheckTls>) -> Self {
        Self {
            protocol: upstream.protocol,
            tls,
            proxy_protocol: upstream.proxy_protocol,
        }
    }

    /// Asks; what is wrong, in words.
    pub(super) async fn ask(&self, check: &HealthCheck, of: SocketAddr) -> Result<(), String> {
        let address = SocketAddr::new(of.ip(), check.port.unwrap_or(of.port()));
        let connected = net::connect(address).await;
        let mut stream = connected.map_err(|error| format!("no connection: {error}"))?;
        let introduction = match self.proxy_protocol {
            Some(ProxyVersion::V1) => LOCAL_V1,
            Some(ProxyVersion::V2) => LOCAL_V2,
            None => &[],
        };
        let introduced = stream.write_all(introduction).await;
        introduced.map_err(|error| format!("no connection: {error}"))?;
        match &self.tls {
            None => self.converse(stream, check, address).await,
            Some(tls) => {
                let secured = tls.connect(stream, of.ip()).await;
                let secured = secured.map_err(|error| format!("no TLS: {error}"))?;
                self.converse(secured, check, address).await
            }
        }
    }

    async fn converse<S>(
        &self,
        stream: S,
        check: &HealthCheck,
        address: SocketAddr,
    ) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let host = check.host.clone().unwrap_or_else(|| address.to_string());
        match &check.question {
            Question::Tcp => Ok(()),
            Question::Http { path, expect } => {
                let request = self.request(Method::GET, &host, path, Bytes::new())?;
                let (answer, _connection) = self.send(stream, request).await?;
                let status = answer.status().as_u16();
                let is_good = expect.iter().any(|range| range.contains(&status));
                is_good
                    .then_some(())
                    .ok_or_else(|| format!("it answers {status}"))
            }
            Question::Grpc { service } => {
                let path = "/grpc.health.v1.Health/Check";
                let mut request = self.request(Method::POST, &host, path, question(service))?;
                let kind = header::HeaderValue::from_static("application/grpc");
                request.headers_mut().insert(header::CONTENT_TYPE, kind);
                let trailers = header::HeaderValue::from_static("trailers");
                request.headers_mut().insert(header::TE, trailers);
                let (answer, _connection) = self.send(stream, request).await?;
                served(answer).await
            }
        }
    }

    fn request(
        &self,
        method: Method,
        host: &str,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, String> {
        let agent = concat!("serin/", env!("CARGO_PKG_VERSION"), " (health check)");
        let request = Request::builder()
            .method(method)
            .header(header::USER_AGENT, agent);
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let request = match self.protocol {
            UpstreamProtocol::H1 => request
                .uri(path)
                .header(header::HOST, host)
                .header(header::CONNECTION, "close"),
            UpstreamProtocol::H2c | UpstreamProtocol::H2 => {
                request.uri(format!("{scheme}://{host}{path}"))
            }
        };
        let request = request.body(Full::new(body));
        request.map_err(|error| format!("it cannot be asked: {error}"))
    }

    /// Sends a request; the connection ends with the task.
    async fn send<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Task), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| format!("no answer: {error}");
        let io = TokioIo::new(stream);
        match self.protocol {
            UpstreamProtocol::H1 => {
                let (mut sender, connection) = http1::handshake(io).await.map_err(broken)?;
                let task = Task(tokio::spawn(async move {
                    // What breaks shows in the answer.
                    let _ended = connection.await;
                }));
                let answer = sender.send_request(request).await.map_err(broken)?;
                Ok((answer, task))
            }
            UpstreamProtocol::H2c | UpstreamProtocol::H2 => {
                let handshake = http2::handshake(TokioExecutor::new(), io).await;
                let (mut sender, connection) = handshake.map_err(broken)?;
                let task = Task(tokio::spawn(async move {
                    // What breaks shows in the answer.
                    let _ended = connection.await;
                }));
                let answer = sender.send_request(request).await.map_err(broken)?;
                Ok((answer, task))
            }
        }
    }
}

/// `HealthCheckRequest { service }` in a frame of gRPC.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length > 0x7f {
            message.put_u8(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.put_u8(u8::try_from(length).unwrap_or(0));
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message);
    frame.freeze()
}

/// Whether the health service says that it serves.
async fn served(answer: Response<Incoming>) -> Result<(), String> {
    let (head, body) = answer.into_parts();
    if !head.status.is_success() {
        return Err(format!("it answers {}", head.status.as_u16()));
    }
    let whole = Limited::new(body, ANSWER_MAX).collect().await;
    let whole = whole.map_err(|error| format!("no answer: {error}"))?;
    let of = |fields: &http::HeaderMap| fields.get("grpc-status").cloned();
    let status = whole.trailers().and_then(of).or_else(|| of(&head.headers));
    if status.as_ref().is_none_or(|status| status != "0") {
        let status = status.as_ref().and_then(|status| status.to_str().ok());
        return Err(format!("gRPC status {}", status.unwrap_or("missing")));
    }
    // A frame's head of 5 bytes, then the one field of the message: its tag and its value.
    match *whole.to_bytes() {
        [0, _, _, _, _, 0x08, SERVING] => Ok(()),
        [0, _, _, _, _, 0x08, other] => Err(format!("it does not serve (status {other})")),
        _ => Err("it does not serve (status unknown)".to_owned()),
    }
}
