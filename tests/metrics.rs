//! What is told of the whole of Serin: every name that rules, dashboards and documents use is
//! there, requests add no series, and others read it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and reads and writes files"
)]

#[path = "metrics/names.rs"]
mod names;
#[path = "metrics/push.rs"]
mod push;
#[path = "support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use serin::app::{self, Options, Running};
use support::{
    client::Client,
    origin::{Origin, ok},
};
use tempfile::TempDir;

/// Serin with two versions, and the place of its file.
pub(crate) struct House {
    running: Running,
    place: TempDir,
    _origins: [Origin; 2],
}

impl House {
    pub(crate) async fn start(more: &str) -> Self {
        let stable = Origin::answering(|_| ok("stable")).await;
        let canary = Origin::answering(|_| ok("canary")).await;
        let place = tempfile::tempdir().unwrap();
        let config = place.path().join("serin.yaml");
        let text = format!(
            "listen: \"127.0.0.1:0\"\nadmin: \"127.0.0.1:0\"\nworkers: 2\n{more}upstreams:\n\
             \x20 old: {{ static: [\"{}\"] }}\n\x20 new: {{ static: [\"{}\"] }}\n\
             splits:\n\x20 shop:\n\x20   match: {{ hosts: [\"*.shop.test\"] }}\n\
             \x20   stable: old\n\x20   canary: new\n\x20   weight: 50%\n\
             \x20   sticky: {{ key: [header:x-user] }}\n",
            stable.address, canary.address
        );
        fs::write(&config, text).unwrap();
        let options = Options {
            config,
            state_dir: Some(place.path().join("state")),
        };
        let running = app::start(&options).unwrap();
        Self {
            running,
            place,
            _origins: [stable, canary],
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.listeners[0].1
    }

    /// `/metrics` as it is now.
    pub(crate) async fn scrape(&self, accept: &str) -> (String, String) {
        let mut client = Client::connect(self.running.admin.unwrap()).await;
        let head = format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n");
        client.send(head).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200);
        let kind = answer.field("content-type").unwrap().to_owned();
        (kind, answer.text().to_owned())
    }

    /// `/metrics` as soon as it has this.
    pub(crate) async fn scrape_with(&self, accept: &str, wanted: &str) -> String {
        self.scrape_until(accept, |text| text.contains(wanted))
            .await
    }

    /// `/metrics` as soon as it is so.
    pub(crate) async fn scrape_until(&self, accept: &str, is_so: impl Fn(&str) -> bool) -> String {
        let waiting = async {
            loop {
                let (_, text) = self.scrape(accept).await;
                if is_so(&text) {
                    return text;
                }
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        found.expect("it becomes so in 20 s")
    }
}

/// Names and labels of all series of a text.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| line.rsplit_once(' '));
    // What the judge and the clock bring comes when it comes, whatever is asked.
    let by_time = [
        "serin_analysis_",
        "serin_shadow_",
        "serin_split_weight_ratio",
    ];
    let names = names.filter(|(name, _)| !by_time.iter().any(|start| name.starts_with(start)));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The number of a series; 0 if it is not there.
fn number(text: &str, name: &str) -> f64 {
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '));
    line.map_or(0.0, |line| line[name.len() + 1..].parse().unwrap())
}

/// Asks for nothing in particular, with these fields.
async fn get(client: &mut Client, fields: &str) {
    let head = format!("GET / HTTP/1.1\r\nHost: a.shop.test\r\n{fields}\r\n");
    client.send(head).await;
    assert_eq!(client.answer().await.status, 200);
}

/// A head of things that nobody has said before.
fn anything(random: &mut fastrand::Rng, host: &str) -> String {
    let mut word = || -> String {
        let length = random.usize(1..20);
        (0..length).map(|_| random.alphanumeric()).collect()
    };
    let (path, query, user, agent, trace) = (word(), word(), word(), word(), word());
    let method = ["GET", "POST", "PUT", "DELETE", "PATCH", "PURGE"][random.usize(..6)];
    let number = random.u128(1..);
    format!(
        "{method} /{path}/{number}?q={query} HTTP/1.1\r\nHost: {user}.{host}\r\nX-User: {user}\r\n\
         User-Agent: {agent}\r\nX-{trace}: {trace}\r\nContent-Length: 0\r\n\
         Traceparent: 00-{number:032x}-00f067aa0ba902b7-01\r\n\r\n"
    )
}

async fn ask(house: &House, random: &mut fastrand::Rng, count: usize) {
    let mut known = Client::connect(house.address()).await;
    let mut foreign = Client::connect(house.address()).await;
    for _ in 0..count {
        known.send(anything(random, "shop.test")).await;
        assert_eq!(known.answer().await.status, 200);
        foreign.send(anything(random, "elsewhere.test")).await;
        let answer = foreign.answer().await;
        assert_eq!(answer.status, 404);
        if answer.field("connection") == Some("close") {
            foreign = Client::connect(house.address()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_say_adds_no_series() {
    let house = House::start("").await;
    let mut random = fastrand::Rng::with_seed(7);
    ask(&house, &mut random, 60).await;
    // Workers tell what they counted one after the other: it is whole with the last of them.
    let counted = |text: &str| -> f64 {
        let lines = text.lines();
        let lines = lines.filter(|line| line.starts_with("serin_requests_total{"));
        let counts = lines.map(|line| line.rsplit_once(' ').unwrap().1);
        counts.map(|count| count.parse::<f64>().unwrap()).sum()
    };
    let plain = "text/plain";
    let before = house.scrape_until(plain, |it| counted(it) >= 120.0).await;
    ask(&house, &mut random, 1_000).await;
    let after = house.scrape_until(plain, |it| counted(it) >= 2_120.0).await;
    let (before, after) = (series(&before), series(&after));
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert_eq!(before.len(), after.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_protocols_connections_and_connects_are_counted() {
    let house = House::start("").await;
    let mut client = Client::connect(house.address()).await;
    for user in 0..40 {
        get(&mut client, &format!("X-User: {}\r\n", user % 20)).await;
    }
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    get(&mut client, upgrade).await;
    h2_calls(house.address()).await;
    let wanted = "protocol=\"grpc\"";
    let text = house.scrape_with("text/plain", wanted).await;
    for protocol in ["h1", "h2", "grpc", "ws"] {
        let label = format!("protocol=\"{protocol}\"");
        assert!(text.contains(&label), "{label}\n{text}");
    }
    let made = "serin_upstream_connects_total{upstream=\"new\",result=\"ok\"}";
    assert!(number(&text, made) >= 1.0, "{text}");
    // A client that says no name is a new one each time: the stream, and two calls.
    let users = |text: &str| {
        let of = |version: &str| {
            let name = format!("serin_exposed_users{{split=\"shop\",version=\"{version}\"}}");
            number(text, &name)
        };
        of("old") + of("new")
    };
    let are_there = |text: &str| (20.0..=23.0).contains(&users(text));
    house.scrape_until("text/plain", are_there).await;
    let idle = "serin_upstream_connections{upstream=\"new\",state=\"idle\"}";
    let rests = |text: &str| number(text, idle) >= 1.0;
    let text = house.scrape_until("text/plain", rests).await;
    assert!(text.contains("serin_upstream_inflight{upstream=\"new\"} 0"));
}

/// A plain request, and a call of gRPC, over one connection of HTTP/2.
async fn h2_calls(address: SocketAddr) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    for kind in ["text/plain", "application/grpc"] {
        let request = http::Request::builder()
            .method("POST")
            .uri("http://b.shop.test/x")
            .header("content-type", kind)
            .header("te", "trailers")
            .body(())
            .unwrap();
        send = send.ready().await.unwrap();
        let (answer, mut body) = send.send_request(request, false).unwrap();
        body.send_data(Bytes::new(), true).unwrap();
        let mut answer = answer.await.unwrap();
        while answer.body_mut().data().await.is_some() {}
    }
    driving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_read_open_metrics_with_the_traces_of_requests() {
    let house = House::start("").await;
    let mut client = Client::connect(house.address()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let fields = format!("X-User: 1\r\nTraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    get(&mut client, &fields).await;
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.3";
    let exemplar = format!(" # {{trace_id=\"{trace}\"}} ");
    let text = house.scrape_with(accept, &exemplar).await;
    let (kind, _) = house.scrape(accept).await;
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let (kind, plain) = house.scrape("*/*").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!plain.contains("trace_id") && !plain.contains("# EOF"));
    piped("promtool", &["check", "metrics"], &plain, "prometheus");
    let program = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        families = list(read(sys.stdin.read()))\n\
        assert len(families) > 30, len(families)\n\
        told = [s.exemplar.labels for f in families for s in f.samples if s.exemplar]\n\
        assert told and all(len(t['trace_id']) == 32 for t in told), told\n";
    let imports = ["-c", "import prometheus_client.openmetrics.parser"];
    let python = "/usr/bin/python3";
    let has_parser = Command::new(python).args(imports).output();
    if has_parser.is_ok_and(|output| output.status.success()) {
        piped(python, &["-c", program], &text, "python3");
    } else {
        eprintln!("SKIPPED: no parser; it is in the Debian package `python3-prometheus-client`");
    }
    drop(house.place);
}

/// Pipes a text through a program, which must be content; skips loudly without it.
fn piped(program: &str, arguments: &[&str], text: &str, package: &str) {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: {program} is not here; it is in the Debian package `{package}`");
        return;
    };
    let mut input = child.stdin.take().unwrap();
    // What ends early has said why.
    let _written = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{program}: {said}"
    );
}
