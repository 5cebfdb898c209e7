//! A data plane in this process: real workers, real sockets, a plan that the test changes.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use serin::{
    config::Config,
    measure::{Cell, Ejection, EndpointCounts, Latencies, Outlets, Sample},
    model::{
        Endpoint, EndpointKey, Epoch, Generation, Moment, Nonce, Rejection, Role, Share, SplitName,
        Stage, UpstreamName,
    },
    plan::{self, Inputs, Keys, Publisher, Reader, Secrets, Shift, compile},
    proxy::{AccessLog, Setup, Sockets, Tracing, Workers},
};
use tokio::{sync::mpsc, time::Instant};

use super::certificates::Issued;

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a plan is made of.
#[derive(Debug)]
pub struct World {
    pub config: Config,
    pub endpoints: HashMap<UpstreamName, Arc<[Endpoint]>>,
    pub shifts: HashMap<SplitName, Shift>,
    secrets: Secrets,
    pub tls: plan::Tls,
    /// When plans are made; endpoints that come at zero are not new.
    pub now: Moment,
    keys: Keys,
    generation: Generation,
}

/// A running data plane.
#[derive(Debug)]
pub struct Proxy {
    pub world: World,
    pub address: SocketAddr,
    publisher: Publisher,
    reader: Reader,
    workers: Option<Workers>,
    samples: mpsc::Receiver<Box<Sample>>,
    totals: HashMap<Role, Cell>,
    pub refused: u64,
    /// Judged requests of stable's shadow part.
    pub shadow: u64,
    /// Open connections by worker, and how many were accepted in all.
    open: HashMap<u16, u64>,
    accepted: HashMap<u16, u64>,
    /// Long-lived streams by worker and part.
    streams: HashMap<(u16, Role), u64>,
    /// By worker: bytes of bodies that are held, and requests under way at endpoints.
    burden: HashMap<u16, (u64, u64)>,
    /// TLS handshakes by worker: done, and failed.
    handshakes: HashMap<u16, (u64, u64)>,
    /// Rejections by worker.
    rejections: HashMap<(u16, Rejection), u64>,
    /// Judged requests by endpoint.
    pub endpoints: HashMap<(Role, EndpointKey), EndpointCounts>,
    /// Endpoints that were ejected and not asked for yet.
    ejections: VecDeque<Ejection>,
    /// What became of log lines and spans.
    pub outlets: Outlets,
    tellers: Vec<JoinHandle<()>>,
}

/// A file that listens on a port of the system's choice and sends everything to one split `shop`
/// with the versions `old` and `new`; `more` is added to the split.
pub fn file(more: &str) -> String {
    format!(
        "listen: \"127.0.0.1:0\"\n\
         upstreams:\n\
         \x20 old: {{ static: [\"127.0.0.1:1\"] }}\n\
         \x20 new: {{ static: [\"127.0.0.1:2\"] }}\n\
         splits:\n\
         \x20 shop:\n\
         \x20   stable: old\n\
         \x20   canary: new\n{more}"
    )
}

/// The same file with these keys more of its listener and of each upstream, in YAML's flow style.
pub fn edge(listener: &str, upstream: &str, more: &str) -> Config {
    let first = format!("listeners:\n- {{ name: edge, address: \"127.0.0.1:0\", {listener} }}\n");
    let text = file(more)
        .replace("\"] }", &format!("\"], {upstream} }}"))
        .replace("listen: \"127.0.0.1:0\"\n", &first);
    let loaded = serin::config::load(&text, "test.yaml");
    let (config, _) = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    config
}

/// A data plane with two versions, each with the endpoints given.
pub fn proxy(stable: &[SocketAddr], canary: &[SocketAddr], percent: u16, more: &str) -> Proxy {
    Proxy::start(config(more), stable, canary, percent)
}

/// The same with one worker only, so that it sees every request.
pub fn one_worker(stable: &[SocketAddr], canary: &[SocketAddr], percent: u16, more: &str) -> Proxy {
    Proxy::with_workers(1, config(more), stable, canary, percent)
}

fn config(more: &str) -> Config {
    let loaded = serin::config::load(&file(more), "test.yaml");
    let (config, _) = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    config
}

impl Proxy {
    pub fn start(
        config: Config,
        stable: &[SocketAddr],
        canary: &[SocketAddr],
        percent: u16,
    ) -> Self {
        Self::with_workers(2, config, stable, canary, percent)
    }

    pub fn with_workers(
        workers: u16,
        config: Config,
        stable: &[SocketAddr],
        canary: &[SocketAddr],
        percent: u16,
    ) -> Self {
        let tls = plan::Tls::default();
        Self::begin((workers, config, tls), (stable, canary), percent)
    }

    /// With one worker, one version, and certificates: each `NAME.pem` and `NAME.key` of the
    /// configuration is of the certificate with this name.
    pub fn secure(config: Config, issued: &[(&str, &Issued)], stable: &[SocketAddr]) -> Self {
        let files = plan::tls_files(&config).into_iter().map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let (_, issued) = issued.iter().find(|(known, _)| *known == name).unwrap();
            let is_key = path.extension().is_some_and(|end| end == "key");
            let content = if is_key {
                &issued.key
            } else {
                &issued.certificate
            };
            (path.to_owned(), content.clone().into_bytes())
        });
        let (tls, problems) = plan::Tls::read(&config, &files.collect(), &[]);
        assert!(problems.is_empty(), "{problems:?}");
        Self::begin((1, config, tls), (stable, &[]), 0)
    }

    fn begin(
        (workers, config, tls): (u16, Config, plan::Tls),
        (stable, canary): (&[SocketAddr], &[SocketAddr]),
        percent: u16,
    ) -> Self {
        let list = |addresses: &[SocketAddr]| -> Arc<[Endpoint]> {
            addresses
                .iter()
                .map(|address| Endpoint::new(*address))
                .collect()
        };
        let mut world = World {
            endpoints: HashMap::from([
                (UpstreamName::new("old").unwrap(), list(stable)),
                (UpstreamName::new("new").unwrap(), list(canary)),
            ]),
            shifts: HashMap::new(),
            secrets: Secrets {
                default: b"a secret for tests".to_vec(),
                ..Secrets::default()
            },
            tls,
            now: Moment::ZERO,
            keys: Keys::default(),
            generation: Generation(0),
            config,
        };
        world.shift(percent, 1);
        let (publisher, reader) = plan::channel(world.plan(None));
        let (tell, samples) = mpsc::channel(64);
        let listeners = world.config.listeners.iter();
        let wanted: Vec<_> = listeners.map(|it| (it.name.clone(), it.address)).collect();
        let (outlets, mut tellers) = (Outlets::default(), Vec::new());
        let (access_log, tracing) = telling(&world.config, &outlets, &mut tellers);
        let setup = Setup {
            sockets: Sockets::open(workers, &wanted, Vec::new()).unwrap(),
            reader: reader.clone(),
            samples: tell,
            access_log,
            tracing,
        };
        let workers = Workers::start(setup).unwrap();
        let address = workers.addresses()[0].1;
        Self {
            world,
            address,
            publisher,
            reader,
            workers: Some(workers),
            samples,
            totals: HashMap::new(),
            refused: 0,
            shadow: 0,
            open: HashMap::new(),
            accepted: HashMap::new(),
            streams: HashMap::new(),
            rejections: HashMap::new(),
            burden: HashMap::new(),
            handshakes: HashMap::new(),
            endpoints: HashMap::new(),
            ejections: VecDeque::new(),
            outlets,
            tellers,
        }
    }

    /// Changes what the plan is made of and puts the new plan in force.
    pub fn change(&mut self, change: impl FnOnce(&mut World)) {
        change(&mut self.world);
        let previous = Arc::clone(self.reader.current());
        let plan = self.world.plan(Some(&previous));
        assert!(self.publisher.publish(plan), "generations rise");
    }

    /// Waits until what was counted for a role is as wanted.
    pub async fn counted(&mut self, role: Role, is_enough: impl Fn(&Cell) -> bool) -> Cell {
        let until = Instant::now() + PATIENCE;
        loop {
            let cell = self.totals.entry(role).or_default();
            if is_enough(cell) {
                return cell.clone();
            }
            assert!(Instant::now() < until, "counted only {cell:?}");
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    /// Waits until so many requests were refused before they reached a split.
    pub async fn refused(&mut self, count: u64) {
        while self.refused < count {
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    /// Waits until so many connections are open; how many each worker has, the fewest first.
    pub async fn open(&mut self, count: u64) -> Vec<u64> {
        while self.open.values().sum::<u64>() != count {
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
        let mut open: Vec<_> = self.open.values().copied().collect();
        open.sort_unstable();
        open
    }

    /// The most connections that are open at once while workers tell so many times.
    pub async fn most_open(&mut self, times: usize) -> u64 {
        let mut most = 0;
        for _ in 0..times {
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
            most = most.max(self.open.values().sum());
        }
        most
    }

    /// The most judged attempts that are under way at once in one worker, while workers tell so
    /// many times after the first one was seen.
    pub async fn most_under_way(&mut self, times: usize) -> u64 {
        let (mut most, mut seen) = (0, 0);
        while seen < times {
            seen += usize::from(most > 0);
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
            let ages = sample.gauges.in_flight.values();
            most = most.max(ages.map(Latencies::count).sum());
        }
        most
    }

    /// Waits until so many connections were accepted, or more; how many.
    pub async fn accepted(&mut self, count: u64) -> u64 {
        loop {
            let accepted = self.accepted.values().sum();
            if accepted >= count {
                return accepted;
            }
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    /// Waits until so many long-lived streams of a part are open.
    pub async fn exposed(&mut self, role: Role, count: u64) {
        let until = Instant::now() + PATIENCE;
        while self.exposed_now(role) != count {
            let now = self.exposed_now(role);
            assert!(Instant::now() < until, "{now} streams are open");
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    fn exposed_now(&self, role: Role) -> u64 {
        let of_role = self.streams.iter().filter(|((_, known), _)| *known == role);
        of_role.map(|(_, count)| count).sum()
    }

    /// Waits until so much was refused by this cause.
    pub async fn rejected(&mut self, cause: Rejection, count: u64) {
        let until = Instant::now() + PATIENCE;
        loop {
            let of_cause = self.rejections.iter().filter(|((_, it), _)| *it == cause);
            let now: u64 = of_cause.map(|(_, count)| count).sum();
            if now == count {
                return;
            }
            assert!(Instant::now() < until, "{now}: {:?}", self.rejections);
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    /// How many bytes of bodies are held, once it is as wanted.
    pub async fn held_bytes(&mut self, is_enough: impl Fn(u64) -> bool) -> u64 {
        loop {
            let held = self.burden.values().map(|(held, _)| held).sum();
            if is_enough(held) {
                return held;
            }
            self.next_sample().await;
        }
    }

    /// Waits until no endpoint has a request under way.
    pub async fn endpoints_rest(&mut self) {
        self.next_sample().await;
        while self.burden.values().any(|(_, busy)| *busy > 0) {
            self.next_sample().await;
        }
    }

    async fn next_sample(&mut self) {
        let next = tokio::time::timeout(PATIENCE, self.samples.recv()).await;
        let sample = next.expect("a sample in time").expect("workers run");
        self.take(&sample);
    }

    /// TLS handshakes, done and failed, once so many are done.
    pub async fn handshakes(&mut self, done: u64) -> (u64, u64) {
        loop {
            let all = self.handshakes.values();
            let sum = all.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
            if sum.0 >= done {
                return sum;
            }
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    /// Waits until so many judged attempts are under way, those that wait for their turn too.
    pub async fn under_way(&mut self, count: u64) {
        loop {
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
            let ages = sample.gauges.in_flight.values();
            if ages.map(Latencies::count).sum::<u64>() == count {
                return;
            }
        }
    }

    /// The next endpoint that was ejected.
    pub async fn ejection(&mut self) -> Ejection {
        loop {
            if let Some(ejection) = self.ejections.pop_front() {
                return ejection;
            }
            let sample = self.samples.recv().await.expect("workers run");
            self.take(&sample);
        }
    }

    /// An endpoint that was ejected already.
    pub fn ejected(&mut self) -> Option<Ejection> {
        self.samples_waiting();
        self.ejections.pop_front()
    }

    /// How many samples were handed over since they were last taken; they are counted.
    pub fn samples_waiting(&mut self) -> usize {
        let mut waiting = 0;
        while let Ok(sample) = self.samples.try_recv() {
            self.take(&sample);
            waiting += 1;
        }
        waiting
    }

    fn take(&mut self, sample: &Sample) {
        let listeners = &sample.gauges.listeners;
        let open = listeners.iter().map(|listener| listener.open).sum();
        self.open.insert(sample.worker, open);
        let accepted = listeners.iter().map(|listener| listener.accepted).sum();
        self.accepted.insert(sample.worker, accepted);
        self.streams
            .retain(|(worker, _), _| *worker != sample.worker);
        for (key, count) in &sample.gauges.streams {
            let streams = self.streams.entry((sample.worker, key.role));
            *streams.or_default() += count;
        }
        let (_, busy) = sample.gauges.upstream_connections;
        let burden = (sample.gauges.held_bytes, busy);
        self.burden.insert(sample.worker, burden);
        let handshakes = listeners.iter().map(|listener| listener.handshakes);
        let sum = handshakes.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        self.handshakes.insert(sample.worker, sum);
        for (cause, count) in &sample.gauges.rejections {
            self.rejections.insert((sample.worker, *cause), *count);
        }
        for (key, cell) in &sample.cells {
            self.totals.entry(key.role).or_default().merge(cell);
            self.shadow += if key.is_shadow { cell.trials } else { 0 };
        }
        for (label, counts) in &sample.endpoints {
            let known = self.endpoints.entry((label.role, label.endpoint));
            known.or_default().merge(counts);
        }
        self.refused += sample.refused.sum(|_| true);
        self.ejections.extend(&sample.ejections);
    }

    /// Begins to go down.
    pub fn drain(&self, timeout: Duration) {
        self.workers.as_ref().unwrap().drain(timeout);
    }

    /// Ends, and waits until all was told that is told of requests.
    pub async fn end(mut self) {
        let workers = self.workers.take().unwrap();
        let tellers = std::mem::take(&mut self.tellers);
        // Origins and collectors go on meanwhile.
        let ended = tokio::task::spawn_blocking(move || {
            workers.drain(Duration::ZERO);
            workers.join();
            for teller in tellers {
                teller.join().unwrap();
            }
        });
        ended.await.unwrap();
    }

    /// Whether every worker has ended.
    pub fn is_finished(&self) -> bool {
        self.workers.as_ref().unwrap().is_finished()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.drain(Duration::ZERO);
            workers.join();
        }
    }
}

/// Starts what tells of requests, if the file asks for it.
fn telling(
    config: &Config,
    outlets: &Outlets,
    tellers: &mut Vec<JoinHandle<()>>,
) -> (Option<AccessLog>, Option<Tracing>) {
    let access_log = config.access_log.as_ref().map(|settings| {
        let started = AccessLog::start(settings, outlets.log_dropped.clone());
        let (sink, thread) = started.unwrap();
        tellers.push(thread);
        sink
    });
    let tracing = config.tracing.as_ref().map(|settings| {
        let (tracing, thread) = Tracing::start(settings, outlets).unwrap();
        tellers.push(thread);
        tracing
    });
    (access_log, tracing)
}

impl World {
    /// Gives the canary this share, as the rollout of this epoch.
    pub fn shift(&mut self, percent: u16, epoch: u64) {
        let name = SplitName::new("shop").unwrap();
        let stage = self
            .shifts
            .get(&name)
            .map_or(Stage(1), |shift| shift.stage.next());
        let share = Share::from_basis_points(percent * 100).unwrap();
        let shift = Shift {
            epoch: Epoch(epoch),
            nonce: Nonce(7),
            stage,
            share,
        };
        self.shifts.insert(name, shift);
    }

    fn plan(&mut self, previous: Option<&plan::Plan>) -> plan::Plan {
        self.generation = self.generation.next();
        let inputs = Inputs {
            config: &self.config,
            endpoints: &self.endpoints,
            shifts: &self.shifts,
            secrets: &self.secrets,
            tls: &self.tls,
            previous,
            generation: self.generation,
            now: self.now,
        };
        compile(&inputs, &mut self.keys)
    }
}
