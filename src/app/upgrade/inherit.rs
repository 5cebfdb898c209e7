//! The new process: what it takes from the one whose place it takes, and when.

use std::{
    env,
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tokio::time::timeout;

use super::{
    SIGN,
    channel::{self, Word},
};
use crate::{
    app::Inherited,
    control::{Handle, Status},
    model::ListenerName,
    net,
    proxy::{Maker, Taken},
};

/// How long the endpoints of all upstreams may take to be known...
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// ...and how long if the old process does not know them either.
const UNREADY_FOR: Duration = Duration::from_secs(5);
/// How long the old process may be silent.
const PATIENCE: Duration = Duration::from_mins(2);

/// The process whose place this one takes.
#[derive(Debug)]
pub(in crate::app) struct Predecessor(OwnedFd);

impl Predecessor {
    /// The one at the other end of standard input; `None`: this process was started by nobody who
    /// wants to leave.
    pub(in crate::app) fn meet() -> io::Result<Option<Self>> {
        if env::var_os(SIGN).is_none() {
            return Ok(None);
        }
        let end = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        set_socket_timeout(&end, Timeout::Recv, Some(PATIENCE))?;
        Ok(Some(Self(end)))
    }

    /// All sockets that it has.
    pub(in crate::app) fn sockets(&self) -> anyhow::Result<Inherited> {
        let mut inherited = Inherited::default();
        loop {
            match channel::receive(&self.0)? {
                (Word::Listener(name, maker), Some(socket)) => inherited.listeners.push(Taken {
                    name: ListenerName::new(&name)?,
                    maker,
                    socket: net::inherit(socket)?,
                }),
                (Word::Admin(maker), Some(socket)) => {
                    inherited.admin.take(socket, maker == Maker::Systemd);
                }
                (Word::All, _) => return Ok(inherited),
                (word, _) => bail!("the old process says {word:?} instead of giving its sockets"),
            }
        }
    }

    /// Waits until the journal may be opened; whether the old process is ready.
    pub(in crate::app) fn journal(&self) -> anyhow::Result<bool> {
        self.say(&Word::Checked)?;
        match self.hear()? {
            Some(Word::Journal { is_ready }) => Ok(is_ready),
            None => Ok(false),
            Some(word) => bail!("the old process says {word:?} instead of giving its journal"),
        }
    }

    /// Says that this process can serve, and waits until it shall.
    pub(in crate::app) fn go(&self) -> anyhow::Result<()> {
        self.say(&Word::Ready)?;
        match self.hear()? {
            Some(Word::Go) | None => Ok(()),
            Some(word) => bail!("the old process says {word:?} instead of leaving"),
        }
    }

    /// Says that this process cannot serve, and why.
    pub(in crate::app) fn fail(&self, why: &str) {
        // If it has ended meanwhile there is nobody to tell.
        let _gone = self.say(&Word::Failed(why.to_owned()));
    }

    fn say(&self, word: &Word) -> anyhow::Result<()> {
        match channel::send(&self.0, word, None) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// `None`: the old process has ended without a word, so this one is needed all the more.
    fn hear(&self) -> anyhow::Result<Option<Word>> {
        match channel::receive(&self.0) {
            Ok((word, _)) => Ok(Some(word)),
            Err(error) if super::has_ended(&error) => Ok(None),
            Err(error) => Err(error).context("the old process is silent"),
        }
    }
}

/// Waits until this process could serve as well as the old one does.
pub(in crate::app) async fn become_ready(handle: Handle, old_is_ready: bool) -> anyhow::Result<()> {
    handle.listening().await;
    let limit = if old_is_ready {
        READY_WITHIN
    } else {
        UNREADY_FOR
    };
    let mut status = handle.watch();
    let waited = timeout(limit, status.wait_for(|status| status.is_ready)).await;
    let is_ready = matches!(waited, Ok(Ok(_)));
    drop(waited);
    if old_is_ready && !is_ready {
        bail!("{} after {limit:?}", missing(&handle.status()));
    }
    Ok(())
}

fn missing(status: &Status) -> String {
    let unknown = status.upstreams.iter().filter(|it| it.age.is_none());
    let unknown: Vec<&str> = unknown.map(|it| it.name.as_str()).collect();
    format!("no endpoints are known of: {}", unknown.join(", "))
}
