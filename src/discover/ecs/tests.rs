//! What ECS may say of tasks, as tables: our own cases, recorded answers, and mutations of these.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use serde_json::{Value as Json, json};

use super::{
    answers::{Described, Hosts, Listed, Rollout, Services, Task},
    hosts::addresses,
    read::{Picked, Rollouts, Seen, pick},
};
use crate::{
    config::{Aws, Deployment, Ecs},
    discover::mutation::mutations,
    model::{Endpoint, Health},
};

fn wanted() -> Ecs {
    Ecs {
        aws: Aws::default(),
        cluster: "shop".to_owned(),
        service: "web".to_owned(),
        port: 3000,
        container: None,
        deployment: None,
        task_definition: None,
    }
}

fn task(written: &Json) -> Task {
    let mut task = json!({
        "taskArn": "arn:aws:ecs:eu-west-1:1:task/shop/7",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/web:1",
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "containerInstanceArn": "host",
    });
    for (key, value) in written.as_object().unwrap() {
        task[key] = value.clone();
    }
    serde_json::from_value(task).unwrap()
}

fn seen(tasks: Vec<Task>) -> Seen {
    let at = |text: &str| -> Result<IpAddr, String> { Ok(text.parse().unwrap()) };
    let hosts = [
        ("host", at("10.0.0.1")),
        ("host6", at("fd00::1")),
        (
            "anywhere",
            Err("its host `mi-1` is outside of AWS".to_owned()),
        ),
    ];
    let hosts = hosts.map(|(name, address)| (name.to_owned(), address));
    Seen {
        tasks,
        hosts: HashMap::from(hosts),
        rollouts: Rollouts::default(),
    }
}

/// Address, `+` healthy, `-` unhealthy, `d` draining; and what is odd.
fn shown(picked: &Picked) -> String {
    let one = |endpoint: &Endpoint| {
        let health = match endpoint.health {
            Health::Healthy => "+",
            Health::Unhealthy => "-",
            Health::Unknown => "",
        };
        let draining = if endpoint.draining { "d" } else { "" };
        format!("{}{health}{draining}", endpoint.address)
    };
    let mut shown: Vec<String> = picked.endpoints.iter().map(one).collect();
    shown.extend(picked.odd.as_ref().map(|odd| format!("! {odd}")));
    shown.join(" ")
}

#[track_caller]
fn check(wanted: &Ecs, written: &Json, expected: &str) {
    let picked = pick(&seen(vec![task(written)]), wanted);
    assert_eq!(shown(&picked), expected, "{written}");
}

fn bound(bindings: &Json) -> Json {
    json!({ "containers": [{ "name": "web", "networkBindings": bindings }] })
}

fn interface(interface: &Json) -> Json {
    json!({ "containers": [{ "name": "web", "networkInterfaces": [interface] }] })
}

#[test]
fn a_task_with_an_interface_of_its_own_listens_there() {
    let cases = [
        (json!({ "privateIpv4Address": "10.1.0.7" }), "10.1.0.7:3000"),
        (
            json!({ "privateIpv4Address": "10.1.0.7", "ipv6Address": "fd00::7" }),
            "10.1.0.7:3000",
        ),
        (json!({ "ipv6Address": "fd00::7" }), "[fd00::7]:3000"),
        (json!({ "privateIpv4Address": "garbage" }), "10.0.0.1:3000"),
    ];
    for (written, expected) in cases {
        check(&wanted(), &interface(&written), expected);
    }
    let attached = |kind: &str| {
        json!({ "attachments": [{ "type": kind, "details": [
            { "name": "privateIPv4Address", "value": "10.1.0.8" }] }] })
    };
    check(
        &wanted(),
        &attached("ElasticNetworkInterface"),
        "10.1.0.8:3000",
    );
    check(&wanted(), &attached("eni"), "10.1.0.8:3000");
    check(&wanted(), &attached("ServiceConnect"), "10.0.0.1:3000");
}

#[test]
fn a_port_on_a_host_is_found_by_the_containers_port() {
    let tcp = |container: u16, host: u16| {
        json!({ "bindIP": "0.0.0.0", "containerPort": container, "hostPort": host,
                "protocol": "tcp" })
    };
    let udp = json!({ "bindIP": "0.0.0.0", "containerPort": 3000, "hostPort": 999,
                      "protocol": "udp" });
    let v6 = json!({ "bindIP": "::", "containerPort": 3000, "hostPort": 32770,
                     "protocol": "tcp" });
    let local = json!({ "bindIP": "127.0.0.1", "containerPort": 3000, "hostPort": 9,
                        "protocol": "tcp" });
    let range = json!({ "bindIP": "0.0.0.0", "containerPortRange": "2999-3001",
                        "hostPortRange": "40000-40002", "protocol": "tcp" });
    let short = json!({ "bindIP": "0.0.0.0", "containerPortRange": "2990-3010",
                        "hostPortRange": "40000-40002", "protocol": "tcp" });
    let not_mapped = |ports: &str| {
        format!(
            "! 1 of 1 running tasks have no endpoint: task 7: it does not map port 3000 of \
             TCP to its host, but {ports}"
        )
    };
    let cases = [
        (json!([tcp(3000, 32768)]), "10.0.0.1:32768".to_owned()),
        (
            json!([tcp(9090, 32768), tcp(3000, 32769)]),
            "10.0.0.1:32769".to_owned(),
        ),
        (json!([udp, tcp(3000, 32769)]), "10.0.0.1:32769".to_owned()),
        (json!([v6, tcp(3000, 32768)]), "10.0.0.1:32768".to_owned()),
        (json!([v6]), "10.0.0.1:32770".to_owned()),
        (
            json!([local, tcp(3000, 32768)]),
            "10.0.0.1:32768".to_owned(),
        ),
        (json!([range]), "10.0.0.1:40001".to_owned()),
        (json!([tcp(9090, 32768)]), not_mapped("9090/tcp")),
        (json!([udp]), not_mapped("3000/udp")),
        (json!([short]), not_mapped("2990-3010/tcp")),
        (json!([tcp(3000, 0)]), not_mapped("3000/tcp")),
        // The host's own network, without a word about ports.
        (json!([]), "10.0.0.1:3000".to_owned()),
        (Json::Null, "10.0.0.1:3000".to_owned()),
    ];
    for (bindings, expected) in cases {
        check(&wanted(), &bound(&bindings), &expected);
    }
    let on_v6 = json!({ "containerInstanceArn": "host6", "containers": [
        { "name": "web", "networkBindings": [tcp(3000, 32768), v6] }] });
    check(&wanted(), &on_v6, "[fd00::1]:32770");
}

#[test]
fn a_host_whose_address_nobody_knows_is_told() {
    let odd = "! 1 of 1 running tasks have no endpoint: task 7: ";
    let cases = [
        (json!("anywhere"), "its host `mi-1` is outside of AWS"),
        (json!("lost"), "its host is not known"),
        (Json::Null, "it has no network interface yet, and no host"),
    ];
    for (host, expected) in cases {
        let written = json!({ "containerInstanceArn": host });
        check(&wanted(), &written, &format!("{odd}{expected}"));
    }
}

#[test]
fn a_task_serves_from_running_until_ecs_wants_it_stopped() {
    let cases = [
        ("PROVISIONING", "RUNNING", ""),
        ("PENDING", "RUNNING", ""),
        ("ACTIVATING", "RUNNING", ""),
        ("RUNNING", "RUNNING", "10.0.0.1:3000"),
        ("RUNNING", "STOPPED", "10.0.0.1:3000d"),
        ("DEACTIVATING", "RUNNING", "10.0.0.1:3000d"),
        ("DEACTIVATING", "STOPPED", "10.0.0.1:3000d"),
        ("STOPPING", "STOPPED", "10.0.0.1:3000d"),
        ("PENDING", "STOPPED", ""),
        ("DEPROVISIONING", "STOPPED", ""),
        ("STOPPED", "STOPPED", ""),
        ("SOMETHING_NEW", "RUNNING", ""),
    ];
    for (last, desired, expected) in cases {
        let written = json!({ "lastStatus": last, "desiredStatus": desired });
        check(&wanted(), &written, expected);
    }
}

#[test]
fn health_is_that_of_the_container_that_has_the_port() {
    let with =
        |task: &str, containers: Json| json!({ "healthStatus": task, "containers": containers });
    let port = json!([{ "containerPort": 3000, "hostPort": 5, "protocol": "tcp" }]);
    let cases = [
        // A sidecar without a check makes the task UNKNOWN.
        (
            with(
                "UNKNOWN",
                json!([
                { "name": "web", "healthStatus": "HEALTHY", "networkBindings": port },
                { "name": "logs", "healthStatus": "UNKNOWN" }]),
            ),
            None,
            "10.0.0.1:5+",
        ),
        (
            with(
                "HEALTHY",
                json!([
                { "name": "logs", "healthStatus": "HEALTHY" },
                { "name": "web", "healthStatus": "UNHEALTHY", "networkBindings": port }]),
            ),
            None,
            "10.0.0.1:5-",
        ),
        // Nothing says which container it is: the task's own.
        (
            with("UNHEALTHY", json!([{ "name": "web" }, { "name": "logs" }])),
            None,
            "10.0.0.1:3000-",
        ),
        (
            with(
                "UNHEALTHY",
                json!([
                { "name": "web", "healthStatus": "HEALTHY" }, { "name": "logs" }]),
            ),
            Some("web"),
            "10.0.0.1:3000+",
        ),
        // The pause container is nobody.
        (
            with(
                "UNKNOWN",
                json!([
                { "name": "~internal~ecs~pause", "healthStatus": "UNHEALTHY" },
                { "name": "web", "healthStatus": "HEALTHY" }]),
            ),
            None,
            "10.0.0.1:3000+",
        ),
        (
            with("UNKNOWN", json!([{ "name": "web" }])),
            None,
            "10.0.0.1:3000",
        ),
        (
            with("HEALTHY", json!([{ "name": "web" }])),
            Some("app"),
            "! 1 of 1 running tasks have no endpoint: task 7: it has no container `app`",
        ),
    ];
    for (written, container, expected) in cases {
        let wanted = Ecs {
            container: container.map(str::to_owned),
            ..wanted()
        };
        check(&wanted, &written, expected);
    }
}

fn rollout(id: &str, status: &str, failed: u32) -> Rollout {
    Rollout {
        id: id.to_owned(),
        status: Some(status.to_owned()),
        failed: Some(failed),
    }
}

fn rollouts(all: &[Rollout], tasks: &[Task]) -> Rollouts {
    let mut rollouts = Rollouts {
        all: all.to_vec(),
        ..Rollouts::default()
    };
    rollouts.remember(BTreeSet::new(), tasks);
    rollouts
}

/// A task of each of two deployments, if it has a status, and what is known of the two; `words` are
/// their statuses, `sets` before them says that they are task sets.
fn two_deployments(words: &str, last: [&str; 2], failed: u32, has_served: bool) -> Seen {
    let ids = ["ecs-svc/1", "ecs-svc/2"];
    let (are_task_sets, words) = match words.strip_prefix("sets ") {
        Some(words) => (true, words),
        None => (false, words),
    };
    let all = words.split(' ').zip(ids);
    let all: Vec<Rollout> = all.map(|(word, id)| rollout(id, word, failed)).collect();
    let there = ids
        .into_iter()
        .zip(last)
        .filter(|(_, last)| !last.is_empty());
    let mut seen = seen(there.map(|(id, last)| started(id, last)).collect());
    seen.rollouts = rollouts(&all, &seen.tasks);
    seen.rollouts.are_task_sets = are_task_sets;
    if has_served {
        seen.rollouts.served.insert(ids[1].to_owned());
    }
    seen
}

fn started(starter: &str, last: &str) -> Task {
    let id = starter.rsplit('/').next().unwrap();
    task(&json!({
        "taskArn": format!("arn:task/{id}"),
        "startedBy": starter,
        "lastStatus": last,
        "containers": [{ "networkInterfaces": [
            { "privateIpv4Address": format!("10.0.0.{id}") }] }],
    }))
}

#[test]
fn neither_side_of_a_deployment_is_empty_for_the_want_of_one() {
    // In a rolling deployment the primary one is new; among task sets it serves today.
    let cases = [
        ("PRIMARY", ["RUNNING", ""], 0, false, "1", "1"),
        ("ACTIVE PRIMARY", ["RUNNING", "PENDING"], 0, false, "1", "1"),
        ("ACTIVE PRIMARY", ["RUNNING", "RUNNING"], 0, false, "2", "1"),
        // The new one crashes: it is not replaced by the old one.
        ("ACTIVE PRIMARY", ["RUNNING", "PENDING"], 0, true, "", "1"),
        ("ACTIVE PRIMARY", ["RUNNING", "PENDING"], 3, false, "", "1"),
        (
            "ACTIVE PRIMARY",
            ["DEACTIVATING", "RUNNING"],
            0,
            true,
            "2",
            "2",
        ),
        ("sets PRIMARY", ["RUNNING", ""], 0, false, "1", "1"),
        (
            "sets PRIMARY ACTIVE",
            ["RUNNING", "PENDING"],
            0,
            false,
            "1",
            "1",
        ),
        (
            "sets PRIMARY ACTIVE",
            ["RUNNING", "RUNNING"],
            0,
            false,
            "1",
            "2",
        ),
        (
            "sets PRIMARY ACTIVE",
            ["RUNNING", "PENDING"],
            0,
            true,
            "1",
            "",
        ),
    ];
    for case in cases {
        let (words, last, failed, has_served, primary, active) = case;
        let seen = two_deployments(words, last, failed, has_served);
        let picked = |deployment| {
            let deployment = Some(deployment);
            let wanted = Ecs {
                deployment,
                ..wanted()
            };
            let found = pick(&seen, &wanted).endpoints.into_iter();
            let found = found.filter(|endpoint| !endpoint.draining);
            let found: Vec<String> = found.map(|one| one.address.ip().to_string()).collect();
            found.join(" ").replace("10.0.0.", "")
        };
        assert_eq!(picked(Deployment::Primary), primary, "{case:?}");
        assert_eq!(picked(Deployment::Active), active, "{case:?}");
    }
}

#[test]
fn what_has_served_is_remembered_as_long_as_its_deployment_is_listed() {
    let (old, new) = ("ecs-svc/1", "ecs-svc/2");
    let mut rollouts = rollouts(&[rollout(new, "PRIMARY", 0)], &[started(new, "PENDING")]);
    rollouts.remember(BTreeSet::from([old.to_owned(), new.to_owned()]), &[]);
    assert_eq!(rollouts.served, BTreeSet::from([new.to_owned()]));
}

#[test]
fn one_service_in_a_rolling_deployment_is_both_versions() {
    let one = |id: u8, starter: &str, revision: u8, last: &str| {
        task(&json!({
            "taskArn": format!("arn:task/{id}"),
            "taskDefinitionArn": format!("arn:aws:ecs:r:1:task-definition/web:{revision}"),
            "startedBy": starter,
            "lastStatus": last,
            "containers": [{ "networkInterfaces": [
                { "privateIpv4Address": format!("10.0.0.{id}") }] }],
        }))
    };
    let mut seen = seen(vec![
        one(1, "ecs-svc/1", 1, "RUNNING"),
        one(2, "ecs-svc/1", 1, "RUNNING"),
        one(3, "ecs-svc/2", 2, "RUNNING"),
        one(4, "ecs-svc/2", 2, "PENDING"),
    ]);
    let all = [
        rollout("ecs-svc/2", "PRIMARY", 0),
        rollout("ecs-svc/1", "ACTIVE", 0),
    ];
    seen.rollouts = rollouts(&all, &seen.tasks);
    let picked = |seen: &Seen, deployment: Option<Deployment>, definition: Option<&str>| {
        let wanted = Ecs {
            deployment,
            task_definition: definition.map(str::to_owned),
            ..wanted()
        };
        let shown = shown(&pick(seen, &wanted));
        shown.replace("10.0.0.", "").replace(":3000", "")
    };
    let cases = [
        (None, None, "1 2 3"),
        (Some(Deployment::Primary), None, "3"),
        (Some(Deployment::Active), None, "1 2"),
        (Some(Deployment::Id("ecs-svc/1".to_owned())), None, "1 2"),
        (Some(Deployment::Id("ecs-svc/9".to_owned())), None, ""),
        (None, Some("web:2"), "3"),
        (None, Some("web"), "1 2 3"),
        (None, Some("arn:aws:ecs:r:1:task-definition/web:1"), "1 2"),
        (None, Some("we"), ""),
        (Some(Deployment::Primary), Some("web:1"), ""),
    ];
    for (deployment, definition, expected) in cases {
        let case = format!("{deployment:?} {definition:?}");
        assert_eq!(picked(&seen, deployment, definition), expected, "{case}");
    }
    // When the old ones are gone, what is left is the version of today.
    seen.tasks
        .retain(|task| task.started_by.as_deref() == Some("ecs-svc/2"));
    assert_eq!(picked(&seen, Some(Deployment::Active), None), "3");
    let all = pick(&seen, &wanted());
    let version = all.endpoints[0].version.as_ref().unwrap();
    assert_eq!(version.as_str(), "arn:aws:ecs:r:1:task-definition/web:2");
}

fn fixture(path: &str) -> String {
    let whole = format!("{}/tests/fixtures/aws/{path}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "a test reads its fixtures")]
    std::fs::read_to_string(whole).unwrap()
}

#[test]
fn recorded_answers_have_the_endpoints_that_they_tell() {
    let host = |arn: &str| -> (String, Result<IpAddr, String>) {
        (arn.to_owned(), Ok("127.0.1.4".parse().unwrap()))
    };
    let cases = [
        (
            "moto_plus/describe_tasks.json",
            "127.0.1.4:32768+ 127.1.0.1:3000+ 127.1.0.2:3000+",
        ),
        ("moto_plus/run_task_bridge.json", "127.0.1.4:32768+"),
        (
            "moto_plus/run_task_awsvpc.json",
            "127.1.0.1:3000+ 127.1.0.2:3000+",
        ),
        // Each question moves plain moto's tasks towards their end.
        (
            "moto/describe_tasks.json",
            "10.210.109.215:3000+d 10.237.140.25:3000+d 127.0.1.4:3000+d",
        ),
        (
            "moto/run_task_awsvpc.json",
            "10.210.109.215:3000+ 10.237.140.25:3000+",
        ),
        ("moto/run_task_bridge.json", "127.0.1.4:3000+"),
        // No ports are told, and all hosts have one address here.
        ("ministack/describe_tasks.json", "127.0.1.4:3000"),
        ("ministack/run_task_awsvpc.json", "127.0.1.4:3000"),
        ("ministack/run_task_bridge.json", "127.0.1.4:3000"),
    ];
    for (path, expected) in cases {
        let told: Described = serde_json::from_str(&fixture(path)).unwrap();
        let hosts = told
            .tasks
            .iter()
            .filter_map(|task| task.container_instance_arn.as_deref());
        let seen = Seen {
            hosts: hosts.map(host).collect(),
            tasks: told.tasks,
            rollouts: Rollouts::default(),
        };
        assert_eq!(shown(&pick(&seen, &wanted())), expected, "{path}");
    }
    let event: Json =
        serde_json::from_str(&fixture("ecs/eventbridge_task_state_change.json")).unwrap();
    check(&wanted(), &event["detail"], "10.0.0.139:3000");

    for place in ["moto", "moto_plus", "ministack"] {
        let path = format!("{place}/list_tasks.json");
        let listed: Listed = serde_json::from_str(&fixture(&path)).unwrap();
        assert!(
            !listed.task_arns.is_empty() && listed.next_token.is_none(),
            "{path}"
        );
        let path = format!("{place}/describe_services.json");
        let told: Services = serde_json::from_str(&fixture(&path)).unwrap();
        let rollouts = told.services[0].deployments.as_ref().unwrap();
        assert_eq!(rollouts[0].status.as_deref(), Some("PRIMARY"), "{path}");
    }
    for place in ["moto", "moto_plus"] {
        let path = format!("{place}/describe_container_instances.json");
        let told: Hosts = serde_json::from_str(&fixture(&path)).unwrap();
        let id = told.container_instances[0].ec2_instance_id.as_deref();
        assert!(id.unwrap().starts_with("i-"), "{path}");
    }
}

#[test]
fn no_mutation_of_a_recorded_answer_breaks_anything() {
    let paths = [
        "moto_plus/describe_tasks.json",
        "moto_plus/run_task_awsvpc.json",
        "moto_plus/run_task_bridge.json",
        "moto_plus/describe_services.json",
        "moto_plus/describe_container_instances.json",
        "moto_plus/list_tasks.json",
        "moto/describe_tasks.json",
        "moto/run_task_awsvpc.json",
        "ministack/describe_tasks.json",
        "ecs/eventbridge_task_state_change.json",
        "ecs/task_metadata_v4_ec2.json",
        "ecs/task_metadata_v4_fargate.json",
    ];
    let mut understood = 0;
    for path in paths {
        for text in mutations(&fixture(path), 200) {
            let _listed = serde_json::from_slice::<Listed>(&text);
            let _services = serde_json::from_slice::<Services>(&text);
            let _hosts = serde_json::from_slice::<Hosts>(&text);
            let Ok(told) = serde_json::from_slice::<Described>(&text) else {
                continue;
            };
            understood += 1;
            let all = pick(&seen(told.tasks), &wanted()).endpoints;
            let is_sorted = all.is_sorted_by(|one, next| one.address < next.address);
            let is_odd = |endpoint: &Endpoint| {
                let (ip, port) = (endpoint.address.ip(), endpoint.address.port());
                port == 0 || ip.is_unspecified() || ip.is_multicast()
            };
            assert!(is_sorted && !all.iter().any(is_odd), "{all:?}");
        }
    }
    assert!(understood > 200, "{understood} mutations could be read");
}

#[test]
fn an_instances_own_address_is_read_and_not_those_of_its_interfaces() {
    let told = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
 <requestId>8f7724cf</requestId>
 <reservationSet><item><reservationId>r-1</reservationId>
  <instancesSet>
   <item><instanceId>i-1</instanceId>
    <networkInterfaceSet><item><privateIpAddress>10.9.9.9</privateIpAddress></item>
    </networkInterfaceSet>
    <privateIpAddress>10.0.0.1</privateIpAddress></item>
   <item><instanceId>i-2</instanceId><ipv6Address>fd00::2</ipv6Address></item>
   <item><instanceId>i-3</instanceId><instanceState><name>terminated</name></instanceState></item>
  </instancesSet></item>
  <item><instancesSet><item><instanceId>i-4</instanceId>
   <privateIpAddress>10.0.0.4</privateIpAddress></item></instancesSet></item>
 </reservationSet>
</DescribeInstancesResponse>"#;
    let mut found: Vec<String> = addresses(told)
        .unwrap()
        .into_iter()
        .map(|(id, address)| format!("{id} {address}"))
        .collect();
    found.sort();
    assert_eq!(found, ["i-1 10.0.0.1", "i-2 fd00::2", "i-4 10.0.0.4"]);
    let expanding = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><DescribeInstancesResponse/>";
    for garbage in ["", "{}", "<html></html>", expanding] {
        assert!(addresses(garbage).is_err(), "{garbage}");
    }
    for text in mutations(told, 200) {
        let _read = addresses(&String::from_utf8_lossy(&text));
    }
}
