//! The access log: what a line says, which requests have one, and that nobody waits for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{
    client::Client,
    h2_client::Connection,
    origin::{Origin, answer, nowhere},
    proxy::{Proxy, one_worker},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A folder of its own, and the log in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    (folder, path)
}

/// The key of the file, with what is more in it.
fn key(path: &Path, more: &str) -> String {
    format!("access_log: {{ path: \"{}\"{more} }}\n", path.display())
}

#[expect(clippy::disallowed_methods, reason = "a test reads what was written")]
fn read(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// All lines that were written until the proxy has ended.
async fn lines(proxy: Proxy, path: &Path) -> Vec<Value> {
    proxy.end().await;
    let read = read(path);
    let lines = read.iter().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test]
async fn a_line_says_what_came_what_became_of_it_and_how_long_that_took() {
    let (_folder, path) = place();
    let mut origin = Origin::saying("fine").await;
    let proxy = one_worker(&[origin.address], &[], 0, &key(&path, ""));
    let mut client = Client::connect(proxy.address).await;
    let fields = format!(
        "traceparent: 00-{TRACE}-00f067aa0ba902b7-00\r\nUser-Agent: secret\r\nCookie: secret\r\n"
    );
    assert_eq!(client.get("/a?b=\"c", &fields).await.status, 200);
    let sent_id = origin
        .next()
        .await
        .field("x-request-id")
        .unwrap()
        .to_owned();
    client.get("/", "X-Request-Id: mine-7\r\n").await;
    let all = lines(proxy, &path).await;
    let line = &all[0];
    let expected = [
        ("request_id", &*sent_id),
        ("trace_id", TRACE),
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("scheme", "http"),
        ("host", "a.test"),
        ("target", "/a?b=\"c"),
        ("protocol", "HTTP/1.1"),
        ("outcome", "success"),
        ("split", "shop"),
        ("route", "default"),
        ("version", "old"),
        ("role", "stable"),
        ("answered_by", "old"),
    ];
    for (name, value) in expected {
        assert_eq!(line[name], value, "{name}: {line}");
    }
    assert_eq!(line["endpoint"], origin.address.to_string());
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&200.into(), &1.into())
    );
    assert_eq!(
        (&line["rescued"], &line["cause"]),
        (&false.into(), &Value::Null)
    );
    let time = line["time"].as_str().unwrap();
    assert!(
        time.starts_with("20") && time.ends_with('Z') && time.len() == 27,
        "{time}"
    );
    let long = |name: &str| line[name].as_u64().unwrap();
    let first_byte = long("first_byte_us");
    assert!(
        long("connect_us") <= first_byte && first_byte <= long("duration_us"),
        "{line}"
    );
    assert!(long("bytes_out") > 4 && long("bytes_in") == 0, "{line}");
    assert_eq!(long("queue_us"), 0, "{line}");
    assert!(!line.to_string().contains("secret"), "{line}");
    let second = &all[1];
    assert_eq!(second["request_id"], "mine-7");
    assert_eq!(second["trace_id"], Value::Null);
    assert_eq!(second["connect_us"], Value::Null, "it was there already");
}

#[tokio::test]
async fn a_template_has_the_fields_that_it_names_and_a_stranger_cannot_break_its_line() {
    let (_folder, path) = place();
    let origin = Origin::saying("fine").await;
    let line = r#"$method $host $target $status \"$user_agent\" $$1 $cause|$version"#;
    let more = format!(", format: \"{line}\", query: drop");
    let proxy = one_worker(&[origin.address], &[], 0, &key(&path, &more));
    let mut client = Client::connect(proxy.address).await;
    client
        .get("/a?token=secret", "User-Agent: x\"y\\\r\n")
        .await;
    client.get("/", "").await;
    proxy.end().await;
    let expected = [
        r#"GET a.test /a 200 "x\"y\\" $1 -|old"#,
        r#"GET a.test / 200 "-" $1 -|old"#,
    ];
    assert_eq!(read(&path), expected);
}

#[tokio::test]
async fn what_stable_has_rescued_says_so_and_who_has_answered() {
    let (_folder, path) = place();
    let stable = Origin::saying("fine").await;
    let more = key(&path, "");
    let proxy = one_worker(&[stable.address], &[nowhere().await], 100, &more);
    let answer = Client::connect(proxy.address).await.get("/", "").await;
    assert_eq!(answer.text(), "fine");
    let all = lines(proxy, &path).await;
    let line = &all[0];
    for (name, value) in [
        ("version", "new"),
        ("role", "canary"),
        ("answered_by", "old"),
    ] {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!(line["endpoint"], stable.address.to_string());
    assert_eq!(
        (&line["attempts"], &line["rescued"]),
        (&2.into(), &true.into())
    );
}

#[tokio::test]
async fn every_failure_is_told_and_a_share_of_the_successes() {
    let (_folder, path) = place();
    let origin =
        Origin::answering(|seen| answer(if seen.path() == "/bad" { 500 } else { 200 }, ""));
    let origin = origin.await;
    let more = key(&path, ", sample: { success: 10% }");
    let proxy = one_worker(&[origin.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..100 {
        client.get("/", "").await;
    }
    for _ in 0..20 {
        client.get("/bad", "").await;
    }
    let all = lines(proxy, &path).await;
    let with = |status: u16| all.iter().filter(|it| it["status"] == status).count();
    assert!(with(200).abs_diff(10) <= 1, "{}", with(200));
    assert_eq!(with(500), 20);
}

#[tokio::test]
async fn requests_that_go_nowhere_are_told_whatever_their_heads_are() {
    let (_folder, path) = place();
    let origin = Origin::saying("fine").await;
    let more = format!("    match: {{ hosts: [b.test] }}\n{}", key(&path, ""));
    let proxy = one_worker(&[origin.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/lost", "").await.status, 404);
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 400);
    let all = lines(proxy, &path).await;
    let told = |line: &Value| ["status", "method", "target", "split"].map(|it| line[it].clone());
    assert_eq!(
        told(&all[0]),
        [404.into(), "GET".into(), "/lost".into(), Value::Null]
    );
    assert_eq!(
        told(&all[1]),
        [400.into(), Value::Null, Value::Null, Value::Null]
    );
    for line in all {
        assert_eq!(line["outcome"], "rejected");
        assert_eq!(line["request_id"].as_str().map(str::len), Some(32));
    }
}

#[tokio::test]
async fn a_request_of_http2_has_its_line() {
    let (_folder, path) = place();
    let origin = Origin::saying("fine").await;
    let fields = ", format: json, fields: [protocol, method, target, status]";
    let proxy = one_worker(&[origin.address], &[], 0, &key(&path, fields));
    let mut connection = Connection::connect(proxy.address).await;
    let answer = connection.get("/two?x", &[]).await;
    assert_eq!(answer.status, 200);
    proxy.end().await;
    let line = r#"{"protocol":"HTTP/2","method":"GET","target":"/two?x","status":200}"#;
    assert_eq!(read(&path), [line]);
}

#[tokio::test]
async fn after_a_rotation_lines_go_to_the_new_file_and_none_is_lost() {
    let (folder, path) = place();
    let origin = Origin::saying("fine").await;
    let mut proxy = one_worker(&[origin.address], &[], 0, &key(&path, ", format: $target"));
    let mut client = Client::connect(proxy.address).await;
    let old = folder.path().join("access.log.1");
    let mut from = 0;
    for is_created in [true, false] {
        for n in from..from + 3 {
            client.get(&format!("/{n}"), "").await;
        }
        // The writer has them once the worker has handed them over, with its sample.
        while read(&path).len() < 3 {
            proxy.most_open(1).await;
        }
        fs::rename(&path, &old).unwrap();
        if is_created {
            fs::File::create(&path).unwrap();
        }
        let expected: Vec<_> = (from..from + 3).map(|n| format!("/{n}")).collect();
        assert_eq!(read(&old), expected);
        from += 3;
    }
    client.get("/last", "").await;
    proxy.end().await;
    assert_eq!(read(&path), ["/last"]);
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_changes_no_request_and_what_is_lost_is_counted() {
    let (_folder, path) = place();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let origin = Origin::saying("fine").await;
    let proxy = one_worker(&[origin.address], &[], 0, &key(&path, ""));
    let mut client = Client::connect(proxy.address).await;
    let target = format!("/{}", "x".repeat(7_000));
    // More than the pipe and the queue hold.
    for _ in 0..2_000 {
        assert_eq!(client.get(&target, "").await.status, 200);
    }
    assert!(proxy.outlets.log_dropped.get() > 0);
    // Its workers end, although the log does not.
    drop(proxy);
}

#[tokio::test]
async fn a_full_disk_loses_lines_and_nothing_else() {
    let origin = Origin::saying("fine").await;
    let more = key(Path::new("/dev/full"), "");
    let proxy = one_worker(&[origin.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..30 {
        assert_eq!(client.get("/", "").await.status, 200);
    }
    let outlets = proxy.outlets.clone();
    proxy.end().await;
    assert_eq!(outlets.log_dropped.get(), 30);
}
