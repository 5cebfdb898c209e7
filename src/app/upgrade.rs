//! Another process takes this one's place: a new binary at the same path, with the same arguments.
//!
//! The two speak over a channel (`upgrade/channel.rs`). The old process gives all listening
//! sockets away first, then the journal, and only when the new one can serve does it leave. Until
//! that last word it serves as if nothing was, and judges, too; if the new one fails, is late or
//! is not wanted any more, it is ended, and the journal is taken back. The kernel's queues belong
//! to the sockets, which both hold: no connection is lost between the two.

mod channel;
mod inherit;

use std::{
    env,
    ffi::OsString,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::process::ExitStatusExt as _,
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::{io::Interest, net::UnixDatagram, time::timeout};

use self::channel::Word;
pub(super) use self::inherit::{Predecessor, become_ready};
use super::{Running, systemd};
use crate::proxy::Maker;

/// Tells a new process that its standard input leads to the one whose place it takes.
const SIGN: &str = "SERIN_TAKES_OVER";

/// How long a new process may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// To read the file and to have all sockets.
    pub(super) check: Duration,
    /// To read the journal, and to know all endpoints.
    pub(super) ready: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            check: Duration::from_secs(10),
            ready: inherit::READY_WITHIN + Duration::from_secs(10),
        }
    }
}

/// Why this process goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    #[error("process 1 ends its container when it ends; start a new container instead")]
    First,
    #[error("cannot start {0}: {1}")]
    Start(PathBuf, io::Error),
    #[error("cannot hand over to the new process: {0}")]
    Channel(#[from] io::Error),
    #[error("the new process has ended: {0}")]
    Ended(ExitStatus),
    #[error("the new process cannot serve: {0}")]
    Failed(String),
    #[error("the new process was not {0} after {1:?}")]
    Late(&'static str, Duration),
    #[error("the new process says what is not expected: {0:?}")]
    Strange(String),
    #[error("the journal cannot be handed over now; try again")]
    Journal,
    #[error("a rollout was decided meanwhile, which the new process does not know; try again")]
    Decided,
}

/// What was typed to start this process.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// As it is now: later the path may hold another file, or a link may lead elsewhere.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let mut typed = env::args_os();
        let name = PathBuf::from(typed.next().unwrap_or_default());
        let is_path = name.as_os_str().as_encoded_bytes().contains(&b'/');
        let whole = is_path.then(|| std::path::absolute(&name)).transpose()?;
        let path = match whole.filter(|path| path.exists()) {
            Some(path) => path,
            None => env::current_exe()?,
        };
        Ok(Self {
            path,
            arguments: typed.collect(),
        })
    }
}

/// Starts a new process and hands over to it; its number. After an error all is as it was.
pub(super) async fn hand_over(
    running: &mut Running,
    program: &Program,
    limits: Limits,
) -> Result<u32, UpgradeError> {
    if std::process::id() == 1 {
        return Err(UpgradeError::First);
    }
    let mut successor = Successor::start(program)?;
    let introduced = introduce(running, &successor, limits).await;
    if let Err(error) = introduced {
        let status = successor.stop();
        running.handle.take_back().await;
        return Err(match (error, status) {
            (UpgradeError::Channel(error), Ok(status)) if has_ended(&error) => {
                UpgradeError::Ended(status)
            }
            (error, _) => error,
        });
    }
    successor.is_on_its_own = true;
    Ok(successor.child.id())
}

fn has_ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

async fn introduce(
    running: &mut Running,
    successor: &Successor,
    limits: Limits,
) -> Result<(), UpgradeError> {
    for lent in running.workers.lend().await {
        let word = Word::Listener(lent.name.to_string(), lent.maker);
        successor.say(&word, Some(lent.socket.as_fd())).await?;
    }
    for lent in running.serving.lend()? {
        let word = Word::Admin(if lent.is_kept {
            Maker::Systemd
        } else {
            Maker::Serin
        });
        successor.say(&word, Some(lent.socket.as_fd())).await?;
    }
    successor.say(&Word::All, None).await?;
    successor
        .hear("at hand", &Word::Checked, limits.check)
        .await?;
    if !running.handle.lend().await {
        return Err(UpgradeError::Journal);
    }
    let is_ready = running.handle.status().is_ready;
    successor.say(&Word::Journal { is_ready }, None).await?;
    successor.hear("ready", &Word::Ready, limits.ready).await?;
    if !running.handle.leave().await {
        return Err(UpgradeError::Decided);
    }
    successor.say(&Word::Go, None).await?;
    systemd::succeeded_by(successor.child.id());
    running.serving.leave();
    Ok(())
}

/// The new process, as the old one has it. Dropped, it ends, unless it is on its own.
#[derive(Debug)]
struct Successor {
    child: Child,
    end: UnixDatagram,
    is_on_its_own: bool,
}

impl Successor {
    fn start(program: &Program) -> Result<Self, UpgradeError> {
        let (ours, theirs) = channel::pair()?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(io::Error::from)?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env(SIGN, "1");
        command.env_remove(systemd::WATCHED);
        let child = command.stdin(Stdio::from(theirs)).spawn();
        let child = child.map_err(|error| UpgradeError::Start(program.path.clone(), error))?;
        // Its end of the channel must be nobody else's, or its own end would not be heard.
        drop(command);
        tracing::info!(program = %program.path.display(), pid = child.id(), "a new process starts");
        Ok(Self {
            child,
            end: UnixDatagram::from_std(ours.into())?,
            is_on_its_own: false,
        })
    }

    async fn say(&self, word: &Word, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let say = || channel::send(&self.end, word, socket);
        self.end.async_io(Interest::WRITABLE, say).await
    }

    async fn hear(
        &self,
        what: &'static str,
        wanted: &Word,
        limit: Duration,
    ) -> Result<(), UpgradeError> {
        let hear = || channel::receive(&self.end);
        let heard = timeout(limit, self.end.async_io(Interest::READABLE, hear)).await;
        match heard.map_err(|_| UpgradeError::Late(what, limit))?? {
            (word, _) if word == *wanted => Ok(()),
            (Word::Failed(why), _) => Err(UpgradeError::Failed(why)),
            (word, _) => Err(UpgradeError::Strange(format!("{word:?}"))),
        }
    }

    /// Ends it; how it has ended, by itself or so.
    fn stop(&mut self) -> io::Result<ExitStatus> {
        // It may have ended, or may not listen: the next line ends it in any case.
        let _unheard = channel::send(&self.end, &Word::No, None);
        let _gone = self.child.kill();
        let status = self.child.wait()?;
        self.is_on_its_own = true;
        tracing::debug!(
            code = status.code(),
            signal = status.signal(),
            "it has ended"
        );
        Ok(status)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_on_its_own {
            // Nobody is left to be told.
            let _status = self.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Options, start};

    const FILE: &str = "listen: \"127.0.0.1:0\"\nupstreams:\n  one: { static: [\"127.0.0.1:1\"] }\n\
                        splits:\n  shop: { stable: one }\n";

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test writes its own file")]
    async fn a_new_process_that_says_nothing_is_ended_in_time() {
        let place = tempfile::tempdir().unwrap();
        let config = place.path().join("serin.yaml");
        std::fs::write(&config, FILE).unwrap();
        let mut running = start(&Options {
            config,
            state_dir: Some(place.path().join("state")),
        })
        .unwrap();
        let program = Program {
            path: "/bin/sleep".into(),
            arguments: vec!["60".into()],
        };
        let limits = Limits {
            check: Duration::from_millis(50),
            ready: Duration::ZERO,
        };
        let error = hand_over(&mut running, &program, limits).await.unwrap_err();
        assert!(matches!(error, UpgradeError::Late("at hand", _)), "{error}");
        let addresses = running.workers.lend().await;
        assert!(!addresses.is_empty(), "the old one still has its sockets");
        let mut drain = running.handle.config().borrow().drain;
        (drain.timeout, drain.lag) = (Duration::ZERO, Duration::ZERO);
        running.stop(drain, std::future::pending()).await;
    }
}
