//! Testers choose, strangers do not.

use proptest::prelude::*;

use super::{ParseName, Request, World, chance, sticky, written_split};
use crate::{
    config,
    model::Role,
    plan::{Assignment, Override, Plan},
};

const SECRET: &[u8] = b"a secret of testers";

fn plan(points: u16) -> Plan {
    let mut split = written_split("shop", Some(sticky(&[])));
    split.version_override = Some(config::Override {
        header: Some("x-serin-version".to_owned()),
        cookie: Some("preview".to_owned()),
        signed_by: "/preview.key".into(),
    });
    World::new(vec![split]).shift("shop", 1, points).plan()
}

fn signed(secret: &[u8], split: &str, version: &str) -> String {
    Override::sign(secret, &split.parse_name(), &version.parse_name())
}

#[test]
fn a_signed_override_chooses_and_counts_nowhere() {
    let (new, old) = (signed(SECRET, "shop", "new"), signed(SECRET, "shop", "old"));
    let plain = || Request::to("h", "/");
    let cases = [
        (0, plain().with("x-serin-version", &new), Role::Canary),
        (10_000, plain().with("x-serin-version", &old), Role::Stable),
        (
            0,
            plain().with("cookie", format!("a=b; preview={new}")),
            Role::Canary,
        ),
        (
            0,
            plain()
                .with("x-serin-version", "new")
                .with("cookie", format!("preview={new}")),
            Role::Canary,
        ),
        (
            10_000,
            plain()
                .with("x-serin-version", &old)
                .with("cookie", format!("preview={new}")),
            Role::Stable,
        ),
    ];
    for (points, request, role) in cases {
        let assignment = plan(points).splits[0].assign(&request, chance(1));
        let expected = Assignment {
            role,
            overridden: true,
            is_shadow: false,
            user: None,
            remember: None,
        };
        assert_eq!(assignment, expected, "{request:?}");
    }
}

#[test]
fn what_is_not_signed_for_this_split_is_as_good_as_absent() {
    let new = signed(SECRET, "shop", "new");
    let (name, signature) = new.split_once('.').unwrap();
    let values = [
        "new".to_owned(),
        "new.".to_owned(),
        String::new(),
        ".".to_owned(),
        signature.to_owned(),
        format!("old.{signature}"),
        format!("{name}.{}", &signature[1..]),
        format!("{new}="),
        signed(b"", "shop", "new"),
        signed(b"another", "shop", "new"),
        signed(SECRET, "other", "new"),
        signed(SECRET, "shop", "third"),
    ];
    for value in values {
        let request = Request::to("h", "/").with("x-serin-version", &value);
        let assignment = plan(0).splits[0].assign(&request, chance(1));
        assert_eq!(
            (assignment.role, assignment.overridden),
            (Role::Stable, false),
            "{value}"
        );
    }
}

#[test]
fn without_its_secret_there_is_no_override() {
    let mut split = written_split("shop", None);
    split.version_override = Some(config::Override {
        header: Some("x-serin-version".to_owned()),
        cookie: None,
        signed_by: "/missing.key".into(),
    });
    let mut world = World::new(vec![split]);
    world
        .secrets
        .files
        .insert("/missing.key".into(), Vec::new());
    assert_eq!(world.plan().splits[0].version_override, None);
}

/// `printf 'serin-override-v1\nshop\nnew' | openssl dgst -sha256 -hmac KEY -binary | base64url`
#[test]
fn any_tool_can_sign() {
    let long = "k".repeat(100);
    let cases = [
        (
            "a secret of testers",
            "new.db3WKS-tJhY7kMTWB5lnn0qb3x00DLgogc_4Maj8TTU",
        ),
        (
            long.as_str(),
            "new.53xBextJ8vxxysf-JA5jFX-k-rCpakMBVSq_cPmOEb8",
        ),
    ];
    for (secret, expected) in cases {
        assert_eq!(signed(secret.as_bytes(), "shop", "new"), expected);
    }
}

proptest! {
    #![proptest_config(super::same_each_time())]

    #[test]
    fn strangers_bytes_choose_nothing(value in any::<Vec<u8>>(), signature in "[A-Za-z0-9_-]{43}") {
        let plan = plan(0);
        for value in [value, format!("new.{signature}").into_bytes()] {
            let request = Request::to("h", "/").with("x-serin-version", value);
            prop_assert!(!plan.splits[0].assign(&request, chance(1)).overridden);
        }
    }
}
