//! The table of behaviour in front of origins that speak HTTP/2.

use serin::{measure::Cell, model::Role};

use super::{bytes, check};
use crate::{
    support::{
        client::{self, Client},
        h2_client::{Answer, Connection, End, PROTOCOL_ERROR},
        h2_origin::{H2Origin, given},
        proxy::{Proxy, edge},
    },
    table::{self, Case, Expect},
};

/// An answer as the tables are held to it.
fn plain(answer: Answer) -> client::Answer {
    let trailers = answer.trailers.into_iter();
    let trailers = trailers.map(|(name, value)| (format!("trailer:{name}"), value));
    client::Answer {
        status: answer.status,
        fields: answer.fields.into_iter().chain(trailers).collect(),
        body: answer.body,
        is_whole: answer.end == End::Whole,
    }
}

/// Sends a request as HTTP/2 has it.
async fn ask(connection: &mut Connection, case: &Case) -> Answer {
    let length = case.body.len().to_string();
    let mut fields = vec![
        (":method", case.method),
        (":scheme", "http"),
        (":path", &case.target),
        (":authority", case.authority),
    ];
    let own = case.fields.iter();
    fields.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
    if !case.body.is_empty() && case.trailers.is_empty() {
        fields.push(("content-length", &length));
    }
    let is_bare = case.body.is_empty() && case.trailers.is_empty();
    let stream = connection.open(&fields, is_bare).await;
    if !is_bare {
        let ends = case.trailers.is_empty();
        connection.data(stream, case.body, ends).await;
        if !ends {
            connection.head(stream, &case.trailers, true).await;
        }
    }
    connection.answer(stream).await
}

/// What is wrong with what comes of a case.
fn judge(case: &Case, answer: Answer, seen: Option<crate::support::origin::Seen>) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Expect::Answered(statuses) = &case.expect
        && statuses.contains(&400)
        && matches!(answer.end, End::Reset(PROTOCOL_ERROR) | End::Lost)
        && seen.is_none()
    {
        return wrong;
    }
    // The library answers with 431 by itself, without a word.
    let is_librarys = answer.status == 431 && answer.body.is_empty();
    let answer = plain(answer);
    if is_librarys && matches!(&case.expect, Expect::Answered(it) if it.contains(&431)) {
        return wrong;
    }
    if let Err(why) = check(case, &answer, seen) {
        wrong.push(format!("{}: {why}", case.name));
    }
    wrong
}

fn to_h2c(origin: &H2Origin) -> Proxy {
    Proxy::start(edge("", "protocol: h2c", ""), &[origin.address], &[], 0)
}

#[tokio::test]
async fn every_request_reaches_an_origin_of_http_2_as_the_table_says() {
    let mut origin = H2Origin::answering(|_| given("x")).await;
    let proxy = to_h2c(&origin);
    let mut failures = Vec::new();
    for case in table::cases() {
        let mut client = Client::connect(proxy.address).await;
        client.try_send(bytes(&case)).await;
        let answer = client.answer_to(case.method).await;
        if let Err(why) = check(&case, &answer, origin.try_next()) {
            failures.push(format!("from HTTP/1.1: {}: {why}", case.name));
        }
        let mut connection = Connection::connect(proxy.address).await;
        let answer = ask(&mut connection, &case).await;
        failures.extend(judge(&case, answer, origin.try_next()));
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(origin.connections() <= 2, "one for each worker");
}

#[tokio::test]
async fn what_a_target_of_http_2_cannot_hold_is_the_clients_fault() {
    let mut origin = H2Origin::answering(|_| given("x")).await;
    let mut proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    let answer = client.get("/?a=\"b\"", "").await;
    assert_eq!(answer.status, 400);
    let mut connection = Connection::connect(proxy.address).await;
    let answer = connection.get("/?a=\"b\"", &[]).await;
    assert_eq!(answer.end, End::Reset(PROTOCOL_ERROR));
    assert_eq!(connection.get("/a#b", &[]).await.status, 200);
    assert_eq!(origin.next().await.path(), "/a", "without its fragment");
    assert!(origin.try_next().is_none());
    let is_counted = |cell: &Cell| cell.requests.sum(|_| true) == 2;
    let cell = proxy.counted(Role::Stable, is_counted).await;
    assert_eq!((cell.trials, cell.failures), (1, 0));
}
