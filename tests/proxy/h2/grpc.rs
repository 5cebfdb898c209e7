//! Calls of gRPC: what came of them stands in trailers, and faults of ours are told so, too.

use serin::{measure::Cell, model::Role};
use tokio::sync::mpsc;

use super::{to_h1_by, to_h2c};
use crate::support::{
    h2_client::{Answer, Connection, End, request},
    h2_origin::{self, Given, H2Origin, given},
    origin::{Origin, nowhere},
    proxy::{Proxy, edge},
};

/// A message of no bytes.
const EMPTY: &[u8] = b"\0\0\0\0\0";

/// Calls a method.
async fn call(client: &mut Connection, path: &str, more: &[(&str, &str)]) -> Answer {
    let stream = begin(client, path, more).await;
    client.data(stream, EMPTY, true).await;
    client.answer(stream).await
}

async fn begin(client: &mut Connection, path: &str, more: &[(&str, &str)]) -> u32 {
    let usual = [("content-type", "application/grpc"), ("te", "trailers")];
    let fields = [&request("POST", path)[..], &usual, more].concat();
    client.open(&fields, false).await
}

/// What a call has come to, be it told in a head or in trailers.
fn status(answer: &Answer) -> Option<&str> {
    assert_eq!((answer.status, answer.end), (200, End::Whole), "{answer:?}");
    answer
        .trailer("grpc-status")
        .or(answer.field("grpc-status"))
}

/// Answers `/N` with the status N in trailers, `/head/N` in the head.
async fn answering() -> H2Origin {
    let kind = || ("content-type", "application/grpc".to_owned());
    H2Origin::answering(move |seen| {
        let te = seen.field("content-type").map(|_| "trailers");
        assert_eq!(seen.field("te"), te);
        let number = seen.path().rsplit('/').next().unwrap().to_owned();
        let status = vec![("grpc-status", number)];
        if seen.path().starts_with("/head/") {
            let fields = [vec![kind()], status].concat();
            return Given {
                status: 200,
                fields,
                ..Given::default()
            };
        }
        Given {
            fields: vec![kind()],
            body: EMPTY.to_vec(),
            trailers: status,
            ..given("")
        }
    })
    .await
}

#[tokio::test]
async fn what_a_call_has_come_to_is_read_from_its_trailers() {
    let origin = answering().await;
    let mut proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    for good in ["/0", "/5", "/16", "/head/0", "/head/7"] {
        let number = good.rsplit('/').next();
        assert_eq!(status(&call(&mut client, good, &[]).await), number);
    }
    assert_eq!(super::counted(&mut proxy, 5).await, (5, 0));
    for bad in ["/13", "/14", "/2", "/head/14"] {
        let number = bad.rsplit('/').next();
        assert_eq!(status(&call(&mut client, bad, &[]).await), number);
    }
    assert_eq!(super::counted(&mut proxy, 9).await, (9, 4));
    // In an answer to anything else, such a field means nothing.
    client.post("/14", &[("te", "trailers")], "x").await;
    assert_eq!(super::counted(&mut proxy, 10).await, (10, 4));
}

#[tokio::test]
async fn a_version_that_cannot_be_reached_is_unavailable() {
    let gone = nowhere().await;
    let config = edge("", "protocol: h2c", "");
    let mut proxy = Proxy::with_workers(1, config, &[gone], &[], 0);
    let mut client = Connection::connect(proxy.address).await;
    let answer = call(&mut client, "/x", &[]).await;
    assert_eq!(status(&answer), Some("14"));
    assert_eq!(answer.field("content-type"), Some("application/grpc"));
    let cause = answer.field("proxy-status");
    assert_eq!(cause, Some("serin; error=connection_refused"));
    assert_eq!(super::counted(&mut proxy, 1).await, (1, 1));
}

/// Hears each call and never answers; tells when the call was given up.
async fn silent() -> (H2Origin, mpsc::UnboundedReceiver<Option<String>>) {
    let (tell, told) = mpsc::unbounded_channel();
    let origin = H2Origin::doing(move |request, mut respond| {
        let tell = tell.clone();
        async move {
            let asked = request.headers().get("grpc-timeout");
            let asked = asked.map(|value| value.to_str().unwrap().to_owned());
            tell.send(asked).unwrap();
            let _reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.send(Some("given up".to_owned())).unwrap();
        }
    })
    .await;
    (origin, told)
}

#[tokio::test]
async fn a_call_takes_no_longer_than_its_client_allows() {
    let (origin, mut told) = silent().await;
    let mut proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let answer = call(&mut client, "/x", &[("grpc-timeout", "200m")]).await;
    assert_eq!(status(&answer), Some("4"));
    assert!(
        told.recv().await.unwrap().is_some(),
        "the origin is told, too"
    );
    assert_eq!(told.recv().await.unwrap().as_deref(), Some("given up"));
    assert_eq!(super::counted(&mut proxy, 1).await, (1, 1));
}

#[tokio::test]
async fn nor_than_its_split_allows() {
    let (origin, _told) = silent().await;
    let more = "    timeouts: { total: 200ms }\n";
    let config = edge("", "protocol: h2c", more);
    let proxy = Proxy::with_workers(1, config, &[origin.address], &[], 0);
    let mut client = Connection::connect(proxy.address).await;
    let answer = call(&mut client, "/x", &[("grpc-timeout", "1H")]).await;
    assert_eq!(status(&answer), Some("4"));
}

#[tokio::test]
async fn a_call_that_is_given_up_is_given_up_behind_the_proxy() {
    let (origin, mut told) = silent().await;
    let mut proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = begin(&mut client, "/x", &[]).await;
    assert_eq!(told.recv().await, Some(None));
    proxy.exposed(Role::Stable, 1).await;
    client
        .reset(stream, crate::support::h2_client::CANCEL)
        .await;
    assert_eq!(told.recv().await.unwrap().as_deref(), Some("given up"));
    proxy.exposed(Role::Stable, 0).await;
    let cell = proxy
        .counted(Role::Stable, |cell: &Cell| cell.requests.sum(|_| true) == 1)
        .await;
    assert_eq!(cell.failures, 0);
}

#[tokio::test]
async fn messages_pass_both_ways_while_a_call_goes_on() {
    let origin = H2Origin::doing(|request, mut respond| async move {
        let head = h2_origin::head(200, &[("content-type", "application/grpc".to_owned())]);
        let mut sending = respond.send_response(head, false).unwrap();
        let mut body = request.into_body();
        while let Some(Ok(piece)) = body.data().await {
            let _released = body.flow_control().release_capacity(piece.len());
            sending.send_data(piece, false).unwrap();
        }
        let ended = h2_origin::map(&[("grpc-status", "0".to_owned())]);
        sending.send_trailers(ended).unwrap();
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = begin(&mut client, "/chat", &[]).await;
    for count in 1..=10 {
        client.data(stream, EMPTY, false).await;
        client
            .until(stream, |it| it.body.len() == count * EMPTY.len())
            .await;
    }
    client.data(stream, b"", true).await;
    assert_eq!(status(&client.answer(stream).await), Some("0"));
}

#[tokio::test]
async fn a_listener_that_takes_no_calls_says_so() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1_by(&origin, "protocols: [h1, h2c]");
    let mut client = Connection::connect(proxy.address).await;
    let answer = call(&mut client, "/x", &[]).await;
    let is_told = answer.status == 415 || status(&answer).is_some();
    assert!(is_told, "{answer:?}");
    assert!(origin.try_next().is_none());
}
