//! Clients: so many requests a second, whatever becomes of those before. One in five is a POST.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::support::client::Client;

/// One request in so many is a POST.
const POST_EVERY: u64 = 5;

/// What clients have seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) asked: u64,
    /// How often each method failed in which way.
    pub(crate) failed: BTreeMap<(&'static str, String), u64>,
}

impl Seen {
    /// Requests of a method that were not answered well.
    pub(crate) fn failures(&self, method: &str) -> u64 {
        let of_method = self.failed.iter().filter(|((of, _), _)| *of == method);
        of_method.map(|(_, count)| count).sum()
    }
}

/// A load that goes on until it is ended.
#[derive(Debug)]
pub(crate) struct Load {
    seen: watch::Receiver<Seen>,
    ends: Arc<Notify>,
    asking: JoinHandle<()>,
    counting: JoinHandle<()>,
}

/// What became of a request.
type Told = (&'static str, Result<(), String>);

impl Load {
    /// So many requests a second.
    pub(crate) fn on(address: SocketAddr, rate: u32) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let (show, seen) = watch::channel(Seen::default());
        let ends = Arc::new(Notify::new());
        Self {
            seen,
            ends: Arc::clone(&ends),
            asking: tokio::spawn(ask_all(address, rate, tell, ends)),
            counting: tokio::spawn(count(told, show)),
        }
    }

    /// What clients have seen so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn more(&mut self, count: u64) {
        let until = self.seen.borrow().asked + count;
        let waited = self.seen.wait_for(|seen| seen.asked >= until).await;
        assert!(waited.is_ok(), "the load has ended");
    }

    /// Asks no more, and waits for every answer that is still to come.
    pub(crate) async fn end(self) -> Seen {
        self.ends.notify_one();
        self.asking.await.unwrap();
        self.counting.await.unwrap();
        self.seen.borrow().clone()
    }
}

async fn count(mut told: mpsc::UnboundedReceiver<Told>, show: watch::Sender<Seen>) {
    while let Some((method, result)) = told.recv().await {
        show.send_modify(|seen| {
            seen.asked += 1;
            if let Err(why) = result {
                *seen.failed.entry((method, why)).or_insert(0) += 1;
            }
        });
    }
}

async fn ask_all(
    address: SocketAddr,
    rate: u32,
    tell: mpsc::UnboundedSender<Told>,
    ends: Arc<Notify>,
) {
    let (give_back, mut idle) = mpsc::unbounded_channel::<Client>();
    let mut pace = interval(Duration::from_secs(1) / rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut asking = JoinSet::new();
    for number in 0_u64.. {
        tokio::select! {
            _ = pace.tick() => {}
            () = ends.notified() => break,
        }
        let (idle, give_back) = (idle.try_recv().ok(), give_back.clone());
        let tell = tell.clone();
        asking.spawn(async move {
            let mut client = match idle {
                Some(client) => client,
                None => Client::connect(address).await,
            };
            let method = if number % POST_EVERY == 0 {
                "POST"
            } else {
                "GET"
            };
            let result = ask(&mut client, method, number).await;
            if result.is_ok() {
                // When the load ends nobody takes connections back.
                let _ended = give_back.send(client);
            }
            tell.send((method, result)).unwrap();
        });
        while asking.try_join_next().is_some() {}
    }
    asking.join_all().await;
}

async fn ask(client: &mut Client, method: &'static str, number: u64) -> Result<(), String> {
    let body = if method == "POST" { "order=1" } else { "" };
    let length = body.len();
    let request = format!(
        "{method} /cart HTTP/1.1\r\nHost: shop.test\r\nX-Number: {number}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    if !client.try_send(request).await {
        return Err("it cannot be sent".to_owned());
    }
    let Some(answer) = client.any_answer(method).await else {
        return Err("no answer".to_owned());
    };
    if answer.status == 200 && answer.is_whole {
        return Ok(());
    }
    let why = answer.field("proxy-status").unwrap_or_default().to_owned();
    Err(format!("{} {why}", answer.status))
}
