//! What `deploy/` has: samples are valid, and its parts agree with each other and with Serin about
//! ports, paths, users and how long an end may take. What needs other tools is in `deploy/check`.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test reads the files that ship, and says what it expects"
)]

#[path = "deploy/terraform.rs"]
mod terraform;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use serin::config::{self, AdminSocket, Config};

/// Who runs in a container.
const USER: &str = "65532:65532";
/// Where the file is, wherever Serin is.
const FILE: &str = "/etc/serin/serin.yaml";
/// Where rollouts are kept.
const STATE: &str = "/var/lib/serin";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A config that draws neither an error nor a warning.
fn valid(text: &str, path: &str) -> Config {
    let (config, problems) =
        config::load(text, path).unwrap_or_else(|problems| panic!("{path}:\n{problems}"));
    assert!(problems.is_empty(), "{path}:\n{problems}");
    config
}

/// All files below a folder of the repository that end so, as paths of the repository.
fn below(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                let name = path.strip_prefix(root()).expect("it is below the root");
                found.push(name.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// What is at a path of keys and places.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    let found = value.pointer(pointer);
    found.unwrap_or_else(|| panic!("`{pointer}` is not in {value:#}"))
}

/// The longest that a process with this file takes to end.
fn end_of(config: &Config) -> Duration {
    config.drain.timeout + config.drain.lag
}

/// What stands behind a key of a unit.
fn unit(key: &str) -> String {
    let text = read("deploy/systemd/serin.service");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {key}=")).to_owned()
}

fn containers(task: &Value) -> impl Iterator<Item = &Value> {
    let list = at(task, "/containerDefinitions").as_array();
    list.expect("a list").iter()
}

fn container<'a>(task: &'a Value, name: &str) -> Option<&'a Value> {
    containers(task).find(|it| it.get("name").and_then(Value::as_str) == Some(name))
}

/// `deploy/ecs`: kind, task definition, file.
fn tasks() -> Vec<(&'static str, Value, Config)> {
    let of = |kind| {
        let path = format!("deploy/ecs/{kind}.yaml");
        let task = json(&format!("deploy/ecs/{kind}.json"));
        (kind, task, valid(&read(&path), &path))
    };
    ["sidecar", "egress", "edge"].map(of).into()
}

#[test]
fn whole_files_are_valid() {
    let mut whole = 0;
    for path in below("deploy", ".yaml") {
        let text = read(&path);
        let has = |key: &str| {
            let mut lines = text.lines().map(|line| line.trim_start_matches('"'));
            lines.any(|line| line.starts_with(key))
        };
        if has("splits") && (has("listen") || has("listeners")) && has("version") {
            valid(&text, &path);
            whole += 1;
        }
    }
    assert!(whole >= 4, "only {whole} files were found");
}

#[test]
fn the_example_of_the_role_is_valid() {
    let plays: Value =
        serde_saphyr::from_str(&read("deploy/ansible/site.yml")).expect("it is YAML");
    let file = at(&plays, "/0/roles/0/vars/serin_config");
    let config = valid(&file.to_string(), "deploy/ansible/site.yml");
    assert_eq!(config.state_dir.as_deref(), Some(Path::new(STATE)));
}

#[test]
fn a_task_serves_as_its_container_file_says() {
    let docker = read("deploy/docker/Dockerfile");
    for word in [
        format!("USER {USER}"),
        format!("CMD [\"run\", \"--config\", \"{FILE}\"]"),
        "ENTRYPOINT [\"/serin\"]".to_owned(),
        "CMD [\"/serin\", \"health\", \"--ready\"]".to_owned(),
        "EXPOSE 8080".to_owned(),
    ] {
        assert!(docker.contains(&word), "no `{word}`");
    }
    for (kind, task, config) in tasks() {
        let serin = container(&task, "serin").expect("Serin is in its task");
        let of = |pointer: &str| at(serin, pointer).clone();
        assert_eq!(of("/user"), USER, "{kind}");
        assert_eq!(of("/essential"), true, "{kind}");
        assert_eq!(of("/readonlyRootFilesystem"), true, "{kind}");
        assert_eq!(of("/command"), serde_json::json!(["run", "--config", FILE]));
        let health = ["CMD", "/serin", "health", "--ready"];
        assert_eq!(of("/healthCheck/command"), serde_json::json!(health));
        let capabilities = of("/linuxParameters/capabilities");
        assert_eq!(capabilities, serde_json::json!({ "drop": ["ALL"] }));
        assert_eq!(of("/logConfiguration/options/mode"), "non-blocking");

        // What the file writes to is mounted, and what the image calls a volume is.
        let mounts = of("/mountPoints").to_string();
        let AdminSocket::At(unix) = &config.admin.unix else {
            panic!("{kind}: admin is a socket at a path of the file");
        };
        let folder = unix.parent().expect("in a folder").to_string_lossy();
        assert_eq!(config.state_dir.as_deref(), Some(Path::new(STATE)));
        for path in [STATE, &*folder] {
            assert!(mounts.contains(&format!("\"{path}\"")), "{kind}: {path}");
            assert!(docker.contains(&format!("\"{path}\"")), "{path}");
        }
        let environment = of("/environment").to_string();
        assert!(environment.contains(&format!("unix:{}", unix.display())));
    }
}

#[test]
fn a_task_is_open_at_the_port_that_the_file_listens_on() {
    for (kind, task, config) in tasks() {
        let serin = container(&task, "serin").expect("Serin is in its task");
        let listener = config.listeners.first().expect("it listens");
        let ports = at(serin, "/portMappings").as_array().expect("a list");
        if kind == "egress" {
            assert!(listener.address.ip().is_loopback() && ports.is_empty());
        } else {
            let port = ports.first().map(|port| at(port, "/containerPort").clone());
            assert_eq!(port, Some(Value::from(listener.address.port())), "{kind}");
        }
        let others = containers(&task).filter(|it| it.get("name") != serin.get("name"));
        for other in others {
            let is_closed = other.get("portMappings").is_none();
            assert!(is_closed, "{kind}: only Serin has a port");
        }
    }
}

#[test]
fn who_ends_first_in_a_task_is_who_is_asked_from_outside() {
    // ECS starts along `dependsOn`, and stops against it.
    let waits = |task: &Value, name: &str| {
        let of = container(task, name).and_then(|it| it.get("dependsOn").cloned());
        of.unwrap_or_default().to_string()
    };
    for (kind, task, _) in tasks() {
        assert_eq!(waits(&task, "serin").contains("\"app\""), kind == "sidecar");
        assert_eq!(waits(&task, "app").contains("\"serin\""), kind == "egress");
        assert_eq!(container(&task, "app").is_none(), kind == "edge");
    }
}

#[test]
fn whoever_ends_serin_waits_longer_than_it_takes() {
    for (kind, task, config) in tasks() {
        let serin = container(&task, "serin").expect("Serin is in its task");
        let patience = at(serin, "/stopTimeout").as_u64().expect("seconds");
        assert!(patience <= 120, "Fargate takes no more");
        let end = end_of(&config) + Duration::from_secs(5);
        assert!(Duration::from_secs(patience) > end, "{kind}");
    }

    let edge = valid(&read("config/edge.yaml"), "config/edge.yaml");
    let stop = unit("TimeoutStopSec");
    let stop: u64 = stop.trim_end_matches('s').parse().expect("seconds");
    assert!(Duration::from_secs(stop) > end_of(&edge), "systemd");

    let app = json("deploy/marathon/serin.json");
    let path = "deploy/marathon/serin.yaml";
    let grace = at(&app, "/taskKillGracePeriodSeconds").as_u64();
    let grace = Duration::from_secs(grace.expect("seconds"));
    assert!(grace > end_of(&valid(&read(path), path)), "Marathon");

    let balancer = read("deploy/terraform/modules/edge-nlb/variables.tf");
    let end = end_of(&edge).as_secs();
    let drain = format!("default     = {end}\n");
    let of = balancer.split("variable \"drain_seconds\"").nth(1);
    assert!(of.is_some_and(|it| it.contains(&drain)), "the balancer");

    let docker = read("deploy/docker/Dockerfile");
    assert!(docker.contains("--stop-timeout 60") && end < 60, "Docker");
}

/// What Marathon 1.5 and later knows of an app, as far as it is used here.
const OF_AN_APP: &[&str] = &[
    "id",
    "labels",
    "instances",
    "cpus",
    "mem",
    "user",
    "cmd",
    "fetch",
    "networks",
    "requirePorts",
    "portDefinitions",
    "constraints",
    "healthChecks",
    "taskKillGracePeriodSeconds",
    "upgradeStrategy",
];

#[test]
fn the_app_of_marathon_has_the_ports_of_its_file() {
    let app = json("deploy/marathon/serin.json");
    for key in app.as_object().expect("an object").keys() {
        assert!(OF_AN_APP.contains(&&**key), "Marathon has no `{key}`");
    }
    let path = "deploy/marathon/serin.yaml";
    let config = valid(&read(path), path);
    let port = |place: usize| at(&app, &format!("/portDefinitions/{place}/port")).as_u64();
    let listener = config.listeners.first().expect("it listens");
    assert_eq!(port(0), Some(listener.address.port().into()));
    let check = at(&app, "/healthChecks/0");
    assert_eq!(check.get("path"), Some(&Value::from("/readyz")));
    let asked = at(check, "/portIndex").as_u64().expect("a place");
    let asked = port(usize::try_from(asked).expect("a small number"));
    let admin = config.admin.http.expect("Mesos asks over HTTP");
    assert_eq!(asked, Some(admin.port().into()));
    // MESOS_HTTP asks from the agent, on loopback; at a first failure nobody is killed.
    assert_eq!(check.get("protocol"), Some(&Value::from("MESOS_HTTP")));
    assert!(admin.ip().is_loopback());
    assert!(at(check, "/maxConsecutiveFailures").as_u64() > Some(1));
    assert_eq!(at(&app, "/requirePorts"), true);
    assert_eq!(at(&app, "/networks/0/mode"), "host");
    // Two on one agent would have one state directory.
    assert_eq!(config.state_dir.as_deref(), Some(Path::new(STATE)));
    assert_eq!(at(&app, "/constraints/0/1"), "UNIQUE");
    // SIGTERM reaches Serin, not a shell.
    assert!(
        at(&app, "/cmd")
            .as_str()
            .is_some_and(|it| it.starts_with("exec "))
    );
}

#[test]
fn the_container_file_is_as_good_ones_are() {
    let text = read("deploy/docker/Dockerfile");
    let joined = text.replace("\\\n", " ");
    let lines: Vec<&str> = joined
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .collect();
    let of = |word: &str| -> Vec<&str> {
        let found = lines.iter().filter_map(|line| line.strip_prefix(word));
        found.map(str::trim).collect()
    };
    let stages = of("FROM ");
    assert_eq!(stages.last(), Some(&"scratch"), "nothing but the program");
    for stage in &stages {
        let is_pinned = stage.contains(':') && !stage.contains(":latest") || *stage == "scratch";
        assert!(is_pinned, "`{stage}` is another one tomorrow");
    }
    assert!(of("ADD ").is_empty(), "COPY says what it does");
    assert!(of("USER ").iter().all(|user| !user.starts_with('0')));
    for word in ["ENTRYPOINT ", "CMD "] {
        let is_list = of(word).iter().all(|it| it.starts_with('['));
        assert!(
            is_list && of(word).len() == 1,
            "{word}: no shell in between"
        );
    }
    assert_eq!(of("STOPSIGNAL "), ["SIGTERM"]);
    assert_eq!(of("HEALTHCHECK ").len(), 1);
    let after = joined.split("FROM scratch").nth(1).expect("a last stage");
    assert!(!after.contains("\nRUN "), "there is nothing to run it");
    assert!(
        after.contains("COPY --from=build /image/etc /etc"),
        "certificates"
    );
    assert!(joined.contains("--locked") && joined.contains("crt-static"));
    // The version of Rust is the one that the package asks for.
    let package = read("Cargo.toml");
    let line = package
        .lines()
        .find(|line| line.starts_with("rust-version"));
    let wanted = line.and_then(|line| line.split('"').nth(1));
    let has = text
        .lines()
        .find_map(|line| line.strip_prefix("ARG RUST_VERSION="));
    assert_eq!(has, wanted);
}

#[test]
fn what_the_program_is_built_of_goes_to_the_builder() {
    let ignore = read("deploy/docker/Dockerfile.dockerignore");
    let sent: Vec<&str> = ignore
        .lines()
        .filter_map(|it| it.strip_prefix('!'))
        .collect();
    for path in below("src", ".rs") {
        let text = read(&path);
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_test = path.contains("/tests");
        for file in product
            .split("include_str!(\"")
            .skip(1)
            .filter(|_| !is_test)
        {
            let file = file.split('"').next().unwrap_or_default();
            let mut whole: Vec<&str> = path.split('/').collect();
            whole.pop();
            for part in file.split('/') {
                if part == ".." {
                    whole.pop();
                } else {
                    whole.push(part);
                }
            }
            let first = whole.first().copied().unwrap_or_default();
            assert!(
                sent.contains(&first),
                "{path} has {file}, the builder has not"
            );
        }
    }
}

#[test]
fn the_unit_and_its_package_agree() {
    assert_eq!(
        unit("ExecStart"),
        format!("/usr/local/bin/serin run --config {FILE}")
    );
    assert_eq!(unit("Type"), "notify");
    assert_eq!(unit("StateDirectory"), "serin");
    assert!(unit("ExecReload").contains("-HUP"));
    assert!(
        unit("ExecStop").contains("-TERM"),
        "or it is killed after an upgrade"
    );
    assert!(!unit("WatchdogSec").is_empty());
    let account = read("deploy/systemd/sysusers.conf");
    assert!(account.contains(&format!("\nu {} ", unit("User"))));

    let package = read("Cargo.toml");
    let of = package.split("[package.metadata.deb]").nth(1);
    let of = of.and_then(|it| it.split("\n[").next()).expect("a package");
    for source in of
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[\""))
    {
        let source = source.split('"').next().unwrap_or_default();
        let is_made = source.starts_with("target/deb/");
        assert!(is_made || root().join(source).exists(), "no `{source}`");
    }
    // The changelog of the package is of the version that it has.
    let version = package
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    let version = version.expect("a version").trim_matches('"');
    let head = format!("serin ({version}-1) ");
    assert!(read("deploy/debian/changelog").starts_with(&head));
    assert!(read("deploy/docker/Dockerfile").contains(&format!("ARG VERSION={version}\n")));
}

#[test]
fn every_check_is_run_and_every_folder_is_told_of() {
    let all = read("deploy/check");
    for path in below("deploy", "/check") {
        let name = path
            .strip_prefix("deploy/")
            .and_then(|it| it.strip_suffix("/check"));
        if let Some(name) = name {
            let names = all
                .split("names=(")
                .nth(2)
                .and_then(|it| it.split(')').next());
            let mut names = names.expect("a list").split_whitespace();
            assert!(
                names.any(|it| it == name),
                "deploy/check does not run {path}"
            );
        }
    }
    let document = read("deploy/README.md");
    for entry in fs::read_dir(root().join("deploy"))
        .expect("a folder")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_told = !entry.path().is_dir() || document.contains(&format!("`{name}`"));
        assert!(is_told, "deploy/README.md has no `{name}`");
    }
    assert!(read(".ci/run").contains("stage deploy deploy/check"));
}
