//! Which split takes which request.

use proptest::prelude::*;

use super::{ParseName, Request, exact, prefix, takes};
use crate::{
    config::{HeaderMatch, Match, PathMatch},
    model::{RouteId, SplitId},
    plan::{Routes, path::normalise},
};

fn routes(matches: &[Match]) -> Routes {
    let numbered = matches
        .iter()
        .zip(0..)
        .map(|(m, n)| (SplitId(n), RouteId(0), m));
    Routes::new(numbered)
}

/// The place of the match that takes a request.
fn found(matches: &[Match], request: &Request) -> Option<u32> {
    routes(matches).find(request).map(|(split, _)| split.0)
}

fn field(name: &str, value: Option<&str>) -> HeaderMatch {
    HeaderMatch {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    }
}

#[test]
fn the_most_specific_match_wins_wherever_it_stands() {
    let matches = [
        takes(&[], prefix("/")),
        takes(&["*.example"], prefix("/")),
        takes(&["*.shop.example"], prefix("/")),
        takes(&["shop.example"], prefix("/")),
        takes(&["shop.example"], prefix("/api")),
        takes(&["shop.example"], prefix("/api/v2/")),
        takes(&["shop.example"], exact("/api/v2/items")),
        takes(&[], prefix("/search")),
    ];
    let cases = [
        ("other.test", "/", Some(0)),
        ("", "/", Some(0)),
        ("example", "/", Some(0)),
        (".example", "/", Some(0)),
        ("a.example", "/", Some(1)),
        ("A.EXAMPLE", "/", Some(1)),
        ("a.b.example.", "/", Some(1)),
        ("eu.shop.example", "/", Some(2)),
        ("x.eu.shop.example", "/search", Some(2)),
        ("shop.example", "/", Some(3)),
        ("Shop.Example.", "/apis", Some(3)),
        ("shop.example", "/api", Some(4)),
        ("shop.example", "/api/", Some(4)),
        ("shop.example", "/api/v1/items", Some(4)),
        ("shop.example", "/api/v2", Some(5)),
        ("shop.example", "/api/v2/items/", Some(5)),
        ("shop.example", "/api/v2/items", Some(6)),
        ("shop.example", "/api/v2//./items", Some(6)),
        ("shop.example", "/api/%76%32/items", Some(6)),
        ("shop.example", "/api/../api/v2/items", Some(6)),
        ("shop.example", "/API", Some(3)),
        ("other.test", "/search/a", Some(7)),
        ("other.test", "/searching", Some(0)),
        ("other.test", "*", Some(0)),
        ("shop.example", "*", Some(3)),
        ("shop.example", "", Some(3)),
        ("shop.example", "/..", None),
        ("shop.example", "/api/%2e%2E/../x", None),
        ("shop.example", "no-path", None),
        (&"x".repeat(300), "/", Some(0)),
    ];
    for (host, path, expected) in cases {
        assert_eq!(
            found(&matches, &Request::to(host, path)),
            expected,
            "{host} {path}"
        );
    }
}

#[test]
fn more_conditions_come_first_and_then_the_order_of_the_file() {
    let mut posts = takes(&[], prefix("/"));
    posts.methods = vec!["POST".to_owned(), "PUT".to_owned()];
    let mut beta = takes(&[], prefix("/"));
    beta.headers = vec![field("x-beta", Some("1"))];
    let mut beta_device = beta.clone();
    beta_device.headers.push(field("x-device", None));
    let matches = [
        takes(&[], prefix("/")),
        takes(&[], prefix("/")),
        posts,
        beta,
        beta_device,
    ];

    let get = || Request::to("h", "/a");
    let cases = [
        (get(), 0),
        (get().method("PUT"), 2),
        (get().method("put"), 0),
        (get().with("x-beta", "1"), 3),
        (get().with("x-beta", "11"), 0),
        (get().with("x-beta", "0").with("x-beta", "1"), 0),
        (get().with("x-device", "d"), 0),
        (get().with("x-beta", "1").with("x-device", ""), 4),
        (get().with("x-beta", "1").method("POST"), 2),
    ];
    for (request, expected) in cases {
        assert_eq!(found(&matches, &request), Some(expected), "{request:?}");
    }
}

#[test]
fn a_better_host_or_prefix_that_does_not_fit_gives_way() {
    let mut posts = takes(&["shop.example"], prefix("/api"));
    posts.methods = vec!["POST".to_owned()];
    let matches = [
        posts,
        takes(&["*.example"], exact("/only")),
        takes(&[], prefix("/api")),
    ];
    assert_eq!(
        found(&matches, &Request::to("shop.example", "/api")),
        Some(2)
    );
    assert_eq!(
        found(&matches, &Request::to("shop.example", "/only")),
        Some(1)
    );
    assert_eq!(
        found(&matches, &Request::to("shop.example", "/other")),
        None
    );
}

#[test]
fn a_path_is_seen_in_its_normal_form() {
    let cases: [(&str, Option<&str>); 25] = [
        ("", Some("/")),
        ("*", Some("*")),
        ("/", Some("/")),
        ("//", Some("/")),
        ("/a", Some("/a")),
        ("/a/", Some("/a/")),
        ("/a//b///c//", Some("/a/b/c/")),
        ("/./a/.", Some("/a/")),
        ("/a/b/..", Some("/a/")),
        ("/a/b/../c", Some("/a/c")),
        ("/a/..", Some("/")),
        ("/a/../..", None),
        ("/..", None),
        ("/../a", None),
        ("/a/%2e%2e/%2E/b", Some("/b")),
        ("/%2e%2e", None),
        ("/...", Some("/...")),
        ("/.well-known/x", Some("/.well-known/x")),
        ("/%7euser/%41", Some("/~user/A")),
        ("/a%2fb/%2F", Some("/a%2Fb/%2F")),
        ("/a/..%2fb", Some("/a/..%2Fb")),
        ("/%25%32%65", Some("/%252e")),
        ("/%zz/%4/%%41", Some("/%25zz/%254/%25A")),
        ("/%c3%A9", Some("/%C3%A9")),
        ("x/y", None),
    ];
    for (path, expected) in cases {
        let normal = normalise(path.as_bytes());
        let normal = normal
            .as_deref()
            .map(|bytes| std::str::from_utf8(bytes).unwrap());
        assert_eq!(normal, expected, "{path}");
    }
}

/// Every match looked at, one after the other: what the table must agree with.
fn found_slowly(matches: &[Match], request: &Request) -> Option<u32> {
    let path = normalise(request.path.as_bytes())?;
    let path = std::str::from_utf8(&path).unwrap();
    let score = |m: &Match| {
        let host = m
            .hosts
            .iter()
            .filter_map(|host| match host.strip_prefix('*') {
                Some(suffix) => request.host.ends_with(suffix).then_some((1, suffix.len())),
                None => (*host == request.host).then_some((2, 0)),
            });
        let host = if m.hosts.is_empty() {
            Some((0, 0))
        } else {
            host.max()
        };
        let path = match &m.path {
            PathMatch::Exact(wanted) => (wanted == path).then_some((1, 0)),
            PathMatch::Prefix(wanted) => {
                let wanted = wanted.trim_end_matches('/');
                let fits = path
                    .strip_prefix(wanted)
                    .is_some_and(|rest| rest.starts_with('/'));
                (fits || path == wanted).then_some((0, wanted.len()))
            }
        };
        let method = m.methods.is_empty() || m.methods.contains(&request.method);
        method.then_some((host?, path?, m.methods.len()))
    };
    let scored = matches
        .iter()
        .zip(0..)
        .filter_map(|(m, n)| Some((score(m)?, std::cmp::Reverse(n))));
    scored.max().map(|(_, n)| n.0)
}

fn any_match() -> impl Strategy<Value = Match> {
    let host = prop::sample::subsequence(vec!["a.x", "b.x", "c.b.x", "*.x", "*.b.x"], 0..3);
    let path = ("(/[ab]{1,2}){0,3}/?", any::<bool>()).prop_map(|(path, is_exact)| {
        let path = if path.is_empty() { "/" } else { &path };
        if is_exact { exact(path) } else { prefix(path) }
    });
    (host, path, any::<bool>()).prop_map(|(hosts, path, posts)| {
        let mut found = takes(&hosts, path);
        found.name = "r".parse_name();
        found.methods = if posts {
            vec!["POST".to_owned()]
        } else {
            Vec::new()
        };
        found
    })
}

proptest! {
    #![proptest_config(super::same_each_time())]

    #[test]
    fn the_table_agrees_with_looking_at_every_match(
        matches in prop::collection::vec(any_match(), 0..12),
        host in "(a|b|(c\\.)?b|d)\\.(x|y)",
        path in "(/[ab]{1,2}){0,4}/?",
        posts in any::<bool>(),
    ) {
        let path = if path.is_empty() { "/" } else { &path };
        let request = Request::to(&host, path).method(if posts { "POST" } else { "GET" });
        prop_assert_eq!(found(&matches, &request), found_slowly(&matches, &request));
    }

    #[test]
    fn a_normal_path_is_normal(path in "/([a./%]|%2[eEfF]|%41){0,20}") {
        if let Some(normal) = normalise(path.as_bytes()) {
            let again = normalise(&normal).unwrap();
            prop_assert_eq!(&again, &normal);
            let is_copied = matches!(again, std::borrow::Cow::Owned(_));
            prop_assert!(!is_copied, "there was nothing to normalise");
        }
    }

    #[test]
    fn no_path_makes_it_stumble(mut path in any::<Vec<u8>>()) {
        path.insert(0, b'/');
        let normal = normalise(&path).map(std::borrow::Cow::into_owned);
        prop_assert!(normal.is_none_or(|normal| normal.first() == Some(&b'/')));
    }
}
