//! The data plane: takes connections, forwards requests, records what happened.
//!
//! *Owns:* workers and everything on the path of a request.
//! *Does not know:* rollouts, judges, operators, files. It obeys a plan and writes a recorder.
//! *Invariants:* I3; I5 (a request reads one plan); I6 (no lock, no wait for another thread, no
//! shared written cache line per request); I11 (the side of a fault decides what is counted).
//! *Read next:* `worker.rs`, `accept.rs`, `crew.rs`, `h1/downstream.rs`, `handle.rs`, `forward.rs`.

mod accept;
mod access_log;
mod arrival;
mod budget;
mod buffer;
mod connect;
mod crew;
mod date;
mod decide;
mod fault;
mod forward;
mod grpc;
pub mod h1;
mod h2;
mod handle;
mod headers;
mod listener;
mod pace;
mod pool;
mod settle;
mod streams;
mod timer;
mod upgrade;
mod websocket;
mod wire;
mod worker;

use std::{io, net::SocketAddr, sync::Arc, thread, time::Duration};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
    time::Instant,
};

pub use self::access_log::Sink as AccessLog;
use self::{
    accept::Listeners,
    access_log::Log,
    crew::{Crew, Door},
    worker::Worker,
};
use crate::{measure::Sample, model::ListenerName, net, plan::Reader};

/// How long connections without a request are kept after a drain has begun.
const GRACE: Duration = Duration::from_secs(1);

/// What the workers need.
#[derive(Debug)]
pub struct Setup {
    /// How many.
    pub workers: u16,
    /// The plan; cloned for each worker.
    pub reader: Reader,
    /// Where samples go.
    pub samples: mpsc::Sender<Box<Sample>>,
    /// The access log, if any.
    pub access_log: Option<AccessLog>,
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
    /// Accept no more, end connections after their request, until then.
    Drain(Instant),
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<thread::JoinHandle<()>>,
    orders: watch::Sender<Order>,
    addresses: Vec<(ListenerName, SocketAddr)>,
}

impl Workers {
    /// Binds the plan's listeners and starts the workers.
    pub fn start(mut setup: Setup) -> Result<Self, StartError> {
        let plan = Arc::clone(setup.reader.current());
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        sockets.resize_with(usize::from(setup.workers), Vec::new);
        for listener in plan.listeners.iter() {
            let (name, address) = (&listener.name, listener.address);
            let failed = |source| StartError::Listen {
                name: name.clone(),
                address,
                source,
            };
            addresses.push((
                name.clone(),
                bind_all(name, address, &mut sockets).map_err(failed)?,
            ));
        }
        let (orders, _) = watch::channel(Order::Work);
        let mut threads = Vec::new();
        let crew = Crew::seats(setup.workers);
        for ((number, bound), (crew, door)) in (0..setup.workers).zip(sockets).zip(crew) {
            let seat = Seat {
                number,
                workers: setup.workers,
                reader: setup.reader.clone(),
                samples: setup.samples.clone(),
                access_log: setup.access_log.clone(),
                orders: orders.subscribe(),
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
            addresses,
        })
    }

    /// The addresses that are listened on, with the ports that the system chose.
    pub fn addresses(&self) -> &[(ListenerName, SocketAddr)] {
        &self.addresses
    }

    /// Accepts no more, lets requests under way finish, ends after `timeout` at the latest.
    pub fn drain(&self, timeout: Duration) {
        self.orders
            .send_replace(Order::Drain(Instant::now() + timeout));
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

/// Binds one socket a worker to an address; the first decides the port if it is 0.
fn bind_all(
    name: &ListenerName,
    address: SocketAddr,
    sockets: &mut [Vec<(ListenerName, net::Bound)>],
) -> io::Result<SocketAddr> {
    net::is_free(address)?;
    let mut actual = address;
    for worker in sockets {
        let socket = net::bind(actual)?;
        actual = socket.local_addr()?;
        worker.push((name.clone(), socket));
    }
    Ok(actual)
}

/// What one worker's thread starts with.
#[derive(Debug)]
struct Seat {
    number: u16,
    workers: u16,
    reader: Reader,
    samples: mpsc::Sender<Box<Sample>>,
    access_log: Option<AccessLog>,
    orders: watch::Receiver<Order>,
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
        let log = Log::new(self.access_log);
        let worker = Worker::new(self.number, self.reader, self.samples, log);
        let listeners = Listeners::new(self.workers, self.crew);
        let plan = worker.plan();
        listeners.open(&worker, &plan.listeners, self.bound);
        drop(plan);
        let ticking = tokio::task::spawn_local(worker.clone().tick(listeners.clone()));
        let until = loop {
            match *self.orders.borrow_and_update() {
                Order::Drain(until) => break until,
                Order::Work => {}
            }
            tokio::select! {
                changed = self.orders.changed() => if changed.is_err() {
                    break Instant::now();
                },
                Some(handed) = self.door.recv() => listeners.take_over(&worker, handed),
            }
        };
        // Answers say that the connection ends; a client that is just sending its next request on
        // it gets its answer too. Only then the silent ones are let go.
        worker.drain(until);
        listeners.close().await;
        // What others have handed over until now is served like what the kernel has queued.
        self.door.close();
        while let Some(handed) = self.door.recv().await {
            listeners.take_over(&worker, handed);
        }
        let grace = until.min(Instant::now() + GRACE);
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
