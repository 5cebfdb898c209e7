//! The cookie: what is written is read back, and nothing else is.

use proptest::prelude::*;

use super::{Browser, COOKIE, Request, World, chance, shop, sticky, written_split};
use crate::{
    config::SameSite,
    model::{Point, Role},
    plan::{Remember, Split},
};

/// A cookie of this split that says canary, at a point that the share does not cover.
fn canary_cookie(split: &Split) -> String {
    let point = Point::new(9_999).unwrap();
    let remember = Remember {
        role: Role::Canary,
        point,
        id: 77,
    };
    let sealed = split.affinity.as_ref().unwrap().seal(remember);
    String::from_utf8(sealed.to_vec()).unwrap()
}

/// A request with these `Cookie` fields, on a split without a key, from a client whose own point
/// is for stable.
fn assigned(split: &Split, cookies: &[&str]) -> (Role, Option<Remember>) {
    let settled =
        (0..100).find(|n| split.assign(&Request::to("h", "/"), chance(*n)).role == Role::Stable);
    let request = cookies
        .iter()
        .fold(Request::to("h", "/"), |r, c| r.with("cookie", c));
    let assignment = split.assign(&request, chance(settled.unwrap()));
    (assignment.role, assignment.remember)
}

#[test]
fn a_cookie_of_ours_is_found_among_many() {
    let split = shop(Some(sticky(&[])), 1, 100);
    let cookie = canary_cookie(&split);
    let padding = "k=v; ".repeat(200);
    let cases: [(&[&str], bool); 12] = [
        (&[&format!("{COOKIE}={cookie}")], true),
        (&["", ";;", &format!("{padding}{COOKIE}={cookie}")], true),
        (&[&format!("a=b;{COOKIE}={cookie};c=d")], true),
        (&[&format!("{COOKIE}=old; \t{COOKIE}={cookie} ;")], true),
        (
            &[&format!("{COOKIE}={}; {COOKIE}={cookie}", "A".repeat(36))],
            true,
        ),
        (
            &[
                &format!("{COOKIE}={}; ", "A".repeat(36)).repeat(4),
                &format!("{COOKIE}={cookie}"),
            ],
            false,
        ),
        (&[&format!("{COOKIE} ={cookie}")], false),
        (&[&format!("{COOKIE}=\"{cookie}\"")], false),
        (&[&format!("x{COOKIE}={cookie}")], false),
        (&[&format!("{}={cookie}", COOKIE.to_uppercase())], false),
        (&[&format!("{COOKIE}={cookie}=")], false),
        (&[&format!("{COOKIE}={cookie},a=b")], false),
    ];
    for (cookies, expected) in cases {
        let (role, remember) = assigned(&split, cookies);
        assert_eq!(role == Role::Canary, expected, "{cookies:?}");
        assert_eq!(remember.is_none(), expected, "{cookies:?}");
    }
}

#[test]
fn a_cookie_holds_only_in_its_own_rollout_and_split() {
    let split = shop(Some(sticky(&[])), 1, 100);
    let cookie = format!("{COOKIE}={}", canary_cookie(&split));
    assert_eq!(assigned(&split, &[&cookie]).0, Role::Canary);

    let later = shop(Some(sticky(&[])), 2, 100);
    let (role, remember) = assigned(&later, &[&cookie]);
    let remember = remember.unwrap();
    assert_eq!(role, Role::Stable, "the role of another epoch is void");
    assert_eq!(
        (remember.point.value(), remember.id),
        (9_999, 77),
        "the point is not"
    );

    let other = |change: &dyn Fn(&mut World)| {
        let mut world = World::new(vec![written_split("shop", Some(sticky(&[])))]);
        world.shift("shop", 1, 100);
        change(&mut world);
        let plan = world.plan();
        assigned(&plan.splits[0], &[&cookie])
    };
    let (role, _) = other(&|_| {});
    assert_eq!(role, Role::Canary, "the same world reads it");
    let (role, remember) = other(&|world| {
        world.config.upstreams[1] = super::upstream("newer");
        world.config.splits[0].canary = Some(super::ParseName::parse_name("newer"));
    });
    assert_eq!(
        (role, remember.unwrap().id),
        (Role::Stable, 77),
        "another canary version"
    );
    let (role, remember) = other(&|world| world.secrets.default = b"another".to_vec());
    assert_eq!(role, Role::Stable, "another secret");
    assert_ne!(remember.unwrap().id, 77);
    let (role, _) = other(&|world| {
        let nonce = crate::model::Nonce(8);
        world
            .shifts
            .values_mut()
            .for_each(|shift| shift.nonce = nonce);
    });
    assert_eq!(role, Role::Stable, "another nonce");
}

#[test]
fn a_stable_cookie_pins_nobody() {
    let mut user = Browser::default();
    let before = shop(Some(sticky(&[])), 1, 0);
    assert_eq!(user.visit(&before, 1).role, Role::Stable);
    let all = shop(Some(sticky(&[])), 1, 10_000);
    let moved = user.visit(&all, 2);
    assert_eq!(moved.role, Role::Canary);
    assert!(
        moved.remember.is_some(),
        "the other role is to be remembered"
    );
}

#[test]
fn the_line_has_every_attribute_and_no_text_breaks_out_of_it() {
    let mut sticky = sticky(&[]);
    sticky.cookie.name = "v\r\nX: y".to_owned();
    sticky.cookie.path = "/shop; Domain=evil".to_owned();
    sticky.cookie.domain = Some("shop.example".to_owned());
    sticky.cookie.max_age = None;
    sticky.cookie.secure = true;
    sticky.cookie.same_site = SameSite::None;
    let split = shop(Some(sticky), 1, 0);
    let mut line = b"before\r\n".to_vec();
    let remember = Remember {
        role: Role::Stable,
        point: Point::new(0).unwrap(),
        id: 0,
    };
    split
        .affinity
        .as_ref()
        .unwrap()
        .write_cookie(remember, &mut line);
    let line = String::from_utf8(line).unwrap();
    let behind =
        "; Path=/shop Domain=evil; Domain=shop.example; SameSite=None; Secure; HttpOnly\r\n";
    assert!(line.starts_with("before\r\nSet-Cookie: vX: y="), "{line}");
    assert!(line.ends_with(behind), "{line}");
}

#[test]
fn secrets_are_not_shown() {
    let split = shop(Some(sticky(&[])), 1, 0);
    let world = World::new(Vec::new());
    assert!(!format!("{:?}", split.affinity).contains("secret"));
    assert!(!format!("{:?}", world.secrets).contains("default"));
}

proptest! {
    #![proptest_config(super::same_each_time())]

    #[test]
    fn what_is_written_is_read_back(
        point in 0_u16..10_000,
        id in any::<u64>(),
        is_canary in any::<bool>(),
    ) {
        let split = shop(Some(sticky(&[])), 1, 1);
        let role = if is_canary { Role::Canary } else { Role::Stable };
        let remember = Remember { role, point: Point::new(point).unwrap(), id };
        let affinity = split.affinity.as_ref().unwrap();
        let sealed = String::from_utf8(affinity.seal(remember).to_vec()).unwrap();
        prop_assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        let request = Request::to("h", "/").with("cookie", format!("{COOKIE}={sealed}"));
        let ticket = affinity.ticket(&request).unwrap();
        prop_assert_eq!((ticket.remember, ticket.current), (remember, true));
    }

    #[test]
    fn a_changed_cookie_is_no_cookie(at in 0_usize..36, to in "[!-:<-~]") {
        let split = shop(Some(sticky(&[])), 1, 1);
        let cookie = canary_cookie(&split);
        let mut changed = cookie.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != cookie);
        prop_assert_eq!(assigned(&split, &[&format!("{COOKIE}={changed}")]).0, Role::Stable);
    }

    #[test]
    fn strangers_bytes_neither_pin_nor_stumble(
        field in any::<Vec<u8>>(),
        value in "[A-Za-z0-9_-]{36}",
        cut in 0_usize..36,
    ) {
        let split = shop(Some(sticky(&[])), 1, 1);
        let affinity = split.affinity.as_ref().unwrap();
        let held = |bytes: &[u8]| affinity.ticket(&Request::to("h", "/").with("cookie", bytes));
        prop_assert_eq!(held(&field), None);
        prop_assert_eq!(held(format!("{COOKIE}={value}").as_bytes()), None);
        let cookie = canary_cookie(&split);
        prop_assert_eq!(held(format!("{COOKIE}={}", &cookie[..cut]).as_bytes()), None);
    }
}
