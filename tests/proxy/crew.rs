//! How connections are spread over the workers.

use std::{net::SocketAddr, time::Duration};

use crate::support::{
    client::Client,
    origin::Origin,
    proxy::{Proxy, file},
};

fn crew(workers: u16, origin: SocketAddr, limits: &str) -> Proxy {
    let listeners =
        format!("listeners:\n  - name: edge\n    address: \"127.0.0.1:0\"\n    {limits}\n");
    let text = file("").replace("listen: \"127.0.0.1:0\"\n", &listeners);
    let (config, _) = serin::config::load(&text, "test.yaml").unwrap();
    Proxy::with_workers(workers, config, &[origin], &[], 0)
}

#[tokio::test]
async fn each_of_a_few_connections_goes_to_the_worker_with_the_least_to_do() {
    let origin = Origin::saying("here").await;
    for (workers, few) in [(2, 2), (2, 4), (4, 16), (1, 5)] {
        let mut proxy = crew(workers, origin.address, "");
        let mut clients = Vec::new();
        for count in 1..=few {
            clients.push(Client::connect(proxy.address).await);
            proxy.open(count).await;
        }
        let open = proxy.open(few).await;
        let part = few / u64::from(workers);
        assert_eq!(open, vec![part; usize::from(workers)], "{few} connections");
        assert_eq!(proxy.accepted(few).await, few, "each is counted once");
        for client in &mut clients {
            assert_eq!(client.get("/", "").await.text(), "here");
        }
        drop(clients);
        assert_eq!(proxy.open(0).await.iter().sum::<u64>(), 0);
    }
}

#[tokio::test]
async fn many_connections_at_once_are_spread_and_served() {
    let origin = Origin::saying("here").await;
    let mut proxy = crew(4, origin.address, "");
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = Client::connect(proxy.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "here");
    }
    proxy.open(64).await;
}

#[tokio::test]
async fn a_connection_that_was_handed_over_is_within_the_limit_of_connections() {
    let origin = Origin::saying("here").await;
    let mut proxy = crew(4, origin.address, "limits: { max_connections: 8 }");
    let mut clients = Vec::new();
    for _ in 0..80 {
        clients.push(Client::connect(proxy.address).await);
    }
    proxy.open(8).await;
    assert!(proxy.most_open(16).await <= 8);
    // Each client that leaves makes room for one of those that wait.
    let asking = clients.into_iter().map(|mut client| {
        tokio::spawn(async move { client.get("/", "Connection: close\r\n").await.status })
    });
    for asking in asking.collect::<Vec<_>>() {
        assert_eq!(asking.await.unwrap(), 200);
    }
    assert_eq!(proxy.accepted(80).await, 80);
    proxy.open(0).await;
}

#[tokio::test]
async fn a_drain_loses_no_connection_that_is_on_its_way() {
    let origin = Origin::saying("here").await;
    for _ in 0..5 {
        let proxy = crew(4, origin.address, "");
        let mut clients = Vec::new();
        for _ in 0..64 {
            let mut client = Client::connect(proxy.address).await;
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
            clients.push(client);
        }
        proxy.drain(Duration::from_secs(30));
        for client in &mut clients {
            assert_eq!(client.answer().await.text(), "here");
        }
    }
}
