//! Labels as they were recorded, and as nobody should write them.

use serde_json::json;

use super::*;
use crate::config;

fn made(answer: &str) -> String {
    let settings = Settings {
        marathon: "http://master.mesos:8080",
        listen: "0.0.0.0:80".parse().unwrap(),
        group: Some("external"),
    };
    convert(answer, &settings).unwrap_or_else(|error| format!("! {error}"))
}

#[track_caller]
fn check(answer: &str, expected: &str) {
    let made = made(answer);
    let (_, shown) = made.split_once("after changes.\n").unwrap_or(("", &made));
    assert_eq!(
        shown,
        expected.replace("URL", "\"http://master.mesos:8080\"")
    );
    config::load(&made, "x").unwrap_or_else(|problems| panic!("{problems}"));
}

fn app(id: &str, labels: &Value) -> Value {
    let mut labels = labels.clone();
    labels["HAPROXY_GROUP"] = json!("external");
    let ports = json!([{ "port": 10_001 }, { "port": 10_002 }]);
    json!({ "id": id, "labels": labels, "portDefinitions": ports })
}

#[test]
fn hosts_and_paths_become_splits_and_the_rest_is_said() {
    let web = app(
        "/shop/web",
        &json!({
            "HAPROXY_0_VHOST": "Shop.example,www.shop.example", "HAPROXY_0_STICKY": "true",
            "HAPROXY_0_REDIRECT_TO_HTTPS": "true", "HAPROXY_1_VHOST": "shop.example",
            "HAPROXY_1_PATH": "/admin",
        }),
    );
    let raw = app("/redis", &json!({ "HAPROXY_1_ENABLED": "false" }));
    let hidden = json!({ "id": "/hidden", "labels": {} });
    check(
        &json!({ "apps": [web, raw, hidden] }).to_string(),
        "# - port 0 of /redis is TCP for marathon-lb: if it speaks HTTP, give it \
         HAPROXY_0_MODE=http\n\
         listen: \"0.0.0.0:80\"\n\
         upstreams:\n\
         \x20 shop-web:\n\
         \x20   marathon: { url: URL, app: \"/shop/web\", port_index: 0 }\n\
         \x20 shop-web-1:\n\
         \x20   marathon: { url: URL, app: \"/shop/web\", port_index: 1 }\n\
         splits:\n\
         \x20 shop-web:\n\
         \x20   # not taken over: HAPROXY_0_REDIRECT_TO_HTTPS=true\n\
         \x20   match: { hosts: [\"shop.example\", \"www.shop.example\"] }\n\
         \x20   stable: shop-web\n\
         \x20   # Clients stay on their version, not on a task.\n\
         \x20   sticky: { cookie: { secure: false } }\n\
         \x20 shop-web-1:\n\
         \x20   match: { hosts: [\"shop.example\"], path_prefix: \"/admin\" }\n\
         \x20   stable: shop-web-1\n",
    );
}

#[test]
fn two_apps_of_a_deployment_group_are_stable_and_canary() {
    let answer = include_str!("../../../../tests/fixtures/marathon/marathon-lb_zdd_apps.json");
    check(
        answer,
        "listen: \"0.0.0.0:80\"\n\
         upstreams:\n\
         \x20 nginx-green:\n\
         \x20   marathon: { url: URL, app: \"/nginx-green\", port_index: 0 }\n\
         \x20 nginx-blue:\n\
         \x20   marathon: { url: URL, app: \"/nginx-blue\", port_index: 0 }\n\
         splits:\n\
         \x20 nginx:\n\
         \x20   stable: nginx-green\n\
         \x20   canary: nginx-blue\n\
         \x20   weight: 0%                          # edit and save\n",
    );
}

#[test]
fn whatever_is_recorded_or_odd_makes_a_file_that_loads() {
    let odd = [
        app(
            "/a",
            &json!({ "HAPROXY_0_VHOST": "x{y}\n", "HAPROXY_0_PATH": "-i \"a" }),
        ),
        app("/b", &json!({ "HAPROXY_0_VHOST": "same.test" })),
        app(
            "/b/",
            &json!({ "HAPROXY_0_VHOST": "same.test", "HAPROXY_99_PORT": "1" }),
        ),
        app(
            "/no",
            &json!({ "HAPROXY_0_MODE": "http", "HAPROXY_0_BALANCE": "a\nb: c" }),
        ),
    ];
    let text = made(&json!({ "apps": odd }).to_string());
    let loaded = config::load(&text, "x");
    loaded.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    for (said, answer) in [
        ("! there are no apps in it", "{}"),
        ("! an app has no `id`", "[{}]"),
        ("! no app has a port", "[]"),
        ("! EOF while parsing", ""),
    ] {
        let error = made(answer);
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn every_back_end_of_marathon_lb_is_taken_over() {
    let all = [
        include_str!("../../../../tests/fixtures/marathon/marathon-lb_ci_docker_bridge.json"),
        include_str!("../../../../tests/fixtures/marathon/marathon-lb_ci_docker_host.json"),
        include_str!("../../../../tests/fixtures/marathon/marathon-lb_ci_docker_ippc.json"),
        include_str!("../../../../tests/fixtures/marathon/marathon-lb_ci_ucr_bridge.json"),
        include_str!("../../../../tests/fixtures/marathon/marathon-lb_ci_ucr_host.json"),
        include_str!("../../../../tests/fixtures/marathon/marathon-lb_ci_ucr_ippc.json"),
    ];
    let apps: Vec<Value> = all
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let made = made(&json!({ "apps": apps }).to_string());
    let (config, _) = config::load(&made, "x").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.splits.len(), 6, "{made}");
}
