//! What a client of HTTP/2 may do to a connection until it is cut off: each abuse ends it with
//! `ENHANCE_YOUR_CALM` after at most 200 frames, and at most 200 requests reach the origin.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serin::model::Rejection;
use tokio::io::AsyncReadExt;

use super::{to_h1, to_h1_by};
use crate::support::{
    client::find,
    h2_client::{
        self, CANCEL, CONTINUATION, Connection, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS,
        NO_ERROR, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, encode, frame, request,
    },
    origin::Origin,
    proxy::Proxy,
};

/// More than it may take.
const MANY: u32 = 200;

/// An origin that never answers, and how many requests have reached it.
async fn silent() -> (Origin, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let origin = Origin::doing(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let mut read = Vec::new();
            while let Ok(1..) = stream.read_buf(&mut read).await {
                if find(&read, b"\r\n\r\n").is_some() {
                    counted.fetch_add(1, Ordering::SeqCst);
                    read.clear();
                }
            }
        }
    })
    .await;
    (origin, count)
}

/// Sends bytes to a new connection, which is cut off for it, while others are served.
async fn is_cut_off(proxy: &mut Proxy, bytes: Vec<u8>, cause: Rejection) {
    let mut client = Connection::connect(proxy.address).await;
    let mut other = Connection::connect(proxy.address).await;
    client.send(&bytes).await;
    assert_eq!(client.goaway().await, ENHANCE_YOUR_CALM, "{cause}");
    client.ends().await;
    proxy.rejected(cause, 1).await;
    assert!(other.settled().await, "{cause}");
}

#[tokio::test]
async fn rapid_resets_are_cut_off() {
    let (origin, requests) = silent().await;
    let mut proxy = to_h1(&origin);
    let pair = |number: u32| {
        let stream = 2 * number + 1;
        let head = h2_client::head(stream, &request("GET", "/"), true);
        [head, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
    };
    let bytes = (0..MANY).flat_map(pair).collect();
    is_cut_off(&mut proxy, bytes, Rejection::Resets).await;
    assert!(requests.load(Ordering::SeqCst) <= 200);
}

#[tokio::test]
async fn resets_that_the_proxy_is_provoked_to_send_are_cut_off() {
    let provocations: [fn(u32) -> Vec<u8>; 2] = [
        // No stream is more important than itself.
        |stream| {
            let [a, b, c, d] = stream.to_be_bytes();
            frame(PRIORITY, 0, stream, &[a, b, c, d, 1])
        },
        // No window grows beyond its end.
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
    ];
    for provoke in provocations {
        let (origin, requests) = silent().await;
        let mut proxy = to_h1(&origin);
        let pair = |number: u32| {
            let stream = 2 * number + 1;
            let head = h2_client::head(stream, &request("GET", "/"), true);
            [head, provoke(stream)].concat()
        };
        let bytes = (0..MANY).flat_map(pair).collect();
        is_cut_off(&mut proxy, bytes, Rejection::Resets).await;
        assert!(requests.load(Ordering::SeqCst) <= 200);
    }
}

#[tokio::test]
async fn frames_that_carry_nothing_are_cut_off() {
    let open = h2_client::head(1, &request("POST", "/"), false);
    let floods = [
        frame(PING, 0, 0, b"8 bytes!").repeat(300),
        frame(SETTINGS, 0, 0, &[]).repeat(300),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]).repeat(300),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(300),
        [open, frame(DATA, 0, 1, &[]).repeat(300)].concat(),
        frame(0xbe, 0, 0, &[]).repeat(300),
    ];
    for (place, flood) in floods.into_iter().enumerate() {
        let (origin, requests) = silent().await;
        let mut proxy = to_h1(&origin);
        is_cut_off(&mut proxy, flood, Rejection::ControlFrames).await;
        assert!(requests.load(Ordering::SeqCst) <= 1, "flood {place}");
    }
}

#[tokio::test]
async fn a_head_in_too_many_pieces_is_cut_off() {
    let (origin, requests) = silent().await;
    let mut proxy = to_h1(&origin);
    let begun = frame(HEADERS, 0, 1, &encode(&request("GET", "/")));
    let more = frame(CONTINUATION, 0, 1, &encode(&[("x", "y")])).repeat(200);
    let bytes = [begun, more].concat();
    is_cut_off(&mut proxy, bytes, Rejection::ContinuationFrames).await;
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_head_that_is_never_whole_is_cut_off() {
    let (origin, _requests) = silent().await;
    for flags in [0, END_HEADERS] {
        let mut proxy = to_h1_by(&origin, "timeouts: { request_header: 200ms }");
        let mut client = Connection::connect(proxy.address).await;
        assert!(client.settled().await);
        let block = encode(&request("GET", "/"));
        let mut begun = frame(HEADERS, flags, 1, &block);
        if flags == END_HEADERS {
            // Here the frame itself is not whole.
            begun.pop();
        }
        client.send(&begun).await;
        assert_eq!(client.goaway().await, ENHANCE_YOUR_CALM);
        client.ends().await;
        proxy.rejected(Rejection::HeadTimeout, 1).await;
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_let_go() {
    let origin = Origin::saying("x").await;
    let proxy = to_h1_by(&origin, "timeouts: { idle: 200ms }");
    let mut client = Connection::connect(proxy.address).await;
    assert_eq!(client.get("/", &[]).await.status, 200);
    assert_eq!(client.goaway().await, NO_ERROR);
    client.ends().await;
    let mut silent = Connection::connect(proxy.address).await;
    assert_eq!(silent.goaway().await, NO_ERROR);
    silent.ends().await;
}

#[tokio::test]
async fn a_preface_that_is_never_whole_is_let_go() {
    let origin = Origin::saying("x").await;
    let proxy = to_h1_by(&origin, "timeouts: { request_header: 200ms }");
    let mut client = crate::support::client::Client::connect(proxy.address).await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM").await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn usual_clients_are_not_cut_off() {
    let origin = Origin::saying("x").await;
    let proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    // As many as come in a burst, each with a reset of its own after the answer's beginning.
    for _ in 0..300 {
        assert_eq!(client.get("/", &[]).await.status, 200);
    }
    for _ in 0..50 {
        let stream = client.open(&request("GET", "/"), true).await;
        client.reset(stream, CANCEL).await;
        assert!(client.settled().await);
    }
    assert!(client.goaways.is_empty());
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused_one_by_one() {
    let (origin, _requests) = silent().await;
    let proxy = to_h1_by(&origin, "limits: { max_streams_per_connection: 10 }");
    let mut client = Connection::connect(proxy.address).await;
    assert!(client.settled().await);
    assert_eq!(client.settings.get(&3), Some(&10), "as it was told");
    for _ in 0..10 {
        client.open(&request("GET", "/"), true).await;
    }
    let stream = client.open(&request("GET", "/"), true).await;
    let refused = client.answer(stream).await.end;
    assert_eq!(refused, h2_client::End::Reset(7), "REFUSED_STREAM");
    assert!(client.settled().await);
}
