//! A journey: a fleet in Marathon, one in ECS, Serin between them and clients, and what happens to
//! each.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde_json::json;
use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::{SplitStatus, UpstreamStatus},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

use super::{
    fleet::{Book, Fault, Task},
    support::{
        ecs::{self, Amazon},
        marathon::Marathon,
    },
};

/// Longer than anything a journey waits for.
const PATIENCE: Duration = Duration::from_mins(4);
/// The app.
const APP: &str = "/shop/web";

/// All of it.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) address: SocketAddr,
    pub(crate) marathon: Marathon,
    amazon: Amazon,
    /// By their ids.
    mesos: HashMap<String, Task>,
    ecs: HashMap<String, Task>,
    /// The port of every container.
    port: u16,
    book: Book,
    posts: mpsc::UnboundedReceiver<u64>,
    running: Running,
    place: TempDir,
}

impl Journey {
    /// So many tasks in each fleet, those of ECS with a fault, and Serin in front of Marathon's.
    pub(crate) async fn begin(mesos: usize, ecs: usize, fault: Fault) -> Self {
        let (marathon, amazon) = (Marathon::start(2).await, Amazon::start().await);
        let (book, posts) = mpsc::unbounded_channel();
        let place = tempfile::tempdir().unwrap();
        marathon.put_app(
            APP,
            &json!({ "healthChecks": [{ "protocol": "HTTP", "path": "/" }] }),
        );
        let mut tasks = HashMap::new();
        let mut port = 0;
        for number in 1..=ecs {
            let address = (own_address(number), port).into();
            let task = Task::at(address, fault, &book).await;
            port = task.address.port();
            let id = number.to_string();
            let known = ecs::Task::at(&id, "web", task.address).healthy();
            amazon.change(|world| world.tasks.push(known));
            tasks.insert(id, task);
        }
        let path = place.path().join("serin.yaml");
        let text = text(&marathon, &amazon.keys(place.path(), "500ms"), port, "");
        fs::write(&path, text).unwrap();
        let mut first = HashMap::new();
        for _ in 0..mesos {
            let (id, task) = start_in(&marathon, &book).await;
            first.insert(id, task);
        }
        let running = app::start(&Options {
            config: path,
            state_dir: Some(place.path().join("state")),
        });
        let running = running.unwrap();
        let journey = Self {
            address: running.listeners.first().unwrap().1,
            marathon,
            amazon,
            mesos: first,
            ecs: tasks,
            port,
            book,
            posts,
            running,
            place,
        };
        journey.until_usable("mesos", mesos).await;
        journey.until_usable("ecs", ecs).await;
        journey
    }

    /// These keys of the split are in the file from now on.
    pub(crate) fn write(&self, split: &str) {
        let path: PathBuf = self.place.path().join("serin.yaml");
        let keys = self.amazon.keys(self.place.path(), "500ms");
        fs::write(path, text(&self.marathon, &keys, self.port, split)).unwrap();
    }

    /// Waits until the split is as wanted.
    pub(crate) async fn until(&self, is_it: impl Fn(&SplitStatus) -> bool) -> SplitStatus {
        let mut watch = self.running.handle.watch();
        let waiting = watch.wait_for(|status| status.splits.first().is_some_and(&is_it));
        let Ok(status) = timeout(PATIENCE, waiting).await else {
            panic!("it stays {:?}", self.running.handle.status().splits.first());
        };
        status.unwrap().splits.first().unwrap().clone()
    }

    /// Waits until an upstream has so many endpoints that may be chosen.
    pub(crate) async fn until_usable(&self, upstream: &str, count: usize) {
        let mut watch = self.running.handle.watch();
        let is_it =
            |known: &UpstreamStatus| known.name.as_str() == upstream && known.endpoints.0 == count;
        let waiting = watch.wait_for(|status| status.upstreams.iter().any(is_it));
        let Ok(known) = timeout(PATIENCE, waiting).await else {
            panic!("{:?}", self.running.handle.status().upstreams);
        };
        drop(known.unwrap());
    }

    /// A new configuration replaces the tasks in Marathon, one by one.
    pub(crate) async fn roll(&mut self) {
        self.marathon.release(APP);
        let old: Vec<String> = self.mesos.keys().cloned().collect();
        let count = old.len();
        for id in old {
            let (new, task) = start_in(&self.marathon, &self.book).await;
            self.mesos.insert(new, task);
            self.until_usable("mesos", count + 1).await;
            self.marathon.set_task_state(APP, &id, "TASK_KILLING");
            self.mesos.remove(&id).unwrap().leave().await;
            self.marathon.remove_task(APP, &id);
            self.until_usable("mesos", count).await;
        }
        self.marathon.finish(APP);
    }

    /// An agent is lost; Mesos needs some time to see it, and to start its task elsewhere.
    pub(crate) async fn lose_an_agent(&mut self) {
        let id = self.mesos.keys().next().unwrap().clone();
        let count = self.mesos.len();
        self.mesos.remove(&id).unwrap().die().await;
        self.marathon.set_task_state(APP, &id, "TASK_UNREACHABLE");
        let (new, task) = start_in(&self.marathon, &self.book).await;
        self.mesos.insert(new, task);
        self.marathon.remove_task(APP, &id);
        self.until_usable("mesos", count).await;
    }

    /// Another task of the service starts, step by step.
    pub(crate) async fn grow(&mut self) {
        let count = self.ecs.len();
        let id = (count + 1).to_string();
        let address = (own_address(count + 1), self.port).into();
        let known = ecs::Task::at(&id, "web", address);
        self.amazon.change(|world| world.tasks.push(known));
        self.amazon.called("DescribeTasks", 2).await;
        self.amazon.change(|world| world.task(&id).rise());
        let task = Task::at(address, Fault::Nothing, &self.book).await;
        self.ecs.insert(id.clone(), task);
        for _ in 0..2 {
            self.amazon.called("DescribeTasks", 1).await;
            self.amazon.change(|world| world.task(&id).rise());
        }
        self.until_usable("ecs", count + 1).await;
    }

    /// A task of the service is taken out: ECS says so, and tells the task some time later.
    pub(crate) async fn shrink(&mut self) {
        let count = self.ecs.len();
        let id = count.to_string();
        self.amazon.change(|world| world.task(&id).fall());
        self.until_usable("ecs", count - 1).await;
        self.amazon.change(|world| world.task(&id).fall());
        self.ecs.remove(&id).unwrap().leave().await;
        self.amazon
            .change(|world| world.tasks.retain(|task| task.id != id));
    }

    /// Every task of the service is gone, and ECS has not seen it yet.
    pub(crate) async fn kill_new_fleet(&mut self) {
        for (_, task) in self.ecs.drain() {
            task.die().await;
        }
    }

    /// Ends it; the numbers of POST requests that tasks took more than once.
    pub(crate) async fn end(mut self) -> Vec<u64> {
        let drain = Drain {
            timeout: Duration::ZERO,
            lag: Duration::ZERO,
            long_lived: None,
        };
        self.running.stop(drain, std::future::pending()).await;
        let mut counts = HashMap::new();
        while let Ok(number) = self.posts.try_recv() {
            *counts.entry(number).or_insert(0) += 1;
        }
        let doubled = counts.into_iter().filter(|(_, count)| *count > 1);
        doubled.map(|(number, _)| number).collect()
    }
}

/// The address of a task with an interface of its own.
fn own_address(number: usize) -> IpAddr {
    IpAddr::from([127, 1, 0, u8::try_from(number).unwrap()])
}

/// A task of the app, found healthy.
async fn start_in(marathon: &Marathon, book: &Book) -> (String, Task) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let task = Task::at(any, Fault::Nothing, book).await;
    let id = marathon.add_task(APP, task.address);
    marathon.set_alive(APP, &id, true);
    (id, task)
}

/// The file.
fn text(marathon: &Marathon, keys: &str, port: u16, split: &str) -> String {
    let urls = marathon.urls();
    format!(
        "listen: \"127.0.0.1:0\"\nadmin: \"127.0.0.1:0\"\nworkers: 2\nupstreams:\n\
         \x20 mesos:\n\x20   marathon: {{ url: {urls}, app: {APP}, interval: 1s }}\n\
         \x20 ecs:\n\x20   ecs: {{ cluster: shop, service: web, port: {port}, {keys} }}\n\
         splits:\n\x20 shop:\n\x20   stable: mesos\n\x20   canary: ecs\n\
         \x20   analysis: {{ warm_up: 0s }}\n\x20   timeouts: {{ response_header: 3s }}\n{split}"
    )
}
