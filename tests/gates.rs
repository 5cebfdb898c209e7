//! Gates over real sockets: control, admin and a webhook; no proxy.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes its own files"
)]

use std::{net::SocketAddr, time::Duration};

use serin::{
    admin::{self, Bind, Serving},
    control::{Asker, Command, Control, Handle, Setup, SplitStatus, Status, read_config},
    model::{Share, SplitName},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Control and admin, at a gate that asks a webhook.
struct House {
    _directory: tempfile::TempDir,
    _serving: Serving,
    handle: Handle,
}

impl House {
    async fn open(webhook: SocketAddr) -> Self {
        Self::open_asking(&format!("http://{webhook}/ok?key=1")).await
    }

    async fn open_asking(webhook: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serin.yaml");
        let text = format!(
            "listen: \"127.0.0.1:0\"\n\
             upstreams:\n  \
               v1: {{ static: [\"127.0.0.1:1\"] }}\n  \
               v2: {{ static: [\"127.0.0.1:2\"] }}\n\
             splits:\n  \
               shop:\n    \
                 stable: v1\n    \
                 canary: v2\n    \
                 rollout:\n      \
                   steps:\n        \
                     - set_weight: 5%\n        \
                     - gate:\n            \
                         webhook: \"{webhook}\"\n            \
                         type: confirm_promotion\n            \
                         interval: 100ms\n            \
                         timeout: 300ms\n        \
                     - set_weight: 100%\n        \
                     - bake: 1h\n"
        );
        std::fs::write(&path, text).unwrap();
        let opened = Control::open(Setup {
            loaded: read_config(&path).unwrap(),
            path: None,
            state_dir: None,
        });
        let handle = opened.handle;
        tokio::spawn(opened.control.run());
        let serving = admin::serve(handle.clone(), &Bind::default()).await;
        Self {
            _directory: directory,
            _serving: serving.unwrap(),
            handle,
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&SplitStatus) -> bool) -> SplitStatus {
        let mut status = self.handle.watch();
        let seen = status.wait_for(|status: &std::sync::Arc<Status>| is_so(&status.splits[0]));
        let seen = timeout(PATIENCE, seen).await;
        let status = seen.unwrap_or_else(|_| panic!("not in time: {what}"));
        status.unwrap().splits[0].clone()
    }

    async fn ask(&self, command: Command) {
        let shop = SplitName::new("shop").unwrap();
        let done = self.handle.ask(shop, command, Asker::default()).await;
        done.unwrap();
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The next question: its connection and its text.
async fn question(listener: &TcpListener) -> (TcpStream, String) {
    let asked = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4_096];
        while !text.ends_with('}') {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the question broke off: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        (stream, text)
    };
    timeout(PATIENCE, asked).await.unwrap()
}

async fn answer(mut stream: TcpStream, status: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever asked may have gone.
    let _sent = stream.write_all(text.as_bytes()).await;
}

#[tokio::test]
async fn a_webhook_keeps_a_gate_shut_until_it_says_yes() {
    let (hook, address) = listen().await;
    let house = House::open(address).await;
    let (stream, text) = question(&hook).await;
    assert!(text.starts_with("POST /ok?key=1 HTTP/1.1\r\n"), "{text}");
    let body = text.split_once("\r\n\r\n").unwrap().1;
    let expected = "{\"split\":\"shop\",\"epoch\":1,\"type\":\"confirm_promotion\",\"step\":2,\
                    \"weight\":\"5%\",\"stable\":\"v1\",\"canary\":\"v2\",\
                    \"phase\":\"progressing\",\"verdict\":";
    assert!(body.starts_with(expected), "{body}");
    answer(stream, "503 Service Unavailable").await;
    let shown = house
        .until("the answer", |split| split.phase_reason.contains("503"))
        .await;
    assert_eq!(
        shown.phase_reason,
        format!("waits for confirm_promotion by http://{address}: it answered 503")
    );
    assert_eq!(shown.share, Share::from_basis_points(500).unwrap());
    let (stream, _) = question(&hook).await;
    answer(stream, "204 No Content").await;
    let opened = house
        .until("100%", |split| split.share == Share::FULL)
        .await;
    let told = opened
        .history
        .iter()
        .find(|entry| entry.what == "gate_opened")
        .unwrap();
    assert_eq!(told.by, format!("webhook {address}"));
    assert_eq!(told.why, "it answered 204");
}

#[tokio::test]
async fn a_webhook_that_hangs_is_given_up_and_asked_again() {
    let (hook, address) = listen().await;
    let house = House::open(address).await;
    let (mut stream, _) = question(&hook).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    house
        .until("given up", |split| {
            split.phase_reason.contains("no answer in 300ms")
        })
        .await;
    let (stream, _) = question(&hook).await;
    answer(stream, "200 OK").await;
    house
        .until("100%", |split| split.share == Share::FULL)
        .await;
}

#[tokio::test]
async fn a_gate_that_a_person_closes_is_asked_for_no_more_and_a_late_yes_opens_nothing() {
    let (hook, address) = listen().await;
    let house = House::open(address).await;
    let (stream, _) = question(&hook).await;
    house.ask(Command::CloseGate).await;
    answer(stream, "200 OK").await;
    let closed = house.until("closed", |split| split.phase == "paused").await;
    assert_eq!(closed.gate, None);
    house.ask(Command::Resume).await;
    let (stream, _) = question(&hook).await;
    let waiting = house
        .until("waits again", |split| split.gate.is_some())
        .await;
    assert_eq!(waiting.share, Share::from_basis_points(500).unwrap());
    drop(stream);
    drop(hook);
    house
        .until("nobody there", |split| {
            split.phase_reason.contains("cannot be asked")
        })
        .await;
    house.ask(Command::OpenGate { step: None }).await;
    house
        .until("100%", |split| split.share == Share::FULL)
        .await;
}

#[tokio::test]
async fn a_webhook_may_be_asked_over_tls_and_must_prove_who_it_is() {
    let (hook, address) = listen().await;
    let house = House::open_asking(&format!("https://localhost:{}/ok", address.port())).await;
    let (mut stream, _) = timeout(PATIENCE, hook.accept()).await.unwrap().unwrap();
    let mut first = [0; 3];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first[..2], [0x16, 0x03], "a handshake");
    drop(stream);
    house
        .until("the gate says why it is shut", |split| {
            split.phase_reason.contains("it cannot be asked")
        })
        .await;
}
