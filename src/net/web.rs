//! HTTP asked of others, at the rim: sources of endpoints, and webhooks. Requests of users never
//! come here.
//!
//! *Owns:* connections to such servers, TLS to them, how long they may take and how much they may
//! say.
//! *Does not know:* what is asked. Redirects are handed back: who asks knows whether its
//! credentials may go elsewhere.

use std::{error::Error, io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::{Instant, timeout_at};

/// To make a connection, before the next address of the name is tried.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(20);

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those that the authorities of the system have signed.
    #[default]
    System,
    /// Those that the authorities in this file (PEM) have signed.
    Authorities(PathBuf),
}

/// What one answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the beginning to the last byte of the answer.
    pub time: Duration,
    /// Bytes of its body.
    pub body: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The authorities could not be read.
    #[error("cannot read the authorities in {path}: {cause}", path = .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The server could not be asked, or broke off.
    #[error("{0}")]
    Unreachable(String),
    /// The answer was not whole in time.
    #[error("no whole answer in {0:?}")]
    Slow(Duration),
    /// The answer is longer than it may be.
    #[error("the answer is over {0} bytes long")]
    Long(usize),
}

/// A client; its clones share their connections.
#[derive(Debug, Clone)]
pub struct Web(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Web {
    /// A client that believes these certificates. Reads files: may block. Needs no runtime until
    /// something is asked.
    pub fn new(trust: &Trust) -> Result<Self, WebError> {
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(CONNECT));
        plain.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(trust)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self(client))
    }

    /// Asks, and reads the whole answer.
    pub async fn ask(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, WebError> {
        let until = Instant::now() + limits.time;
        let (head, body) = self.begin(request, until, limits.time).await?.into_parts();
        let whole = timeout_at(until, Limited::new(body, limits.body).collect()).await;
        match whole {
            Ok(Ok(whole)) => Ok(Response::from_parts(head, whole.to_bytes())),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(WebError::Long(limits.body)),
            Ok(Err(error)) => Err(WebError::Unreachable(root(&*error))),
            Err(_) => Err(WebError::Slow(limits.time)),
        }
    }

    /// Asks for something that goes on; `time` is for the head of the answer.
    pub async fn open(
        &self,
        request: Request<Bytes>,
        time: Duration,
    ) -> Result<Response<Incoming>, WebError> {
        self.begin(request, Instant::now() + time, time).await
    }

    async fn begin(
        &self,
        request: Request<Bytes>,
        until: Instant,
        time: Duration,
    ) -> Result<Response<Incoming>, WebError> {
        let asking = self.0.request(request.map(Full::new));
        match timeout_at(until, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(WebError::Unreachable(root(&error))),
            Err(_) => Err(WebError::Slow(time)),
        }
    }
}

fn tls(trust: &Trust) -> Result<ClientConfig, WebError> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            // What cannot be read of them is not trusted.
            let system = rustls_native_certs::load_native_certs();
            let _counts = roots.add_parsable_certificates(system.certs);
        }
        Trust::Authorities(path) => read_authorities(path)
            .and_then(|found| add(found, &mut roots))
            .map_err(|cause| WebError::Authorities {
                path: path.clone(),
                cause: cause.to_string(),
            })?,
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| WebError::Unreachable(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rim: the caller knows that it may block"
)]
fn read_authorities(path: &PathBuf) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = std::fs::read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| io::Error::other(error.to_string()))?;
    if found.is_empty() {
        return Err(io::Error::other("it has no certificate"));
    }
    Ok(found)
}

fn add(found: Vec<CertificateDer<'static>>, roots: &mut RootCertStore) -> io::Result<()> {
    let mut found = found.into_iter();
    found
        .try_for_each(|authority| roots.add(authority))
        .map_err(io::Error::other)
}

/// What lies at the bottom of an error: the layers above say no more than that there is one.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

#[cfg(test)]
mod tests;
