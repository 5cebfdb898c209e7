//! The composition root: makes the rooms and wires the channels. The only file that knows all
//! rooms; `app/run.rs` follows signals.
//!
//! Threads: one a worker; `control`, which runs the one loop and discovery; `rim`, which serves
//! admin; the writers of the journal and of the access log; the sender of spans. None of them can
//! stop a worker.

mod descriptors;
mod run;
mod state;
mod systemd;
mod telling;
mod upgrade;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    runtime::Runtime,
    time::{MissedTickBehavior, interval},
};

pub use self::run::run;
use self::{
    telling::{Tellers, Telling},
    upgrade::Predecessor,
};
use crate::{
    admin::{self, Bind},
    config::{AdminSocket, Drain, Problems},
    control::{Control, Handle, Opened, Setup, read_config},
    model::ListenerName,
    proxy::{self, Workers},
};

/// How often the end of the workers is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// What a person says at the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file.
    pub config: PathBuf,
    /// Where rollout state is kept, instead of what the file says.
    pub state_dir: Option<PathBuf>,
}

/// Why Serin did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is wrong; the problems are shown as they are.
    #[error("{0}")]
    Config(Problems),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Serin at work.
#[derive(Debug)]
pub struct Running {
    /// The addresses that are listened on, with the ports that the system chose.
    pub listeners: Vec<(ListenerName, SocketAddr)>,
    /// Where admin answers over TCP.
    pub admin: Option<SocketAddr>,
    /// The way to control.
    pub handle: Handle,
    workers: Workers,
    control: JoinHandle<()>,
    /// Dropped last: admin is served on it.
    rim: Rim,
    serving: admin::Serving,
    asked: admin::Asked,
    tellers: Tellers,
}

/// Sockets that another process has made.
#[derive(Debug, Default)]
struct Inherited {
    listeners: Vec<proxy::Taken>,
    admin: admin::Taken,
}

/// Starts everything; it runs until [`Running::stop`]. Needs no runtime of the caller's.
pub fn start(options: &Options) -> Result<Running, StartError> {
    begin(options, Inherited::default(), None)
}

fn begin(
    options: &Options,
    inherited: Inherited,
    old: Option<&Predecessor>,
) -> Result<Running, StartError> {
    let loaded = read_config(&options.config).map_err(StartError::Config)?;
    let setup = Setup {
        path: Some(options.config.clone()),
        state_dir: state::directory(options, &loaded.config)?,
        loaded,
    };
    Ok(compose(setup, inherited, old)?)
}

fn compose(
    setup: Setup,
    inherited: Inherited,
    old: Option<&Predecessor>,
) -> anyhow::Result<Running> {
    let config = setup.loaded.config.clone();
    descriptors::provide(&config);
    let listeners = config.listeners.iter();
    let wanted: Vec<_> = listeners.map(|it| (it.name.clone(), it.address)).collect();
    let workers = config.workers.map_or_else(cores, Ok)?;
    let sockets = proxy::Sockets::open(workers, &wanted, inherited.listeners)?;
    let telling = Telling::start(&config)?;
    let rim = Rim::new()?;
    let bind = Bind {
        http: config.admin.http,
        unix: state::socket(&config, setup.state_dir.as_deref()),
        is_unix_optional: config.admin.unix == AdminSocket::Own,
    };
    let taken = inherited.admin;
    let admin = rim.run(async move { admin::Sockets::open(&bind, taken).await })??;
    // All that can be wrong with the file has shown itself. What follows changes the state.
    let old_is_ready = old.map(Predecessor::journal).transpose()?;
    let Opened {
        control,
        handle,
        reader,
        samples,
    } = Control::open(setup);
    let control = run_control(control)?;
    if let (Some(old), Some(old_is_ready)) = (old, old_is_ready) {
        rim.run(upgrade::become_ready(handle.clone(), old_is_ready))??;
        old.go()?;
    }
    let workers = Workers::start(proxy::Setup {
        sockets,
        reader,
        samples,
        access_log: telling.access_log,
        tracing: telling.tracing,
    })?;
    let (process, asked) = admin::Process::new(telling.outlets);
    let serving = rim.run(serve(admin, handle.clone(), process))?;
    Ok(Running {
        listeners: workers.addresses().to_vec(),
        admin: serving.http(),
        handle,
        workers,
        control,
        rim,
        serving,
        asked,
        tellers: telling.tellers,
    })
}

/// Begins to serve admin, and tells control that all listeners are open.
async fn serve(sockets: admin::Sockets, handle: Handle, process: admin::Process) -> admin::Serving {
    let serving = sockets.serve(handle.clone(), process);
    handle.listening().await;
    serving
}

fn run_control(control: Control) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new().name("control".to_owned());
    Ok(thread.spawn(move || runtime.block_on(control.run()))?)
}

/// The runtime on which admin is served. It can be made and dropped on any thread, one that runs
/// another runtime included.
#[derive(Debug)]
struct Rim(Option<Runtime>);

impl Rim {
    fn new() -> io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime
            .worker_threads(1)
            .thread_name("rim")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs something on it.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        self.0.as_ref().context("the rim has ended")?.spawn(work);
        Ok(())
    }

    /// Runs something on it, and waits for what comes of it.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let work = async move {
            // The one who waits is below.
            let _waiting = tell.send(work.await);
        };
        self.spawn(work)?;
        told.recv().context("the rim has ended")
    }
}

impl Drop for Rim {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn cores() -> anyhow::Result<u16> {
    let cores = thread::available_parallelism().context("cannot tell how many cores there are")?;
    Ok(u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

impl Running {
    /// Goes down: readiness ends, new connections are still taken for `lag`, requests under way
    /// end within `timeout`; then everything stops. A second signal (`hurry`) cuts it short.
    pub async fn stop(self, drain: Drain, hurry: impl Future<Output = ()>) {
        self.handle.drain().await;
        tokio::pin!(hurry);
        let hurried = tokio::select! {
            () = tokio::time::sleep(drain.lag) => false,
            () = &mut hurry => true,
        };
        self.workers.drain(if hurried {
            Duration::ZERO
        } else {
            drain.timeout
        });
        self.end(hurry).await;
    }

    /// Goes down after another process has taken this one's place: nobody has to notice.
    async fn leave(self, drain: Drain, hurry: impl Future<Output = ()>) {
        self.workers.leave(drain.timeout);
        tokio::pin!(hurry);
        self.end(hurry).await;
    }

    async fn end(self, hurry: impl Future<Output = ()>) {
        tokio::select! {
            () = ended(&self.workers) => {}
            () = hurry => {
                self.workers.drain(Duration::ZERO);
                ended(&self.workers).await;
            }
        }
        self.workers.join();
        self.serving.stop().await;
        self.handle.close().await;
        join("control", self.control);
        self.tellers.end().await;
        drop(self.rim);
    }
}

/// Waits until every worker has ended.
async fn ended(workers: &Workers) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !workers.is_finished() {
        let _at = look.tick().await;
    }
}

fn join(name: &str, thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the {name} thread ended by a panic");
    }
}
