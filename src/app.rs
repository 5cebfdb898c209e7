//! The composition root: makes the rooms, wires the channels, waits for signals. The only file
//! that knows all rooms.
//!
//! Threads: one a worker; `control`, which runs the one loop and discovery; `rim`, which serves
//! admin; the writer of the journal and of the access log. None of them can stop a worker.

mod state;

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
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    admin::{self, Bind},
    config::{Config, Drain, Problems},
    control::{Control, Handle, Loaded, Opened, Setup, read_config},
    model::ListenerName,
    proxy::{self, AccessLog, Workers},
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
    log: Option<JoinHandle<()>>,
}

/// Starts everything; it runs until [`Running::stop`]. Needs no runtime of the caller's.
pub fn start(options: &Options) -> Result<Running, StartError> {
    let loaded = read_config(&options.config).map_err(StartError::Config)?;
    let state_dir = state::directory(options, &loaded.config)?;
    let path = options.config.clone();
    Ok(compose(loaded, path, state_dir)?)
}

fn compose(loaded: Loaded, path: PathBuf, state_dir: Option<PathBuf>) -> anyhow::Result<Running> {
    let config = loaded.config.clone();
    let setup = Setup {
        path: Some(path),
        loaded,
        state_dir,
    };
    let (access_log, log) = access_log(&config)?;
    let Opened {
        control,
        handle,
        reader,
        samples,
    } = Control::open(setup);
    let workers = Workers::start(proxy::Setup {
        workers: config.workers.map_or_else(cores, Ok)?,
        reader,
        samples,
        access_log,
    })?;
    let control = run_control(control)?;
    let rim = Rim::new()?;
    let bind = Bind {
        http: config.admin.http,
        unix: config.admin.unix.clone(),
    };
    let serving = rim.serve(handle.clone(), bind)?;
    Ok(Running {
        listeners: workers.addresses().to_vec(),
        admin: serving.http(),
        handle,
        workers,
        control,
        rim,
        serving,
        log,
    })
}

/// Starts the writer of the access log, if the file asks for one.
fn access_log(config: &Config) -> anyhow::Result<(Option<AccessLog>, Option<JoinHandle<()>>)> {
    let Some(settings) = &config.access_log else {
        return Ok((None, None));
    };
    let (sink, thread) = AccessLog::start(settings)
        .with_context(|| format!("cannot open the access log {:?}", settings.path))?;
    Ok((Some(sink), Some(thread)))
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

    /// Begins to serve, and tells control that all listeners are open.
    fn serve(&self, handle: Handle, bind: Bind) -> anyhow::Result<admin::Serving> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let serve = async move {
            let serving = admin::serve(handle.clone(), &bind).await;
            handle.listening().await;
            // The one who waits is below.
            let _waiting = tell.send(serving);
        };
        self.0.as_ref().context("the rim has ended")?.spawn(serve);
        Ok(told.recv().context("the rim has ended")??)
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
        tokio::select! {
            () = ended(&self.workers) => {}
            () = &mut hurry => self.workers.drain(Duration::ZERO),
        }
        self.workers.join();
        self.serving.stop().await;
        self.handle.close().await;
        join("control", self.control);
        if let Some(log) = self.log {
            join("access log", log);
        }
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

/// Starts everything, follows signals until one ends it: SIGHUP reads the file again, SIGTERM and
/// SIGINT drain and end, a second one at once.
pub fn run(options: &Options) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?;
    let running = start(options)?;
    for (name, address) in &running.listeners {
        tracing::info!(listener = %name, %address, "listening");
    }
    if let Some(address) = running.admin {
        tracing::info!(%address, "admin");
    }
    Ok(runtime
        .block_on(follow_signals(running))
        .context("cannot listen for signals")?)
}

async fn follow_signals(running: Running) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            Some(()) = hangup.recv() => running.handle.reload(),
            Some(()) = terminate.recv() => break,
            Some(()) = interrupt.recv() => break,
        }
    }
    let drain = running.handle.config().borrow().drain;
    tracing::info!(timeout = ?drain.timeout, lag = ?drain.lag, "going down");
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    running.stop(drain, hurry).await;
    tracing::info!("ended");
    Ok(())
}
