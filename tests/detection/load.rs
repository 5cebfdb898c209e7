//! An open loop: requests come at a fixed rate, whatever has become of those before.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::interval,
};

use super::support::client::Client;

/// Requests at a fixed rate until it is dropped. A connection is used again once its answer has
/// come; if none is free, another is made.
#[derive(Debug)]
pub(crate) struct Load(JoinHandle<()>);

impl Load {
    /// So many requests a second, to each path in turn.
    pub(crate) fn on(address: SocketAddr, rate: u32, paths: &'static [&'static str]) -> Self {
        Self(tokio::spawn(async move {
            let (give_back, mut idle) = mpsc::unbounded_channel::<Client>();
            let mut pace = interval(Duration::from_secs(1) / rate);
            let mut asking = JoinSet::new();
            for path in paths.iter().cycle() {
                pace.tick().await;
                let (idle, give_back) = (idle.try_recv().ok(), give_back.clone());
                asking.spawn(async move {
                    let mut client = match idle {
                        Some(client) => client,
                        None => Client::connect(address).await,
                    };
                    let asked = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
                    if client.try_send(asked).await && client.any_answer("GET").await.is_some() {
                        // When the load ends nobody takes connections back.
                        let _ended = give_back.send(client);
                    }
                });
                while asking.try_join_next().is_some() {}
            }
        }))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort();
    }
}
