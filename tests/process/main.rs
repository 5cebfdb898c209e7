//! The process as its operator has it: upgraded, ended, and under systemd, with a load that must
//! not notice.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes its own files"
)]

#[path = "../support/mod.rs"]
mod support;

mod house;
mod load;
mod systemd;
mod telling;

use std::process::{Command, Stdio};

use house::House;
use load::Load;
use rustix::process::Signal;
use support::origin::Origin;

#[tokio::test]
async fn an_upgrade_fails_and_resets_no_request_however_many_workers_there_are() {
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, "workers: 2\n");
    let mut load = Load::on(house.address, 4);
    load.more(200).await;
    let file = std::fs::read_to_string(house.path("serin.yaml")).unwrap();
    for workers in ["workers: 1\n", "workers: 3\n", "workers: 2\n"] {
        let text = file.replace("workers: 2\n", workers);
        std::fs::write(house.path("serin.yaml"), text).unwrap();
        house.upgrade().await;
        load.more(500).await;
    }
    load.end(true).await;
    assert!(house.first_has_ended().await, "the old ones end, too");
    let (code, text) = house.serin("status").await;
    assert_eq!(code, 0, "the admin socket is still there: {text}");
}

#[tokio::test]
async fn a_signal_upgrades_and_the_rollout_goes_on() {
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, "");
    for words in [
        "abort shop -r enough",
        "retry shop",
        "set-weight shop 20% -r careful",
    ] {
        let (code, text) = house.serin(words).await;
        assert_eq!(code, 0, "{text}");
    }
    let (_, before) = house.serin("status shop -o json").await;
    house.signal(Signal::USR2);
    let line = house.until_said("a new process has taken over");
    house.goes_on_as(u32::try_from(line["pid"].as_u64().unwrap()).unwrap());
    let (_, after) = house.serin("status shop -o json").await;
    let read = |text: &str| {
        let status: serde_json::Value = serde_json::from_str(text).unwrap();
        let split = &status["splits"][0];
        ["epoch", "phase", "weight"].map(|key| split[key].to_string())
    };
    assert_eq!(read(&before), read(&after));
    assert_eq!(read(&after)[0], "2");
    let (_, text) = house.serin("why shop").await;
    assert!(text.contains("careful"), "its history is known: {text}");
}

#[tokio::test]
async fn a_new_program_that_cannot_serve_leaves_the_old_one_serving() {
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, "");
    let mut load = Load::on(house.address, 2);
    let mut fails = async |house: &mut House, words: &str| {
        let (code, text) = house.serin("upgrade").await;
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(words), "{text}");
        load.more(50).await;
    };
    house.replace(Some("#!/bin/sh\nexit 3\n"));
    fails(&mut house, "the new process has ended: exit status: 3").await;
    house.replace(Some("no program at all"));
    fails(&mut house, "cannot start").await;
    house.replace(None);
    let file = std::fs::read_to_string(house.path("serin.yaml")).unwrap();
    std::fs::write(house.path("serin.yaml"), file.replace("stable:", "stabel:")).unwrap();
    fails(&mut house, "the new process cannot serve").await;
    std::fs::write(house.path("serin.yaml"), file).unwrap();
    let (code, text) = house.serin("set-weight shop 20%").await;
    assert_eq!(code, 0, "it has its journal: {text}");
    house.upgrade().await;
    load.more(50).await;
    load.end(true).await;
}

/// Starts the program under a shell that has said something about limits.
fn limited(origin: &Origin, words: &str) -> House {
    let script = format!("{words}; exec \"$0\" \"$@\"");
    let more = "admin: \"127.0.0.1:0\"\n";
    House::start_as(
        origin.address,
        origin.address,
        more,
        |program, arguments| {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &script]).arg(program).args(arguments);
            shell.stdin(Stdio::null());
            shell
        },
    )
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_as_far_as_it_goes_and_told_if_too_low() {
    let origin = Origin::saying("fine").await;
    let house = limited(&origin, "ulimit -Sn 300; ulimit -Hn 900");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", house.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).collect();
    assert_eq!(numbers[..2], ["900", "900"]);
    assert!(house.has_said("900 open files are too few"));
}

#[tokio::test]
async fn the_end_breaks_no_request_of_those_who_have_a_connection() {
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, "drain: { lag: 0s }\n");
    let mut load = Load::on(house.address, 8);
    load.more(500).await;
    house.signal(Signal::TERM);
    load.end(false).await;
    assert!(house.first_has_ended().await);
}

#[tokio::test]
async fn a_person_lets_it_log_more_and_lets_it_go_down() {
    let origin = Origin::saying("fine").await;
    let mut house = House::start(origin.address, origin.address, "drain: { lag: 0s }\n");
    let (code, text) = house.serin("log nonsense=verbose").await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("is no filter"), "{text}");
    let (code, text) = house.serin("log warn").await;
    assert_eq!((code, text.as_str()), (0, "logs warn until it ends\n"));
    let (code, _) = house.serin("set-weight shop 20%").await;
    assert_eq!(code, 0);
    let (code, text) = house.serin("log info,serin::admin=debug").await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = house.serin("audit").await;
    assert_eq!(code, 0, "{text}");
    for act in ["log warn", "set-weight 20%", "log info,serin::admin=debug"] {
        assert!(text.contains(act), "{text}");
    }
    let (code, text) = house.serin("drain").await;
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with(&format!("process {} goes down", house.pid())),
        "{text}"
    );
    house.until_said("going down");
    assert!(
        !house.has_said("canary new has 20%"),
        "only warnings were logged then"
    );
    assert!(house.first_has_ended().await);
}
