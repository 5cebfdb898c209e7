//! The client verbs as a person runs them: the real program against an admin API on real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands"
)]

#[path = "support/control.rs"]
#[expect(dead_code, reason = "these tests use a part of it")]
mod control;

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    process::{Command as Program, Output, Stdio},
};

use serin::{control::Command, model::Share};

struct Setup {
    directory: tempfile::TempDir,
    serving: serin::admin::Serving,
    fake: control::Fake,
}

async fn setup() -> Setup {
    let directory = tempfile::tempdir().unwrap();
    let (serving, fake) = control::admin(&directory).await;
    Setup {
        directory,
        serving,
        fake,
    }
}

impl Setup {
    /// Runs the program with the address of this admin API.
    async fn run(&self, words: &[&str]) -> Output {
        run(words, &self.admin()).await
    }

    fn admin(&self) -> String {
        self.serving.http().unwrap().to_string()
    }
}

async fn run(words: &[&str], admin: &str) -> Output {
    let mut program = Program::new(env!("CARGO_BIN_EXE_serin"));
    program
        .args(words)
        .env("SERIN_ADMIN", admin)
        .env("USER", "kim")
        .env("COLUMNS", "100");
    blocking(move || program.output().unwrap()).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Exit code, standard output and standard error, as one text.
fn shown(output: &Output) -> String {
    let mut text = format!("exit code {}\n", output.status.code().unwrap());
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            write!(text, "--- {name}\n{}", String::from_utf8_lossy(bytes)).unwrap();
        }
    }
    text
}

#[tokio::test]
async fn help_of_every_verb() {
    let verbs = [
        "run",
        "validate",
        "convert",
        "schema",
        "status",
        "why",
        "rollouts",
        "events",
        "set-weight",
        "promote",
        "pause",
        "resume",
        "abort",
        "retry",
        "health",
        "override",
        "explain",
        "replay",
        "plan",
        "diff",
    ];
    let mut text = shown(&run(&["--help"], "").await);
    for verb in verbs {
        write!(
            text,
            "\n$ serin {verb} --help\n{}",
            shown(&run(&[verb, "--help"], "").await)
        )
        .unwrap();
    }
    insta::assert_snapshot!("help", text);
}

#[tokio::test]
async fn status_why_and_events_read_well() {
    let setup = setup().await;
    insta::assert_snapshot!("status", shown(&setup.run(&["status"]).await));
    insta::assert_snapshot!("why", shown(&setup.run(&["why", "shop"]).await));
    insta::assert_snapshot!("events", shown(&setup.run(&["events"]).await));
    let json = setup.run(&["status", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["splits"][0]["phase"], "progressing");
}

#[tokio::test]
async fn a_rollback_and_a_bad_file_are_told() {
    let setup = setup().await;
    setup.fake.set(|status| {
        let split = &mut status.splits[0];
        split.phase = "rolled_back";
        split.phase_reason = "error_rate: 40 of 1000 canary requests failed".to_owned();
        split.step = None;
        split.forecast = None;
        split.harm_budget = None;
        split.warnings.clear();
        split.share = Share::ZERO;
        split.configured = Some(Share::from_basis_points(500).unwrap());
        let problem = "serin.yaml:3:9: `wieght` is not a key\n3 |   wieght: 5%\n  |   ^^^^^^\n";
        status.config.problem = Some(problem.into());
        status.upstreams[1].endpoints = (0, 0);
        status.upstreams[1].problem = Some("cannot read ecs.yaml: no such file".into());
    });
    insta::assert_snapshot!("status_bad", shown(&setup.run(&["status"]).await));
    setup.fake.set(|status| status.splits[0].judgement = None);
    let why = shown(&setup.run(&["why"]).await);
    let hint = "`serin why --rollout shop-3` shows what that rested on";
    assert!(why.contains(hint), "after a restart: {why}");
}

#[tokio::test]
async fn rollouts_are_listed_and_one_is_explained() {
    let setup = setup().await;
    setup.fake.set(|status| {
        status.splits[0].judgement = Some(control::failed());
    });
    let status = shown(&setup.run(&["status"]).await);
    assert!(status.contains("verdict fail") && !status.contains("decides:"));
    let mut text = String::new();
    for words in [
        &["rollouts"][..],
        &["why", "shop"],
        &["why", "shop-2"],
        &["why", "--rollout", "shop-9"],
        &["rollouts", "shopp"],
    ] {
        let told = shown(&setup.run(words).await);
        write!(text, "$ serin {}\n{told}\n", words.join(" ")).unwrap();
    }
    let admin = setup.serving.http().unwrap().to_string();
    insta::assert_snapshot!("rollouts", text.replace(&admin, "ADMIN"));
    let json = setup.run(&["rollouts", "shop", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["rollouts"][0]["id"], "shop-2");
    let json = setup.run(&["why", "shop-2", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["analysis"]["suspect"]["endpoint"], "127.0.0.1:8081");
}

#[tokio::test]
async fn acts_are_done_over_tcp_and_over_the_unix_socket() {
    let mut setup = setup().await;
    let unix = format!(
        "unix:{}",
        setup.directory.path().join("admin.sock").display()
    );
    let done = setup
        .run(&[
            "set-weight",
            "shop",
            "12.5%",
            "-r",
            "more",
            "--if-epoch",
            "3",
        ])
        .await;
    let text =
        "exit code 0\n--- stdout\nshop: done: SetWeight(Share(1250))\n  canary at 12.5%, epoch 3\n";
    assert_eq!(shown(&done), text);
    let share = Share::from_basis_points(1_250).unwrap();
    let expected = (
        "shop".to_owned(),
        Command::SetWeight(share),
        Some("more".to_owned()),
        "127.0.0.1, says kim".to_owned(),
    );
    assert_eq!(setup.fake.acts.recv().await.unwrap(), expected);
    for (words, command) in [
        (&["promote", "shop"][..], Command::Promote { full: false }),
        (
            &["promote", "shop", "--full"],
            Command::Promote { full: true },
        ),
        (&["pause", "shop"], Command::Pause),
        (&["abort", "shop"], Command::Abort),
        (&["retry", "shop"], Command::Retry),
        (&["undo", "shop"], Command::Undo),
        (&["gate", "open", "shop"], Command::OpenGate { step: None }),
        (&["gate", "close", "shop"], Command::CloseGate),
    ] {
        let words = [words, &["--admin", &unix]].concat();
        let done = run(&words, "127.0.0.1:1").await;
        assert_eq!(done.status.code(), Some(0), "{}", shown(&done));
        let (_, asked, reason, actor) = setup.fake.acts.recv().await.unwrap();
        let who = rustix::process::getuid().as_raw();
        let expected = (command, None, format!("uid {who} (unix), says kim"));
        assert_eq!((asked, reason, actor), expected);
    }
}

#[tokio::test]
async fn refusals_say_what_to_do_next() {
    let setup = setup().await;
    let mut text = String::new();
    for words in [
        &["abort", "shop", "--if-epoch", "2"][..],
        &["resume", "shop"],
        &["abort", "shopp"],
        &["set-weight", "shop", "5"],
        &["status", "sh op"],
        &["abort"],
        &["abrot", "shop"],
    ] {
        write!(
            text,
            "$ serin {}\n{}\n",
            words.join(" "),
            shown(&setup.run(words).await)
        )
        .unwrap();
    }
    for admin in ["127.0.0.1:1", "unix:/nowhere/admin.sock", "nonsense"] {
        write!(
            text,
            "$ SERIN_ADMIN={admin} serin status\n{}\n",
            shown(&run(&["status"], admin).await)
        )
        .unwrap();
    }
    insta::assert_snapshot!("refusals", text);
}

#[tokio::test]
async fn health_is_zero_or_one() {
    let setup = setup().await;
    assert_eq!(
        shown(&setup.run(&["health"]).await),
        "exit code 0\n--- stdout\nok\n"
    );
    setup
        .fake
        .set(|status| (status.is_ready, status.is_draining) = (false, true));
    let draining = shown(&setup.run(&["health", "--ready"]).await);
    assert!(
        draining.starts_with("exit code 1\n--- stderr\nerror: not ready; the process is going"),
        "{draining}"
    );
    let gone = run(&["health"], "127.0.0.1:1").await;
    assert_eq!(
        gone.status.code(),
        Some(1),
        "a container platform knows 0 and 1 only"
    );
}

fn news(what: &'static str, seconds: u64) -> serin::control::News {
    serin::control::News {
        at: control::NOW + std::time::Duration::from_secs(seconds),
        what,
        split: None,
        epoch: None,
        share: None,
        by: "judge".to_owned(),
        text: "the canary is worse".to_owned(),
        is_warning: true,
    }
}

#[tokio::test]
async fn events_are_those_of_a_split_or_those_that_matter() {
    let setup = setup().await;
    let told = |words: &'static [&'static str]| setup.run(words);
    let all = told(&["events", "--split", "shop"]).await;
    assert!(shown(&all).contains("03:04:05  stepped"), "{}", shown(&all));
    for words in [
        &["events", "--split", "cart"][..],
        &["events", "--warnings"],
    ] {
        assert_eq!(shown(&told(words).await), "exit code 0\n", "{words:?}");
    }
}

#[tokio::test]
async fn a_stream_that_has_ended_is_found_again() {
    let setup = setup().await;
    let socket = setup.directory.path().join("admin.sock");
    let mut child = Program::new(env!("CARGO_BIN_EXE_serin"))
        .args(["events", "-f", "-o", "json", "--admin"])
        .arg(format!("unix:{}", socket.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    let (past, mut lines) = blocking(move || (lines.next().unwrap().unwrap(), lines)).await;
    assert!(past.contains("stepped"), "{past}");
    setup.serving.stop().await;
    let (gone, mut notes) = blocking(move || (notes.next().unwrap().unwrap(), notes)).await;
    assert!(
        gone.ends_with("has ended the stream; trying again"),
        "{gone}"
    );
    let (_serving, fake) = control::admin(&setup.directory).await;
    let back = blocking(move || notes.next().unwrap().unwrap()).await;
    assert!(back.ends_with("is back"), "{back}");
    fake.news.send(news("rolled_back", 1)).unwrap();
    let line = blocking(move || lines.next().unwrap().unwrap()).await;
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        told["event"], "rolled_back",
        "what was told already is not told again"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn events_follow_until_the_process_ends() {
    let setup = setup().await;
    let admin = setup.serving.http().unwrap().to_string();
    let mut child = Program::new(env!("CARGO_BIN_EXE_serin"))
        .args(["events", "-f", "--wait", "1s", "--admin", &admin])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (past, mut lines) = blocking(move || (lines.next().unwrap().unwrap(), lines)).await;
    assert!(past.starts_with("03:04:05  stepped"), "{past}");
    setup.fake.news.send(news("rolled_back", 1)).unwrap();
    let live = blocking(move || lines.next().unwrap().unwrap()).await;
    assert_eq!(
        live,
        "03:04:06  rolled_back       the canary is worse (by judge)"
    );
    setup.serving.stop().await;
    let ended = blocking(move || child.wait_with_output().unwrap()).await;
    assert_eq!(ended.status.code(), Some(2), "{}", shown(&ended));
}

#[tokio::test]
async fn a_plan_says_how_long_steps_take_and_which_cannot_decide() {
    let setup = setup().await;
    let file = setup.directory.path().join("serin.yaml");
    let text = "version: 1\nlisten: \"127.0.0.1:0\"\nupstreams:\n  \
         mesos: { static: [\"127.0.0.1:1\"] }\n  ecs: { static: [\"127.0.0.1:2\"] }\n\
         splits:\n  shop:\n    stable: mesos\n    canary: ecs\n    rollout:\n      steps:\n      \
         - set_weight: 1%\n      - analysis: { until: decided, max: 10m }\n      \
         - set_weight: 50%\n      - analysis: { until: decided, max: 30m }\n      \
         - pause: 10m\n      - set_weight: 100%\n      - bake: 15m\n";
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let mut told = String::new();
    for words in [
        &["--rate", "2000"][..],
        &["--rate", "40", "--error-rate", "1%"],
        &[],
        &["--split", "shopp"],
        &["--rate", "0"],
        &["--rate", "40", "--error-rate", "1"],
    ] {
        let output = setup.run(&[&["plan", &file][..], words].concat()).await;
        let words = words.join(" ");
        let shown = shown(&output).replace(&setup.admin(), "ADMIN");
        write!(told, "$ serin plan FILE {words}\n{shown}\n").unwrap();
    }
    let gone = run(&["plan", &file], "127.0.0.1:1").await;
    write!(told, "$ serin plan FILE\n{}\n", shown(&gone)).unwrap();
    insta::assert_snapshot!("plan", told);
    let json = setup.run(&["plan", &file, "-o", "json"]).await;
    assert_eq!(json.status.code(), Some(1), "{}", shown(&json));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    let split = &json["splits"][0];
    assert_eq!(
        (&split["name"], &split["rate"]),
        (&"shop".into(), &100.2.into())
    );
    assert_eq!(split["seconds"], serde_json::Value::Null);
    assert!(split["steps"][1]["warning"].is_string(), "{split}");
    assert_eq!(
        split["steps"][0]["forecast"]["to_fail"][0]["effect"],
        "all_fail"
    );
}

#[tokio::test]
async fn a_signed_override_is_made_and_explained_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let (file, key) = (
        directory.path().join("serin.yaml"),
        directory.path().join("preview.key"),
    );
    std::fs::write(&key, "a secret of more than 16 bytes\n").unwrap();
    let text = format!(
        "version: 1\nlisten: \"127.0.0.1:0\"\nupstreams:\n  \
         mesos: {{ static: [\"127.0.0.1:1\"] }}\n  \
         ecs: {{ static: [\"127.0.0.1:2\"] }}\nsplits:\n  shop:\n    \
         match: {{ hosts: [shop.example] }}\n    stable: mesos\n    canary: ecs\n    \
         override: {{ header: x-serin-version, signed_by: {:?} }}\n",
        key.display().to_string()
    );
    std::fs::write(&file, text).unwrap();
    let config = file.display().to_string();

    let signed = run(&["override", "-c", &config, "shop", "ecs"], "").await;
    assert_eq!(signed.status.code(), Some(0), "{}", shown(&signed));
    let value = String::from_utf8(signed.stdout).unwrap();
    let field = format!("X-Serin-Version: {}", value.trim());
    let url = "http://shop.example/cart";
    let told = shown(&run(&["explain", "-c", &config, url, "-H", &field], "").await);
    assert!(
        told.contains("version: ecs (canary), because a signed override"),
        "{told}"
    );
    let told = shown(&run(&["explain", "-c", &config, url], "").await);
    assert!(told.contains("version: mesos (stable)"), "{told}");
    let told = shown(&run(&["explain", "-c", &config, "/cart"], "").await);
    assert!(told.contains("split: none takes GET /cart"), "{told}");
    let told = shown(&run(&["override", "-c", &config, "shop", "esc"], "").await);
    assert!(
        told.starts_with("exit code 1\n--- stderr\nerror: `esc` is no version"),
        "{told}"
    );
    let told = shown(&run(&["explain", "-c", "/nowhere.yaml", "/"], "").await);
    assert!(
        told.contains("`serin validate /nowhere.yaml` shows all"),
        "{told}"
    );
}

#[tokio::test]
async fn labels_of_marathon_lb_become_a_file_that_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/marathon");
    let apps = format!("{folder}/marathon-lb_zdd_apps.json");
    let listen = [
        "--listen",
        "127.0.0.1:8080",
        "--marathon",
        "https://m.test/marathon",
    ];
    let convert = ["convert", "--from", "marathon-lb", &apps];
    let made = run(&[&convert[..], &listen].concat(), "").await;
    assert!(made.status.success(), "{made:?}");
    let text = String::from_utf8(made.stdout).unwrap();
    let (config, _) = serin::config::load(&text, "x").unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(
        config.splits[0].canary.as_ref().unwrap().as_str(),
        "nginx-blue"
    );
    assert_eq!(config.listeners[0].address.port(), 8080);
    assert!(text.contains("https://m.test/marathon"), "{text}");

    let none = run(
        &[
            "convert",
            "--from",
            "marathon-lb",
            &format!("{folder}/README.md"),
        ],
        "",
    )
    .await;
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    let none = run(
        &["convert", "--from", "marathon-lb", "/nowhere/apps.json"],
        "",
    )
    .await;
    assert_eq!(none.status.code(), Some(2), "{none:?}");
}

/// A file with a sticky split; `more` follows its versions.
fn sticky(more: &str) -> String {
    format!(
        "listen: \"127.0.0.1:0\"\nupstreams:\n  mesos: {{ static: [\"127.0.0.1:1\"] }}\n  \
         ecs: {{ static: [\"127.0.0.1:2\"] }}\nsplits:\n  shop:\n    stable: mesos\n    \
         canary: ecs\n    sticky: {{ key: [\"header:x-user\"] }}\n{more}"
    )
}

#[tokio::test]
async fn a_plan_against_a_file_is_refused_by_what_it_may_not_lead_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (old, new, other) = (path("old.yaml"), path("new.yaml"), path("other.yaml"));
    std::fs::write(&old, sticky("    weight: 10%\n")).unwrap();
    std::fs::write(&new, sticky("    weight: 4%\n")).unwrap();
    let shadowed = "    weight: 10%\n  again:\n    match: { path_prefix: / }\n    stable: ecs\n";
    std::fs::write(&other, sticky(shadowed)).unwrap();
    let plan = ["plan", &new, "--against", &old];
    let cases = [
        (&[][..], 0),
        (&["--fail-if", "moved>6%"], 0),
        (&["--fail-if", "moved>5%"], 1),
        (&["--fail-if", "flips>0"], 1),
        (&["--fail-if", "harm>100000", "--rate", "100"], 0),
        (&["--fail-if", "harm>1", "--rate", "100"], 1),
        (&["--fail-if", "shadowed", "--fail-if", "restart"], 0),
        (&["--fail-if", "users>1"], 2),
    ];
    for (words, code) in cases {
        let output = run(&[&plan[..], words].concat(), "127.0.0.1:1").await;
        assert_eq!(
            output.status.code(),
            Some(code),
            "{words:?}: {}",
            shown(&output)
        );
    }
    let told = shown(&run(&plan, "127.0.0.1:1").await);
    assert!(told.contains("~ splits.shop.weight: 10% -> 4%"), "{told}");
    let moved = "6.00% get another version, 6.00% go back from the canary; of those that keep \
                 their cookie 0.00% and 0.00%";
    assert!(told.contains(moved), "{told}");
    let shadow = ["plan", &other, "--against", &old, "--fail-if", "shadowed"];
    let told = shown(&run(&shadow, "127.0.0.1:1").await);
    assert!(told.starts_with("exit code 1"), "{told}");
    assert!(told.contains("match again.default gets nothing"), "{told}");
}

#[tokio::test]
async fn a_diff_ends_with_1_if_files_mean_something_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (old, same, new) = (path("old.yaml"), path("same.yaml"), path("new.yaml"));
    std::fs::write(&old, sticky("    weight: 10%\n")).unwrap();
    std::fs::write(&same, sticky("    weight: 10.0%   # the same\n")).unwrap();
    std::fs::write(&new, sticky("    weight: 10%\n") + "workers: 3\n").unwrap();
    let told = shown(&run(&["diff", &old, &same], "").await);
    assert!(
        told.starts_with("exit code 0") && told.contains("nothing changes"),
        "{told}"
    );
    let told = shown(&run(&["diff", &old, &new], "").await);
    assert!(told.starts_with("exit code 1"), "{told}");
    assert!(
        told.contains("+ workers: 3") && told.contains("at the next start only: workers"),
        "{told}"
    );
    std::fs::write(&new, "listen: nowhere\n").unwrap();
    let told = shown(&run(&["diff", &old, &new], "").await);
    assert!(
        told.starts_with("exit code 1") && told.contains("error[bad_value]"),
        "{told}"
    );
}
