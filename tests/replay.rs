//! `serin replay REC`, as a person runs it on what a rollout has left in the state directory.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops where it stands"
)]

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use serin::{
    admin::{self, Bind},
    config,
    control::{Control, Event, Loaded, Opened, Setup},
    measure::{Cell, CellKey, Sample},
    model::{Moment, Role, RouteId, Share},
    record::{Frame, Frames, Said},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const NOW: Moment = Moment::from_millis(1_767_323_045_678);

fn file(analysis: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\n\
         upstreams:\n  v1: {{ static: [\"127.0.0.1:1\"] }}\n  v2: {{ static: [\"127.0.0.1:2\"] }}\n\
         splits:\n  shop:\n    match:\n      - {{ name: cart, path_prefix: /cart }}\n      \
         - {{ name: home, path_prefix: / }}\n    stable: v1\n    canary: v2\n    weight: 50%\n    \
         analysis: {{ {analysis} }}\n"
    )
}

fn cell(trials: u64, failures: u64) -> Cell {
    let mut cell = Cell {
        assigned: trials,
        trials,
        failures,
        failed_requests: vec![7; usize::try_from(failures).unwrap()],
        ..Cell::default()
    };
    cell.latency.record_n(Duration::from_millis(5), trials);
    cell
}

/// A rollout in which one in eighty of the canary's requests fails, all on one of two routes, until
/// Serin takes it to 0. What the judge said last: its evidence, and when.
fn live(directory: &Path) -> (f64, Moment) {
    let (config, warnings) = config::load(&file("warm_up: 0s"), "serin.yaml").unwrap();
    let loaded = Loaded {
        config,
        secrets: HashMap::new(),
        tls: serin::plan::Tls::default(),
        tokens: serin::control::Tokens::default(),
        warnings,
    };
    let setup = Setup {
        path: None,
        loaded,
        state_dir: Some(directory.to_owned()),
    };
    let Opened {
        mut control,
        handle,
        mut reader,
        ..
    } = Control::open_at(setup, NOW);
    let mut now = NOW;
    while reader.current().splits[0].share > Share::ZERO {
        now = now + Duration::from_millis(50);
        let split = &reader.current().splits[0];
        let mut sample = Sample::default();
        for (role, route, failures) in [
            (Role::Stable, 0, 0),
            (Role::Canary, 0, 1),
            (Role::Stable, 1, 0),
            (Role::Canary, 1, 0),
        ] {
            let key = CellKey {
                split: split.key,
                stage: split.stage,
                role,
                route: RouteId(route),
                is_shadow: false,
            };
            sample.cells.insert(key, cell(40, failures));
        }
        control.on(Event::Sampled(Box::new(sample)), now);
        assert!(now.since(NOW) < Duration::from_mins(1));
    }
    let judgement = handle.status().splits[0].judgement.clone().unwrap();
    (judgement.evidence, now)
}

fn run(directory: &Path, words: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_serin"));
    let program = program.current_dir(directory).env("COLUMNS", "100");
    program.arg("replay").args(words).output().unwrap()
}

/// Exit code, standard output and standard error, as one text.
fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const RECORD: &str = "records/shop-1.rec";

#[test]
fn what_was_decided_live_is_decided_again_and_otherwise_by_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let (evidence, at) = live(directory.path());
    let run = |words: &[&str]| run(directory.path(), words);

    let same = lines(&run(&[RECORD, "-o", "json"]));
    let fail = same.last().unwrap();
    assert_eq!(fail["verdict"], "fail");
    assert_eq!(fail["t"], at.since(NOW).as_secs_f64());
    assert_eq!(
        fail["evidence"].as_f64().unwrap().to_bits(),
        evidence.to_bits()
    );
    assert!(
        same.iter().all(|line| line["is_as_live"] == true),
        "{same:?}"
    );
    insta::assert_snapshot!("same", shown(&run(&[RECORD])));

    let lenient = "warm_up: 0s, metrics: [{ name: error_rate, margin: +20pp }]";
    fs::write(directory.path().join("lenient.yaml"), file(lenient)).unwrap();
    let lenient = [RECORD, "--config", "lenient.yaml"];
    insta::assert_snapshot!("lenient", shown(&run(&lenient)));
    let otherwise = lines(&run(&[&lenient[..], &["-o", "json"]].concat()));
    assert!(!otherwise.is_empty());
    assert!(
        otherwise.iter().all(|line| line["verdict"] != "fail"),
        "{otherwise:?}"
    );
}

#[test]
fn a_torn_record_and_what_is_none_are_told() {
    let directory = tempfile::tempdir().unwrap();
    live(directory.path());
    let path = directory.path().join(RECORD);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&path, &bytes).unwrap();
    let run = |words: &[&str]| shown(&run(directory.path(), words));
    insta::assert_snapshot!("torn", run(&[RECORD]));
    fs::write(directory.path().join("trace.jsonl"), "{}").unwrap();
    fs::write(directory.path().join("serin.yaml"), file("warm_up: 0s")).unwrap();
    let wrong = [
        run(&["trace.jsonl"]),
        run(&["nowhere.rec"]),
        run(&[RECORD, "--config", "serin.yaml", "--split", "cart"]),
        run(&[RECORD, "--split", "cart"]),
    ];
    insta::assert_snapshot!("wrong", wrong.join("\n"));
}

#[test]
fn the_verdict_is_in_the_record_beside_what_led_to_it() {
    let directory = tempfile::tempdir().unwrap();
    live(directory.path());
    let bytes = fs::read(directory.path().join(RECORD)).unwrap();
    let (header, frames) = Frames::open(&bytes).unwrap();
    assert_eq!(
        (header.stable.as_str(), header.canary.as_str()),
        ("v1", "v2")
    );
    let frames: Vec<Frame> = frames.map(Result::unwrap).collect();
    let [.., Frame::Look, Frame::Decision(last), Frame::End(_)] = frames.as_slice() else {
        unreachable!("{:?}", frames.last());
    };
    assert_eq!(last.said, Said::Fail);
    let count = |is_one: fn(&Frame) -> bool| frames.iter().filter(|it| is_one(it)).count();
    let looks = count(|frame| matches!(frame, Frame::Look));
    let routes = count(|frame| matches!(frame, Frame::RouteTick(..)));
    assert!(
        4 <= routes && routes < looks,
        "{routes} {looks}: routes have longer ticks"
    );
    assert!(last.canary_requests > 0 && !last.why.is_empty());
}

#[tokio::test]
async fn the_admin_api_hands_out_the_record_itself() {
    let directory = tempfile::tempdir().unwrap();
    live(directory.path());
    let (config, warnings) = config::load(&file("warm_up: 0s"), "serin.yaml").unwrap();
    let setup = Setup {
        path: None,
        loaded: Loaded {
            config,
            secrets: HashMap::new(),
            tls: serin::plan::Tls::default(),
            tokens: serin::control::Tokens::default(),
            warnings,
        },
        state_dir: Some(directory.path().to_owned()),
    };
    let Opened {
        control, handle, ..
    } = Control::open(setup);
    tokio::spawn(control.run());
    let bind = Bind {
        http: Some("127.0.0.1:0".parse().unwrap()),
        unix: None,
        ..Bind::default()
    };
    let admin = admin::serve(handle, &bind).await.unwrap();
    let at = admin.http().unwrap();

    let path = directory.path().join("records/shop-1.rec");
    let (head, body) = get(at, "/v1/rollouts/shop-1/evidence.rec").await;
    assert!(head.contains("filename=\"shop-1.rec\""), "{head}");
    assert!(body == fs::read(&path).unwrap(), "{} bytes", body.len());
    let (_, evidence) = get(at, "/v1/rollouts/shop-1/evidence").await;
    let evidence: Value = serde_json::from_slice(&evidence).unwrap();
    assert_eq!(evidence["records"][0], path.to_str().unwrap());
    let (head, body) = get(at, "/v1/rollouts/shop-9/evidence.rec").await;
    assert!(head.starts_with("HTTP/1.0 404"), "{head}");
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("no record of `shop-9` is kept"), "{body}");
}

/// Head and body; by HTTP/1.0, so that the body ends with the connection.
async fn get(at: SocketAddr, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nhost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}
