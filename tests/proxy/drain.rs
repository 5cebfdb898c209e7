//! How the data plane goes down, and how it follows its plan's listeners.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};

use crate::support::{
    client::Client,
    origin::{Origin, ok, request},
    proxy::proxy,
};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_drain_lets_requests_finish_and_ends_idle_connections() {
    let release = Arc::new(Notify::new());
    let (asked, held) = (Arc::new(Notify::new()), Arc::clone(&release));
    let was_asked = Arc::clone(&asked);
    let origin = Origin::doing(move |mut stream| {
        let (asked, held) = (Arc::clone(&was_asked), Arc::clone(&held));
        async move {
            let mut buffer = Vec::new();
            request(&mut stream, &mut buffer).await.unwrap();
            asked.notify_one();
            held.notified().await;
            stream.write_all(&ok("finished")).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut idle = Client::connect(proxy.address).await;
    let mut busy = Client::connect(proxy.address).await;
    busy.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    asked.notified().await;
    proxy.drain(Duration::from_secs(30));
    assert!(idle.is_closed().await);
    assert!(!proxy.is_finished());
    release.notify_one();
    assert_eq!(busy.answer().await.text(), "finished");
    assert!(busy.is_closed().await);
}

#[tokio::test]
async fn listeners_open_and_close_with_the_plan() {
    let origin = Origin::saying("here").await;
    let mut proxy = proxy(&[origin.address], &[], 0, "");
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let first = proxy.address;
    proxy.change(|world| {
        let mut second = world.config.listeners[0].clone();
        second.name = serin::model::ListenerName::new("second").unwrap();
        second.address = free;
        world.config.listeners = vec![second];
    });
    until_open(free).await;
    let mut client = Client::connect(free).await;
    assert_eq!(client.get("/", "").await.text(), "here");
    let closing = async {
        while TcpStream::connect(first).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closing).await.expect("it stays open");
}

#[tokio::test]
async fn a_plan_that_changes_while_workers_start_is_followed() {
    let origin = Origin::saying("here").await;
    for _ in 0..10 {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let second = free.local_addr().unwrap();
        drop(free);
        let mut proxy = proxy(&[origin.address], &[], 0, "");
        // The workers' threads may not have run yet.
        proxy.change(|world| {
            world.config.listeners[0].name = serin::model::ListenerName::new("second").unwrap();
            world.config.listeners[0].address = second;
        });
        until_open(second).await;
    }
}

/// Waits until somebody listens.
async fn until_open(address: SocketAddr) {
    let opening = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, opening).await.unwrap();
}
