//! Heads of HTTP/2: what is carried over, joined, refused.

use super::{to_h1, to_h2c};
use crate::support::{
    client::Client,
    h2_client::{Connection, End, PROTOCOL_ERROR, request},
    h2_origin::{Given, H2Origin, given},
    origin::{Origin, ok},
};

#[tokio::test]
async fn crumbs_of_a_cookie_are_one_field_again() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")];
    assert_eq!(client.get("/", &crumbs).await.status, 200);
    let seen = origin.next().await;
    assert_eq!(seen.field("cookie"), Some("a=1; b=2; c=3"));
    let cookies = seen.fields.iter().filter(|(name, _)| name == "cookie");
    assert_eq!(cookies.count(), 1);
}

#[tokio::test]
async fn te_is_for_this_hop() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    assert_eq!(client.get("/", &[("te", "trailers")]).await.status, 200);
    assert_eq!(origin.next().await.field("te"), None);
}

#[tokio::test]
async fn a_host_and_an_authority_are_the_same_or_refused() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    assert_eq!(client.get("/", &[("host", "A.test")]).await.status, 200);
    assert_eq!(origin.next().await.field("host"), Some("a.test"));
    let alone = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        ("host", "b.test"),
    ];
    let stream = client.open(&alone, true).await;
    assert_eq!(client.answer(stream).await.status, 200);
    assert_eq!(origin.next().await.field("host"), Some("b.test"));
    for more in [
        &[("host", "b.test")][..],
        &[("host", "a.test"), ("host", "a.test")],
    ] {
        let answer = client.get("/", more).await;
        assert!(is_refused(answer.status, answer.end), "{more:?}");
    }
    let stream = client.open(&alone[..3], true).await;
    let answer = client.answer(stream).await;
    assert!(is_refused(answer.status, answer.end), "no host");
    assert!(origin.try_next().is_none());
    assert!(client.settled().await, "the connection stays");
}

/// Refused as a whole stream, or with words.
fn is_refused(status: u16, end: End) -> bool {
    status == 400 || end == End::Reset(PROTOCOL_ERROR)
}

/// A head by what is wrong with it.
type Malformed = (&'static str, Vec<(&'static str, &'static str)>);

fn malformed() -> Vec<Malformed> {
    let usual = request("GET", "/");
    let with = |more: &[(&'static str, &'static str)]| [&usual[..], more].concat();
    let without = |name: &str| {
        let kept = usual.iter().filter(|(known, _)| *known != name);
        kept.copied().collect::<Vec<_>>()
    };
    let in_place_of = |name, value| [without(name), vec![(name, value)]].concat();
    vec![
        ("upper case", with(&[("X-Own", "1")])),
        ("a blank in a name", with(&[("x own", "1")])),
        ("an empty name", with(&[("", "1")])),
        ("a colon in a name", with(&[("x:own", "1")])),
        (
            "connection",
            with(&[("connection", "x-own"), ("x-own", "1")]),
        ),
        ("keep-alive", with(&[("keep-alive", "timeout=5")])),
        ("proxy-connection", with(&[("proxy-connection", "close")])),
        (
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
        ),
        ("upgrade", with(&[("upgrade", "h2c")])),
        ("te", with(&[("te", "gzip")])),
        (
            "a late pseudo field",
            [without(":path"), vec![("x", "y"), (":path", "/2")]].concat(),
        ),
        ("two paths", with(&[(":path", "/2")])),
        ("an unknown pseudo field", with(&[(":own", "1")])),
        ("a pseudo field of answers", with(&[(":status", "200")])),
        ("no method", without(":method")),
        ("no path", without(":path")),
        ("no scheme", without(":scheme")),
        ("an empty path", in_place_of(":path", "")),
        ("a blank first", with(&[("x", " y")])),
        ("a blank last", with(&[("x", "y ")])),
        ("a tab last", with(&[("x", "y\t")])),
        ("LF", with(&[("x", "y\nz: 1")])),
        ("CR", with(&[("x", "y\rz: 1")])),
        (
            "a line in a path",
            in_place_of(":path", "/ HTTP/1.1\r\nx: y"),
        ),
        (
            "a line in a method",
            in_place_of(":method", "GET / HTTP/1.1\r\n"),
        ),
        ("a blank in a method", in_place_of(":method", "GET /")),
        (
            "an authority with a user",
            in_place_of(":authority", "u@a.test"),
        ),
    ]
}

#[tokio::test]
async fn a_malformed_head_reaches_no_origin() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    for (what, fields) in malformed() {
        let mut client = Connection::connect(proxy.address).await;
        let mut fields = fields;
        // Pseudo fields come first unless the case is about that.
        if what != "a late pseudo field" {
            fields.sort_by_key(|(name, _)| !name.starts_with(':'));
        }
        let stream = client.open(&fields, true).await;
        let answer = client.answer(stream).await;
        let is_ended = answer.end == End::Lost && client.goaway().await == PROTOCOL_ERROR;
        assert!(
            is_ended || is_refused(answer.status, answer.end),
            "{what}: {answer:?}"
        );
        assert!(origin.try_next().is_none(), "{what}");
    }
}

#[tokio::test]
async fn a_tunnel_to_anywhere_is_not_made() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let connect = [(":method", "CONNECT"), (":authority", "a.test:443")];
    let stream = client.open(&connect, false).await;
    let answer = client.answer(stream).await;
    assert_eq!(answer.status, 501, "{answer:?}");
    assert!(answer.field("proxy-status").is_some());
    assert!(origin.try_next().is_none());
    assert!(client.settled().await);
}

#[tokio::test]
async fn a_list_of_fields_over_its_limit_is_answered_so() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let long = "v".repeat(33_000);
    assert_eq!(client.get("/", &[("x-long", &long)]).await.status, 431);
    assert!(origin.try_next().is_none());
    assert_eq!(
        client.get("/", &[]).await.status,
        200,
        "the next one is fine"
    );
    let limit = client.settings.get(&6);
    assert_eq!(limit, Some(&32_768), "SETTINGS_MAX_HEADER_LIST_SIZE");
}

#[tokio::test]
async fn hints_come_before_the_answer_from_either_kind_of_origin() {
    let origin = Origin::answering(|_| {
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        [hints.to_vec(), ok("done")].concat()
    })
    .await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let answer = client.get("/", &[]).await;
    assert_eq!((answer.status, answer.text()), (200, "done"));
    assert_eq!(answer.interim, [103]);

    let origin = H2Origin::doing(|_, mut respond| async move {
        let hints = crate::support::h2_origin::head(103, &[("link", "</a>".to_owned())]);
        respond.send_informational(hints).unwrap();
        crate::support::h2_origin::give(given("done"), respond);
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let answer = client.get("/", &[]).await;
    assert_eq!(
        (answer.text(), answer.interim.as_slice()),
        ("done", &[103][..])
    );
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert_eq!(client.any_answer("GET").await.unwrap().status, 103);
    assert_eq!(client.answer().await.text(), "done");
}

#[tokio::test]
async fn an_origins_fields_for_its_hop_stay_behind() {
    let origin = H2Origin::answering(|_| Given {
        fields: vec![("x-own", "1".to_owned()), ("x-own", "2".to_owned())],
        ..given("x")
    })
    .await;
    let proxy = to_h2c(&origin);
    let answer = Client::connect(proxy.address).await.get("/", "").await;
    let own = answer.fields.iter().filter(|(name, _)| name == "x-own");
    assert_eq!(own.count(), 2);
    assert_eq!(answer.field("via"), Some("2.0 serin"));
}
