//! The life of the process: started, told things by signals and by admin, and ended.

use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Options, Running, StartError, begin, systemd,
    upgrade::{self, Predecessor, Program},
};
use crate::admin::{Upgrade, Wish};

/// Starts everything, follows signals until one ends it: SIGHUP reads the file again, SIGUSR2
/// starts a new process in this one's place, SIGTERM and SIGINT drain and end, a second one at
/// once.
///
/// `levels` chooses which lines are logged from then on.
pub fn run(
    options: &Options,
    levels: impl Fn(&str) -> Result<(), String>,
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?;
    let program = Program::of_this_process().context("cannot tell what this program is")?;
    let signals = runtime.block_on(async { Signals::listen() });
    let signals = signals.context("cannot listen for signals")?;
    let old = Predecessor::meet().context("cannot meet the old process")?;
    let inherited = match &old {
        Some(old) => old.sockets().context("cannot take over the sockets")?,
        None => systemd::sockets().context("cannot take the sockets of systemd")?,
    };
    let begun = begin(options, inherited, old.as_ref());
    if let (Some(old), Err(error)) = (&old, &begun) {
        old.fail(&error.to_string());
    }
    let running = begun?;
    for (name, address) in &running.listeners {
        tracing::info!(listener = %name, %address, "listening");
    }
    if let Some(address) = running.admin {
        tracing::info!(%address, "admin");
    }
    if let Some(path) = running.serving.unix() {
        tracing::info!(path = %path.display(), "admin: who may open this may act");
    }
    let watchdog = systemd::watchdog(running.handle.clone());
    running.rim.spawn(watchdog)?;
    systemd::ready("serving");
    runtime.block_on(follow(running, signals, &program, levels));
    tracing::info!("ended");
    Ok(())
}

/// What people and service managers say to a process.
#[derive(Debug)]
struct Signals {
    hangup: Signal,
    upgrade: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on no signal ends the process by itself.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the word to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn follow(
    mut running: Running,
    mut signals: Signals,
    program: &Program,
    levels: impl Fn(&str) -> Result<(), String>,
) {
    loop {
        tokio::select! {
            Some(()) = signals.hangup.recv() => {
                tokio::spawn(systemd::reload(running.handle.clone()));
                continue;
            }
            Some(()) = signals.upgrade.recv() => {}
            Some(wish) = running.asked.wishes.recv() => match wish {
                Wish::Upgrade => {}
                Wish::Drain => break,
                Wish::Log(filter, answer) => {
                    // Whoever asked may be gone.
                    let _gone = answer.send(levels(&filter));
                    continue;
                }
            },
            Some(()) = signals.terminate.recv() => break,
            Some(()) = signals.interrupt.recv() => break,
        }
        let upgraded = tokio::select! {
            upgraded = upgrade(&mut running, program) => upgraded,
            () = signals.end() => break,
        };
        if upgraded {
            let drain = running.handle.config().borrow().drain;
            running.leave(drain, signals.end()).await;
            return;
        }
    }
    // If the end has come into an upgrade, what is not written yet is written now.
    running.handle.take_back().await;
    systemd::stopping();
    let drain = running.handle.config().borrow().drain;
    tracing::info!(timeout = ?drain.timeout, lag = ?drain.lag, "going down");
    running.stop(drain, signals.end()).await;
}

/// Whether another process has taken this one's place.
async fn upgrade(running: &mut Running, program: &Program) -> bool {
    let told = running.asked.upgrade.clone();
    told.send_replace(Upgrade::UnderWay);
    match upgrade::hand_over(running, program, upgrade::Limits::default()).await {
        Ok(pid) => {
            tracing::info!(
                pid,
                "a new process has taken over; this one ends its requests"
            );
            true
        }
        Err(error) => {
            tracing::error!(%error, "the upgrade was given up; this process goes on");
            told.send_replace(Upgrade::Failed(error.to_string()));
            false
        }
    }
}
