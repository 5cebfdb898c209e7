//! The versions: endpoints that answer after a while, until a fault is switched on.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::support::origin::{Origin, Seen, answer, request};

/// Latency is lognormal: its median, and the deviation of its logarithm.
const MEDIAN: Duration = Duration::from_millis(50);
const SIGMA: f64 = 0.5;
/// One in twenty deviates by more.
const SLOWEST_TWENTIETH: f64 = 1.645;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Nothing,
    /// Requests whose path begins so are answered 500.
    Fails(&'static str),
    /// Requests are taken and never answered.
    Hangs,
    /// Each takes twice as long.
    Doubles,
    /// The slowest twentieth takes twice as long, the others as long as ever.
    DoublesTail,
}

/// Requests that a fault has hit.
#[derive(Debug, Default)]
pub(crate) struct Hit {
    first: OnceLock<Instant>,
    count: AtomicU64,
}

impl Hit {
    /// When the first came.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }

    /// How many came.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn add(&self, at: Instant) {
        self.first.get_or_init(|| at);
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// A version with its endpoints.
#[derive(Debug)]
pub(crate) struct Version {
    endpoints: Vec<(Origin, watch::Sender<Fault>)>,
    pub(crate) hit: Arc<Hit>,
}

impl Version {
    /// A good one.
    pub(crate) async fn of(endpoints: usize) -> Self {
        let hit = Arc::new(Hit::default());
        let mut version = Self {
            endpoints: Vec::new(),
            hit: Arc::clone(&hit),
        };
        for _ in 0..endpoints {
            let (switch, fault) = watch::channel(Fault::Nothing);
            let hit = Arc::clone(&hit);
            let serve = move |stream| serve(stream, fault.clone(), Arc::clone(&hit));
            let origin = Origin::doing(serve).await;
            version.endpoints.push((origin, switch));
        }
        version
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let origins = self.endpoints.iter();
        origins.map(|(origin, _)| origin.address).collect()
    }

    /// From now on so many of its endpoints have a fault.
    pub(crate) fn spoil(&self, count: usize, fault: Fault) {
        for (_, switch) in self.endpoints.iter().take(count) {
            switch.send_replace(fault);
        }
    }
}

async fn serve(mut stream: TcpStream, fault: watch::Receiver<Fault>, hit: Arc<Hit>) {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await {
        let arrived = Instant::now();
        let fault = *fault.borrow();
        if fault == Fault::Hangs {
            hit.add(arrived);
            std::future::pending::<()>().await;
        }
        let (latency, status, is_hit) = course(fault, &seen);
        if is_hit {
            hit.add(arrived);
        }
        sleep_until(arrived + latency).await;
        if stream.write_all(&answer(status, "")).await.is_err() {
            return;
        }
    }
}

/// How long a request takes, its status, and whether the fault hits it.
fn course(fault: Fault, seen: &Seen) -> (Duration, u16, bool) {
    let deviation = normal();
    let latency = MEDIAN.mul_f64((SIGMA * deviation).exp());
    match fault {
        Fault::Fails(path) if seen.path().starts_with(path) => (latency, 500, true),
        Fault::Doubles => (2 * latency, 200, true),
        Fault::DoublesTail if deviation > SLOWEST_TWENTIETH => (2 * latency, 200, true),
        Fault::Nothing | Fault::Fails(_) | Fault::Hangs | Fault::DoublesTail => {
            (latency, 200, false)
        }
    }
}

/// A standard normal number, by Box and Muller.
fn normal() -> f64 {
    let (radius, angle) = (1.0 - fastrand::f64(), fastrand::f64());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
