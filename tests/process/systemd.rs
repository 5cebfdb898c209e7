//! Under a stand-in for systemd: it gives sockets, and hears what it is told.

use std::{
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tokio::{net::UnixDatagram, time::timeout};

use crate::{
    house::{House, PATIENCE},
    load::Load,
    support::{client::Client, origin::Origin},
};

/// Where a process tells how it is.
struct Manager(UnixDatagram, tempfile::TempDir);

impl Manager {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self(
            UnixDatagram::bind(place.path().join("notify")).unwrap(),
            place,
        )
    }

    fn path(&self) -> std::path::PathBuf {
        self.1.path().join("notify")
    }

    /// Waits until it is told a line that begins so; all lines that came with it.
    async fn told(&self, line: &str) -> String {
        let told = async {
            loop {
                let mut bytes = [0; 1_024];
                let length = self.0.recv(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if text.lines().any(|told| told.starts_with(line)) {
                    return text;
                }
            }
        };
        let told = timeout(PATIENCE, told).await;
        told.unwrap_or_else(|_| panic!("nobody tells `{line}`"))
    }
}

#[tokio::test]
async fn systemd_is_told_how_the_process_is() {
    let origin = Origin::saying("fine").await;
    let manager = Manager::new();
    let path = manager.path();
    let mut house = House::start_with(origin.address, origin.address, "", |command| {
        command
            .env("NOTIFY_SOCKET", path)
            .env("WATCHDOG_USEC", "300000")
    });
    manager.told("READY=1").await;
    manager.told("WATCHDOG=1").await;
    house.signal(Signal::HUP);
    let told = manager.told("RELOADING=1").await;
    assert!(told.contains("MONOTONIC_USEC="), "{told}");
    manager.told("READY=1").await;
    let pid = house.upgrade().await;
    manager.told(&format!("MAINPID={pid}")).await;
    manager.told("READY=1").await;
    assert!(house.first_has_ended().await);
    manager.told("WATCHDOG=1").await;
    house.signal(Signal::TERM);
    let told = manager.told("STOPPING=1").await;
    assert!(told.contains("STATUS="), "{told}");
}

/// Starts the program with two sockets as systemd would: for the data plane and for admin. A shell
/// puts them where they belong and knows the number of the process.
fn activated(origin: &Origin, tcp: &TcpListener, unix: &UnixListener, path: &Path) -> House {
    let script = "exec 3<&0 4<&1 </dev/null >/dev/null; \
                  LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=default:admin exec \"$0\" \"$@\"";
    let more = format!("admin: {{ unix: \"{}\" }}\nworkers: 2\n", path.display());
    House::start_as(
        origin.address,
        origin.address,
        &more,
        |program, arguments| {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", script]).arg(program).args(arguments);
            shell.stdin(Stdio::from(OwnedFd::from(tcp.try_clone().unwrap())));
            shell.stdout(Stdio::from(OwnedFd::from(unix.try_clone().unwrap())));
            shell
        },
    )
}

#[tokio::test]
async fn sockets_that_systemd_has_made_outlive_the_process() {
    let origin = Origin::saying("fine").await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    let mut house = activated(&origin, &tcp, &unix, &path);
    assert_eq!(house.address, address, "not what the file says");
    let mut load = Load::on(address, 2);
    load.more(100).await;
    house.upgrade().await;
    load.more(100).await;
    load.end(true).await;
    assert!(house.first_has_ended().await);
    house.signal(Signal::TERM);
    house.until_said("ended");
    house.until_said("ended");
    assert!(path.exists(), "the file is systemd's");

    // Who comes while nobody is there waits for the next process.
    let mut client = Client::connect(address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let _house = activated(&origin, &tcp, &unix, &path);
    assert_eq!(client.answer().await.status, 200);
}

#[test]
fn the_units_are_as_systemd_wants_them() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("SKIPPED: systemd-analyze is not there; the units are not checked");
        return;
    };
    assert!(version.status.success());
    let place = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let units = ["serin.service", "serin.socket"].map(|unit| {
        let text = std::fs::read_to_string(here.join(unit)).unwrap();
        // The program must be where the unit says.
        let text = text.replace("/usr/local/bin/serin", env!("CARGO_BIN_EXE_serin"));
        let path = place.path().join(unit);
        std::fs::write(&path, text).unwrap();
        path
    });
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .args(units)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    // It looks at what is installed here as well.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("serin")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}
