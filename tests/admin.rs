//! The admin API over real sockets: status codes, conditions, streams, metrics, refusals.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops where it stands"
)]

#[path = "support/control.rs"]
mod control;

use std::{
    io::Write as _,
    net::SocketAddr,
    process::{Command as Process, Stdio},
    time::Duration,
};

use serin::{control::Command, model::Share};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

/// Status, head and body of an answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// One request; `extra` is more head lines, each with its end.
async fn call(to: SocketAddr, line: &str, extra: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\
         content-length: {length}\r\n{extra}\r\n{body}"
    );
    exchange(TcpStream::connect(to).await.unwrap(), &request).await
}

const JSON: &str = "content-type: application/json\r\n";

async fn setup() -> (
    tempfile::TempDir,
    serin::admin::Serving,
    control::Fake,
    SocketAddr,
) {
    let directory = tempfile::tempdir().unwrap();
    let (serving, fake) = control::admin(&directory).await;
    let address = serving.http().unwrap();
    (directory, serving, fake, address)
}

#[tokio::test]
async fn probes_say_alive_started_ready_and_why_not() {
    let (_directory, _serving, fake, at) = setup().await;
    fake.set(|status| {
        status.is_ready = false;
        status.upstreams[1].age = None;
        status.upstreams[1].problem = Some("cannot find the addresses of `ecs`".into());
    });
    assert_eq!(call(at, "GET /healthz", "", "").await.status, 200);
    assert_eq!(call(at, "GET /startupz", "", "").await.status, 503);
    let waiting = call(at, "GET /readyz", "", "").await;
    assert_eq!(waiting.status, 503);
    let expected =
        "not ready\nupstream `ecs` has no endpoints: cannot find the addresses of `ecs`\n";
    assert_eq!(waiting.body, expected);

    fake.set(|status| status.is_ready = true);
    assert_eq!(call(at, "GET /readyz", "", "").await.status, 200);
    assert_eq!(call(at, "GET /startupz", "", "").await.status, 200);
    fake.set(|status| (status.is_ready, status.is_draining) = (false, true));
    let draining = call(at, "GET /readyz", "", "").await;
    assert_eq!(
        (draining.status, draining.body.as_str()),
        (503, "not ready\nthe process is going down\n")
    );
    assert_eq!(
        call(at, "GET /startupz", "", "").await.status,
        200,
        "started stays started"
    );
    assert_eq!(call(at, "GET /healthz", "", "").await.status, 200);
}

#[tokio::test]
async fn a_split_is_shown_whole_and_its_etag_is_the_epoch() {
    let (directory, serving, _fake, at) = setup().await;
    let split = call(at, "GET /v1/splits/shop", "", "").await;
    assert_eq!(split.status, 200);
    assert!(split.head.contains("etag: \"3\""), "{}", split.head);
    let json: serde_json::Value = serde_json::from_str(&split.body).unwrap();
    insta::assert_snapshot!("split", serde_json::to_string_pretty(&json).unwrap());
    let all = call(at, "GET /v1/splits", "", "").await;
    assert_eq!(all.body, format!("{{\"splits\":[{}]}}", split.body));

    let request = "GET /v1/splits HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let path = serving.unix().unwrap().to_owned();
    let unix = exchange(UnixStream::connect(&path).await.unwrap(), request).await;
    assert_eq!(unix.body, all.body, "the unix socket says the same");
    serving.stop().await;
    assert!(!path.exists(), "the socket's file goes with the server");
    drop(directory);
}

#[tokio::test]
async fn other_reads_answer() {
    let (_directory, _serving, mut fake, at) = setup().await;
    let analysis = call(at, "GET /v1/splits/shop/analysis", "", "").await;
    assert!(
        analysis.body.contains("\"verdict\":\"inconclusive\""),
        "{}",
        analysis.body
    );
    let upstreams = call(at, "GET /v1/upstreams", "", "").await;
    assert!(
        upstreams.body.contains("\"usable_endpoints\":2"),
        "{}",
        upstreams.body
    );
    let config = call(at, "GET /v1/config", "", "").await;
    assert!(
        config.body.contains("\"hash\":\"000000000000feed\""),
        "{}",
        config.body
    );
    assert_eq!(call(at, "POST /v1/config:reload", "", "").await.status, 202);
    fake.reloads.recv().await.unwrap();
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere_and_is_asked_for_once() {
    let (_directory, _serving, _fake, at) = setup().await;
    let page = call(at, "GET /", "", "").await;
    assert!(
        page.head.contains("content-type: text/html"),
        "{}",
        page.head
    );
    assert!(page.body.contains("page/main.js"), "{}", page.body);
    let script = call(at, "GET /page/main.js", "", "").await;
    assert!(script.body.contains("v1/events"), "{}", script.body);
    for answer in [&page, &script] {
        let policy = "content-security-policy: default-src 'none'; script-src 'self';";
        assert!(answer.head.contains(policy), "{}", answer.head);
        assert!(!answer.head.contains("unsafe-inline"), "{}", answer.head);
        assert!(answer.head.contains("x-content-type-options: nosniff"));
    }
    let tag = script
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "));
    let known = format!("if-none-match: {}\r\n", tag.unwrap());
    let again = call(at, "GET /page/main.js", &known, "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(call(at, "GET /page/other.js", "", "").await.status, 404);
}

#[tokio::test]
async fn a_rollout_is_told_in_a_line_as_json_and_as_a_page() {
    let (_directory, _serving, _fake, at) = setup().await;
    let all = call(at, "GET /v1/rollouts?split=shop", "", "").await;
    let all: serde_json::Value = serde_json::from_str(&all.body).unwrap();
    let rollout = &all["rollouts"][0];
    assert_eq!(rollout["id"], "shop-2");
    assert_eq!(rollout["seconds"], 540.0);
    let evidence = call(at, "GET /v1/rollouts/shop-2/evidence", "", "").await;
    assert!(evidence.head.contains("application/json"));
    let same = call(at, "GET /v1/rollouts/shop-2/evidence.json", "", "").await;
    assert_eq!(evidence.body, same.body);
    let json: serde_json::Value = serde_json::from_str(&evidence.body).unwrap();
    assert_eq!(json["rollout"], *rollout);
    insta::assert_snapshot!("evidence", serde_json::to_string_pretty(&json).unwrap());
    let page = call(at, "GET /v1/rollouts/shop-2/evidence.html", "", "").await;
    assert!(
        page.head.contains("content-type: text/html"),
        "{}",
        page.head
    );
    let policy = "content-security-policy: default-src 'none'; style-src 'unsafe-inline'";
    assert!(page.head.contains(policy), "{}", page.head);
    assert!(page.body.contains("ecs was rolled back to mesos"));
    assert!(page.body.contains("on route checkout"));
    for foreign in ["<script", "http://", "https://", "url(h"] {
        assert!(!page.body.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn acts_reach_control_with_reason_and_actor() {
    let (_directory, _serving, mut fake, at) = setup().await;
    let who = format!("{JSON}x-serin-actor: kim\r\nif-match: \"3\"\r\n");
    let five = Share::from_basis_points(500).unwrap();
    let why = "{\"reason\":\"why\"}";
    let full = "{\"reason\":\"why\",\"full\":true}";
    let verbs = [
        ("promote", why, Command::Promote { full: false }),
        ("promote", full, Command::Promote { full: true }),
        ("pause", why, Command::Pause),
        ("abort", why, Command::Abort),
        ("retry", why, Command::Retry),
        ("undo", why, Command::Undo),
        ("open-gate", why, Command::OpenGate { step: None }),
        ("close-gate", why, Command::CloseGate),
    ];
    let weights = "{\"canary\":\"5%\",\"reason\":\"why\"}";
    let put = "PUT /v1/splits/shop/weights".to_owned();
    let mut cases = vec![(put, weights, Command::SetWeight(five))];
    for (verb, body, command) in verbs {
        cases.push((format!("POST /v1/splits/shop:{verb}"), body, command));
    }
    for (line, body, command) in cases {
        let done = call(at, &line, &who, body).await;
        assert_eq!(done.status, 200, "{line}: {}", done.body);
        assert!(
            done.body
                .starts_with("{\"split\":\"shop\",\"epoch\":3,\"weight\":"),
            "{}",
            done.body
        );
        let act = fake.acts.recv().await.unwrap();
        let reason = Some("why".to_owned());
        assert_eq!(
            act,
            (
                "shop".to_owned(),
                command,
                reason,
                "127.0.0.1, says kim".to_owned()
            )
        );
    }
    assert_eq!(
        call(at, "POST /v1/splits/shop:abort", "", "").await.status,
        200,
        "no body is fine"
    );
}

#[tokio::test]
async fn refusals_are_json_with_code_message_and_help() {
    let (_directory, _serving, fake, at) = setup().await;
    fake.set(|status| status.splits[0].judgement = None);
    let stale = format!("{JSON}if-match: \"2\"\r\n");
    let odd = format!("{JSON}if-match: W/\"x\"\r\n");
    let weights = "PUT /v1/splits/shop/weights";
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(70_000));
    let cases = [
        (
            "POST /v1/splits/shop:abort",
            stale.as_str(),
            "{}",
            412,
            "stale_epoch",
        ),
        (
            "POST /v1/splits/shop:abort",
            odd.as_str(),
            "{}",
            400,
            "malformed",
        ),
        ("POST /v1/splits/shop:resume", JSON, "{}", 409, "conflict"),
        ("POST /v1/splits/shopp:abort", JSON, "{}", 404, "not_found"),
        (
            "POST /v1/splits/shop:explode",
            JSON,
            "{}",
            404,
            "unknown_act",
        ),
        ("GET /v1/splits/shopp", "", "", 404, "not_found"),
        ("GET /v1/splits/shop/analysis", "", "", 404, "no_analysis"),
        ("GET /v1/rollouts?split=shopp", "", "", 404, "not_found"),
        ("GET /v1/rollouts/shop-9/evidence", "", "", 404, "not_found"),
        (
            "GET /v1/rollouts/shop/evidence.html",
            "",
            "",
            404,
            "not_found",
        ),
        ("GET /v1/rollouts/shop-2/proof", "", "", 404, "not_found"),
        ("GET /v2", "", "", 404, "not_found"),
        ("DELETE /v1/splits", "", "", 405, "wrong_method"),
        (weights, JSON, "{\"canary\":\"5\"}", 422, "invalid"),
        (
            weights,
            JSON,
            "{\"canary\":\"5%\",\"stable\":\"95%\"}",
            422,
            "malformed",
        ),
        (weights, JSON, "", 422, "malformed"),
        (weights, JSON, "{", 400, "malformed"),
        (weights, "", "{\"canary\":\"5%\"}", 415, "malformed"),
        (weights, JSON, &long, 413, "malformed"),
    ];
    for (line, extra, body, status, code) in cases {
        let answer = call(at, line, extra, body).await;
        assert_eq!(answer.status, status, "{line} {extra} {}", answer.body);
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let error = &json["error"];
        assert_eq!(error["code"], code, "{line}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{line}");
        assert!(!error["help"].as_str().unwrap().is_empty(), "{line}");
    }
}

#[tokio::test]
async fn a_foreign_page_cannot_act() {
    let (_directory, _serving, _fake, at) = setup().await;
    let abort = "POST /v1/splits/shop:abort";
    let foreign = format!("{JSON}origin: http://evil.example\r\n");
    assert_eq!(call(at, abort, &foreign, "{}").await.status, 403);
    let own = format!("origin: http://{at}\r\n");
    assert_eq!(
        call(at, abort, &own, "").await.status,
        403,
        "a form can send this"
    );
    assert_eq!(
        call(at, abort, &format!("{own}{JSON}"), "{}").await.status,
        200
    );
    let rebound = format!(
        "{abort} HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n\
         {JSON}connection: close\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let rebound = exchange(TcpStream::connect(at).await.unwrap(), &rebound).await;
    assert_eq!(rebound.status, 403, "a foreign name that leads here");
}

#[tokio::test]
async fn leaked_connections_do_not_lock_the_operator_out() {
    let (_directory, serving, _fake, at) = setup().await;
    let mut leaked = Vec::new();
    for _ in 0..200 {
        leaked.push(TcpStream::connect(at).await.unwrap());
    }
    let unix = UnixStream::connect(serving.unix().unwrap()).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(unix, request).await.status, 200);
    drop(leaked);
    assert_eq!(call(at, "GET /healthz", "", "").await.status, 200);
}

#[tokio::test]
async fn the_stream_begins_with_the_status_tells_news_and_ends_with_the_process() {
    let (_directory, serving, fake, at) = setup().await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut seen = String::new();
    read_until(&mut stream, &mut seen, "event: status").await;
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    read_until(&mut stream, &mut seen, "\"generation\":7").await;
    fake.news
        .send(serin::control::News {
            at: control::NOW,
            what: "rolled_back",
            split: None,
            epoch: None,
            share: Some(Share::ZERO),
            by: "judge".to_owned(),
            text: "the canary is worse".to_owned(),
            is_warning: true,
        })
        .unwrap();
    read_until(&mut stream, &mut seen, "event: news").await;
    read_until(&mut stream, &mut seen, "\"text\":\"the canary is worse\"").await;
    fake.set(|status| status.generation = status.generation.next());
    read_until(&mut stream, &mut seen, "\"generation\":8").await;
    serving.stop().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn readers_share_what_is_made_once_and_endpoints_come_beside_it() {
    let (_directory, _serving, fake, at) = setup().await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        readers.push((stream, String::new()));
    }
    for (stream, seen) in &mut readers {
        read_until(stream, seen, "event: status").await;
        read_until(stream, seen, "\"state\":\"ejected\"").await;
        // The frame before is not to be taken for the one that comes.
        seen.clear();
    }
    fake.set(|status| {
        status.generation = status.generation.next();
        status.splits[0].phase = "rolled_back";
        status.splits[0].share = Share::ZERO;
    });
    let mut frames = Vec::new();
    for (stream, seen) in &mut readers {
        read_until(stream, seen, "\"generation\":8").await;
        let (_, rest) = seen.split_once("\"generation\":8").unwrap();
        let mut rest = rest.to_owned();
        read_until(stream, &mut rest, "\n\n").await;
        frames.push(rest.lines().next().unwrap().to_owned());
    }
    assert!(
        frames[0].contains("\"phase\":\"rolled_back\""),
        "{}",
        frames[0]
    );
    assert_eq!(frames[0], frames[1]);
    assert_eq!(frames[0], frames[2]);
}

async fn read_until(stream: &mut TcpStream, seen: &mut String, wanted: &str) {
    let reading = async {
        let mut buffer = [0; 4_096];
        while !seen.contains(wanted) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the stream ended before `{wanted}`: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), reading).await;
    assert!(in_time.is_ok(), "no `{wanted}` in 10 s: {seen}");
}

#[tokio::test]
async fn metrics_have_the_names_and_labels_that_were_promised() {
    let (_directory, _serving, _fake, at) = setup().await;
    let scraped = call(at, "GET /metrics", "", "").await;
    assert_eq!(scraped.status, 200);
    assert!(
        scraped
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        scraped.head
    );
    let stable = |line: &str| {
        let changing = ["serin_build_info{", "process_"];
        match line.rsplit_once(' ') {
            Some((name, _)) if changing.iter().any(|word| line.starts_with(word)) => {
                format!("{} _", name.split('{').next().unwrap())
            }
            _ => line.to_owned(),
        }
    };
    let text: Vec<String> = scraped.body.lines().map(stable).collect();
    insta::assert_snapshot!("metrics", text.join("\n"));
    promtool(&scraped.body);
}

#[tokio::test]
async fn what_is_over_the_budget_of_series_is_counted_under_other() {
    let (_directory, _serving, fake, at) = setup().await;
    fake.max_series(60);
    let text = call(at, "GET /metrics", "", "").await.body;
    assert!(text.contains("route=\"checkout\""), "{text}");
    assert!(!text.contains("route=\"search\""), "{text}");
    let other = "serin_requests_total{split=\"shop\",version=\"mesos\",route=\"_other\",\
                 protocol=\"h1\",code_class=\"2xx\",outcome=\"success\"} 50";
    assert!(text.contains(other), "{text}");
    assert!(text.contains("serin_metrics_overflow_total 50"), "{text}");
}

/// Pipes the text through `promtool check metrics` (Debian package `prometheus`), if it is here.
fn promtool(text: &str) {
    let child = Process::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: promtool is not installed; it is in the Debian package `prometheus`");
        return;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let checked = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success() && said.is_empty(),
        "promtool: {said}"
    );
}
