//! What becomes of working endpoints when the answers of a source are garbled: nothing (I8).

use serde_json::{Value, json};

use super::*;
use crate::{
    control::endpoints::{Belief, Endpoints},
    discover::{RECORDED, Rehearsal, mutation::mutations},
};

/// Mutations of each recorded payload.
const MUTATIONS: u64 = 200;

/// A payload as an answer of `/v2/apps`: with tasks, so that there is something to lose.
fn answer(payload: &Value) -> Value {
    let task = |number: usize| {
        json!({
            "id": format!("t.{number}"), "host": format!("10.0.0.{number}"), "ports": [80, 81],
            "state": "TASK_RUNNING", "startedAt": "2026-11-22T10:00:00.000Z",
            "ipAddresses": [{ "ipAddress": format!("9.0.0.{number}"), "protocol": "IPv4" }],
            "version": "2026-11-22T09:00:00.000Z",
            "healthCheckResults": [{ "alive": true }],
        })
    };
    let apps = payload.get("apps").and_then(Value::as_array).cloned();
    let apps = apps.unwrap_or_else(|| vec![payload.clone()]);
    let apps = apps.into_iter().map(|mut app| {
        let Some(fields) = app.as_object_mut() else {
            return json!({ "id": "/x", "tasks": (1..5).map(task).collect::<Vec<_>>() });
        };
        fields.entry("id").or_insert_with(|| json!("/x"));
        if payload.get("apps").is_none() || !fields.contains_key("tasks") {
            fields.insert("tasks".into(), (1..5).map(task).collect());
        }
        app
    });
    json!({ "apps": apps.collect::<Vec<_>>() })
}

#[test]
fn no_garbled_answer_of_marathon_takes_endpoints_away() {
    let name = fixture::upstream_name("v1");
    let config = fixture::config(1, vec![fixture::split("shop", "v1", None)]);
    let (mut refused, mut taken) = (0, 0);
    for (payload, text) in RECORDED {
        let good = answer(&serde_json::from_str(text).unwrap());
        let is_nameless = Rehearsal::new("")
            .hear(good.to_string().as_bytes())
            .is_err();
        let keys = if is_nameless { "port: 80" } else { "" };
        for bad in mutations(&good.to_string(), MUTATIONS) {
            let mut source = Rehearsal::new(keys);
            let mut endpoints = Endpoints::default();
            endpoints.configure(&config);
            let mut say = |answer: &[u8]| {
                let result = source.hear(answer);
                let found = Discovered {
                    upstream: name.clone(),
                    as_of: Moment::ZERO,
                    result,
                };
                (
                    endpoints.discovered(&found).unwrap(),
                    endpoints.counts(&name),
                )
            };
            let (belief, (usable, _)) = say(good.to_string().as_bytes());
            assert_eq!(belief, Belief::Believed, "{payload}");
            assert!(usable > 0, "{payload} has nothing to lose: {good}");
            let (belief, (usable, _)) = say(&bad);
            assert!(usable > 0, "{payload}: {}", String::from_utf8_lossy(&bad));
            match belief {
                Belief::Error | Belief::Suspicious => refused += 1,
                Belief::Believed | Belief::Unchanged => taken += 1,
            }
        }
    }
    println!("{refused} answers refused, {taken} taken");
    assert!(
        refused > 200 && taken > 200,
        "the mutations hit: {refused} {taken}"
    );
}
