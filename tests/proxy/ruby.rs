//! What servers of Ruby do: unicorn, which ends each connection, and has no buffers.

use serin::model::Role;

use crate::support::{client::Client, origin::Origin, proxy::proxy};

#[tokio::test]
async fn a_connection_that_ends_with_each_answer_is_no_failure() {
    let unicorn = Origin::answering(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        format!("{head}2\r\nhi\r\n0\r\n\r\n").into_bytes()
    })
    .await;
    let mut proxy = proxy(&[unicorn.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for round in 0..100 {
        let method = if round % 2 == 0 { "GET" } else { "POST" };
        let head = format!("{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        client.send(head).await;
        assert_eq!(client.answer().await.text(), "hi");
    }
    let cell = proxy
        .counted(Role::Stable, |cell| cell.requests.sum(|_| true) == 100)
        .await;
    assert_eq!((cell.trials, cell.failures), (100, 0));
    assert_eq!(
        (cell.attempts.sum(|_| true), cell.connect.count()),
        (100, 100)
    );
    assert_eq!(unicorn.connections(), 100);
}
