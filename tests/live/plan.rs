//! What `serin plan` says of users is what becomes of them: 10,000 recorded ones, each sent
//! through a running proxy before and after the file is saved.

#![expect(clippy::indexing_slicing, reason = "a test stops where it stands")]

use std::{collections::BTreeSet, fs, process::Command, sync::Arc};

use serde_json::Value;
use serin::{config, model::Share};
use tokio::time::timeout;

use super::{
    Live, PATIENCE,
    support::{client::Client, origin::Origin},
};

/// Connections that the requests are sent over.
const CLIENTS: usize = 16;
const KEYS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/keys/recorded.txt"
);

/// Which version a user got, and the cookie that came with it.
#[derive(Debug, Clone, Default)]
struct Visit {
    version: String,
    cookie: Option<String>,
}

/// The fields with which a user comes.
fn fields(line: &str, kept: Option<&str>) -> String {
    let (mut cookies, mut fields) = (Vec::new(), String::new());
    for part in line.split(' ') {
        let (source, value) = part.split_once('=').unwrap();
        match source {
            "cookie:uid" => cookies.push(format!("uid={value}")),
            "header:x-device" => fields.extend(["X-Device: ", value, "\r\n"]),
            _ => fields.extend(["X-Forwarded-For: ", value, "\r\n"]),
        }
    }
    cookies.extend(kept.map(str::to_owned));
    if !cookies.is_empty() {
        fields.extend(["Cookie: ", &cookies.join("; "), "\r\n"]);
    }
    fields
}

/// Sends every user once, with the cookies given, if any.
async fn visit(live: &Live, users: &Arc<Vec<String>>, kept: Option<&[Visit]>) -> Vec<Visit> {
    let cookies: Vec<Option<String>> = match kept {
        None => vec![None; users.len()],
        Some(visits) => visits.iter().map(|visit| visit.cookie.clone()).collect(),
    };
    let cookies = Arc::new(cookies);
    let address = live.address;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|first| {
            let (users, cookies) = (Arc::clone(users), Arc::clone(&cookies));
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut seen = Vec::new();
                for place in (first..users.len()).step_by(CLIENTS) {
                    let fields = fields(&users[place], cookies[place].as_deref());
                    let answer = client.get("/search/x", &fields).await;
                    assert_eq!(answer.status, 200);
                    let cookie = answer
                        .field("set-cookie")
                        .and_then(|line| line.split(';').next());
                    let cookie = cookie.map(str::to_owned);
                    let version = answer.text().to_owned();
                    seen.push((place, Visit { version, cookie }));
                }
                seen
            })
        })
        .collect();
    let mut visits = vec![Visit::default(); users.len()];
    for task in tasks {
        for (place, visit) in task.await.unwrap() {
            visits[place] = visit;
        }
    }
    visits
}

/// What the plan says of the users that come to a split.
async fn predicted(live: &Live, text: &str, split: &str) -> Value {
    let file = live.place.path().join("new.yaml");
    fs::write(&file, text).unwrap();
    let admin = live.running.as_ref().unwrap().admin.unwrap().to_string();
    let mut program = Command::new(env!("CARGO_BIN_EXE_serin"));
    program
        .arg("plan")
        .arg(&file)
        .args(["--admin", &admin, "--keys", KEYS, "--list"]);
    program.args(["--rate", "100", "-o", "json"]);
    let output = tokio::task::spawn_blocking(move || program.output().unwrap())
        .await
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let users = told["users"].as_array().unwrap();
    let of_split = users
        .iter()
        .find(|it| it["split"] == split)
        .unwrap_or_else(|| panic!("{told}"));
    of_split.clone()
}

fn keys(list: &Value) -> BTreeSet<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|key| key.as_str().unwrap().to_owned()).collect()
}

fn moved(users: &[String], before: &[Visit], after: &[Visit]) -> BTreeSet<String> {
    let both = before.iter().zip(after).zip(users);
    let moved = both.filter(|((before, after), _)| before.version != after.version);
    moved.map(|(_, user)| user.clone()).collect()
}

/// Saves a file and waits until it is in force.
async fn save(live: &Live, text: &str) {
    fs::write(live.file(), text).unwrap();
    let hash = config::hash(text);
    let mut watch = live.running.as_ref().unwrap().handle.watch();
    let waiting = watch.wait_for(|status| status.config.hash == hash);
    assert!(timeout(PATIENCE, waiting).await.unwrap().is_ok());
}

/// A file in which the first addresses are believed; `split` is what follows `stable: old`.
fn text(origins: [&Origin; 3], split: &str) -> String {
    let [old, new, third] = origins.map(|origin| origin.address);
    format!(
        "listeners:\n- name: web\n  address: \"127.0.0.1:0\"\n  trusted_proxies: [127.0.0.0/8]\n\
         admin: \"127.0.0.1:0\"\nworkers: 2\nupstreams:\n\
         \x20 old: {{ static: [\"{old}\"] }}\n\x20 new: {{ static: [\"{new}\"] }}\n\
         \x20 third: {{ static: [\"{third}\"] }}\nsplits:\n\x20 shop:\n\x20   stable: old\n\
         {split}"
    )
}

const BY_COOKIE: &str = "[\"cookie:uid\", \"header:x-device\", client_ip]";
const BY_DEVICE: &str = "[\"header:x-device\", \"cookie:uid\", client_ip]";
/// Nothing but the file is to move anybody here.
const CALM: &str =
    "    analysis: { warm_up: 1h, metrics: [{ name: latency, margin: +100%, dry_run: true }] }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_names_exactly_the_users_that_move() {
    let old = Origin::saying("old").await;
    let new = Origin::saying("new").await;
    let third = Origin::saying("third").await;
    let of = |split: &str| text([&old, &new, &third], split);
    let shop = |canary: &str, weight: &str, key: &str| {
        format!("    canary: {canary}\n    weight: {weight}\n    sticky: {{ key: {key} }}\n{CALM}")
    };
    let search = format!(
        "{}\x20 search:\n    match: {{ path_prefix: /search }}\n    stable: old\n{}",
        shop("third", "40%", BY_DEVICE),
        shop("new", "30%", BY_DEVICE)
    );
    let changes = [
        ("raised", of(&shop("new", "25%", BY_COOKIE)), "shop"),
        ("lowered", of(&shop("new", "5%", BY_COOKIE)), "shop"),
        ("another key", of(&shop("new", "5%", BY_DEVICE)), "shop"),
        (
            "another canary",
            of(&shop("third", "40%", BY_DEVICE)),
            "shop",
        ),
        ("another split", of(&search), "search"),
    ];
    let mut live = Live::start(old.address, new.address, "    weight: 10%\n");
    live.down().await;
    fs::write(live.file(), of(&shop("new", "10%", BY_COOKIE))).unwrap();
    live.up();
    live.until(|split| split.share == Share::from_basis_points(1_000).unwrap())
        .await;

    let users: Vec<String> = fs::read_to_string(KEYS)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let users = Arc::new(users);
    assert_eq!(users.len(), 10_000);
    let mut before = visit(&live, &users, None).await;
    for (what, text, split) in changes {
        let told = predicted(&live, &text, split).await;
        save(&live, &text).await;
        let by_key = visit(&live, &users, None).await;
        let with_cookie = visit(&live, &users, Some(&before)).await;
        let recorded = &told["recorded"];
        assert_eq!(recorded["without_key"], 0, "{what}");
        let seen = moved(&users, &before, &by_key);
        assert!(!seen.is_empty(), "{what}: nobody moved");
        assert!(keys(&recorded["moved_keys"]) == seen, "{what}: {told}");
        let seen = moved(&users, &before, &with_cookie);
        assert!(
            keys(&recorded["moved_keys_with_cookie"]) == seen,
            "{what}, with cookies: {told}"
        );
        before = by_key;
    }
}
