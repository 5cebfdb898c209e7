//! What is answered to each question.

use std::{fmt::Write as _, time::SystemTime};

use serde_json::{Value as Json, json};

use super::{
    Seen, World, signature,
    world::{Instance, Mood, Task},
};

/// A whole answer.
pub(super) fn answer(world: &World, action: &str, seen: &Seen) -> Vec<u8> {
    if action.starts_with('/') {
        return role(world, action, seen);
    }
    let (service, is_xml) = match action {
        "DescribeInstances" => ("ec2", true),
        "DiscoverInstances" => ("servicediscovery", false),
        _ => ("ecs", false),
    };
    let refuse = |code: &str, sentence: &str| refusal(is_xml, code, sentence);
    match &world.mood {
        Mood::Garbage => return whole(200, "text/html", b"<html>\xff\x00 we are sorry"),
        Mood::Throttling => return refuse("ThrottlingException", "Rate exceeded"),
        Mood::Denying => return refuse("AccessDeniedException", "User is not authorized"),
        Mood::Expired => return refuse("ExpiredTokenException", "The security token is expired"),
        Mood::Skewed => return refuse("InvalidSignatureException", "Signature expired: 1 < 2"),
        Mood::Saying(about, body) if *about == action => {
            return whole(200, "application/x-amz-json-1.1", body);
        }
        Mood::Well | Mood::Down | Mood::Slow | Mood::Saying(..) => {}
    }
    if let Err((code, sentence)) = signature::check(world, seen, service) {
        return refuse(code, &sentence);
    }
    if is_xml {
        return whole(200, "text/xml", instances(world, seen).as_bytes());
    }
    let asked: Json = serde_json::from_slice(&seen.body).unwrap();
    match told(world, action, &asked) {
        Some(told) => whole(
            200,
            "application/x-amz-json-1.1",
            told.to_string().as_bytes(),
        ),
        None => refuse("UnknownOperationException", action),
    }
}

fn told(world: &World, action: &str, asked: &Json) -> Option<Json> {
    let texts = |key: &str| -> Vec<String> {
        let all = asked[key].as_array().into_iter().flatten();
        all.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    Some(match action {
        "ListTasks" => list(world, asked),
        "DescribeTasks" => {
            let wanted = texts("tasks");
            assert!(wanted.len() <= 100, "no more than 100 tasks at once");
            let found = |arn: &String| world.tasks.iter().find(|task| task.arn() == *arn);
            let tasks: Vec<Json> = wanted
                .iter()
                .filter_map(|arn| Some(found(arn)?.told(&world.hosts)))
                .collect();
            let missing = wanted.iter().filter(|arn| found(arn).is_none());
            let failures: Vec<Json> = missing
                .map(|arn| json!({ "arn": arn, "reason": "MISSING" }))
                .collect();
            json!({ "tasks": tasks, "failures": failures })
        }
        "DescribeContainerInstances" => {
            let wanted = texts("containerInstances");
            let hosts = world.hosts.iter().filter(|host| wanted.contains(&host.arn));
            let hosts: Vec<Json> = hosts
                .map(|host| json!({ "containerInstanceArn": host.arn, "ec2InstanceId": host.id }))
                .collect();
            json!({ "containerInstances": hosts, "failures": [] })
        }
        "DescribeServices" => {
            let rollouts = world.rollouts.iter();
            let rollouts: Vec<Json> = rollouts
                .map(|(id, status)| json!({ "id": id, "status": status }))
                .collect();
            json!({ "services": [{ "deployments": rollouts, "taskSets": [] }], "failures": [] })
        }
        "DiscoverInstances" => discover(world, asked),
        _ => return None,
    })
}

/// As ECS does it: tasks that are to stop are not among those that are listed.
fn list(world: &World, asked: &Json) -> Json {
    let is_asked = |task: &&Task| task.wanted == "RUNNING" && asked["serviceName"] == task.service;
    let arns: Vec<String> = world.tasks.iter().filter(is_asked).map(Task::arn).collect();
    let from: usize = match asked["nextToken"].as_str() {
        Some(token) => token.strip_prefix("page-").unwrap().parse().unwrap(),
        None => 0,
    };
    let to = (from + world.page).min(arns.len());
    let mut told = json!({ "taskArns": arns.get(from..to).unwrap_or_default() });
    if to < arns.len() {
        told["nextToken"] = format!("page-{to}").into();
    }
    told
}

fn discover(world: &World, asked: &Json) -> Json {
    let is_asked = |one: &&Instance| {
        let parameters = asked["QueryParameters"].as_object().into_iter().flatten();
        let mut all = parameters
            .map(|(name, value)| one.attributes.get(name).map(String::as_str) == value.as_str());
        asked["NamespaceName"] == one.namespace
            && asked["ServiceName"] == one.service
            && all.all(|fits| fits)
    };
    let all: Vec<&Instance> = world.instances.iter().filter(is_asked).collect();
    let healthy: Vec<&Instance> = all
        .iter()
        .copied()
        .filter(|one| one.health != "UNHEALTHY")
        .collect();
    let is_open = asked["HealthStatus"] == "HEALTHY_OR_ELSE_ALL" && healthy.is_empty();
    let told: Vec<Json> = if is_open { all } else { healthy }
        .into_iter()
        .map(|one| {
            json!({ "InstanceId": one.id, "NamespaceName": one.namespace,
                    "ServiceName": one.service, "HealthStatus": one.health,
                    "Attributes": one.attributes })
        })
        .collect();
    json!({ "Instances": told, "InstancesRevision": 7 })
}

/// In the query protocol: by a filter of ids.
fn instances(world: &World, seen: &Seen) -> String {
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(body.contains("Filter.1.Name=instance-id"), "{body}");
    let mut items = String::new();
    for host in &world.hosts {
        if body
            .split('&')
            .any(|pair| pair.ends_with(&format!("={}", host.id)))
        {
            let (id, address) = (&host.id, host.address);
            write!(
                items,
                "<item><instancesSet><item><instanceId>{id}</instanceId>\
                 <networkInterfaceSet><item><privateIpAddress>192.0.2.1</privateIpAddress></item>\
                 </networkInterfaceSet><privateIpAddress>{address}</privateIpAddress></item>\
                 </instancesSet></item>"
            )
            .unwrap();
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>\
         <reservationSet>{items}</reservationSet></DescribeInstancesResponse>"
    )
}

/// The agent of a task (`/role`), and the metadata of an instance.
fn role(world: &World, path: &str, seen: &Seen) -> Vec<u8> {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let method = seen.line.split(' ').next().unwrap();
    let text = |text: &str| whole(200, "text/plain", text.as_bytes());
    let is_shown = seen.field("x-aws-ec2-metadata-token") == Some("metadata-token");
    match (method, path) {
        ("GET", "/role") if seen.field("authorization") != world.agent_token.as_deref() => {
            whole(401, "text/plain", b"who are you?")
        }
        ("GET", "/role") => text(&credentials(world)),
        ("PUT", "/latest/api/token") if world.is_instance => {
            let seconds = seen.field("x-aws-ec2-metadata-token-ttl-seconds");
            assert_eq!(seconds, Some("21600"));
            text("metadata-token")
        }
        ("GET", _) if !is_shown => whole(401, "text/plain", b"no token"),
        ("GET", ROLES) => text("shop-edge"),
        ("GET", "/latest/meta-data/iam/security-credentials/shop-edge") => {
            text(&credentials(world))
        }
        ("GET", "/latest/meta-data/placement/region") => text(&world.region),
        _ => whole(404, "text/plain", b"nothing here"),
    }
}

/// Of the last key that is believed.
fn credentials(world: &World) -> String {
    let key = world.keys.last().unwrap();
    let end = httpdate_to_iso(SystemTime::now() + world.lifetime);
    json!({ "Code": "Success", "AccessKeyId": key.id, "SecretAccessKey": key.secret,
            "Token": key.token, "Expiration": end })
    .to_string()
}

/// `2026-11-26T16:00:00Z`.
fn httpdate_to_iso(time: SystemTime) -> String {
    let text = httpdate::fmt_http_date(time);
    let parts: Vec<&str> = text.split(' ').collect();
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|name| *name == parts[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", parts[3], parts[1], parts[4])
}

fn refusal(is_xml: bool, code: &str, sentence: &str) -> Vec<u8> {
    if is_xml {
        let body = format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{sentence}</Message></Error>\
             </Errors></Response>"
        );
        return whole(400, "text/xml", body.as_bytes());
    }
    let body = json!({ "__type": code, "message": sentence }).to_string();
    whole(400, "application/x-amz-json-1.1", body.as_bytes())
}

fn whole(status: u16, kind: &str, body: &[u8]) -> Vec<u8> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = body.len();
    let mut whole = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nDate: {date}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    whole.extend_from_slice(body);
    whole
}
