//! `serin top` as a person has it: the real program on a pseudo terminal, against an admin API on
//! real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]

#[path = "support/control.rs"]
#[expect(dead_code, reason = "these tests use a part of it")]
mod control;

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::{Child, Command as Program, Stdio},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use serin::control::Command;
use tokio::sync::mpsc;

/// What gives the terminal back.
const LEFT: &str = "\x1b[?1049l";

/// The program on its terminal.
struct Session {
    child: Child,
    keys: File,
    /// The other end, to ask how the terminal is set.
    terminal: File,
    said: mpsc::UnboundedReceiver<Vec<u8>>,
    text: String,
}

impl Session {
    fn start(admin: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let name = name.to_str().unwrap();
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(name)
                .unwrap()
        };
        let terminal = open();
        // In a session of its own: the terminal that these tests may run on is not its.
        let child = Program::new("setsid")
            .args([
                "--ctty",
                env!("CARGO_BIN_EXE_serin"),
                "top",
                "--admin",
                admin,
            ])
            .env("TERM", "xterm-256color")
            .env("USER", "kim")
            .stdin(Stdio::from(open()))
            .stdout(Stdio::from(open()))
            .stderr(Stdio::from(open()))
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let (into, said) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                if into.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            terminal,
            said,
            text: String::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this was written since the last wait.
    async fn until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let Some(bytes) = self.said.recv().await else {
                panic!("no {wanted:?} in {:?}", self.text);
            };
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let end = self.text.find(wanted).unwrap() + wanted.len();
        self.text.drain(..end);
    }

    /// Waits for its end; the terminal must be as it was.
    async fn ended(mut self) {
        self.until(LEFT).await;
        let mut child = self.child;
        let code = tokio::task::spawn_blocking(move || child.wait().unwrap());
        assert_eq!(code.await.unwrap().code(), Some(0));
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        let is_cooked = modes.contains(LocalModes::ECHO | LocalModes::ICANON);
        assert!(is_cooked, "typed words are echoed again");
    }
}

#[tokio::test]
async fn it_shows_acts_and_gives_the_terminal_back() {
    let directory = tempfile::tempdir().unwrap();
    let (serving, mut fake) = control::admin(&directory).await;
    let mut session = Session::start(&serving.http().unwrap().to_string());
    session.until("INCONCLUSIVE").await;
    session.press("a");
    session.until("Why?").await;
    session.press("it is slow\r");
    session.until("y does it").await;
    assert!(
        fake.acts.try_recv().is_err(),
        "nothing is done before the yes"
    );
    session.press("y");
    let (split, command, reason, actor) = fake.acts.recv().await.unwrap();
    assert_eq!((split.as_str(), command), ("shop", Command::Abort));
    assert_eq!(reason.as_deref(), Some("it is slow"));
    assert!(actor.contains("kim"), "{actor}");
    session.until("DONE").await;
    session.press("q");
    session.ended().await;
}

#[tokio::test]
async fn an_act_on_another_epoch_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let (serving, fake) = control::admin(&directory).await;
    let mut session = Session::start(&serving.http().unwrap().to_string());
    session.until("INCONCLUSIVE").await;
    session.press("p");
    session.until("Why?").await;
    fake.set(|status| status.splits.iter_mut().for_each(|it| it.epoch.0 += 1));
    session.press("x\r");
    session.until("y does it").await;
    session.press("y");
    session.until("REFUSED").await;
    session.press("\x03");
    session.ended().await;
}

#[tokio::test]
async fn a_lost_connection_is_said_and_a_signal_gives_the_terminal_back() {
    let directory = tempfile::tempdir().unwrap();
    let (serving, _fake) = control::admin(&directory).await;
    let mut session = Session::start(&serving.http().unwrap().to_string());
    session.until("INCONCLUSIVE").await;
    serving.stop().await;
    session.until("CONNECTION LOST").await;
    kill_process(Pid::from_child(&session.child), Signal::TERM).unwrap();
    session.ended().await;
}

#[test]
fn without_a_terminal_it_names_what_works() {
    let mut program = Program::new(env!("CARGO_BIN_EXE_serin"));
    let output = program.arg("top").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("`serin status -w`"), "{said}");
}
