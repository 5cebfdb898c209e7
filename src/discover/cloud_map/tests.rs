//! What Cloud Map may say of instances, as tables: our own cases, recorded answers, and mutations.

use serde_json::{Value as Json, json};

use super::*;
use crate::{config::Aws, discover::mutation::mutations};

fn wanted(port: Option<u16>, attributes: &[(&str, &str)]) -> CloudMap {
    let attributes = attributes.iter();
    CloudMap {
        aws: Aws::default(),
        namespace: "shop".to_owned(),
        service: "web".to_owned(),
        port,
        attributes: attributes
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        version_attribute: "version".to_owned(),
    }
}

/// Address, version in brackets, `+` healthy, `-` unhealthy; and what is odd.
fn shown((endpoints, odd): &(Vec<Endpoint>, Option<DiscoverError>)) -> String {
    let one = |endpoint: &Endpoint| {
        let health = match endpoint.health {
            Health::Healthy => "+",
            Health::Unhealthy => "-",
            Health::Unknown => "",
        };
        let version = endpoint.version.as_ref();
        let version = version.map_or_else(String::new, |version| format!("({version})"));
        format!("{}{version}{health}", endpoint.address)
    };
    let mut shown: Vec<String> = endpoints.iter().map(one).collect();
    shown.extend(odd.as_ref().map(|odd| format!("! {odd}")));
    shown.join(" ")
}

fn instance(id: u8, health: &Json, attributes: &Json) -> Json {
    json!({ "InstanceId": format!("i{id}"), "HealthStatus": health, "Attributes": attributes })
}

#[track_caller]
fn check(instances: &[Json], wanted: &CloudMap, expected: &str) {
    let found = serde_json::from_value(json!({ "Instances": instances })).unwrap();
    assert_eq!(shown(&pick(&found, wanted)), expected, "{instances:?}");
}

#[test]
fn an_instance_is_where_its_attributes_say() {
    let bare = json!({ "AWS_INSTANCE_IPV4": "10.0.0.1" });
    let whole = json!({ "AWS_INSTANCE_IPV4": "10.0.0.2", "AWS_INSTANCE_PORT": "32768",
                        "version": "2" });
    let v6 = json!({ "AWS_INSTANCE_IPV6": "fd00::3", "AWS_INSTANCE_PORT": "80" });
    let odd = json!({ "AWS_INSTANCE_IPV4": "10.0.0.4", "AWS_INSTANCE_PORT": "x" });
    let alias = json!({ "AWS_ALIAS_DNS_NAME": "lb.example" });
    let any = wanted(Some(3000), &[]);
    let healthy = json!("HEALTHY");
    let cases = [
        (&bare, "10.0.0.1:3000+"),
        (&whole, "10.0.0.2:32768(2)+"),
        (&v6, "[fd00::3]:80+"),
        (
            &odd,
            "! 1 of 1 instances are no endpoints: instance i1: it has no `AWS_INSTANCE_PORT`: \
             write `port:`",
        ),
        (
            &alias,
            "! 1 of 1 instances are no endpoints: instance i1: it has no `AWS_INSTANCE_IPV4` and \
             no `AWS_INSTANCE_IPV6`",
        ),
    ];
    for (attributes, expected) in cases {
        check(&[instance(1, &healthy, attributes)], &any, expected);
    }
    let both = [instance(1, &healthy, &bare), instance(2, &healthy, &whole)];
    check(
        &both,
        &wanted(Some(3000), &[("version", "2")]),
        "10.0.0.2:32768(2)+",
    );
    check(
        &both,
        &wanted(None, &[]),
        "10.0.0.2:32768(2)+ ! 1 of 2 instances are no endpoints: instance i1: it has no \
         `AWS_INSTANCE_PORT`: write `port:`",
    );
    check(&[], &any, "");
}

#[test]
fn unknown_is_not_unhealthy_and_all_unhealthy_is_unknown() {
    let at = |id: u8| json!({ "AWS_INSTANCE_IPV4": format!("10.0.0.{id}") });
    let any = wanted(Some(80), &[]);
    let told = |health: [Json; 2]| {
        let [first, second] = health;
        [instance(1, &first, &at(1)), instance(2, &second, &at(2))]
    };
    let [good, bad, unknown] = [json!("HEALTHY"), json!("UNHEALTHY"), json!("UNKNOWN")];
    let cases = [
        ([good.clone(), bad.clone()], "10.0.0.1:80+ 10.0.0.2:80-"),
        ([unknown, bad.clone()], "10.0.0.1:80 10.0.0.2:80-"),
        ([good, Json::Null], "10.0.0.1:80+ 10.0.0.2:80"),
        // This is what `HEALTHY_OR_ELSE_ALL` answers when nobody is healthy.
        ([bad.clone(), bad], "10.0.0.1:80 10.0.0.2:80"),
    ];
    for (health, expected) in cases {
        check(&told(health), &any, expected);
    }
}

fn fixture(path: &str) -> String {
    let whole = format!("{}/tests/fixtures/aws/{path}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "a test reads its fixtures")]
    std::fs::read_to_string(whole).unwrap()
}

#[test]
fn recorded_answers_are_read_and_their_mutations_break_nothing() {
    for path in [
        "moto_plus/discover_instances.json",
        "ministack/discover_instances.json",
    ] {
        let text = fixture(path);
        let found: Found = serde_json::from_str(&text).unwrap();
        let all = pick(&found, &wanted(None, &[]));
        assert_eq!(
            shown(&all),
            "10.0.1.10:32768(1)+ 10.0.1.11:3000(2)+",
            "{path}"
        );
        for text in mutations(&text, 200) {
            if let Ok(found) = serde_json::from_slice::<Found>(&text) {
                let (all, _) = pick(&found, &wanted(Some(3000), &[]));
                assert!(
                    all.is_sorted_by(|one, next| one.address < next.address),
                    "{all:?}"
                );
            }
        }
    }
}
