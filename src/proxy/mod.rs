//! The data plane: takes connections, forwards requests, records what happened.
//!
//! *Owns:* workers and everything on the path of a request.
//! *Does not know:* rollouts, judges, operators, files. It obeys a plan and writes a recorder.
//! *Invariants:* I3; I5 (a request reads one plan); I6 (no lock, no wait for another thread, no
//! shared written cache line per request); I11 (the side of a fault decides what is counted).
//! *Read next:* `worker.rs`, `accept.rs`, `crew.rs`, `h1/downstream.rs`, `handle.rs`, `forward.rs`.

mod accept;
mod access_log;
mod adaptive;
mod addresses;
mod arrival;
mod begin;
mod breaker;
mod budget;
mod buffer;
mod choose;
mod connect;
mod course;
mod crew;
mod date;
mod decide;
mod ewma;
mod fault;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grpc;
pub mod h1;
mod h2;
mod handle;
mod headers;
mod hedges;
mod hoard;
mod lend;
mod listener;
mod outlet;
mod pace;
mod pool;
pub mod proxy_protocol;
mod race;
mod settle;
mod sockets;
mod story;
mod streams;
mod text;
mod timer;
mod trace;
mod upgrade;
mod warm_up;
mod websocket;
mod wire;
mod worker;

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, thread, time::Duration};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use self::{
    accept::Listeners,
    access_log::Log,
    crew::{Crew, Door},
    trace::Tracer,
    worker::Worker,
};
pub use self::{
    access_log::Sink as AccessLog,
    sockets::{Lent, Maker, Sockets, Taken},
    trace::{StartError as TracingError, Tracing},
};
use crate::{measure::Sample, model::ListenerName, net, plan::Reader};

/// How long connections without a request are kept after a drain has begun.
const GRACE: Duration = Duration::from_secs(1);
/// How long a connection that a client has begun to make may take to come into the queue, before
/// the listening socket is closed: some round trips.
const ARRIVAL: Duration = Duration::from_millis(200);

/// What the workers need.
#[derive(Debug)]
pub struct Setup {
    /// What they listen on; there are as many workers as it was made for.
    pub sockets: Sockets,
    /// The plan; cloned for each worker.
    pub reader: Reader,
    /// Where samples go.
    pub samples: mpsc::Sender<Box<Sample>>,
    /// The access log, if any.
    pub access_log: Option<AccessLog>,
    /// Where spans go, if anywhere.
    pub tracing: Option<Tracing>,
}

/// Why the workers could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (listener `{name}`): free it or choose another address")]
    Listen {
        /// The listener.
        name: ListenerName,
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("cannot start a worker thread")]
    Thread(#[source] io::Error),
}

/// What workers are told; each order includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Work,
    /// Accept no more, end connections after their request.
    Drain(Drain),
}

/// How workers go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drain {
    /// Until then.
    until: Instant,
    /// Another process has the listening sockets now and goes on with their queues.
    are_handed_over: bool,
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<thread::JoinHandle<()>>,
    orders: watch::Sender<Order>,
    /// Each worker's ear for those who want its listening sockets.
    lenders: Vec<mpsc::Sender<Borrower>>,
    addresses: Vec<(ListenerName, SocketAddr)>,
}

/// Where a worker's listening sockets are wanted.
type Borrower = oneshot::Sender<Vec<Lent>>;

impl Workers {
    /// Starts the workers on sockets that are bound.
    pub fn start(setup: Setup) -> Result<Self, StartError> {
        let (orders, _) = watch::channel(Order::Work);
        let Sockets {
            by_worker,
            kept,
            addresses,
        } = setup.sockets;
        let kept: Arc<[ListenerName]> = kept.into();
        let mut threads = Vec::new();
        let mut lenders = Vec::new();
        let workers = u16::try_from(by_worker.len()).unwrap_or(u16::MAX);
        let crew = Crew::seats(workers);
        for ((number, bound), (crew, door)) in (0..workers).zip(by_worker).zip(crew) {
            let (lender, borrowers) = mpsc::channel(1);
            lenders.push(lender);
            let seat = Seat {
                number,
                workers,
                reader: setup.reader.clone(),
                samples: setup.samples.clone(),
                access_log: setup.access_log.clone(),
                tracing: setup.tracing.clone(),
                orders: orders.subscribe(),
                borrowers,
                kept: Arc::clone(&kept),
                bound,
                crew,
                door,
            };
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            threads.push(
                thread
                    .spawn(move || seat.run())
                    .map_err(StartError::Thread)?,
            );
        }
        Ok(Self {
            threads,
            orders,
            lenders,
            addresses,
        })
    }

    /// The addresses that are listened on, with the ports that the system chose.
    pub fn addresses(&self) -> &[(ListenerName, SocketAddr)] {
        &self.addresses
    }

    /// A second hold on every listening socket, for the process that takes this one's place.
    pub async fn lend(&self) -> Vec<Lent> {
        let mut all = Vec::new();
        for lender in &self.lenders {
            let (borrower, lent) = oneshot::channel();
            // A worker that has ended has no sockets.
            let _ended = lender.send(borrower).await;
            all.extend(lent.await.unwrap_or_default());
        }
        all
    }

    /// Accepts no more, lets requests under way finish, ends after `timeout` at the latest.
    pub fn drain(&self, timeout: Duration) {
        self.end(timeout, false);
    }

    /// The same, after another process has got the listening sockets.
    pub fn leave(&self, timeout: Duration) {
        self.end(timeout, true);
    }

    fn end(&self, timeout: Duration, are_handed_over: bool) {
        let until = Instant::now() + timeout;
        self.orders.send_replace(Order::Drain(Drain {
            until,
            are_handed_over,
        }));
    }

    /// Waits until every worker has ended; they end after a drain only.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    }

    /// Whether every worker has ended.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(thread::JoinHandle::is_finished)
    }
}

/// What one worker's thread starts with.
#[derive(Debug)]
struct Seat {
    number: u16,
    workers: u16,
    reader: Reader,
    samples: mpsc::Sender<Box<Sample>>,
    access_log: Option<AccessLog>,
    tracing: Option<Tracing>,
    orders: watch::Receiver<Order>,
    borrowers: mpsc::Receiver<Borrower>,
    kept: Arc<[ListenerName]>,
    bound: Vec<(ListenerName, net::Bound)>,
    crew: Crew,
    door: Door,
}

impl Seat {
    fn run(self) {
        match Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
        {
            Ok(runtime) => runtime.block_on(self.work()),
            Err(error) => tracing::error!(%error, "cannot make a worker's runtime"),
        }
    }

    async fn work(mut self) {
        let told = (self.access_log.map(Log::new), self.tracing.map(Tracer::new));
        let worker = Worker::new((self.number, self.workers), self.reader, self.samples, told);
        let listeners = Listeners::new(self.workers, self.crew);
        let plan = worker.plan();
        listeners.open(&worker, &plan.listeners, self.bound);
        drop(plan);
        let ticking = tokio::task::spawn_local(worker.clone().tick(listeners.clone()));
        let drain = loop {
            match *self.orders.borrow_and_update() {
                Order::Drain(drain) => break drain,
                Order::Work => {}
            }
            tokio::select! {
                changed = self.orders.changed() => if changed.is_err() {
                    break Drain { until: Instant::now(), are_handed_over: false };
                },
                Some(handed) = self.door.recv() => listeners.take_over(&worker, handed),
                Some(borrower) = self.borrowers.recv() => lend(&listeners, &self.kept, borrower),
            }
        };
        // Answers say that the connection ends; a client that is just sending its next request on
        // it gets its answer too. Only then the silent ones are let go.
        let until = drain.until;
        let began = Instant::now();
        // After an upgrade nobody waits for the end, so the silent ones may come back until then.
        let grace = if drain.are_handed_over {
            until
        } else {
            until.min(began + GRACE)
        };
        worker.drain(until, grace - began);
        if !drain.are_handed_over {
            // Those come in who have begun to connect, and nobody else: what is in the queue of a
            // socket that is closed is reset.
            listeners.turn_away(|name| !self.kept.contains(name));
            let arrived = until.min(Instant::now() + ARRIVAL);
            take_over_until(arrived, &worker, &listeners, &mut self.door).await;
        }
        listeners.close().await;
        // What others have handed over until now is served like what the kernel has queued.
        self.door.close();
        while let Some(handed) = self.door.recv().await {
            listeners.take_over(&worker, handed);
        }
        let _silent_ones_left =
            tokio::time::timeout_at(grace, accept::all_closed(&listeners)).await;
        worker.end_idle();
        let ended = tokio::time::timeout_at(until, accept::all_closed(&listeners)).await;
        if ended.is_err() {
            let open = listeners.open_connections();
            tracing::warn!(open, "the drain's time is over: connections are cut off");
        }
        ticking.abort();
        worker.hand_over(&listeners, Instant::now());
    }
}

/// Gives away a second hold on each listening socket.
fn lend(listeners: &Listeners, kept: &[ListenerName], borrower: Borrower) {
    let lent = listeners.lend().into_iter().map(|(name, socket)| Lent {
        maker: if kept.contains(&name) {
            Maker::Systemd
        } else {
            Maker::Serin
        },
        name,
        socket,
    });
    // Whoever asked may be gone.
    let _gone = borrower.send(lent.collect());
}

/// Serves what other workers hand over, until a moment.
async fn take_over_until(
    moment: Instant,
    worker: &Rc<Worker>,
    listeners: &Listeners,
    door: &mut Door,
) {
    let over = tokio::time::sleep_until(moment);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            Some(handed) = door.recv() => listeners.take_over(worker, handed),
        }
    }
}
