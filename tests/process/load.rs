//! Clients that forgive nothing: each request on a connection that was made is answered whole, or
//! it counts as failed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};

use crate::house::PATIENCE;

/// A load that goes on until it is ended or dropped.
pub(crate) struct Load {
    asked: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    failures: mpsc::UnboundedReceiver<String>,
    tasks: Vec<JoinHandle<()>>,
}

/// How long a client rests.
const REST: Duration = Duration::from_millis(60);

/// What a client does with a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Asks again on it.
    Keeps,
    /// Asks again on it, after it has rested for longer than a worker keeps it ready.
    Rests,
    /// Makes a new one for each request.
    Leaves,
}

impl Load {
    /// So many clients of each habit. A client that is
    /// refused a connection has come too late, and ends.
    pub(crate) fn on(address: SocketAddr, clients: usize) -> Self {
        let (tell, failures) = mpsc::unbounded_channel();
        let (asked, is_over) = (Arc::default(), Arc::default());
        let habits = [Habit::Keeps, Habit::Rests, Habit::Leaves]
            .repeat(clients)
            .into_iter();
        let tasks = habits.map(|habit| {
            let client = Client {
                address,
                habit,
                asked: Arc::clone(&asked),
                is_over: Arc::clone(&is_over),
            };
            let tell = tell.clone();
            tokio::spawn(async move {
                if let Err(why) = client.ask().await {
                    let _over = tell.send(format!("{habit:?}: {why}"));
                }
            })
        });
        let tasks = tasks.collect();
        Self {
            asked,
            is_over,
            failures,
            tasks,
        }
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn more(&mut self, count: u64) {
        let until = self.asked.load(Ordering::SeqCst) + count;
        let more = async {
            while self.asked.load(Ordering::SeqCst) < until {
                if let Ok(why) = self.failures.try_recv() {
                    panic!("a request has failed: {why}");
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, more).await.unwrap();
    }

    /// Ends it after the requests under way, or when no connection is to be had any more. None may
    /// have failed.
    pub(crate) async fn end(mut self, at_once: bool) {
        self.is_over.store(at_once, Ordering::SeqCst);
        for task in std::mem::take(&mut self.tasks) {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
        let failed = self.failures.try_recv();
        assert!(failed.is_err(), "a request has failed: {failed:?}");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Client {
    address: SocketAddr,
    habit: Habit,
    asked: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Client {
    async fn ask(&self) -> Result<(), String> {
        let mut kept = None;
        while !self.is_over.load(Ordering::SeqCst) {
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => match TcpStream::connect(self.address).await {
                    Ok(stream) => stream,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                        return Ok(());
                    }
                    Err(error) => return Err(format!("connect: {error}")),
                },
            };
            let closes = exchange(&mut stream).await?;
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.habit != Habit::Leaves && !closes {
                kept = Some(stream);
            }
            if self.habit == Habit::Rests {
                self.rest().await;
            }
        }
        Ok(())
    }

    async fn rest(&self) {
        let mut pace = tokio::time::interval(REST);
        pace.tick().await;
        pace.tick().await;
    }
}

/// One request and its whole answer; whether the connection ends with it.
async fn exchange(stream: &mut TcpStream) -> Result<bool, String> {
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let sent = stream.write_all(request).await;
    sent.map_err(|error| format!("send: {error}"))?;
    let mut answer = Vec::new();
    loop {
        let read = stream.read_buf(&mut answer).await;
        let read = read.map_err(|error| format!("read: {error}"))?;
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        if read == 0 {
            return Err(format!("the connection has ended after `{text}`"));
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if !head.starts_with("http/1.1 200 ") {
            return Err(format!("it answers `{text}`"));
        }
        if body == "fine" {
            return Ok(head.contains("connection: close"));
        }
    }
}
