//! An upstream never has more connections than it may have; who finds no room waits, nobody for
//! ever.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serin::model::{Endpoint, UpstreamName};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::support::{
    client::Client,
    origin::{Origin, ok, request},
    proxy::{Proxy, edge},
};

const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                        Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

/// Connections of several endpoints together.
#[derive(Debug, Clone, Default)]
struct Count {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// An endpoint that closes each connection after its answer, as a unicorn does.
async fn unicorn(count: &Count) -> Origin {
    let count = count.clone();
    Origin::doing(move |mut stream| {
        let count = count.clone();
        async move {
            let open = count.now.fetch_add(1, Ordering::SeqCst) + 1;
            count.most.fetch_max(open, Ordering::SeqCst);
            let seen = request(&mut stream, &mut Vec::new()).await.unwrap();
            // Others have their turn while it works.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let path = seen.path();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            count.now.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await
}

/// An endpoint that keeps connections, and tells when the other side has ended one.
async fn keeper() -> (Origin, mpsc::UnboundedReceiver<()>) {
    let (tell, ended) = mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = request(&mut stream, &mut buffer).await {
                stream.write_all(&ok(seen.path())).await.unwrap();
            }
            // The test may be over.
            let _gone = tell.send(());
        }
    })
    .await;
    (origin, ended)
}

fn limited(limits: &str, policy: &str) -> serin::config::Config {
    let upstream =
        format!("circuit_breaker: {{ {limits} }}, balance: {{ policy: {policy}, slow_start: 0s }}");
    edge("", &upstream, "")
}

#[tokio::test]
async fn the_limit_is_never_passed_and_nobody_starves() {
    let count = Count::default();
    let origins = [
        unicorn(&count).await,
        unicorn(&count).await,
        unicorn(&count).await,
    ];
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let config = limited("max_connections: 2, queue_timeout: 20s", "p2c");
    let proxy = Proxy::with_workers(1, config, &addresses, &[], 0);
    let clients: Vec<_> = (0..12)
        .map(|n| {
            let address = proxy.address;
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                for round in 0..5 {
                    let path = format!("/{n}/{round}");
                    assert_eq!(client.get(&path, "").await.text(), path);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(count.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_one_to_another_endpoint() {
    let ((first, mut first_ended), (second, mut second_ended)) = (keeper().await, keeper().await);
    let config = limited("max_connections: 1, max_pending: 0", "round_robin");
    let addresses = [first.address, second.address];
    let mut proxy = Proxy::with_workers(1, config, &addresses, &[], 0);
    let mut client = Client::connect(proxy.address).await;
    for n in 0..8 {
        let path = format!("/{n}");
        assert_eq!(client.get(&path, "").await.text(), path);
    }
    let made = (first.connections(), second.connections());
    assert_eq!(made, (4, 4), "no two are open at a time");
    for _ in 0..3 {
        first_ended.recv().await.unwrap();
        second_ended.recv().await.unwrap();
    }
    // One endpoint goes; its connection, if it has the only one, makes room too.
    proxy.change(|world| {
        let left = Arc::from([Endpoint::new(first.address)]);
        world
            .endpoints
            .insert(UpstreamName::new("old").unwrap(), left);
    });
    for n in 0..3 {
        let path = format!("/{n}");
        assert_eq!(client.get(&path, "").await.text(), path);
    }
    second_ended.recv().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_takes_no_room() {
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = dead.local_addr().unwrap();
    drop(dead);
    let (alive, _ended) = keeper().await;
    let config = limited("max_connections: 1, max_pending: 0", "round_robin");
    let proxy = Proxy::with_workers(1, config, &[nobody, alive.address], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(client.get("/", "").await.status);
    }
    assert!(
        statuses.iter().all(|status| [200, 502].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(statuses.last(), Some(&200), "the dead one is ejected");
}

#[tokio::test]
async fn a_stream_that_lives_long_has_its_connection_to_its_end() {
    let origin = Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        while let Some(seen) = request(&mut stream, &mut buffer).await {
            let answer = if seen.path() == "/socket" {
                SWITCH.to_vec()
            } else {
                ok(seen.path())
            };
            stream.write_all(&answer).await.unwrap();
        }
    })
    .await;
    let config = limited(
        "max_connections: 1, max_pending: 1, queue_timeout: 20s",
        "p2c",
    );
    let mut proxy = Proxy::with_workers(1, config, &[origin.address], &[], 0);
    let mut socket = Client::connect(proxy.address).await;
    socket.send(UPGRADE).await;
    assert_eq!(socket.answer().await.status, 101);
    let mut waits = Client::connect(proxy.address).await;
    waits
        .send("GET /waits HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    proxy.under_way(1).await;
    let mut client = Client::connect(proxy.address).await;
    let full = client.get("/full", "").await;
    assert_eq!(full.status, 503, "the only place of the queue is taken");
    drop(socket);
    assert_eq!(waits.answer().await.text(), "/waits");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn what_was_open_before_there_was_a_limit_is_not_used() {
    let (origin, mut ended) = keeper().await;
    let limited = limited("max_connections: 1", "p2c");
    let free = edge("", "balance: { slow_start: 0s }", "");
    let mut proxy = Proxy::with_workers(1, free, &[origin.address], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/before", "").await.status, 200);
    proxy.change(|world| world.config.upstreams = limited.upstreams);
    assert_eq!(client.get("/after", "").await.status, 200);
    ended.recv().await.unwrap();
    assert_eq!(origin.connections(), 2);
}
