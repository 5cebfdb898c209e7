//! The programs of a fleet: tasks that answer, break, go down in good order or at once; and the
//! book of all that they ever took.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::support::origin::{Seen, request};

/// How long a task takes to answer.
const WORK: Duration = Duration::from_millis(3);

/// What is wrong with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Nothing,
    /// Three requests in ten are answered 500.
    Fails,
    /// Requests are taken and the connection is broken.
    Resets,
    /// Requests are taken and never answered.
    Hangs,
}

/// Numbers of the POST requests that tasks took.
pub(crate) type Book = mpsc::UnboundedSender<u64>;

/// How a task is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Serving(Fault),
    /// It takes no more connections, and ends those it has after their next answer.
    Leaving,
}

/// One program at an address; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) address: SocketAddr,
    life: watch::Sender<Life>,
    /// POST requests under way.
    posts: watch::Sender<usize>,
    server: JoinHandle<()>,
}

/// What a connection of a task needs to know.
#[derive(Debug, Clone)]
struct Shared {
    lives: watch::Receiver<Life>,
    posts: watch::Sender<usize>,
    book: Book,
}

impl Task {
    /// One that serves at an address; port 0: any.
    pub(crate) async fn at(address: SocketAddr, fault: Fault, book: &Book) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (life, lives) = watch::channel(Life::Serving(fault));
        let (posts, _) = watch::channel(0);
        let shared = Shared {
            lives,
            posts: posts.clone(),
            book: book.clone(),
        };
        let server = tokio::spawn(serve(listener, shared));
        Self {
            address,
            life,
            posts,
            server,
        }
    }

    /// It goes down as a program does that is asked to: what is under way is answered.
    pub(crate) async fn leave(mut self) {
        self.life.send_replace(Life::Leaving);
        (&mut self.server).await.unwrap();
    }

    /// It is gone at once, with all that it was doing. Nobody can save a POST that it is doing just
    /// then, so that the moment is one without.
    pub(crate) async fn die(self) {
        let mut posts = self.posts.subscribe();
        let waited = posts.wait_for(|posts| *posts == 0).await;
        self.server.abort();
        waited.unwrap();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, mut shared: Shared) {
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                serving.spawn(answer_all(stream, shared.clone()));
            }
            () = shared.left() => break,
        }
    }
    drop(listener);
    while serving.join_next().await.is_some() {}
}

impl Shared {
    /// Waits until the task is asked to go.
    async fn left(&mut self) {
        let waiting = self.lives.wait_for(|life| *life == Life::Leaving);
        let is_gone = waiting.await.is_err();
        if is_gone {
            // It is gone, and this with it.
            std::future::pending::<()>().await;
        }
    }

    /// Does one request; `None`: the connection breaks.
    async fn work(&mut self, seen: &Seen) -> Option<u16> {
        if seen.line.starts_with("POST") {
            let number = seen.field("x-number").unwrap().parse().unwrap();
            // Nobody counts after the end of a test.
            let _counted = self.book.send(number);
        }
        let life = *self.lives.borrow();
        let status = match life {
            Life::Serving(Fault::Resets) => return None,
            Life::Serving(Fault::Hangs) => std::future::pending().await,
            Life::Serving(Fault::Fails) if fastrand::f64() < 0.3 => 500,
            Life::Serving(_) | Life::Leaving => 200,
        };
        sleep_until(Instant::now() + WORK).await;
        Some(status)
    }
}

async fn answer_all(mut stream: TcpStream, mut shared: Shared) {
    let mut buffer = Vec::new();
    loop {
        let seen = tokio::select! {
            seen = request(&mut stream, &mut buffer) => seen,
            () = shared.left() => {
                if buffer.is_empty() {
                    return;
                }
                request(&mut stream, &mut buffer).await
            }
        };
        let Some(seen) = seen else { return };
        let is_post = seen.line.starts_with("POST");
        shared
            .posts
            .send_modify(|posts| *posts += usize::from(is_post));
        let status = shared.work(&seen).await;
        let is_leaving = *shared.lives.borrow() == Life::Leaving;
        let sent = match status {
            Some(status) => stream.write_all(&told(status, is_leaving)).await.is_ok(),
            None => false,
        };
        shared
            .posts
            .send_modify(|posts| *posts -= usize::from(is_post));
        if !sent {
            // As a program that crashes: what came with it is thrown away.
            let _reset = stream.set_zero_linger();
        }
        if !sent || is_leaving {
            return;
        }
    }
}

fn told(status: u16, is_last: bool) -> Vec<u8> {
    let last = if is_last { "Connection: close\r\n" } else { "" };
    format!("HTTP/1.1 {status} X\r\n{last}Content-Length: 4\r\n\r\ndone").into_bytes()
}
