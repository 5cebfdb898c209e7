//! A process of the real program, with its file, its state and those that take its place.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under a path of its own, started from there.
pub(crate) struct House {
    place: tempfile::TempDir,
    child: Option<Child>,
    lines: Receiver<Value>,
    said: Vec<String>,
    admin: PathBuf,
    /// Where the data plane listens.
    pub(crate) address: SocketAddr,
    pids: Vec<u32>,
}

impl House {
    /// Starts the program with one split of two versions; `more` goes to the end of the file.
    pub(crate) fn start(old: SocketAddr, new: SocketAddr, more: &str) -> Self {
        Self::start_with(old, new, more, |command| command)
    }

    /// The same, with more said to the process.
    pub(crate) fn start_with(
        old: SocketAddr,
        new: SocketAddr,
        more: &str,
        say: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("admin.sock");
        let more = format!("admin: {{ unix: \"{}\" }}\n{more}", socket.display());
        Self::start_in(place, (old, new, &more), |program, arguments| {
            let mut command = Command::new(program);
            say(command.args(arguments)).stdin(Stdio::null());
            command
        })
    }

    /// The same, by a command that is made of the program and its arguments. The file says nothing
    /// of admin but what is in `more`.
    pub(crate) fn start_as(
        old: SocketAddr,
        new: SocketAddr,
        more: &str,
        command: impl FnOnce(&Path, &[OsString]) -> Command,
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        Self::start_in(place, (old, new, more), command)
    }

    fn start_in(
        place: tempfile::TempDir,
        (old, new, more): (SocketAddr, SocketAddr, &str),
        command: impl FnOnce(&Path, &[OsString]) -> Command,
    ) -> Self {
        let path = |name: &str| place.path().join(name);
        symlink(env!("CARGO_BIN_EXE_serin"), path("serin")).unwrap();
        let text = format!(
            "listen: \"127.0.0.1:0\"\nupstreams:\n\
             \x20 old: {{ static: [\"{old}\"] }}\n\x20 new: {{ static: [\"{new}\"] }}\n\
             splits:\n\x20 shop: {{ stable: old, canary: new, weight: 50% }}\n{more}"
        );
        fs::write(path("serin.yaml"), text).unwrap();
        let words = ["run", "--log-format", "json", "-c"].map(OsString::from);
        let files = [path("serin.yaml"), "--state-dir".into(), path("state")];
        let arguments = [words.to_vec(), files.map(OsString::from).to_vec()].concat();
        let mut command = command(&path("serin"), &arguments);
        command.stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (tell, lines) = channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let lines = log.lines().map_while(Result::ok);
            for line in lines {
                eprintln!("{line}");
                let _gone = tell.send(serde_json::from_str(&line).unwrap_or(Value::Null));
            }
        });
        let admin = more.split('"').nth(1).unwrap().into();
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let pids = vec![child.id()];
        let mut house = Self {
            place,
            child: Some(child),
            lines,
            said: Vec::new(),
            admin,
            address,
            pids,
        };
        let line = house.until_said("listening");
        house.address = line["address"].as_str().unwrap().parse().unwrap();
        house
    }

    /// Waits for a line of the log.
    pub(crate) fn until_said(&mut self, what: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("nobody says `{what}`"));
            let message = line["message"].as_str().unwrap_or_default();
            self.said.push(message.to_owned());
            if message.contains(what) {
                return line;
            }
        }
    }

    /// Whether a line of the log has come before the one that was waited for.
    pub(crate) fn has_said(&self, what: &str) -> bool {
        self.said.iter().any(|line| line.contains(what))
    }

    /// What the log has told of an event, if it has by now.
    pub(crate) fn event(&mut self, what: &str) -> Option<Value> {
        let mut lines = self.lines.try_iter();
        lines.find(|line| line["event"] == what)
    }

    /// How often the log has said something so far.
    pub(crate) fn times_said(&self, what: &str) -> usize {
        let said = self.said.iter();
        said.filter(|line| line.contains(what)).count()
    }

    /// The number of the process that serves now.
    pub(crate) fn pid(&self) -> u32 {
        *self.pids.last().unwrap()
    }

    /// A file of this house.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Exit code, and standard output and error as one text.
    pub(crate) async fn serin(&mut self, words: &str) -> (i32, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_serin"));
        program.args(words.split(' '));
        let admin = format!("unix:{}", self.admin.display());
        program.env("SERIN_ADMIN", admin);
        let output = tokio::task::spawn_blocking(move || program.output().unwrap());
        let output = output.await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        (output.status.code().unwrap(), text)
    }

    /// Upgrades; the number of the new process.
    pub(crate) async fn upgrade(&mut self) -> u32 {
        let (code, text) = self.serin("upgrade -o json").await;
        assert_eq!(code, 0, "{text}");
        let process: Value = serde_json::from_str(&text).unwrap();
        let pid = u32::try_from(process["pid"].as_u64().unwrap()).unwrap();
        assert!(!self.pids.contains(&pid), "another process answers");
        self.pids.push(pid);
        pid
    }

    /// Notes a process that has taken the place of the last one.
    pub(crate) fn goes_on_as(&mut self, pid: u32) {
        self.pids.push(pid);
    }

    /// Puts another program at the path of this one.
    pub(crate) fn replace(&self, program: Option<&str>) {
        let path = self.path("serin");
        fs::remove_file(&path).unwrap();
        match program {
            Some(script) => {
                use std::os::unix::fs::PermissionsExt as _;
                fs::write(&path, script).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            None => symlink(env!("CARGO_BIN_EXE_serin"), path).unwrap(),
        }
    }

    /// Sends a signal to the process that serves now.
    pub(crate) fn signal(&self, signal: Signal) {
        send(*self.pids.last().unwrap(), signal);
    }

    /// Waits until the first process has ended; whether it ended well.
    pub(crate) async fn first_has_ended(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap().success());
        tokio::time::timeout(PATIENCE, ended)
            .await
            .unwrap()
            .unwrap()
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended.
    let _ended = kill_process(pid, signal);
}

impl Drop for House {
    fn drop(&mut self) {
        for pid in &self.pids {
            send(*pid, Signal::KILL);
        }
        if let Some(child) = &mut self.child {
            let _ended = child.wait();
        }
    }
}
