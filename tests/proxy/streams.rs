//! Streams that live long end when their version gets no traffic any more, each in its own way and
//! at a time of its own.

use std::{sync::Arc, time::Duration};

use serin::{config::LongLived, model::Role};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::Instant,
};

use crate::support::{
    client::{Client, find},
    h2_client::{Connection, END_STREAM, End, HEADERS, request},
    h2_origin::{self, H2Origin},
    origin::{self, Origin},
    proxy::{Proxy, edge},
};

const DEADLINE: Duration = Duration::from_secs(2);
const SPREAD: Duration = Duration::from_secs(1);
/// A tick, a sample and a busy machine.
const SLACK: Duration = Duration::from_millis(800);

const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                        Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n";
/// A frame of WebSocket with five bytes.
const HELLO: &[u8] = b"\x81\x05hello";
/// Close, 1012: the service restarts.
const CLOSE: &[u8] = b"\x88\x02\x03\xf4";
/// The client's answer to that.
const CLOSE_TOO: &[u8] = b"\x88\x82\0\0\0\0\x03\xf4";

/// A version at this share, with streams that end as told.
fn proxied(origin: std::net::SocketAddr, upstream: &str, percent: u16) -> Proxy {
    ending(origin, upstream, percent, Some((DEADLINE, SPREAD)))
}

fn ending(
    origin: std::net::SocketAddr,
    upstream: &str,
    percent: u16,
    spans: Option<(Duration, Duration)>,
) -> Proxy {
    let mut config = edge("", upstream, "");
    config.drain.long_lived = spans.map(|(deadline, spread)| LongLived { deadline, spread });
    Proxy::start(config, &[origin], &[origin], percent)
}

/// An origin of HTTP/1.1: `/socket` is a WebSocket that says hello, all else events. When told, it
/// says the rest of what it had begun.
async fn both(rest: Arc<Notify>) -> Origin {
    Origin::doing(move |mut stream| {
        let rest = Arc::clone(&rest);
        async move {
            let mut buffer = Vec::new();
            let seen = origin::request(&mut stream, &mut buffer).await.unwrap();
            match seen.path() {
                "/socket" => stream.write_all(&[SWITCH, HELLO].concat()).await.unwrap(),
                "/half" => {
                    let half = [SWITCH, &HELLO[..4]].concat();
                    stream.write_all(&half).await.unwrap();
                    rest.notified().await;
                    stream.write_all(&HELLO[4..]).await.unwrap();
                }
                _ => stream.write_all(EVENTS).await.unwrap(),
            }
            let _rest = stream.read_to_end(&mut buffer).await;
        }
    })
    .await
}

async fn read(stream: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, expected);
}

/// A WebSocket that is open, up to its first frame or a part of it.
async fn socket(proxy: &Proxy, path: &str, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let upgrade = UPGRADE.replace("/socket", path);
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while find(&head, b"\r\n\r\n").is_none() {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    read(&mut stream, first).await;
    stream
}

/// Reads to the end of a WebSocket: `rest`, then that the service restarts, and nothing more.
async fn closes(mut stream: TcpStream, rest: &[u8]) -> Instant {
    read(&mut stream, rest).await;
    read(&mut stream, CLOSE).await;
    let ended = Instant::now();
    stream.write_all(CLOSE_TOO).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut more = Vec::new();
    stream.read_to_end(&mut more).await.unwrap();
    assert!(more.is_empty(), "{more:?}");
    ended
}

/// Events that have begun.
async fn events(proxy: &Proxy) -> Client {
    let mut client = Client::connect(proxy.address).await;
    client
        .send("GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    client.stream.readable().await.unwrap();
    client
}

/// Reads events to their end, which is a proper one.
async fn ends(mut client: Client) -> Instant {
    let answer = client.answer().await;
    assert!(answer.is_whole, "{answer:?}");
    assert_eq!(answer.text(), "data: 1\n");
    Instant::now()
}

/// An origin of HTTP/2 whose sockets say hello, and whose events and calls begin.
async fn all() -> H2Origin {
    H2Origin::doing(|request, mut respond| async move {
        let path = request.uri().path().to_owned();
        let kind = match path.as_str() {
            "/events" => "text/event-stream",
            "/call" => "application/grpc",
            _ => "x/y",
        };
        let head = h2_origin::head(200, &[("content-type", kind.to_owned())]);
        let mut sending = respond.send_response(head, false).unwrap();
        let first: &[u8] = match path.as_str() {
            "/events" => b"data: 1\n",
            "/call" => b"\0\0\0\0\0",
            _ => HELLO,
        };
        sending.send_data(first.into(), false).unwrap();
        let mut body = request.into_body();
        while let Some(Ok(_)) = body.data().await {}
        std::future::poll_fn(|cx| sending.poll_reset(cx)).await.ok();
    })
    .await
}

/// How evenly moments lie in the time in which streams end.
fn are_spread(since: Instant, ends: &[Instant]) {
    let last = ends.iter().max().unwrap().duration_since(since);
    assert!(last <= DEADLINE + SLACK, "the last after {last:?}");
    let mut tenths = [0_u32; 40];
    for end in ends {
        let tenth = end.duration_since(since).as_millis() / 100;
        tenths[usize::try_from(tenth).unwrap().min(39)] += 1;
    }
    let most = *tenths.iter().max().unwrap();
    let all = u32::try_from(ends.len()).unwrap();
    assert!(most * 10 < all * 4, "at once: {tenths:?}");
}

#[tokio::test]
async fn all_streams_of_a_version_without_traffic_end_in_time_and_not_at_once() {
    let origin = all().await;
    let mut proxy = proxied(origin.address, "protocol: h2c", 100);
    let mut sockets = Vec::new();
    for _ in 0..200 {
        sockets.push(socket(&proxy, "/socket", HELLO).await);
    }
    let mut listeners = Vec::new();
    for _ in 0..50 {
        listeners.push(events(&proxy).await);
    }
    let mut calls = Connection::connect(proxy.address).await;
    let kind = [("content-type", "application/grpc"), ("te", "trailers")];
    let fields = [&request("POST", "/call")[..], &kind].concat();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let stream = calls.open(&fields, false).await;
        calls.until(stream, |it| it.body.len() == 5).await;
        streams.push(stream);
    }
    proxy.exposed(Role::Canary, 300).await;
    let mut ending = JoinSet::new();
    for stream in sockets {
        ending.spawn(closes(stream, b""));
    }
    for client in listeners {
        ending.spawn(ends(client));
    }
    let since = Instant::now();
    proxy.change(|world| world.shift(0, 1));
    let mut ended = Vec::new();
    while ended.len() < streams.len() {
        let frame = calls.next().await.expect("the connection stays");
        if frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
            ended.push(Instant::now());
        }
    }
    for stream in streams {
        let answer = calls.answer(stream).await;
        assert_eq!(answer.end, End::Whole);
        assert_eq!(answer.trailer("grpc-status"), Some("14"));
    }
    ended.extend(ending.join_all().await);
    assert_eq!(ended.len(), 300);
    are_spread(since, &ended);
    proxy.exposed(Role::Canary, 0).await;
    assert!(since.elapsed() <= DEADLINE + SLACK);
    assert!(calls.settled().await);
}

#[tokio::test]
async fn a_close_stands_between_frames_and_events_have_a_last_chunk() {
    let rest = Arc::new(Notify::new());
    let origin = both(Arc::clone(&rest)).await;
    let mut proxy = proxied(origin.address, "", 100);
    let half = socket(&proxy, "/half", &HELLO[..4]).await;
    let mut ending = JoinSet::new();
    for _ in 0..10 {
        ending.spawn(closes(socket(&proxy, "/socket", HELLO).await, b""));
        ending.spawn(ends(events(&proxy).await));
    }
    proxy.exposed(Role::Canary, 21).await;
    proxy.change(|world| world.shift(0, 1));
    ending.join_all().await;
    rest.notify_one();
    closes(half, &HELLO[4..]).await;
    proxy.exposed(Role::Canary, 0).await;
}

#[tokio::test]
async fn a_stream_in_the_middle_of_a_frame_is_cut_off_at_the_deadline() {
    let origin = both(Arc::new(Notify::new())).await;
    let spans = (Duration::from_millis(300), Duration::from_millis(100));
    let mut proxy = ending(origin.address, "", 100, Some(spans));
    let mut half = socket(&proxy, "/half", &HELLO[..4]).await;
    proxy.exposed(Role::Canary, 1).await;
    proxy.change(|world| world.shift(0, 1));
    let mut more = Vec::new();
    let _end = half.read_to_end(&mut more).await;
    assert!(more.is_empty(), "no frame within a frame: {more:?}");
    proxy.exposed(Role::Canary, 0).await;
}

#[tokio::test]
async fn a_websocket_over_http_2_is_closed_and_its_stream_ends() {
    let origin = both(Arc::new(Notify::new())).await;
    let mut proxy = proxied(origin.address, "", 100);
    let mut client = Connection::connect(proxy.address).await;
    let mut fields = request("CONNECT", "/socket").to_vec();
    fields.insert(1, (":protocol", "websocket"));
    fields.push(("sec-websocket-version", "13"));
    let stream = client.open(&fields, false).await;
    client.until(stream, |it| it.body == HELLO).await;
    proxy.exposed(Role::Canary, 1).await;
    proxy.change(|world| world.shift(0, 1));
    let closed = [HELLO, CLOSE].concat();
    client.until(stream, |it| it.body == closed).await;
    client.data(stream, CLOSE_TOO, true).await;
    assert_eq!(client.answer(stream).await.end, End::Whole);
    proxy.exposed(Role::Canary, 0).await;
    assert!(client.settled().await);
}

#[tokio::test]
async fn streams_of_versions_with_traffic_stay() {
    let origin = both(Arc::new(Notify::new())).await;
    let spans = Some((Duration::from_millis(100), Duration::from_millis(50)));
    let mut proxy = ending(origin.address, "", 100, spans);
    let mut canarys = socket(&proxy, "/socket", HELLO).await;
    proxy.exposed(Role::Canary, 1).await;
    proxy.change(|world| world.shift(0, 1));
    read(&mut canarys, CLOSE).await;
    let stables = socket(&proxy, "/socket", HELLO).await;
    proxy.exposed(Role::Stable, 1).await;
    // The canary's streams come and go, stable's stay.
    for _ in 0..3 {
        proxy.change(|world| world.shift(50, 1));
        proxy.change(|world| world.shift(0, 1));
        proxy.most_open(4).await;
    }
    let nothing = stables.try_read(&mut [0; 8]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn streams_stay_where_the_file_says_so() {
    let origin = both(Arc::new(Notify::new())).await;
    let mut proxy = ending(origin.address, "", 100, None);
    let stays = socket(&proxy, "/socket", HELLO).await;
    proxy.exposed(Role::Canary, 1).await;
    proxy.change(|world| world.shift(0, 1));
    // Each worker has looked at the plan several times.
    proxy.most_open(12).await;
    proxy.exposed(Role::Canary, 1).await;
    let nothing = stays.try_read(&mut [0; 8]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_drain_ends_the_streams_of_every_version() {
    let origin = both(Arc::new(Notify::new())).await;
    let mut proxy = proxied(origin.address, "", 0);
    let mut ending = JoinSet::new();
    for _ in 0..10 {
        ending.spawn(closes(socket(&proxy, "/socket", HELLO).await, b""));
        ending.spawn(ends(events(&proxy).await));
    }
    proxy.exposed(Role::Stable, 20).await;
    let since = Instant::now();
    proxy.drain(Duration::from_secs(20));
    for end in ending.join_all().await {
        assert!(end.duration_since(since) <= DEADLINE + SLACK);
    }
    while !proxy.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "nothing is waited for"
    );
}
