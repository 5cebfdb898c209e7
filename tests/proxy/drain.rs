//! How the data plane goes down, and how it follows its plan's listeners.

use std::{sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpListener, sync::Notify};

use crate::support::{
    client::Client,
    origin::{Origin, ok, request},
    proxy::proxy,
};

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
    let mut client = loop {
        if tokio::net::TcpStream::connect(free).await.is_ok() {
            break Client::connect(free).await;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(client.get("/", "").await.text(), "here");
    while tokio::net::TcpStream::connect(first).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
