//! What answers come to: recorded ones, and lives of tasks.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::{self, Source};

/// Every recorded payload, by its name.
pub(crate) const RECORDED: [(&str, &str); 19] = [
    (
        "edge_apps",
        include_str!("../../../tests/fixtures/marathon/edge_apps.json"),
    ),
    (
        "apps",
        include_str!("../../../tests/fixtures/marathon/go-marathon_v2_apps.json"),
    ),
    (
        "app",
        include_str!("../../../tests/fixtures/marathon/go-marathon_v2_apps_fake-app.json"),
    ),
    (
        "deployments",
        include_str!("../../../tests/fixtures/marathon/go-marathon_v2_deployments.json"),
    ),
    (
        "info",
        include_str!("../../../tests/fixtures/marathon/go-marathon_v2_info.json"),
    ),
    (
        "pods",
        include_str!("../../../tests/fixtures/marathon/go-marathon_v2_pods_status.json"),
    ),
    (
        "tasks",
        include_str!("../../../tests/fixtures/marathon/go-marathon_v2_tasks.json"),
    ),
    (
        "nginx-1.5",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_1-nginx-marathon1.5.json"),
    ),
    (
        "docker-bridge",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_ci_docker_bridge.json"),
    ),
    (
        "docker-host",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_ci_docker_host.json"),
    ),
    (
        "docker-ippc",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_ci_docker_ippc.json"),
    ),
    (
        "ucr-bridge",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_ci_ucr_bridge.json"),
    ),
    (
        "ucr-host",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_ci_ucr_host.json"),
    ),
    (
        "ucr-ippc",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_ci_ucr_ippc.json"),
    ),
    (
        "marathon-1.5",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_marathon15_apps.json"),
    ),
    (
        "zdd",
        include_str!("../../../tests/fixtures/marathon/marathon-lb_zdd_apps.json"),
    ),
    (
        "example-app",
        include_str!("../../../tests/fixtures/marathon/marathon_example_app.json"),
    ),
    (
        "example-app-tasks",
        include_str!("../../../tests/fixtures/marathon/marathon_example_app_tasks.json"),
    ),
    (
        "example-tasks",
        include_str!("../../../tests/fixtures/marathon/marathon_example_tasks.json"),
    ),
];

/// A source as the file would have it; without `app` and `label` it takes every app.
fn how(keys: &str) -> Marathon {
    let is_all = !keys.contains("app:") && !keys.contains("label:");
    let keys = if is_all {
        format!("app: /x, {keys}")
    } else {
        keys.to_owned()
    };
    let text = format!(
        "listen: \"127.0.0.1:0\"\nupstreams:\n\
         \x20 web: {{ marathon: {{ url: \"http://m:1\", {keys} }} }}\n\
         splits: {{ shop: {{ stable: web }} }}\n"
    );
    let (config, _) =
        config::load(&text, "test.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let Source::Marathon(mut how) = config.upstreams[0].source.clone() else {
        panic!("{config:?}");
    };
    if is_all {
        how.apps.clear();
    }
    *how
}

/// A source without a master, told answers by a test.
pub(crate) struct Rehearsal {
    how: Marathon,
    memory: Memory,
}

impl Rehearsal {
    pub(crate) fn new(keys: &str) -> Self {
        Self {
            how: how(keys),
            memory: Memory::default(),
        }
    }

    /// What an answer comes to; hosts' names stand for themselves.
    pub(crate) fn hear(&mut self, answer: &[u8]) -> Result<Arc<[Endpoint]>, DiscoverError> {
        self.select(answer)
            .map(|selection| endpoints(&selection.found, &literal(&selection)))
    }

    fn select(&mut self, answer: &[u8]) -> Result<Selection, DiscoverError> {
        let wanted = wire::Wanted {
            apps: self.how.apps.clone(),
            labels: self.how.labels.clone(),
        };
        let apps = wire::read(answer, &wanted).map_err(DiscoverError::Malformed)?;
        understood(&self.how, &mut self.memory, &apps)
    }

    /// Endpoints in words, or the error.
    fn told(&mut self, answer: &str) -> Vec<String> {
        match self.hear(answer.as_bytes()) {
            Ok(endpoints) => endpoints.iter().map(word).collect(),
            Err(error) => vec![format!("! {error}")],
        }
    }
}

/// Hosts that are addresses.
fn literal(selection: &Selection) -> Hosts {
    let mut hosts = Hosts::default();
    for found in &selection.found {
        hosts.learn(&found.host);
    }
    hosts
}

fn word(endpoint: &Endpoint) -> String {
    let health = match endpoint.health {
        Health::Healthy => " healthy",
        Health::Unhealthy => " unhealthy",
        Health::Unknown => "",
    };
    let draining = if endpoint.draining { " draining" } else { "" };
    format!("{}{health}{draining}", endpoint.address)
}

#[track_caller]
fn check(payload: &str, keys: &str, expected: &[&str]) {
    let (_, text) = RECORDED.iter().find(|(name, _)| *name == payload).unwrap();
    assert_eq!(
        Rehearsal::new(keys).told(text),
        expected,
        "{payload} {keys}"
    );
}

#[test]
fn every_kind_of_app_yields_the_endpoints_that_it_has() {
    let edge = |app: &str, more: &str, expected: &[&str]| {
        check("edge_apps", &format!("app: {app}{more}"), expected);
    };
    edge("/host15", "", &["127.0.0.1:31001", "127.0.0.1:31003"]);
    edge(
        "/host15",
        ", port_index: 1",
        &["127.0.0.1:31002", "127.0.0.1:31004"],
    );
    edge(
        "/host15",
        ", port_name: admin",
        &["127.0.0.1:31002", "127.0.0.1:31004"],
    );
    edge("/bridge15", "", &["127.0.0.1:31011"]);
    edge("/container15", "", &["9.0.0.5:8080"]);
    edge("/container-hostport", "", &["9.0.0.6:8080"]);
    edge("/container-hostport", ", port_name: adm", &["9.0.0.6:9090"]);
    edge("/bridge14", "", &["127.0.0.1:31041"]);
    edge("/ipaddr14", "", &["9.0.0.7:8080"]);
    edge(
        "/health",
        "",
        &[
            "127.0.0.1:31051 healthy",
            "127.0.0.1:31052 unhealthy",
            "127.0.0.1:31054 unhealthy",
        ],
    );
    edge(
        "/states",
        "",
        &[
            "127.0.0.1:31062",
            "127.0.0.1:31063 draining",
            "127.0.0.1:31064",
            "127.0.0.1:31065",
        ],
    );
    edge("/twover", "", &["127.0.0.1:31081"]);
    edge(
        "/twover",
        ", ready_only: false",
        &["127.0.0.1:31081", "127.0.0.1:31082"],
    );
    edge(
        "/twover",
        ", ready_only: false, tasks: new",
        &["127.0.0.1:31082"],
    );
    edge(
        "/twover",
        ", ready_only: false, tasks: old",
        &["127.0.0.1:31081"],
    );
    edge("/v6", "", &["[fd01:b::1]:8080"]);
}

#[test]
fn what_cannot_be_reached_is_left_out_and_told() {
    let cases = [
        (
            "app: /nohost",
            "! task `nohost.instance-0001._app.1` is left out: Marathon does not say \
                          where it runs",
        ),
        (
            "app: /udp",
            "! task `udp.instance-0001._app.1` is left out: its ports are UDP",
        ),
        (
            "app: /udp, port_index: 0",
            "! task `udp.instance-0001._app.1` is left out: its port 0 is \
                                      UDP",
        ),
        (
            "app: /host15, port_name: web",
            "! task `host15.instance-0001._app.1` is left out: it has \
                                          no port named `web`",
        ),
        ("app: /gone", "! Marathon has no app `/gone`"),
        (
            "label: \"HAPROXY_GROUP==internal\"",
            "! Marathon has no app with such labels",
        ),
    ];
    for (keys, expected) in cases {
        check("edge_apps", keys, &[expected]);
    }
}

/// What every other reader of these answers says, but for what is known to be wrong in it.
#[test]
fn marathon_lb_finds_the_same_tasks_that_can_serve() {
    let text = include_str!("../../../tests/fixtures/marathon/edge_apps.expected_marathon-lb.json");
    let theirs: Value = serde_json::from_str(text).unwrap();
    for (app, ports) in theirs["health_check"].as_object().unwrap() {
        let mut expected: Vec<String> = Vec::new();
        let first = ports.as_object().unwrap().values().next().unwrap();
        for server in first.as_array().unwrap() {
            let (_, address) = server.as_str().unwrap().split_once('|').unwrap();
            expected.push(address.to_owned());
        }
        match app.as_str() {
            // A service port, and UDP.
            "/nohost" | "/udp" => continue,
            // Any check is enough for it.
            "/health" => expected.retain(|address| address != "127.0.0.1:31054"),
            // Without brackets.
            "/v6" => expected = vec!["[fd01:b::1]:8080".to_owned()],
            _ => {}
        }
        let mut source = Rehearsal::new(&format!("app: {app}, ready_only: false"));
        let ours = source.hear(RECORDED[0].1.as_bytes()).unwrap();
        let ours = ours.iter().filter(|endpoint| endpoint.is_usable());
        let ours: Vec<String> = ours.map(|endpoint| endpoint.address.to_string()).collect();
        assert_eq!(ours, expected, "{app}");
    }
}

#[test]
fn every_recorded_payload_is_read_or_refused_in_words() {
    let no_tasks = |id: &str| format!("! app `{id}`: there is no `tasks`");
    for (name, text) in RECORDED {
        let whole = Rehearsal::new("").told(text);
        let value: Value = serde_json::from_str(text).unwrap();
        match (name, value.get("id").and_then(Value::as_str)) {
            // Definitions of apps, which have no tasks.
            (_, Some(id)) => {
                assert_eq!(whole, ["! there is no `apps` in the answer"], "{name}");
                let answer = json!({ "apps": [value] }).to_string();
                let told = Rehearsal::new("").told(&answer);
                assert!(told[0].starts_with(&no_tasks(id)), "{name}: {told:?}");
            }
            ("edge_apps", None) => assert_eq!(whole.len(), 16, "{whole:?}"),
            ("apps", None) => assert!(whole[0].starts_with(&no_tasks("/fake-app"))),
            ("marathon-1.5", None) => assert_eq!(whole, ["10.0.2.148:1565"]),
            ("zdd", None) => assert_eq!(
                whole,
                [
                    "10.0.1.147:25724 healthy",
                    "10.0.6.25:16916 healthy",
                    "10.0.6.25:23336 healthy",
                    "10.0.6.25:31184 healthy"
                ]
            ),
            ("deployments" | "pods", None) => {
                assert!(whole[0].starts_with("! invalid type: sequence, expected an object"));
            }
            _ => assert_eq!(whole, ["! there is no `apps` in the answer"], "{name}"),
        }
    }
}

/// One app whose tasks are told as `(number, state, alive, version)`.
fn app(version: &str, deploying: bool, tasks: &[(u16, &str, Option<bool>, &str)]) -> String {
    let task = |(number, state, alive, version): &(u16, &str, Option<bool>, &str)| {
        let results = alive.map(|alive| json!([{ "alive": alive }]));
        json!({
            "id": format!("web.{number}"), "host": "10.0.0.1", "ports": [number],
            "state": format!("TASK_{state}"), "version": version,
            "healthCheckResults": results.unwrap_or_else(|| json!([])),
        })
    };
    let tasks: Vec<Value> = tasks.iter().map(task).collect();
    let deployments = if deploying {
        json!([{ "id": "d" }])
    } else {
        json!([])
    };
    let app = json!({
        "id": "/web", "instances": 2, "healthChecks": [{ "protocol": "HTTP" }],
        "deployments": deployments, "tasks": tasks,
        "versionInfo": { "lastConfigChangeAt": version }, "version": "3",
    });
    json!({ "apps": [app] }).to_string()
}

#[test]
fn results_that_vanish_are_no_news_and_a_new_task_waits_for_its_first() {
    let mut web = Rehearsal::new("app: /web");
    let first = app(
        "1",
        false,
        &[
            (1, "RUNNING", Some(true), "1"),
            (2, "RUNNING", Some(false), "1"),
        ],
    );
    assert_eq!(
        web.told(&first),
        ["10.0.0.1:1 healthy", "10.0.0.1:2 unhealthy"]
    );
    let elected = app(
        "1",
        false,
        &[
            (1, "RUNNING", None, "1"),
            (2, "RUNNING", None, "1"),
            (3, "RUNNING", None, "1"),
        ],
    );
    assert_eq!(
        web.told(&elected),
        ["10.0.0.1:1 healthy", "10.0.0.1:2 unhealthy"]
    );
    let checked = app(
        "1",
        false,
        &[
            (1, "RUNNING", None, "1"),
            (2, "RUNNING", Some(true), "1"),
            (3, "RUNNING", Some(true), "1"),
        ],
    );
    let all = [
        "10.0.0.1:1 healthy",
        "10.0.0.1:2 healthy",
        "10.0.0.1:3 healthy",
    ];
    assert_eq!(web.told(&checked), all);
    // Gone from one answer, and back without a result.
    web.told(&app("1", false, &[(1, "RUNNING", Some(true), "1")]));
    let back = app(
        "1",
        false,
        &[(2, "RUNNING", None, "1"), (4, "RUNNING", None, "1")],
    );
    assert_eq!(web.told(&back), ["10.0.0.1:2 healthy"]);
}

#[test]
fn whoever_asks_for_the_first_time_right_after_an_election_has_endpoints() {
    let mut web = Rehearsal::new("app: /web");
    let elected = app(
        "1",
        false,
        &[(1, "RUNNING", None, "1"), (2, "RUNNING", None, "1")],
    );
    assert_eq!(web.told(&elected), ["10.0.0.1:1", "10.0.0.1:2"]);
    let new = app(
        "1",
        false,
        &[(1, "RUNNING", None, "1"), (3, "RUNNING", None, "1")],
    );
    assert_eq!(web.told(&new), ["10.0.0.1:1"]);
}

#[test]
fn a_task_that_is_cut_off_stays_and_a_killed_one_drains_and_leaves() {
    let mut web = Rehearsal::new("app: /web");
    let one = |state: &str, alive| app("1", false, &[(1, state, alive, "1")]);
    assert_eq!(web.told(&one("STAGING", None)), [""; 0]);
    assert_eq!(
        web.told(&one("RUNNING", Some(true))),
        ["10.0.0.1:1 healthy"]
    );
    assert_eq!(web.told(&one("UNREACHABLE", Some(false))), ["10.0.0.1:1"]);
    assert_eq!(web.told(&one("RUNNING", None)), ["10.0.0.1:1 healthy"]);
    assert_eq!(
        web.told(&one("KILLING", None)),
        ["10.0.0.1:1 healthy draining"]
    );
    assert_eq!(web.told(&one("KILLED", None)), [""; 0]);
}

#[test]
fn a_deployment_of_one_app_is_stable_and_canary() {
    let life = [
        // Nothing to tell apart: both halves are everybody.
        (false, "1", "1R 2R", "1R 2R", "1R 2R"),
        // The configuration has changed, and nobody has it yet.
        (true, "2", "1R 2R 3S", "1R 2R", "1R 2R"),
        (true, "2", "1R 2R 3R", "1R 2R", "3R"),
        (true, "2", "1K 2R 3R", "1K 2R", "3R"),
        // The last old one goes: the old half is everybody again.
        (true, "2", "2K 3R 4R", "2K 3R 4R", "3R 4R"),
        (false, "2", "3R 4R", "3R 4R", "3R 4R"),
        // A new one that is ill is what is to be judged; one that is gone is not forgotten for old.
        (true, "3", "3R 4R 5R", "3R 4R", "5R"),
        (true, "3", "3R 4R 5U", "3R 4R", "5U"),
        (true, "3", "3R 4R 6S", "3R 4R", ""),
        // The operator takes the change back.
        (true, "4", "3R 4R", "3R 4R", "3R 4R"),
    ];
    let (mut old, mut new) = (
        Rehearsal::new("app: /web, tasks: old"),
        Rehearsal::new("app: /web, tasks: new"),
    );
    for (deploying, version, tasks, expected_old, expected_new) in life {
        let started = |number: u16| {
            if number < 3 {
                "1"
            } else if number < 5 {
                "2"
            } else {
                "3"
            }
        };
        let task = |word: &str| {
            let number: u16 = word[..1].parse().unwrap();
            let (state, alive) = match &word[1..] {
                "R" => ("RUNNING", Some(true)),
                "U" => ("RUNNING", Some(false)),
                "K" => ("KILLING", Some(true)),
                _ => ("STAGING", None),
            };
            (number, state, alive, started(number))
        };
        let tasks: Vec<_> = tasks.split_whitespace().map(task).collect();
        let answer = app(version, deploying, &tasks);
        for (half, source, expected) in [
            ("old", &mut old, expected_old),
            ("new", &mut new, expected_new),
        ] {
            let told = source.hear(answer.as_bytes()).unwrap();
            let shown: Vec<String> = told
                .iter()
                .map(|it| {
                    let letter = match (it.draining, it.health) {
                        (true, _) => 'K',
                        (false, Health::Unhealthy) => 'U',
                        (false, Health::Healthy | Health::Unknown) => 'R',
                    };
                    format!("{}{letter}", it.address.port())
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{half} at {version}: {tasks:?}");
        }
    }
}

#[test]
fn a_change_of_scale_is_no_release() {
    let mut new = Rehearsal::new("app: /web, tasks: new");
    let scaled = app(
        "1",
        true,
        &[
            (1, "RUNNING", Some(true), "1"),
            (2, "RUNNING", Some(true), "2"),
        ],
    );
    let told = new.hear(scaled.as_bytes()).unwrap();
    let versions: Vec<_> = told.iter().map(|it| it.version.clone().unwrap()).collect();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0], versions[1]);
}

#[test]
fn readiness_counts_while_a_deployment_is_under_way_and_once() {
    let answer = |deploying: bool, ready: &[(u16, bool)], tasks: &[u16]| {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|number| (*number, "RUNNING", Some(true), "1"))
            .collect();
        let mut answer: Value = serde_json::from_str(&app("1", deploying, &tasks)).unwrap();
        let result = |(number, ready): &(u16, bool)| {
            let task = format!("web.{number}");
            json!({ "name": "r", "taskId": task, "ready": ready })
        };
        answer["apps"][0]["readinessChecks"] = json!([{ "name": "r" }]);
        answer["apps"][0]["readinessCheckResults"] = ready.iter().map(result).collect();
        answer.to_string()
    };
    let mut web = Rehearsal::new("app: /web");
    let words = |numbers: &[u16]| -> Vec<String> {
        numbers
            .iter()
            .map(|number| format!("10.0.0.1:{number} healthy"))
            .collect()
    };
    assert_eq!(web.told(&answer(false, &[], &[1])), words(&[1]));
    assert_eq!(
        web.told(&answer(true, &[], &[1, 2])),
        words(&[1]),
        "not asked yet"
    );
    assert_eq!(web.told(&answer(true, &[(2, false)], &[1, 2])), words(&[1]));
    assert_eq!(
        web.told(&answer(true, &[(2, true)], &[1, 2])),
        words(&[1, 2])
    );
    assert_eq!(
        web.told(&answer(true, &[(2, false)], &[1, 2])),
        words(&[1, 2])
    );
    assert_eq!(
        web.told(&answer(true, &[(3, false)], &[1, 2, 3])),
        words(&[1, 2])
    );
    assert_eq!(web.told(&answer(false, &[], &[1, 2, 3])), words(&[1, 2, 3]));
    let mut all = Rehearsal::new("app: /web, ready_only: false");
    assert_eq!(all.told(&answer(true, &[(1, false)], &[1])), words(&[1]));
}

#[test]
fn labels_choose_apps() {
    let labelled = |id: &str, labels: Value| {
        let task = json!({
            "id": format!("{id}.1"), "host": "10.0.0.1", "ports": [id.len()],
            "state": "TASK_RUNNING",
        });
        json!({ "id": id, "labels": labels, "tasks": [task] })
    };
    let answer = json!({ "apps": [
        labelled("/a", json!({ "tier": "web" })),
        labelled("/bb", json!({ "tier": "web", "stage": "test" })),
        labelled("/ccc", json!({ "tier": "db" })),
        labelled("/dddd", Value::Null),
    ] })
    .to_string();
    let cases = [
        ("label: tier", &[2, 3, 4][..]),
        ("label: \"tier==web\"", &[2, 3]),
        ("label: \"tier==web, stage!=test\"", &[2]),
        ("label: \"tier!=web\"", &[4, 5]),
        ("app: [/a, /ccc]", &[2, 4]),
        ("app: [/a, /ccc], label: \"tier==db\"", &[4]),
        ("app: [/a, /ccc], label: stage", &[]),
    ];
    for (keys, ports) in cases {
        let told = Rehearsal::new(keys).hear(answer.as_bytes());
        let found: Vec<u16> = told
            .iter()
            .flat_map(|all| all.iter().map(|it| it.address.port()))
            .collect();
        assert_eq!(found, ports, "{keys}");
    }
}

#[test]
fn a_master_is_asked_for_no_more_than_is_wanted() {
    let cases = [
        ("app: /shop/web", "&id=/shop/web"),
        ("app: [/shop/web-a, /shop/web-b]", "&id=/shop/web-"),
        ("app: [/a, /b]", ""),
        (
            "label: \"tier==web,stage!=test\"",
            "&label=tier%3D%3Dweb,stage%21%3Dtest",
        ),
    ];
    for (keys, end) in cases {
        let path = cluster::path(&Cluster::new(&how(keys)));
        let (_, asked) = path.split_once("embed=apps.readiness").unwrap();
        assert_eq!(asked, end, "{keys}");
    }
}

#[test]
fn retries_slow_down_and_never_beyond_the_interval() {
    let interval = Duration::from_secs(10);
    for (errors, least, most) in [
        (0, 8.0, 10.0),
        (1, 0.8, 1.0),
        (3, 3.2, 4.0),
        (40, 8.0, 10.0),
    ] {
        let wait = cluster::pace(interval, errors).as_secs_f64();
        assert!(
            (least..=most).contains(&wait),
            "after {errors} errors: {wait}"
        );
    }
}

#[test]
fn whatever_fails_is_told_within_15_seconds() {
    let how = how("app: /x");
    assert!(how.interval + cluster::SLOW < Duration::from_secs(15));
}

#[test]
fn what_a_stranger_writes_is_no_address_of_nobody_and_no_control_of_a_terminal() {
    let task = |id: &str, host: &str| {
        let task = json!({ "id": id, "host": host, "ports": [80], "state": "TASK_RUNNING" });
        json!({ "apps": [{ "id": "/web", "tasks": [task] }] }).to_string()
    };
    for host in [
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "a b",
        "\u{1b}[2J",
        "[::1]",
        &"x".repeat(300),
    ] {
        let told = Rehearsal::new("app: /web").told(&task("\u{1b}[31m\n", host));
        let expected = "! task ` [31m ` is left out: Marathon does not say where it runs";
        assert_eq!(told, [expected], "{host:?}");
    }
    let long = task(&"t".repeat(10_000), "");
    assert!(Rehearsal::new("app: /web").told(&long)[0].len() < 200);
}
