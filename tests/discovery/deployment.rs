//! One Marathon app in a rolling deployment, as stable and canary of one split, under load; and
//! what its users notice when Marathon is gone.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use serin::{
    app::{self, Options, Running},
    control::UpstreamStatus,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::support::{
    client::Client,
    marathon::{Marathon, Mood},
    origin::Origin,
};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How soon people are told of a source that does not answer.
const TOLD: Duration = Duration::from_secs(15);

/// An app, its tasks, Serin in front of them, and clients.
struct Scene {
    marathon: Marathon,
    /// Tasks that run, by their ids.
    tasks: HashMap<String, Origin>,
    running: Running,
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
    _place: tempfile::TempDir,
}

impl Scene {
    /// With so many tasks.
    async fn start(tasks: usize) -> Self {
        let marathon = Marathon::start(2).await;
        marathon.put_app("/shop/web", &json!({}));
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("serin.yaml");
        let half = |half: &str| {
            let urls = marathon.urls();
            format!("{{ marathon: {{ url: {urls}, app: /shop/web, tasks: {half} }} }}")
        };
        let text = format!(
            "listen: \"127.0.0.1:0\"\nadmin: none\nworkers: 2\nupstreams:\n\
             \x20 old: {}\n\x20 new: {}\n\
             splits: {{ shop: {{ stable: old, canary: new, weight: 50% }} }}\n",
            half("old"),
            half("new")
        );
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&file, text).unwrap();
        let options = Options {
            config: file,
            state_dir: Some(place.path().join("state")),
        };
        let mut origins = HashMap::new();
        for _ in 0..tasks {
            let (id, origin) = begin(&marathon, "v1").await;
            origins.insert(id, origin);
        }
        let running = app::start(&options).unwrap();
        let address = running.listeners.first().unwrap().1;
        let mut scene = Self {
            marathon,
            tasks: origins,
            running,
            address,
            asked: Arc::default(),
            failed: Arc::default(),
            clients: Vec::new(),
            _place: place,
        };
        scene.until((tasks, tasks), (tasks, tasks)).await;
        scene.load(4);
        scene
    }

    fn load(&mut self, clients: usize) {
        for _ in 0..clients {
            let (asked, failed) = (Arc::clone(&self.asked), Arc::clone(&self.failed));
            let address = self.address;
            self.clients.push(tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut pace = tokio::time::interval(Duration::from_millis(2));
                loop {
                    pace.tick().await;
                    let status = client.get("/", "").await.status;
                    failed.fetch_add(u64::from(status != 200), Ordering::SeqCst);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
    }

    /// A task of the present configuration.
    async fn add(&mut self, says: &'static str) -> String {
        let (id, origin) = begin(&self.marathon, says).await;
        self.tasks.insert(id.clone(), origin);
        id
    }

    /// Marathon kills a task; its program ends when its endpoint is gone from both halves.
    async fn kill(&mut self, id: &str, old: (usize, usize), new: (usize, usize)) {
        self.marathon
            .set_task_state("/shop/web", id, "TASK_KILLING");
        self.until(old, new).await;
        // Requests under way, and 20 more, so that whoever still went there would be seen.
        self.more(20).await;
        self.tasks.remove(id);
        self.marathon.remove_task("/shop/web", id);
    }

    /// Waits until the sources of both halves have a problem, or none.
    async fn until_told(&self, has_problem: bool) {
        let mut watch = self.running.handle.watch();
        let waiting = watch.wait_for(|status| {
            let mut upstreams = status.upstreams.iter();
            upstreams.all(|it| it.problem.is_some() == has_problem)
        });
        let found = timeout(PATIENCE, waiting).await.is_ok();
        let status = self.running.handle.status();
        assert!(found, "problems: {has_problem}, but {:?}", status.upstreams);
    }

    /// Waits until so many more requests were answered.
    async fn more(&self, count: u64) {
        let until = self.asked.load(Ordering::SeqCst) + count;
        while self.asked.load(Ordering::SeqCst) < until {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the two halves have so many endpoints that can be used, and in all.
    async fn until(&self, old: (usize, usize), new: (usize, usize)) {
        let mut watch = self.running.handle.watch();
        let counts = |upstreams: &[UpstreamStatus]| {
            let counts = upstreams.iter().map(|it| it.endpoints);
            counts.collect::<Vec<_>>()
        };
        let wanted = [old, new];
        let waiting = watch.wait_for(|status| counts(&status.upstreams) == wanted);
        let found = timeout(PATIENCE, waiting).await.is_ok();
        let status = self.running.handle.status();
        assert!(found, "{wanted:?} but {:?}", status.upstreams);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.clients.iter().for_each(JoinHandle::abort);
    }
}

async fn begin(marathon: &Marathon, says: &'static str) -> (String, Origin) {
    let origin = Origin::saying(says).await;
    let id = marathon.add_task("/shop/web", origin.address);
    (id, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_deployment_is_stable_and_canary_and_no_request_fails() {
    let mut scene = Scene::start(4).await;
    let old: Vec<String> = scene.tasks.keys().cloned().collect();
    scene.marathon.release("/shop/web");
    // Four endpoints of the new half become one: that is no loss, and believed at once.
    let began = Instant::now();
    let mut new = vec![scene.add("v2").await];
    scene.until((4, 4), (1, 1)).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let asked = scene.marathon.asked();
    let streams = asked.iter().filter(|it| it.path.starts_with("/v2/events"));
    assert_eq!(streams.count(), 1, "both halves hear the same: {asked:?}");
    for (gone, id) in (1..).zip(&old) {
        new.push(scene.add("v2").await);
        scene
            .until((5 - gone, 5 - gone), (1 + gone, 1 + gone))
            .await;
        // Of the last one, the old half is everybody.
        let left = if gone == 4 {
            (5, 6)
        } else {
            (4 - gone, 5 - gone)
        };
        scene.kill(id, left, (1 + gone, 1 + gone)).await;
        let left = if gone == 4 {
            (5, 5)
        } else {
            (4 - gone, 4 - gone)
        };
        scene.until(left, (1 + gone, 1 + gone)).await;
    }
    scene.marathon.finish("/shop/web");
    scene.marathon.scale("/shop/web", 4);
    // A leader goes while a task does, too.
    scene.marathon.elect(None);
    scene
        .marathon
        .set_task_state("/shop/web", &new[0], "TASK_KILLING");
    scene.marathon.elect(Some(1));
    scene.until((4, 5), (4, 5)).await;
    let (asked, failed) = (&scene.asked, &scene.failed);
    let failed = failed.load(Ordering::SeqCst);
    assert_eq!(failed, 0, "of {}", asked.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marathon_that_is_down_or_garbled_changes_no_traffic_and_is_told() {
    let mut scene = Scene::start(3).await;
    let moods = [
        Mood::Garbage(b"{\"apps\":[]}".to_vec()),
        Mood::Garbage(b"\xff<html>".to_vec()),
        Mood::Refusing(500),
    ];
    for mood in moods {
        scene.marathon.set_mood(mood);
        let began = Instant::now();
        scene.until_told(true).await;
        assert!(began.elapsed() < TOLD, "{:?}", began.elapsed());
        scene.until((3, 3), (3, 3)).await;
        scene.more(50).await;
        scene.marathon.set_mood(Mood::Well);
        scene.until_told(false).await;
    }
    scene.marathon.stop(0);
    scene.marathon.stop(1);
    let began = Instant::now();
    scene.until_told(true).await;
    assert!(began.elapsed() < TOLD, "{:?}", began.elapsed());
    scene.until((3, 3), (3, 3)).await;
    scene.more(50).await;
    // It comes back, and a task has come with it.
    scene.marathon.resume(0);
    scene.add("v1").await;
    scene.until((4, 4), (4, 4)).await;
    scene.until_told(false).await;
    assert_eq!(scene.failed.load(Ordering::SeqCst), 0);
}
