//! How connections of HTTP/2 go down, on either side.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use super::{counted, to_h1, to_h2c};
use crate::support::{
    client::Client,
    h2_client::{Connection, End, GOAWAY, NO_ERROR, SETTINGS, frame, request},
    h2_origin::{self, H2Origin, given},
    origin::{self, Origin, ok},
};

#[tokio::test]
async fn a_drain_says_goaway_twice_and_lets_streams_finish() {
    let (release, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (held, was_asked) = (Arc::clone(&release), Arc::clone(&asked));
    let origin = Origin::doing(move |mut stream| {
        let (held, asked) = (Arc::clone(&held), Arc::clone(&was_asked));
        async move {
            let mut buffer = Vec::new();
            origin::request(&mut stream, &mut buffer).await.unwrap();
            asked.notify_one();
            held.notified().await;
            stream.write_all(&ok("finished")).await.unwrap();
        }
    })
    .await;
    let mut proxy = to_h1(&origin);
    let mut idle = Connection::connect(proxy.address).await;
    assert!(idle.settled().await);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&request("GET", "/"), true).await;
    asked.notified().await;
    proxy.drain(Duration::from_secs(30));
    while client.goaways.len() < 2 {
        assert!(client.next().await.is_some());
    }
    let all = (1 << 31) - 1;
    assert_eq!(client.goaways, [(all, NO_ERROR), (stream, NO_ERROR)]);
    idle.ends().await;
    assert_eq!(idle.goaways.last().map(|it| it.1), Some(NO_ERROR));
    release.notify_one();
    let answer = client.answer(stream).await;
    assert_eq!((answer.text(), answer.end), ("finished", End::Whole));
    client.ends().await;
    assert_eq!(counted(&mut proxy, 1).await, (1, 0));
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_request_that_an_origin_refuses_to_begin_with_is_repeated_whatever_its_method() {
    // The first connection refuses all, the others answer.
    let origin = H2Origin::connected(|stream, number| async move {
        let what = Arc::new(
            move |_, mut respond: h2::server::SendResponse<bytes::Bytes>| async move {
                if number == 0 {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                } else {
                    h2_origin::give(given("done"), respond);
                }
            },
        );
        h2_origin::streams(stream, what).await;
    })
    .await;
    let mut proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    client.send(POST).await;
    assert_eq!(client.answer().await.text(), "done");
    assert_eq!(origin.connections(), 2);
    assert_eq!(counted(&mut proxy, 1).await, (1, 0));
}

#[tokio::test]
async fn a_request_behind_the_last_one_of_a_goaway_is_repeated_whatever_its_method() {
    let origin = H2Origin::connected(|mut stream, number| async move {
        if number > 0 {
            let answer = Arc::new(|_, respond| async move {
                h2_origin::give(given("done"), respond);
            });
            return h2_origin::streams(stream, answer).await;
        }
        // Frames by hand: settings, and once a request is there, that none was begun with.
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let mut read = Vec::new();
        // The preface and settings come first; a head is the first frame of kind 1.
        while !has_head(&read) {
            stream.read_buf(&mut read).await.unwrap();
        }
        stream
            .write_all(&frame(GOAWAY, 0, 0, &[0; 8]))
            .await
            .unwrap();
        let _rest = stream.read_to_end(&mut read).await;
    })
    .await;
    let mut proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    client.send(POST).await;
    assert_eq!(client.answer().await.text(), "done");
    assert_eq!(counted(&mut proxy, 1).await, (1, 0));
}

/// Whether a head is among the frames behind the preface.
fn has_head(read: &[u8]) -> bool {
    let mut at = 24;
    while at + 9 <= read.len() {
        if read[at + 3] == 1 {
            return true;
        }
        let length = u32::from_be_bytes([0, read[at], read[at + 1], read[at + 2]]);
        at += 9 + usize::try_from(length).unwrap();
    }
    false
}

#[tokio::test]
async fn a_connection_that_an_origin_has_ended_is_not_used_again() {
    let origin = H2Origin::connected(|stream, _| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, respond) = connection.accept().await.unwrap().unwrap();
        h2_origin::give(given("once"), respond);
        connection.graceful_shutdown();
        while connection.accept().await.is_some() {}
    })
    .await;
    let mut proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..5 {
        client.send(POST).await;
        assert_eq!(client.answer().await.text(), "once");
    }
    assert_eq!(counted(&mut proxy, 5).await, (5, 0));
}
