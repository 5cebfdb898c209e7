//! Marathon: masters that lead, follow, elect, refuse and go, and events that come or do not.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use serin::discover::Names;
use tokio::time::Instant;

use super::{
    sources::Source,
    support::marathon::{LOGIN, Marathon, Mood},
};

/// An interval that no test lives to see.
const NEVER: &str = "interval: 1h";
/// An interval that a test need not wait for.
const OFTEN: &str = "interval: 100ms";

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// A cluster of two with one app of two tasks.
async fn cluster() -> (Marathon, Vec<String>) {
    let marathon = Marathon::start(2).await;
    marathon.put_app("/shop/web", &json!({}));
    let tasks = [1, 2].map(|port| marathon.add_task("/shop/web", at(port)));
    (marathon, tasks.into())
}

fn source(marathon: &Marathon, more: &str) -> Source {
    let urls = marathon.urls();
    Source::new(&format!(
        "marathon: {{ url: {urls}, app: /shop/web, {more} }}"
    ))
}

#[tokio::test]
async fn what_happens_to_tasks_is_told_at_once() {
    let (marathon, tasks) = cluster().await;
    let mut web = source(&marathon, NEVER);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.until_streams(1).await;
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
    marathon.set_task_state("/shop/web", &tasks[0], "TASK_KILLING");
    web.until(&["10.0.0.1:1 draining", "10.0.0.1:2", "10.0.0.1:3"])
        .await;
    marathon.remove_task("/shop/web", &tasks[0]);
    web.until(&["10.0.0.1:2", "10.0.0.1:3"]).await;
    // The agent is lost: the task may serve on.
    marathon.set_task_state("/shop/web", &tasks[1], "TASK_UNREACHABLE");
    marathon.add_task("/shop/web", at(4));
    web.until(&["10.0.0.1:2", "10.0.0.1:3", "10.0.0.1:4"]).await;
}

#[tokio::test]
async fn a_burst_of_events_is_one_question() {
    let (marathon, _) = cluster().await;
    let mut web = source(&marathon, NEVER);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.until_streams(1).await;
    let count = |asked: &[super::support::marathon::Question]| {
        asked
            .iter()
            .filter(|it| it.path.starts_with("/v2/apps"))
            .count()
    };
    let before = count(&marathon.asked());
    for _ in 0..500 {
        marathon.tell("status_update_event", json!({ "appId": "/shop/web" }));
        marathon.tell("status_update_event", json!({ "appId": "/other" }));
    }
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
    let asked = count(&marathon.asked()) - before;
    assert!(asked <= 4, "{asked} questions");
}

#[tokio::test]
async fn events_of_others_and_lost_events_change_nothing_but_the_clock_finds_out() {
    let (marathon, _) = cluster().await;
    marathon.set_mute(true);
    let mut web = source(&marathon, OFTEN);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.until_streams(1).await;
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
}

#[tokio::test]
async fn without_events_nobody_is_listened_to() {
    let (marathon, _) = cluster().await;
    let mut web = source(&marathon, &format!("events: none, {OFTEN}"));
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
    assert!(
        marathon
            .asked()
            .iter()
            .all(|it| it.path.starts_with("/v2/apps"))
    );
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_begun_anew_and_nothing_is_missed() {
    let (marathon, _) = cluster().await;
    let mut web = source(&marathon, NEVER);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.until_streams(1).await;
    for port in 3..6 {
        marathon.set_mute(true);
        marathon.add_task("/shop/web", at(port));
        marathon.set_mute(false);
        marathon.drop_streams();
        let all: Vec<String> = (1..=port).map(|port| format!("10.0.0.1:{port}")).collect();
        web.until(&all.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
        marathon.until_streams(1).await;
    }
}

#[tokio::test]
async fn a_follower_sends_us_to_the_leader_and_our_password_goes_along() {
    let (marathon, _) = cluster().await;
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    write(&password, "open sesame\n");
    // me:open sesame
    let proof = "Basic bWU6b3BlbiBzZXNhbWU=";
    marathon.set_guard(Some(proof));
    let url = marathon.url(1);
    let password = password.display();
    let auth = format!("{{ username: me, password_file: {password} }}");
    let keys = format!("url: \"{url}\", app: /shop/web, {NEVER}, auth: {auth}");
    let mut web = Source::new(&format!("marathon: {{ {keys} }}"));
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.until_streams(1).await;
    let asked = marathon.asked();
    let events = asked.iter().filter(|it| it.path.starts_with("/v2/events"));
    let nodes: Vec<usize> = events.map(|it| it.node).collect();
    assert_eq!(nodes, [1, 0]);
    assert!(
        asked
            .iter()
            .all(|it| it.authorization.as_deref() == Some(proof)),
        "{asked:?}"
    );
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
}

#[tokio::test]
async fn a_wrong_password_is_told() {
    let (marathon, _) = cluster().await;
    marathon.set_guard(Some("Basic x"));
    let error = source(&marathon, OFTEN).until_error().await;
    let said = |node| format!("{}: it answers 401 Unauthorized", marathon.url(node));
    let expected = format!("Marathon does not answer: {}; {}", said(0), said(1));
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told() {
    let (marathon, _) = cluster().await;
    let cases = [
        (
            "ca: /nowhere/ca.pem",
            "cannot read the authorities in /nowhere/ca.pem",
        ),
        (
            "auth: { username: me, password_file: /nowhere/p }",
            "cannot read /nowhere/p: ",
        ),
        (
            "auth: { service_account_file: /nowhere/a }",
            "cannot read /nowhere/a: ",
        ),
    ];
    for (key, expected) in cases {
        let error = source(&marathon, &format!("{OFTEN}, {key}"))
            .until_error()
            .await;
        assert!(error.contains(expected), "{key}: {error}");
    }
    assert!(marathon.asked().is_empty(), "nobody is asked by an unknown");
}

#[tokio::test]
async fn a_service_account_logs_in_and_again_when_its_token_is_refused() {
    let (marathon, _) = cluster().await;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let account = directory.path().join("account.json");
    let login = format!("{}{LOGIN}", marathon.url(0));
    let text = json!({
        "scheme": "RS256", "uid": "serin", "login_endpoint": login,
        "private_key": key.serialize_pem(),
    });
    write(&account, &text.to_string());
    marathon.set_token("one");
    let account = account.display();
    let auth = format!("{OFTEN}, auth: {{ service_account_file: {account} }}");
    let mut web = source(&marathon, &auth);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    let first = marathon.logins();
    assert_eq!(first[0]["uid"], "serin");
    check_claim(first[0]["token"].as_str().unwrap(), &key);
    marathon.set_token("two");
    marathon
        .until_asked(|asked| {
            asked
                .iter()
                .any(|it| it.authorization.as_deref() == Some("token=two"))
        })
        .await;
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
}

/// A claim of DC/OS: signed by the account's key, for a minute.
fn check_claim(token: &str, key: &rcgen::KeyPair) {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use rcgen::PublicKeyData as _;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let parts: Vec<serde_json::Value> = message
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT" }));
    assert_eq!(parts[1]["uid"], "serin");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let left = parts[1]["exp"].as_u64().unwrap().saturating_sub(now);
    assert!((30..=60).contains(&left), "the claim holds for {left} s");
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mapping = provider.signature_verification_algorithms.mapping;
    let scheme = rustls::SignatureScheme::RSA_PKCS1_SHA256;
    let (_, algorithms) = mapping.iter().find(|(known, _)| *known == scheme).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let is_ours = algorithms.iter().any(|algorithm| {
        algorithm
            .verify_signature(key.der_bytes(), message.as_bytes(), &signature)
            .is_ok()
    });
    assert!(is_ours, "the signature is not the account's");
}

#[tokio::test]
async fn an_election_and_a_master_that_goes_take_nothing_away() {
    let (mut marathon, _) = cluster().await;
    let mut web = source(&marathon, OFTEN);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.elect(None);
    let error = web.until_error().await;
    assert!(error.contains("it answers 502 Bad Gateway"), "{error}");
    marathon.elect(Some(1));
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.stop(0);
    marathon.add_task("/shop/web", at(3));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]).await;
    marathon.stop(1);
    let error = web.until_error().await;
    assert!(error.contains("Connection refused"), "{error}");
    marathon.resume(0);
    marathon.elect(Some(0));
    marathon.add_task("/shop/web", at(4));
    web.until(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.1:4"])
        .await;
}

#[tokio::test]
async fn results_that_vanish_with_an_election_take_nothing_away() {
    let marathon = Marathon::start(2).await;
    marathon.put_app(
        "/shop/web",
        &json!({ "healthChecks": [{ "protocol": "HTTP" }] }),
    );
    let tasks = [1, 2].map(|port| marathon.add_task("/shop/web", at(port)));
    marathon.set_alive("/shop/web", &tasks[0], true);
    marathon.set_alive("/shop/web", &tasks[1], false);
    let mut web = source(&marathon, OFTEN);
    let both = ["10.0.0.1:1 healthy", "10.0.0.1:2 unhealthy"];
    web.until(&both).await;
    marathon.forget_results();
    marathon.elect(Some(1));
    let before = marathon.asked().len();
    marathon.until_asked(|asked| asked.len() > before + 4).await;
    for _ in 0..3 {
        if let Ok(told) = web.next().await {
            assert_eq!(told, both);
        }
    }
    marathon.add_task("/shop/web", at(3));
    marathon.set_alive("/shop/web", &tasks[1], true);
    web.until(&["10.0.0.1:1 healthy", "10.0.0.1:2 healthy"])
        .await;
}

#[tokio::test]
async fn whatever_masters_say_that_is_no_answer_is_told_and_changes_nothing() {
    let (marathon, _) = cluster().await;
    let mut web = source(&marathon, OFTEN);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    let moods = [
        (
            Mood::Garbage(b"<html>".to_vec()),
            "cannot be understood: expected value",
        ),
        (Mood::Garbage(b"{}".to_vec()), "there is no `apps`"),
        (
            Mood::Garbage(b"{\"apps\":[{\"id\":\"/shop/web\"}]}".to_vec()),
            "there is no `tasks`",
        ),
        (
            Mood::Garbage(b"{\"apps\":[]}".to_vec()),
            "Marathon has no app `/shop/web`",
        ),
        (Mood::Refusing(503), "it answers 503"),
    ];
    for (mood, expected) in moods {
        marathon.set_mood(mood.clone());
        let began = Instant::now();
        let error = web.until_error().await;
        assert!(error.contains(expected), "{mood:?}: {error}");
        assert!(began.elapsed() < Duration::from_secs(5));
        marathon.set_mood(Mood::Well);
        web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    }
}

#[tokio::test]
async fn a_master_that_does_not_answer_is_told_of_soon() {
    let (marathon, _) = cluster().await;
    let mut web = source(&marathon, OFTEN);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
    marathon.set_mood(Mood::Silent);
    let began = Instant::now();
    let error = web.until_error().await;
    assert_eq!(error, "Marathon has not answered for 4s");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    marathon.set_mood(Mood::Well);
    web.until(&["10.0.0.1:1", "10.0.0.1:2"]).await;
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn an_agent_has_the_address_of_its_name_and_one_that_is_lost_is_told() {
    let (marathon, tasks) = cluster().await;
    let directory = tempfile::tempdir().unwrap();
    let hosts = directory.path().join("hosts");
    write(&hosts, "10.1.1.1 agent-1.acme.org\n");
    let name = |task: &str, name: &str| {
        marathon.edit_task("/shop/web", task, |task| task["host"] = json!(name));
    };
    name(&tasks[0], "agent-1.acme.org");
    name(&tasks[1], "agent-2.acme.org");
    let names = Names::asking(SocketAddr::from(([127, 0, 0, 1], 9)), hosts);
    let keys = format!("url: {}, app: /shop/web, {OFTEN}", marathon.urls());
    let mut web = Source::asking(names, &format!("marathon: {{ {keys} }}"));
    web.until(&["10.1.1.1:1"]).await;
    let error = web.until_error().await;
    let expected = "cannot find the addresses of `agent-2.acme.org`";
    assert!(error.starts_with(expected), "{error}");
    // A task without a place is told of, too, and the others serve.
    name(&tasks[1], "");
    let expected = "is left out: Marathon does not say where it runs";
    while !web.until_error().await.ends_with(expected) {}
    web.until(&["10.1.1.1:1"]).await;
}

/// Prometheus reads the same cluster, and finds the same tasks.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_the_same_endpoints() {
    let marathon = Marathon::start(2).await;
    let text = include_str!("../fixtures/marathon/edge_apps.json");
    let edge: serde_json::Value = serde_json::from_str(text).unwrap();
    // All but those that Prometheus is known to read wrongly, or not at all.
    let odd = [
        "/nohost",
        "/udp",
        "/ipaddr14",
        "/health",
        "/states",
        "/twover",
    ];
    let all = edge["apps"].as_array().unwrap().iter();
    let apps = all.filter(|app| !odd.contains(&app["id"].as_str().unwrap()));
    for app in apps.clone() {
        marathon.put_app(app["id"].as_str().unwrap(), app);
    }
    let Some(theirs) = prometheus(&marathon.url(1)).await else {
        return;
    };
    for app in apps {
        let id = app["id"].as_str().unwrap();
        let (url, ports) = (marathon.url(0), theirs.iter().filter(|(app, _)| app == id));
        let theirs: Vec<&str> = ports.map(|(_, address)| address.as_str()).collect();
        let keys = format!("url: \"{url}\", app: {id}, {NEVER}, events: none");
        let ours = Source::new(&format!("marathon: {{ {keys} }}"))
            .next()
            .await
            .unwrap();
        assert!(!ours.is_empty(), "{id}");
        for endpoint in &ours {
            assert!(
                theirs.contains(&endpoint.as_str()),
                "{id}: {ours:?}, but {theirs:?}"
            );
        }
    }
}

/// Apps and addresses as Prometheus discovers them; `None`: it is not here.
async fn prometheus(url: &str) -> Option<Vec<(String, String)>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prometheus.yml");
    let jobs = format!(
        "scrape_configs:\n- job_name: web\n  marathon_sd_configs:\n  - servers: [\"{url}\"]\n"
    );
    write(&file, &jobs);
    let mut check = std::process::Command::new("promtool");
    check
        .args(["check", "service-discovery", "--timeout=4s"])
        .arg(&file)
        .arg("web");
    let output = tokio::task::spawn_blocking(move || check.output())
        .await
        .unwrap();
    let Ok(output) = output else {
        eprintln!("SKIPPED: promtool is not installed; it is in the Debian package `prometheus`");
        return None;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let targets: Vec<serde_json::Value> = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said} {output:?}", output = output.stderr));
    let found = targets.iter().map(|target| {
        let labels = &target["discoveredLabels"];
        let label = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
        (label("__meta_marathon_app"), label("__address__"))
    });
    Some(found.collect())
}
