//! An operator's afternoon: the real program asks the real control loop through the admin API.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes its own files"
)]

use std::{path::PathBuf, process::Command as Program};

use serin::{
    admin::{self, Bind, Serving},
    control::{Control, Handle, Setup, read_config},
};

const FILE: &str = r#"version: 1
listen: "127.0.0.1:0"
admin: "127.0.0.1:0"
upstreams:
  mesos: { static: ["127.0.0.1:1"] }
  ecs: { static: ["127.0.0.1:2"] }
splits:
  shop:
    stable: mesos
    canary: ecs
    weight: 5%
"#;

struct House {
    directory: tempfile::TempDir,
    serving: Serving,
    handle: Handle,
}

impl House {
    /// Control and admin on a free port; no proxy.
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serin.yaml");
        std::fs::write(&path, FILE).unwrap();
        let loaded = read_config(&path).unwrap();
        let state_dir = Some(directory.path().join("state"));
        let setup = Setup {
            path: Some(path),
            loaded,
            state_dir,
        };
        let opened = Control::open(setup);
        let handle = opened.handle;
        tokio::spawn(opened.control.run());
        let bind = Bind {
            http: Some("127.0.0.1:0".parse().unwrap()),
            unix: None,
            ..Bind::default()
        };
        let serving = admin::serve(handle.clone(), &bind).await.unwrap();
        Self {
            directory,
            serving,
            handle,
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("serin.yaml")
    }

    /// Exit code, and standard output and error as one text.
    async fn serin(&self, words: &str) -> (i32, String) {
        let mut program = Program::new(env!("CARGO_BIN_EXE_serin"));
        program.args(words.split(' '));
        program.env("SERIN_ADMIN", self.serving.http().unwrap().to_string());
        let output = tokio::task::spawn_blocking(move || program.output().unwrap())
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    /// Waits for a snapshot with these words in it.
    async fn until(&self, what: &str, is_so: impl Fn(&serin::control::Status) -> bool) {
        let mut status = self.handle.watch();
        let seen = status.wait_for(|status| is_so(status));
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(20), seen).await;
        assert!(in_time.is_ok(), "not in 20 s: {what}");
    }
}

#[tokio::test]
async fn weights_are_set_refused_when_stale_and_taken_away() {
    let house = House::open().await;
    let (code, text) = house.serin("health --ready").await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the listeners are not open yet"), "{text}");
    house.handle.listening().await;
    house.until("ready", |status| status.is_ready).await;
    assert_eq!(
        house.serin("health --ready").await,
        (0, "ready\n".to_owned())
    );

    let (code, text) = house.serin("set-weight shop 20% -r careful").await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("canary at 20%"), "{text}");
    let (_, text) = house.serin("status shop").await;
    assert!(text.contains("canary ecs at 20%"), "{text}");
    assert!(text.contains("5% in the file"), "{text}");
    let (code, text) = house.serin("abort shop --if-epoch 77").await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("help: "), "{text}");
    let (code, text) = house.serin("abort shop -r enough").await;
    assert_eq!(code, 0, "{text}");
    let (_, text) = house.serin("why shop").await;
    assert!(
        text.contains("canary ecs at 0%") && text.contains("enough"),
        "{text}"
    );
    let (code, text) = house.serin("retry shop").await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("epoch 2"), "a retry is a new epoch: {text}");
}

#[tokio::test]
async fn a_bad_file_is_told_everywhere_and_a_good_one_mends_it() {
    let house = House::open().await;
    std::fs::write(house.file(), FILE.replace("weight", "wieght")).unwrap();
    house
        .until("the bad file", |status| status.config.problem.is_some())
        .await;
    let (_, text) = house.serin("status").await;
    assert!(text.contains("the last file was bad"), "{text}");
    assert!(text.contains(":11:5"), "line and column: {text}");
    assert!(
        text.contains("canary ecs at 5%"),
        "the last good one is in force: {text}"
    );

    std::fs::write(house.file(), FILE.replace("5%", "7.5%")).unwrap();
    house
        .until("the good file", |status| status.config.problem.is_none())
        .await;
    let (_, text) = house.serin("status").await;
    assert!(text.contains("canary ecs at 7.5%"), "{text}");
    let (_, text) = house.serin("status -o json").await;
    assert!(text.contains("\"effective\": \"7.5%\""), "{text}");
}
