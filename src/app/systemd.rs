//! systemd: the sockets that it has made before us, and what it wants to be told. Under anything
//! else (no `NOTIFY_SOCKET`, no `LISTEN_FDS`) nothing of this happens.

use std::{env, io, os::fd::OwnedFd, time::Duration};

use anyhow::Context as _;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Inherited;
use crate::{
    control::Handle,
    model::ListenerName,
    net,
    proxy::{Maker, Taken},
};

/// The name of a socket that is for admin.
const ADMIN: &str = "admin";
/// Names the process that must show that it is alive; a new one in its place is another.
pub(super) const WATCHED: &str = "WATCHDOG_PID";
/// How long a reload may take before systemd is told that it is over.
const RELOAD_WITHIN: Duration = Duration::from_secs(5);

/// The sockets that it has made: each has the name of a listener, or is for admin. To be called
/// once, at the start: it takes them out of the environment.
pub(super) fn sockets() -> anyhow::Result<Inherited> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut found = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for place in 0..found.len() {
        let name = names.next().unwrap_or_default();
        let taken = take(&mut found, place);
        let socket = taken.with_context(|| format!("systemd's socket `{name}`"))?;
        if name == ADMIN {
            inherited.admin.take(socket, true);
            continue;
        }
        inherited.listeners.push(Taken {
            name: ListenerName::new(name).with_context(|| {
                format!("systemd's socket `{name}`: set FileDescriptorName= to a listener's name")
            })?,
            maker: Maker::Systemd,
            socket: net::inherit(socket)?,
        });
    }
    Ok(inherited)
}

fn take(found: &mut ListenFd, place: usize) -> io::Result<OwnedFd> {
    // What it is no longer is after it was taken; so the one is tried, then the other.
    if let Ok(Some(unix)) = found.take_unix_listener(place) {
        return Ok(unix.into());
    }
    let tcp = found.take_tcp_listener(place)?;
    Ok(tcp.ok_or(io::ErrorKind::NotFound)?.into())
}

/// Tells that this process serves.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells that this process goes down.
pub(super) fn stopping() {
    let status = NotifyState::Status("requests under way come to their end");
    tell(&[NotifyState::Stopping, status]);
}

/// Tells that another process is the main one from now on.
pub(super) fn succeeded_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Reads the file again, and tells when that begins and ends.
pub(super) async fn reload(handle: Handle) {
    let began = NotifyState::monotonic_usec_now();
    tell(&[
        NotifyState::Reloading,
        began.unwrap_or(NotifyState::MonotonicUsec(0)),
    ]);
    let mut status = handle.watch();
    let before = status.borrow().config.reloads;
    handle.reload();
    let read = status.wait_for(|status| status.config.reloads != before);
    // A file that takes longer than this is read all the same.
    let _in_time = timeout(RELOAD_WITHIN, read).await;
    let problem = handle.status().config.problem.is_some();
    ready(if problem {
        "the file is bad; the last good one is in force"
    } else {
        "serving"
    });
}

/// Shows that this process is alive for as long as control is: it renews its status by itself.
pub(super) async fn watchdog(handle: Handle) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return;
    };
    let mut beat = interval(limit / 3);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        let _at = beat.tick().await;
        let seen = Some(handle.status().as_of);
        if seen != last {
            tell(&[NotifyState::Watchdog]);
        }
        last = seen;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
