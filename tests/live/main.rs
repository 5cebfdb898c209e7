//! The whole of Serin over real sockets: a file, two versions, a load, and what must happen.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes the files that it edits"
)]

mod endpoints;
mod plan;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::{Asker, Command, Entry, SplitStatus, Status},
    model::{EndpointState, Share},
};
use support::{
    client::Client,
    origin::{Origin, answer, nowhere, ok},
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serin, its file and its state.
struct Live {
    running: Option<Running>,
    place: TempDir,
    address: SocketAddr,
    old: SocketAddr,
    new: SocketAddr,
}

impl Live {
    fn start(old: SocketAddr, new: SocketAddr, split: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut live = Self {
            running: None,
            place,
            address,
            old,
            new,
        };
        live.write(split);
        live.up();
        live
    }

    fn up(&mut self) {
        let options = Options {
            config: self.file(),
            state_dir: Some(self.state()),
        };
        let running = app::start(&options).unwrap();
        self.address = running.listeners.first().unwrap().1;
        self.running = Some(running);
    }

    async fn down(&mut self) {
        let drain = Drain {
            timeout: Duration::ZERO,
            lag: Duration::ZERO,
            long_lived: None,
        };
        let running = self.running.take().unwrap();
        running.stop(drain, std::future::pending()).await;
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("serin.yaml")
    }

    fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    fn text(&self, split: &str) -> String {
        format!(
            "listen: \"127.0.0.1:0\"\nadmin: \"127.0.0.1:0\"\nworkers: 2\nupstreams:\n\
             \x20 old: {{ static: [\"{}\"] }}\n\x20 new: {{ static: [\"{}\"] }}\n\
             splits:\n\x20 shop:\n\x20   stable: old\n\x20   canary: new\n{split}",
            self.old, self.new
        )
    }

    fn write(&self, split: &str) {
        fs::write(self.file(), self.text(split)).unwrap();
    }

    fn split(&self) -> SplitStatus {
        self.running
            .as_ref()
            .unwrap()
            .handle
            .status()
            .splits
            .first()
            .unwrap()
            .clone()
    }

    /// Waits until the split is as wanted.
    async fn until(&self, is_it: impl Fn(&SplitStatus) -> bool) -> SplitStatus {
        let mut watch = self.running.as_ref().unwrap().handle.watch();
        let waiting = watch.wait_for(|status| status.splits.first().is_some_and(&is_it));
        let found = timeout(PATIENCE, waiting).await;
        let seen = || format!("{:?} {}", self.split().phase, self.split().share);
        let status = found
            .unwrap_or_else(|_| panic!("it stays {}", seen()))
            .unwrap();
        status.splits.first().unwrap().clone()
    }

    async fn until_share(&self, percent: u16) -> SplitStatus {
        let wanted = Share::from_basis_points(percent * 100).unwrap();
        self.until(|split| split.share == wanted).await
    }
}

/// A load that goes on until it is dropped: what was asked, and what failed.
struct Load {
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr, clients: usize) -> Self {
        let (asked, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..clients).map(|_| {
            let (asked, failed) = (Arc::clone(&asked), Arc::clone(&failed));
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut pace = tokio::time::interval(Duration::from_millis(2));
                loop {
                    pace.tick().await;
                    let status = client.get("/", "").await.status;
                    failed.fetch_add(u64::from(status != 200), Ordering::SeqCst);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let tasks = tasks.collect();
        Self {
            asked,
            failed,
            tasks,
        }
    }

    /// Waits until so many more requests were answered.
    async fn more(&self, count: u64) {
        let until = self.asked.load(Ordering::SeqCst) + count;
        while self.asked.load(Ordering::SeqCst) < until {
            tokio::task::yield_now().await;
        }
    }

    fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// An origin that answers 500 once it is told to.
async fn breakable() -> (Origin, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let origin = Origin::answering(move |_| {
        if is_broken.load(Ordering::SeqCst) {
            answer(500, "broken")
        } else {
            ok("fine")
        }
    })
    .await;
    (origin, broken)
}

const HALF: &str = "    weight: 50%\n";

#[tokio::test]
async fn a_canary_that_fails_is_rolled_back_and_says_why() {
    let (old, _) = breakable().await;
    let (new, broken) = breakable().await;
    let live = Live::start(old.address, new.address, HALF);
    live.until_share(50).await;
    let load = Load::on(live.address, 8);
    load.more(500).await;
    broken.store(true, Ordering::SeqCst);
    let split = live.until_share(0).await;
    assert_eq!(split.phase, "rolled_back");
    let judged = split.judgement.unwrap();
    assert!(judged.cause.contains("error"), "{judged:?}");
    let failed = load.failed();
    load.more(200).await;
    let late = load.failed() - failed;
    assert!(
        late <= 8,
        "only requests under way may still fail, not {late}"
    );
}

/// What the history says of a fail that was excused.
fn excuse(split: &SplitStatus) -> Option<&Entry> {
    split.history.iter().find(|entry| entry.what == "excused")
}

/// The one bad endpoint of eight is named.
#[track_caller]
fn names(entry: &Entry, bad: &Origin) {
    let words = format!("1 of 8 endpoints ({}) had ", bad.address);
    assert!(entry.why.starts_with(&words), "{}", entry.why);
}

#[tokio::test]
async fn one_bad_endpoint_of_a_canary_is_put_out_and_the_version_stays() {
    let old = Origin::saying("fine").await;
    let (bad, broken) = breakable().await;
    let mut good = Vec::new();
    for _ in 0..7 {
        good.push(breakable().await);
    }
    let live = Live::start(old.address, bad.address, HALF);
    let quoted = |origin: &Origin| format!("\"{}\"", origin.address);
    let others = good.iter().map(|(origin, _)| origin);
    let all: Vec<_> = std::iter::once(&bad).chain(others).map(quoted).collect();
    let text = live.text(HALF).replace(&quoted(&bad), &all.join(", "));
    fs::write(live.file(), text).unwrap();
    let mut watch = live.running.as_ref().unwrap().handle.watch();
    let waiting = watch.wait_for(|status| {
        let mut upstreams = status.upstreams.iter();
        upstreams.any(|upstream| upstream.endpoints.0 == 8)
    });
    assert!(timeout(PATIENCE, waiting).await.unwrap().is_ok());
    let load = Load::on(live.address, 8);
    load.more(500).await;
    broken.store(true, Ordering::SeqCst);
    let ejected = EndpointState::ALL
        .iter()
        .position(|state| *state == EndpointState::Ejected);
    let is_ejected = |status: &Arc<Status>| {
        let mut upstreams = status.upstreams.iter();
        upstreams.any(|upstream| upstream.states[ejected.unwrap()] == 1)
    };
    load.more(2_000).await;
    let waiting = watch.wait_for(is_ejected);
    assert!(timeout(PATIENCE, waiting).await.unwrap().is_ok());
    let split = live.split();
    assert_eq!(split.phase, "progressing", "{}", split.phase_reason);
    assert_eq!(split.share, Share::from_basis_points(5_000).unwrap());
    if let Some(entry) = excuse(&split) {
        names(entry, &bad);
    }
    for (_, broken) in &good {
        broken.store(true, Ordering::SeqCst);
    }
    live.until_share(0).await;
    assert_eq!(live.split().phase, "rolled_back");
}

/// A canary of eight endpoints, the first of which fails every other request: never thrice in a
/// row.
async fn flickering() -> (Origin, Vec<Origin>) {
    let count = AtomicU64::new(0);
    let flickers = move |_: &_| {
        if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            answer(500, "broken")
        } else {
            ok("fine")
        }
    };
    let bad = Origin::answering(flickers).await;
    let mut good = Vec::new();
    for _ in 0..7 {
        good.push(Origin::saying("fine").await);
    }
    (bad, good)
}

#[tokio::test]
async fn an_endpoint_that_the_judge_finds_alone_in_its_failures_is_put_out() {
    let old = Origin::saying("fine").await;
    let (bad, good) = flickering().await;
    let warm = "    analysis: { warm_up: 0s }\n";
    let live = Live::start(old.address, bad.address, &format!("    weight: 0%\n{warm}"));
    let quoted = |origin: &Origin| format!("\"{}\"", origin.address);
    let all: Vec<_> = std::iter::once(&bad).chain(&good).map(quoted).collect();
    let text = live.text(&format!("{HALF}{warm}"));
    let text = text.replace(&quoted(&bad), &all.join(", "));
    // By turns: else it would soon get few requests by itself.
    let text = text.replace("new: { ", "new: { balance: { policy: round_robin }, ");
    fs::write(live.file(), text).unwrap();
    live.until_share(50).await;
    let load = Load::on(live.address, 8);
    let split = live.until(|split| excuse(split).is_some()).await;
    let entry = excuse(&split).unwrap();
    names(entry, &bad);
    assert_eq!(entry.by, "judge");
    let asked = bad.connections();
    load.more(2_000).await;
    let split = live.split();
    assert_eq!(split.phase, "progressing", "{}", split.phase_reason);
    let judged = split.judgement.unwrap();
    assert!(judged.canary_requests > 0, "{judged:?}");
    assert!(bad.connections() <= asked + 2, "it is asked no more");
}

#[tokio::test]
async fn versions_that_fail_together_are_not_told_apart() {
    let (old, broken_old) = breakable().await;
    let (new, broken_new) = breakable().await;
    let live = Live::start(old.address, new.address, HALF);
    let load = Load::on(live.address, 8);
    load.more(300).await;
    broken_old.store(true, Ordering::SeqCst);
    broken_new.store(true, Ordering::SeqCst);
    load.more(1_500).await;
    broken_old.store(false, Ordering::SeqCst);
    broken_new.store(false, Ordering::SeqCst);
    load.more(300).await;
    assert_eq!(live.split().share, Share::from_basis_points(5_000).unwrap());
}

#[tokio::test]
async fn a_dead_canary_is_rolled_back_and_no_client_notices() {
    let old = Origin::saying("fine").await;
    let live = Live::start(old.address, nowhere().await, HALF);
    let load = Load::on(live.address, 8);
    live.until_share(0).await;
    load.more(100).await;
    assert_eq!(load.failed(), 0);
}

#[tokio::test]
async fn a_rollback_survives_a_restart_and_a_save() {
    let old = Origin::saying("fine").await;
    let mut live = Live::start(old.address, nowhere().await, HALF);
    let load = Load::on(live.address, 4);
    live.until_share(0).await;
    drop(load);
    live.down().await;
    live.up();
    assert_eq!(
        (live.split().phase, live.split().share),
        ("rolled_back", Share::ZERO)
    );
    live.write("    weight: 20%\n");
    live.until(|split| split.configured == Share::from_basis_points(2_000).ok())
        .await;
    assert_eq!(live.split().share, Share::ZERO, "a file revives nothing");
}

const STEPS: &str = "    rollout:\n      steps:\n        - set_weight: 50%\n        - pause: {}\n";

#[tokio::test]
async fn a_rollback_survives_the_loss_of_the_state_directory() {
    let old = Origin::saying("fine").await;
    let mut live = Live::start(old.address, nowhere().await, STEPS);
    let load = Load::on(live.address, 4);
    live.until(|split| split.phase == "rolled_back").await;
    drop(load);
    live.down().await;
    fs::remove_dir_all(live.state()).unwrap();
    live.up();
    assert_eq!(
        (live.split().phase, live.split().share),
        ("rolled_back", Share::ZERO)
    );
    let shop = serin::model::SplitName::new("shop").unwrap();
    let handle = live.running.as_ref().unwrap().handle.clone();
    let retried = handle.ask(shop, Command::Retry, Asker::default()).await;
    retried.unwrap();
    live.until_share(50).await;
}

#[tokio::test]
async fn a_rollout_whose_state_is_lost_begins_at_its_first_step() {
    let (old, new) = (Origin::saying("old").await, Origin::saying("new").await);
    let mut live = Live::start(old.address, new.address, STEPS);
    live.until_share(50).await;
    live.down().await;
    fs::remove_dir_all(live.state()).unwrap();
    live.up();
    let split = live.until_share(50).await;
    assert_eq!(split.history.first().unwrap().what, "started");
}

#[tokio::test]
async fn a_weight_is_in_force_however_the_file_is_saved() {
    let (old, new) = (Origin::saying("fine").await, Origin::saying("fine").await);
    let live = Live::start(old.address, new.address, "    weight: 1%\n");
    let load = Load::on(live.address, 4);
    live.until_share(1).await;
    let replace = |text: &str| {
        let beside = live.place.path().join("serin.yaml.new");
        fs::write(&beside, live.text(text)).unwrap();
        fs::rename(beside, live.file()).unwrap();
    };
    for percent in [2, 4, 6] {
        replace(&format!("    weight: {percent}%\n"));
        live.until_share(percent).await;
        live.write(&format!("    weight: {}%\n", percent + 1));
        live.until_share(percent + 1).await;
    }
    link(&live, "    weight: 30%\n", "..one");
    live.until_share(30).await;
    link(&live, "    weight: 31%\n", "..two");
    live.until_share(31).await;
    fs::write(live.file(), "splits: [").unwrap();
    let mut watch = live.running.as_ref().unwrap().handle.watch();
    let waiting = watch.wait_for(|status| status.config.problem.is_some());
    let status = timeout(PATIENCE, waiting).await.unwrap().unwrap().clone();
    let shown = status.config.problem.as_ref().unwrap();
    assert!(
        shown.contains("serin.yaml:1:") && shown.contains('^'),
        "{shown}"
    );
    load.more(100).await;
    live.until_share(31).await;
    assert_eq!(load.failed(), 0);
}

/// Puts a text in force as Kubernetes does: a link to a directory is swapped.
fn link(live: &Live, split: &str, version: &str) {
    use std::os::unix::fs::symlink;
    let place: &Path = live.place.path();
    fs::create_dir(place.join(version)).unwrap();
    fs::write(place.join(version).join("serin.yaml"), live.text(split)).unwrap();
    symlink(version, place.join("..tmp")).unwrap();
    fs::rename(place.join("..tmp"), place.join("..data")).unwrap();
    if !live.file().is_symlink() {
        symlink("..data/serin.yaml", place.join("tmp.yaml")).unwrap();
        fs::rename(place.join("tmp.yaml"), live.file()).unwrap();
    }
}
