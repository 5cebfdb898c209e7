//! The whole of Serin with a canary at 5 %, and everybody who may come to its admin address.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::Status,
    model::Share,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use crate::support::certificates::Authority;

pub(crate) const READ: &str = "read-0123456789-abcdef";
pub(crate) const OPERATE: &str = "operate-0123456789-abcdef";
pub(crate) const ADMIN: &str = "admin-0123456789-abcdef";

/// Serin, and the files that it reads. `@` in its file stands for their directory.
pub(crate) struct House {
    running: Option<Running>,
    text: String,
    pub(crate) place: TempDir,
    pub(crate) authority: Authority,
    pub(crate) at: SocketAddr,
}

/// Status, head in lower case, and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl House {
    /// With secrets in a comment, a webhook's path and query, a header, nowhere yet, and in a file
    /// that signs cookies.
    pub(crate) fn with_secrets(admin: &str, secrets: [&str; 6]) -> Self {
        let [comment, path, query, header, _, cookie] = secrets;
        let split = format!(
            "{{ stable: old, canary: new, \
             match: {{ path_prefix: /, headers: {{ x-a: {header} }} }}, sticky: {{ key: client_ip, secret_file: @/cookie }}, rollout: {{ steps: [\
             {{ set_weight: 5% }}, {{ gate: {{ webhook: \"https://hooks.internal/{path}?key={query}\" \
             }} }}] }} }} # {comment}"
        );
        Self::open_with(admin, &split, cookie)
    }

    /// With these lines in the file, which begin with `admin:`.
    pub(crate) fn open(admin: &str) -> Self {
        Self::open_with(admin, "{ stable: old, canary: new, weight: 5% }", "")
    }

    fn open_with(admin: &str, split: &str, cookie: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        fs::write(place.path().join("ca.pem"), &authority.pem).unwrap();
        fs::write(place.path().join("cookie"), cookie).unwrap();
        authority.issue(&["localhost"]).write(place.path(), "admin");
        let mut house = Self {
            running: None,
            text: String::new(),
            authority,
            at: ([127, 0, 0, 1], 0).into(),
            place,
        };
        house.write_tokens(&format!(
            "# who\nread grafana {READ}\noperate deploy {OPERATE}\nadmin kim {ADMIN}\n"
        ));
        let text = format!(
            "listen: \"127.0.0.1:0\"\n{admin}\nworkers: 1\nupstreams:\n  \
             old: {{ static: [\"127.0.0.1:1\"] }}\n  new: {{ static: [\"127.0.0.1:2\"] }}\n\
             splits:\n  shop: {split}\n"
        );
        let directory = house.place.path().display().to_string();
        house.text = text.replace('@', &directory);
        house.begin();
        house
    }

    fn begin(&mut self) {
        let config = self.place.path().join("serin.yaml");
        fs::write(&config, &self.text).unwrap();
        let state_dir = Some(self.place.path().join("state"));
        let running = app::start(&Options { config, state_dir }).unwrap();
        self.at = running.admin.unwrap();
        self.running = Some(running);
    }

    /// Another process in the same place.
    pub(crate) async fn restart(&mut self) {
        self.end().await;
        self.begin();
    }

    /// Saves the file with another weight.
    pub(crate) fn save_weight(&mut self, weight: &str) {
        self.text = self
            .text
            .replace("weight: 5%", &format!("weight: {weight}"));
        let (new, path) = (
            self.place.path().join("new"),
            self.place.path().join("serin.yaml"),
        );
        fs::write(&new, &self.text).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Saves the tokens, by rename.
    pub(crate) fn write_tokens(&self, text: &str) {
        let (new, path) = (
            self.place.path().join("new"),
            self.place.path().join("tokens"),
        );
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Saves the file with a password where none belongs, and waits until that is told.
    pub(crate) async fn break_file(&self, secret: &str) {
        let text = format!("{}password: {secret}\n", self.text);
        fs::write(self.place.path().join("serin.yaml"), text).unwrap();
        let mut status = self.running().handle.watch();
        let refused = status.wait_for(|status| status.config.problem.is_some());
        tokio::time::timeout(crate::PATIENCE, refused)
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.place.path().join("state/admin.sock")
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn status(&self) -> Arc<Status> {
        self.running().handle.status()
    }

    pub(crate) fn share(&self) -> Share {
        self.status().splits[0].share
    }

    /// What nobody may have changed who may not.
    pub(crate) fn is_untouched(&self) -> bool {
        let status = self.status();
        let split = &status.splits[0];
        (split.share, split.revision, split.phase) == (five(), 0, "progressing")
            && status.config.reloads == (0, 0)
            && !status.is_draining
    }

    /// Over TCP; `extra` is more head lines, each with its end.
    pub(crate) async fn ask(&self, line: &str, extra: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.at).await.unwrap();
        exchange(stream, &request(line, &self.at.to_string(), extra, body)).await
    }

    /// Over TCP, as this host.
    pub(crate) async fn ask_as(&self, host: &str, line: &str, extra: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.at).await.unwrap();
        exchange(stream, &request(line, host, extra, body)).await
    }

    /// Over a unix socket.
    pub(crate) async fn ask_here(&self, line: &str, extra: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        exchange(stream, &request(line, "localhost", extra, body)).await
    }

    /// Over TLS, as this client.
    pub(crate) async fn ask_over(
        &self,
        client: Arc<ClientConfig>,
        line: &str,
        extra: &str,
    ) -> Answer {
        let stream = TcpStream::connect(self.at).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(client).connect(name, stream).await;
        exchange(stream.unwrap(), &request(line, "localhost", extra, "")).await
    }

    pub(crate) async fn close(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        let drain = Drain {
            timeout: std::time::Duration::ZERO,
            lag: std::time::Duration::ZERO,
            long_lived: None,
        };
        let running = self.running.take().unwrap();
        running.stop(drain, std::future::pending()).await;
    }
}

pub(crate) fn five() -> Share {
    Share::from_basis_points(500).unwrap()
}

pub(crate) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn request(line: &str, host: &str, extra: &str, body: &str) -> String {
    let length = match (line.split(' ').next(), body.len()) {
        (Some("GET"), 0) => String::new(),
        (_, length) => format!("content-length: {length}\r\n"),
    };
    format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}{extra}\r\n{body}")
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    // A TLS stream may end without its last word.
    let _ended = stream.read_to_end(&mut text).await;
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
