//! A stand-in for Amazon: ECS, EC2, Cloud Map, the agent of a task and the metadata of an instance,
//! all at one address. The test says what there is and what mood it is in; who asks is believed
//! only with a right signature for the right service and region.

#[path = "ecs/answers.rs"]
mod answers;
#[path = "ecs/signature.rs"]
mod signature;
#[path = "ecs/world.rs"]
mod world;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch, time::timeout};

use super::origin::{Origin, Seen, request};
pub use world::{Host, Instance, Key, Mood, Place, Task, World};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The stand-in; it ends when dropped.
#[derive(Debug)]
pub struct Amazon {
    pub address: SocketAddr,
    world: watch::Sender<World>,
    calls: watch::Receiver<BTreeMap<String, u64>>,
    _origin: Origin,
}

impl Amazon {
    /// With nothing in it but one key that is believed.
    pub async fn start() -> Self {
        let (world, seen_world) = watch::channel(World::default());
        let (count, calls) = watch::channel(BTreeMap::new());
        let origin =
            Origin::doing(move |stream| serve(stream, seen_world.clone(), count.clone())).await;
        Self {
            address: origin.address,
            world,
            calls,
            _origin: origin,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what there is.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        self.world.send_modify(change);
    }

    /// Waits until an action was answered so many times more, from now on.
    pub async fn called(&self, action: &str, more: u64) {
        self.counted(action, self.count(action) + more).await;
    }

    /// Waits until an action was answered so many times.
    pub async fn counted(&self, action: &str, until: u64) {
        let mut calls = self.calls.clone();
        let waiting = calls.wait_for(|calls| calls.get(action).is_some_and(|n| *n >= until));
        let waited = timeout(PATIENCE, waiting).await;
        waited
            .unwrap_or_else(|_| panic!("{action} is not asked"))
            .unwrap();
    }

    /// How often an action was asked so far.
    pub fn count(&self, action: &str) -> u64 {
        self.calls.borrow().get(action).copied().unwrap_or(0)
    }

    /// The variables of a process that may ask.
    pub fn variables(&self) -> Vec<(String, String)> {
        let key = self.world.borrow().keys[0].clone();
        let region = self.world.borrow().region.clone();
        let pairs = [
            ("AWS_ACCESS_KEY_ID", key.id),
            ("AWS_SECRET_ACCESS_KEY", key.secret),
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_REGION", region),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// A file with the key that is believed.
    pub fn credentials_file(&self, folder: &Path) -> PathBuf {
        let key = self.world.borrow().keys[0].clone();
        let path = folder.join("credentials");
        let text = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            key.id, key.secret
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The keys of an upstream that asks here, in YAML's flow style: to stand in `ecs: { ... }` or
    /// `cloud_map: { ... }`. The file holds them all, so that nothing depends on the environment.
    pub fn keys(&self, folder: &Path, interval: &str) -> String {
        format!(
            "region: {}, endpoint: \"{}\", credentials_file: \"{}\", interval: {interval}",
            self.world.borrow().region,
            self.url(),
            self.credentials_file(folder).display()
        )
    }
}

async fn serve(
    mut stream: TcpStream,
    world: watch::Receiver<World>,
    count: watch::Sender<BTreeMap<String, u64>>,
) {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await {
        let action = action(&seen);
        let (mood, answer) = {
            let world = world.borrow();
            (world.mood.clone(), answers::answer(&world, &action, &seen))
        };
        let answer = match mood {
            Mood::Down => return,
            Mood::Slow => {
                count.send_modify(|calls| *calls.entry(action).or_default() += 1);
                // Until whoever asks gives up.
                while request(&mut stream, &mut buffer).await.is_some() {}
                return;
            }
            Mood::Well
            | Mood::Garbage
            | Mood::Throttling
            | Mood::Denying
            | Mood::Expired
            | Mood::Skewed
            | Mood::Saying(..) => answer,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        count.send_modify(|calls| *calls.entry(action).or_default() += 1);
    }
}

/// What is asked: the action of an API, or the path.
fn action(seen: &Seen) -> String {
    if let Some(target) = seen.field("x-amz-target") {
        return target.rsplit('.').next().unwrap().to_owned();
    }
    let body = String::from_utf8_lossy(&seen.body);
    let action = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="));
    action.unwrap_or(seen.path()).to_owned()
}
