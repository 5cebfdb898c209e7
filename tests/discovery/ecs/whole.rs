//! All of Serin in front of tasks that run on this machine.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::{Status, UpstreamStatus},
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::{PATIENCE, with_splits};
use crate::{
    mutation::mutations,
    support::{
        client::Client,
        ecs::{Amazon, Host, Mood, Place, Task},
        origin::Origin,
    },
};

/// Serin with one upstream for each stand-in, each in a split of its own.
struct Serin {
    running: Running,
    address: SocketAddr,
    _place: TempDir,
}

impl Serin {
    fn start(amazons: &[&Amazon], port: u16) -> Self {
        let place = tempfile::tempdir().unwrap();
        let upstream = |(at, amazon): (usize, &&Amazon)| {
            let folder = place.path().join(at.to_string());
            fs::create_dir(&folder).unwrap();
            let keys = amazon.keys(&folder, "100ms");
            let who = format!("cluster: shop, service: web, port: {port}, container: web");
            (format!("u{at}"), format!("ecs: {{ {who}, {keys} }}"))
        };
        let upstreams: Vec<(String, String)> = amazons.iter().enumerate().map(upstream).collect();
        let named: Vec<(&str, String)> = upstreams
            .iter()
            .map(|(name, source)| (name.as_str(), source.clone()))
            .collect();
        let file = place.path().join("serin.yaml");
        fs::write(&file, with_splits(&named)).unwrap();
        let running = Self::run(&file, &place.path().join("state"));
        Self {
            address: running.listeners[0].1,
            running,
            _place: place,
        }
    }

    fn run(file: &Path, state: &Path) -> Running {
        let options = Options {
            config: file.to_owned(),
            state_dir: Some(state.to_owned()),
        };
        app::start(&options).unwrap()
    }

    /// Waits until all upstreams are as wanted.
    async fn until(&self, is_it: impl Fn(&UpstreamStatus) -> bool) {
        let mut watch = self.running.handle.watch();
        let all = |status: &Arc<Status>| status.upstreams.iter().all(&is_it);
        let found = timeout(PATIENCE, watch.wait_for(all)).await;
        let seen = || format!("{:?}", self.running.handle.status().upstreams);
        drop(
            found
                .unwrap_or_else(|_| panic!("it stays {}", seen()))
                .unwrap(),
        );
    }

    async fn get(&self, host: &str) -> (u16, String) {
        let mut client = Client::connect(self.address).await;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.send(request).await;
        let answer = client.answer().await;
        (answer.status, answer.text().to_owned())
    }

    async fn stop(self) {
        let drain = Drain {
            timeout: Duration::ZERO,
            lag: Duration::ZERO,
            long_lived: None,
        };
        self.running.stop(drain, std::future::pending()).await;
    }
}

/// One task on a host, and one with an interface of its own; both run.
async fn two_tasks(amazon: &Amazon) -> (Origin, Origin) {
    let own = Origin::saying_at("127.1.0.1:0".parse().unwrap(), "own").await;
    let hosted = Origin::saying_at("127.0.1.4:0".parse().unwrap(), "hosted").await;
    let place = Place::Host {
        host: 0,
        port: hosted.address.port(),
    };
    amazon.change(|world| {
        world.hosts = vec![Host {
            arn: "arn:host/1".to_owned(),
            id: "i-1".to_owned(),
            address: hosted.address.ip(),
        }];
        world.tasks = vec![
            Task::at("1", "web", own.address).healthy(),
            Task::new("2", "web", own.address.port(), place).healthy(),
        ];
    });
    (own, hosted)
}

#[tokio::test]
async fn an_api_that_is_down_slow_or_mad_changes_no_traffic_and_is_told_within_15_seconds() {
    let amazon = Amazon::start().await;
    let (own, hosted) = two_tasks(&amazon).await;
    let serin = Serin::start(&[&amazon], own.address.port());
    serin.until(|upstream| upstream.endpoints == (2, 2)).await;
    let both = async |serin: &Serin| {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let (status, body) = serin.get("u0.test").await;
            assert_eq!(status, 200);
            seen.insert(body);
        }
        assert_eq!(Vec::from_iter(seen), ["hosted", "own"]);
    };
    both(&serin).await;
    let moods = [
        Mood::Down,
        Mood::Slow,
        Mood::Garbage,
        Mood::Throttling,
        Mood::Denying,
        Mood::Saying("ListTasks", b"{\"taskArns\":[]}".to_vec()),
        Mood::Saying("DescribeInstances", b"<a/>".to_vec()),
    ];
    for mood in moods {
        let from = Instant::now();
        let is_quiet = matches!(mood, Mood::Saying(..));
        amazon.change(|world| world.mood = mood.clone());
        if is_quiet {
            // What was there in the last round is asked for by name, and hosts are known.
            amazon.called("DescribeTasks", 3).await;
        } else {
            serin.until(|upstream| upstream.problem.is_some()).await;
        }
        assert!(from.elapsed() < Duration::from_secs(15), "{mood:?}");
        both(&serin).await;
        amazon.change(|world| world.mood = Mood::Well);
        serin
            .until(|upstream| upstream.problem.is_none() && upstream.endpoints == (2, 2))
            .await;
    }
    // A task that is to stop gets nothing more, while its process still answers.
    amazon.change(|world| world.task("1").fall());
    serin.until(|upstream| upstream.endpoints == (1, 2)).await;
    for _ in 0..20 {
        assert_eq!(serin.get("u0.test").await, (200, "hosted".to_owned()));
    }
    drop((own, hosted));
    serin.stop().await;
}

#[tokio::test]
async fn two_hundred_mutated_answers_of_each_kind_empty_no_upstream() {
    const LANES: usize = 10;
    let mut amazons = Vec::new();
    for _ in 0..LANES {
        let amazon = Amazon::start().await;
        amazon.change(|world| {
            let at = |id: u8| format!("127.1.0.{id}:3000").parse().unwrap();
            let task = |id: u8| Task::at(&id.to_string(), "web", at(id)).healthy();
            world.tasks = (1..=5).map(task).collect();
        });
        amazons.push(amazon);
    }
    let serin = Serin::start(&amazons.iter().collect::<Vec<_>>(), 3000);
    serin.until(|upstream| upstream.endpoints == (5, 5)).await;
    let mut kinds = Vec::new();
    amazons[0].change(|world| {
        let arns: Vec<String> = world.tasks.iter().map(Task::arn).collect();
        let told: Vec<_> = world.tasks.iter().map(|task| task.told(&[])).collect();
        kinds.push(("ListTasks", json!({ "taskArns": arns })));
        kinds.push(("DescribeTasks", json!({ "tasks": told, "failures": [] })));
    });
    for (action, told) in kinds {
        let text = told.to_string();
        let all: Vec<Vec<u8>> = mutations(&text, 200).collect();
        for some in all.chunks(LANES) {
            for (amazon, told) in amazons.iter().zip(some) {
                let mood = Mood::Saying(action, told.clone());
                amazon.change(|world| world.mood = mood);
            }
            let before: Vec<u64> = amazons.iter().map(|one| one.count(action)).collect();
            for (amazon, before) in amazons.iter().zip(before) {
                amazon.counted(action, before + 2).await;
            }
            let status = serin.running.handle.status();
            for upstream in &status.upstreams {
                assert!(upstream.endpoints.0 > 0, "{upstream:?}");
            }
        }
        for amazon in &amazons {
            amazon.change(|world| world.mood = Mood::Well);
        }
        serin
            .until(|upstream| upstream.endpoints == (5, 5) && upstream.problem.is_none())
            .await;
    }
    serin.stop().await;
}
