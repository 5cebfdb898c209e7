//! The whole of Serin with certificates in files: shown, renewed, broken, asked for.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test stops where it stands, and writes the files that Serin reads"
)]

#[path = "../support/mod.rs"]
mod support;

mod renewal;
mod upstreams;

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, HandshakeKind, pki_types::ServerName};
use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::Status,
};
use support::{
    certificates::{Authority, Issued},
    client::find,
    origin::{Origin, answer},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serin with two workers, and the files that it reads.
struct Live {
    running: Option<Running>,
    place: TempDir,
    authority: Authority,
    address: SocketAddr,
}

impl Live {
    /// A listener for `shop.example` with these keys more in its `tls`, before this upstream.
    /// `ca.pem` is the authority's, `own.pem` a certificate of Serin's own; `@` stands for the
    /// directory of all files.
    fn start(tls: &str, upstream: &str) -> Self {
        Self::start_under(Authority::new(), tls, upstream)
    }

    fn start_under(authority: Authority, tls: &str, upstream: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("ca.pem"), &authority.pem).unwrap();
        authority
            .issue(&["shop.example"])
            .write(place.path(), "shop");
        authority
            .issue(&["serin.example"])
            .write(place.path(), "own");
        let text = format!(
            "listeners:\n- name: web\n  address: \"127.0.0.1:0\"\n  tls:\n    certificates: \
             [{{ cert: @/shop.pem, key: @/shop.key }}]\n{tls}admin: none\nworkers: 2\n\
             upstreams: {{ old: {{ {upstream} }} }}\nsplits: {{ shop: {{ stable: old }} }}\n"
        );
        let directory = place.path().display().to_string();
        let config = place.path().join("serin.yaml");
        fs::write(&config, text.replace('@', &directory)).unwrap();
        let state_dir = Some(place.path().join("state"));
        let running = app::start(&Options { config, state_dir }).unwrap();
        Self {
            address: running.listeners[0].1,
            running: Some(running),
            place,
            authority,
        }
    }

    /// Writes a new certificate for `shop.example`.
    fn renew(&self) -> Issued {
        let issued = self.authority.issue(&["shop.example"]);
        issued.write(self.place.path(), "shop");
        issued
    }

    fn status(&self) -> Arc<Status> {
        self.running.as_ref().unwrap().handle.status()
    }

    /// Waits for a snapshot of this kind.
    async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) {
        let mut snapshots = self.running.as_ref().unwrap().handle.watch();
        let found = timeout(PATIENCE, snapshots.wait_for(|status| is_so(status))).await;
        drop(found.unwrap_or_else(|_| panic!("never: {what}")).unwrap());
    }

    async fn connect(&self, client: &Arc<ClientConfig>) -> Secure {
        Secure::connect(self.address, client).await.unwrap()
    }

    async fn end(mut self) {
        let drain = Drain {
            timeout: Duration::ZERO,
            lag: Duration::ZERO,
            long_lived: None,
        };
        let running = self.running.take().unwrap();
        running.stop(drain, std::future::pending()).await;
    }
}

/// A client's connection with TLS.
struct Secure(TlsStream<TcpStream>);

impl Secure {
    async fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("shop.example").unwrap();
        let shaking = TlsConnector::from(Arc::clone(client)).connect(name, socket);
        Ok(Self(timeout(PATIENCE, shaking).await.unwrap()?))
    }

    /// A whole request and what is answered.
    async fn get(&mut self, fields: &str) -> std::io::Result<String> {
        let request = format!("GET / HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
        self.0.write_all(request.as_bytes()).await?;
        let mut read = Vec::new();
        loop {
            let is_whole = find(&read, b"\r\n\r\n").is_some_and(|end| {
                let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                read.len() >= end + 4 + length
            });
            if is_whole {
                return Ok(String::from_utf8(read).unwrap());
            }
            let reading = self.0.read_buf(&mut read);
            if timeout(PATIENCE, reading).await.unwrap()? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn is_resumed(&self) -> bool {
        self.0.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The certificate that Serin has shown.
    fn certificate(&self) -> Vec<u8> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// An origin that says "fine", as an upstream of a file.
async fn plain() -> (Origin, String) {
    let origin = Origin::answering(|_| answer(200, "fine")).await;
    let upstream = format!("static: [\"{}\"]", origin.address);
    (origin, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_on_as_who_it_has_proven_to_be() {
    let (mut origin, upstream) = plain().await;
    let live = Live::start(
        "    client_ca: @/ca.pem\n    client_auth: optional\n",
        &upstream,
    );
    let own = live.authority.issue(&["client.example"]);
    let claim = "X-Client-Cert-Subject: CN=admin\r\n";
    for (shown, expected) in [(Some(&own), Some("CN=client.example")), (None, None)] {
        let client = live.authority.client(&["http/1.1"], shown);
        let answered = live.connect(&client).await.get(claim).await.unwrap();
        assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
        let seen = origin.next().await;
        assert_eq!(seen.field("x-client-cert-subject"), expected);
        assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
    }
    live.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_certificate_that_is_asked_for_gets_no_answer() {
    let (_origin, upstream) = plain().await;
    let live = Live::start("    client_ca: @/ca.pem\n", &upstream);
    let stranger = Authority::new().issue(&["client.example"]);
    for shown in [None, Some(&stranger)] {
        let client = live.authority.client(&[], shown);
        let answered = match Secure::connect(live.address, &client).await {
            // In TLS 1.3 a client learns it after its part of the handshake.
            Ok(mut connection) => connection.get("").await,
            Err(error) => Err(error),
        };
        assert!(answered.is_err(), "{answered:?}");
    }
    live.end().await;
}
