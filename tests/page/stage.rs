//! All of Serin with two versions and a load, as a person would watch it.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::{Asker, Command, SplitStatus},
    model::SplitName,
};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{PATIENCE, load::Load, version::Version};

/// Whoever comes from this machine may do everything.
const OPEN: &str = "admin: \"127.0.0.1:0\"";
/// At once.
const END: Drain = Drain {
    timeout: Duration::ZERO,
    lag: Duration::ZERO,
    long_lived: None,
};

/// What is under way; it ends when dropped.
pub(crate) struct Stage {
    running: Option<Running>,
    pub(crate) canary: Version,
    admin: SocketAddr,
    /// Of the file: what it says of admin.
    line: String,
    load: Option<Load>,
    place: TempDir,
    stable: Version,
}

impl Stage {
    /// Two versions of three endpoints each, and `split` below the keys of the split `shop`.
    pub(crate) async fn set(split: &str, rate: u32) -> Self {
        Self::with(tempfile::tempdir().unwrap(), OPEN, split, rate).await
    }

    /// The same with another `admin:` and the files that it names.
    pub(crate) async fn with(place: TempDir, line: &str, split: &str, rate: u32) -> Self {
        let (stable, canary) = (Version::of(3).await, Version::of(3).await);
        let admin = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut stage = Self {
            running: None,
            canary,
            admin,
            line: line.to_owned(),
            load: None,
            place,
            stable,
        };
        stage.write(split);
        stage.up();
        let address = stage.running.as_ref().unwrap().listeners.first().unwrap().1;
        stage.load = Some(Load::on(address, rate, &["/", "/checkout", "/search"]));
        stage
    }

    /// Starts Serin, at the admin address that it had before.
    pub(crate) fn up(&mut self) {
        let running = app::start(&Options {
            config: self.file(),
            state_dir: Some(self.place.path().join("state")),
        });
        let running = running.unwrap();
        self.admin = running.admin.unwrap();
        self.running = Some(running);
    }

    /// Ends it; the file names the address from now on.
    pub(crate) async fn down(&mut self) {
        self.load = None;
        let text = fs::read_to_string(self.file()).unwrap();
        let named = format!("admin: \"{}\"", self.admin);
        fs::write(self.file(), text.replace(OPEN, &named)).unwrap();
        let running = self.running.take().unwrap();
        running.stop(END, std::future::pending()).await;
    }

    /// Writes another file in its place.
    pub(crate) fn write(&self, split: &str) {
        let text = text(&self.line, (&self.stable, &self.canary), split);
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("serin.yaml")
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub(crate) fn page(&self) -> String {
        format!("http://{}/?split=shop", self.admin())
    }

    /// Waits until the split is as wanted.
    pub(crate) async fn until(&self, is_it: impl Fn(&SplitStatus) -> bool) -> SplitStatus {
        let mut watch = self.running.as_ref().unwrap().handle.watch();
        let waiting = watch.wait_for(|status| status.splits.first().is_some_and(&is_it));
        let found = timeout(PATIENCE, waiting).await.unwrap().unwrap().clone();
        found.splits.first().unwrap().clone()
    }

    /// Does what a person does elsewhere.
    pub(crate) async fn ask(&self, command: Command) {
        let shop = SplitName::new("shop").unwrap();
        let asker = Asker {
            actor: "somebody else".to_owned(),
            ..Asker::default()
        };
        self.running
            .as_ref()
            .unwrap()
            .handle
            .ask(shop, command, asker)
            .await
            .unwrap();
    }
}

fn text(admin: &str, (stable, canary): (&Version, &Version), split: &str) -> String {
    let quoted = |version: &Version| {
        let all = version.addresses().into_iter();
        let all: Vec<_> = all.map(|address| format!("\"{address}\"")).collect();
        all.join(", ")
    };
    format!(
        "listen: \"127.0.0.1:0\"\n{admin}\nworkers: 2\nupstreams:\n\
         \x20 mesos: {{ static: [{}] }}\n\x20 ecs: {{ static: [{}] }}\n\
         splits:\n\x20 shop:\n\x20   match:\n\
         \x20     - {{ name: checkout, path_prefix: /checkout }}\n\
         \x20     - {{ name: search, path_prefix: /search }}\n\
         \x20     - {{ name: rest, path_prefix: / }}\n\
         \x20   stable: mesos\n\x20   canary: ecs\n{split}",
        quoted(stable),
        quoted(canary),
    )
}
