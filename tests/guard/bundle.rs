//! What is shown to others has no secrets, wherever somebody has left one.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{
    WITH_TOKENS,
    house::{ADMIN, House, OPERATE, READ, bearer},
};

/// Secrets that are left in every place where one can stand.
const SECRETS: [&str; 6] = [
    "in-a-comment-4711",
    "in-a-webhook-4711",
    "in-a-query-4711",
    "in-a-header-4711",
    "in-a-bad-file-4711",
    "cookie-secret-4711-0123456789",
];

async fn serin(house: &House, words: &[&str], token: Option<&str>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_serin"));
    program.args(words).env("SERIN_ADMIN", house.at.to_string());
    if let Some(token) = token {
        let path = house.place.path().join("my-token");
        std::fs::write(&path, format!("{token}\n")).unwrap();
        program.env("SERIN_ADMIN_TOKEN_FILE", path);
    }
    let output = tokio::task::spawn_blocking(move || program.output().unwrap());
    output.await.unwrap()
}

fn text(output: &Output) -> String {
    let all = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn a_bundle_has_everything_but_secrets() {
    let house = House::with_secrets(WITH_TOKENS, SECRETS);
    let path = house.place.path().join("bundle.tar");
    let words = ["debug", "bundle", "--file", path.to_str().unwrap()];
    let made = serin(&house, &words, Some(ADMIN)).await;
    assert!(made.status.success(), "{}", text(&made));
    let bytes = std::fs::read(&path).unwrap();
    let bundle = String::from_utf8_lossy(&bytes);
    for part in [
        "serin-bundle/process.json",
        "\"weight\":\"5%\"",
        "\"webhook\":\"https://hooks.internal/...\"",
        "serin_build_info{",
        "\"acts\":[",
        "/tokens",
    ] {
        assert!(bundle.contains(part), "{part}: {bundle}");
    }
    let all = SECRETS.iter().chain([&READ, &OPERATE, &ADMIN]);
    for secret in all {
        assert!(!bundle.contains(secret), "{secret}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let second = serin(&house, &words, Some(ADMIN)).await;
    assert_eq!(second.status.code(), Some(2), "nothing is written over");

    // A file that is bad and holds a secret.
    house.break_file(SECRETS[4]).await;
    std::fs::remove_file(&path).unwrap();
    let made = serin(&house, &words, Some(ADMIN)).await;
    assert!(made.status.success(), "{}", text(&made));
    let bundle = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    assert!(bundle.contains("error[unknown_key]"), "{bundle}");
    for secret in SECRETS {
        assert!(!bundle.contains(secret), "{secret}: {bundle}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_anybody_can_read_has_no_secrets() {
    let house = House::with_secrets(WITH_TOKENS, SECRETS);
    for path in [
        "/v1/config",
        "/v1/config/file",
        "/v1/splits",
        "/v1/endpoints",
        "/v1/rollouts",
        "/v1/audit",
        "/v1/process",
        "/metrics",
    ] {
        let answer = house.ask(&format!("GET {path}"), &bearer(ADMIN), "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        for secret in SECRETS.iter().chain([&READ, &OPERATE, &ADMIN]) {
            assert!(!answer.body.contains(secret), "{path}: {secret}");
        }
    }
    let answer = house.ask("GET /v1/config", &bearer(ADMIN), "").await;
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    let tag = format!("etag: \"{}\"", json["hash"].as_str().unwrap());
    assert!(answer.head.contains(&tag), "{}", answer.head);
    house.close().await;
}

#[tokio::test]
async fn a_text_is_tried_and_changes_nothing() {
    let house = House::open(WITH_TOKENS);
    let validate = "POST /v1/config:validate";
    let head = format!("{}content-type: application/yaml\r\n", bearer(READ));
    let good = "listen: \"127.0.0.1:0\"\nupstreams: { a: { static: [\"127.0.0.1:1\"] } }\n\
                splits: { s: { stable: a } }\n";
    let answer = house.ask(validate, &head, good).await;
    assert_eq!(answer.body, "{\"valid\":true,\"problems\":[]}");
    let answer = house
        .ask(validate, &head, &good.replace("stable", "stabel"))
        .await;
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["problems"][0]["code"], "unknown_key");
    assert_eq!(json["problems"][0]["line"], 3);
    let long = format!("{good}#{}\n", "x".repeat(200_000));
    assert_eq!(
        house.ask(validate, &head, &long).await.status,
        200,
        "a long file, too"
    );
    assert_eq!(house.ask(validate, "", good).await.status, 401);
    assert!(house.is_untouched());
    house.close().await;
}

#[tokio::test]
async fn the_command_line_shows_a_token_and_says_what_is_missing() {
    let house = House::open(WITH_TOKENS);
    let abort = ["abort", "shop"];
    let refused = serin(&house, &abort, None).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused).contains("takes the role `operate`"),
        "{}",
        text(&refused)
    );
    let refused = serin(&house, &abort, Some(READ)).await;
    assert!(
        text(&refused).contains("grafana (token, 127.0.0.1) has `read`"),
        "{}",
        text(&refused)
    );
    assert!(house.is_untouched());
    let done = serin(&house, &abort, Some(OPERATE)).await;
    assert!(done.status.success(), "{}", text(&done));
    let told = serin(&house, &["audit", "shop", "-o", "json"], Some(READ)).await;
    let json: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(json["acts"][0]["act"], "abort");
    assert_eq!(
        (&json["acts"][0]["before"], &json["acts"][0]["after"]),
        (&"5%".into(), &"0%".into())
    );
    let gone = ["abort", "shop", "--token-file", "/nowhere/token"];
    let gone = serin(&house, &gone, None).await;
    assert_eq!(gone.status.code(), Some(2));
    assert!(
        text(&gone).contains("no token in /nowhere/token"),
        "{}",
        text(&gone)
    );
    house.close().await;
}

#[tokio::test]
async fn the_command_line_speaks_tls_and_believes_its_own_authority_only() {
    let admin = "admin: { http: \"127.0.0.1:0\", tokens_file: @/tokens, \
                 tls: { cert: @/admin.pem, key: @/admin.key } }";
    let house = House::open(admin);
    let at = format!("https://localhost:{}", house.at.port());
    let ca = house.place.path().join("ca.pem");
    let words = [
        "abort",
        "shop",
        "--admin",
        &at,
        "--ca",
        ca.to_str().unwrap(),
    ];
    let stranger = serin(&house, &words[..4], Some(OPERATE)).await;
    assert_eq!(stranger.status.code(), Some(2), "{}", text(&stranger));
    assert!(house.is_untouched());
    let done = serin(&house, &words, Some(OPERATE)).await;
    assert!(done.status.success(), "{}", text(&done));
    house.close().await;
}
