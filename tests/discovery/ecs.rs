//! Tasks of ECS and instances of Cloud Map, as Serin sees them.

mod credentials;
mod service;
mod whole;

use std::{path::PathBuf, time::Duration};

use serin::{
    config::{self, Config},
    discover::{self, Discovered, Environment, Names, Sources},
    model::{Endpoint, Health},
};
use tokio::{sync::mpsc, time::timeout};

use crate::support::ecs::Amazon;

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file with these upstreams, each in YAML's flow style.
fn text(upstreams: &[(&str, String)]) -> String {
    let upstreams = upstreams
        .iter()
        .map(|(name, source)| format!("  {name}: {{ {source} }}\n"));
    let upstreams = upstreams.collect::<Vec<_>>().concat();
    format!("listen: \"127.0.0.1:0\"\nadmin: none\nworkers: 1\nupstreams:\n{upstreams}")
}

/// The same, where every upstream is the stable version of a split.
fn with_splits(upstreams: &[(&str, String)]) -> String {
    let splits = upstreams.iter().map(|(name, _)| {
        format!("  {name}: {{ match: {{ hosts: {name}.test }}, stable: {name} }}\n")
    });
    let splits = splits.collect::<Vec<_>>().concat();
    format!("{}splits:\n{splits}", text(upstreams))
}

/// The same, read, for a test that asks the sources itself.
fn config(upstreams: &[(&str, String)]) -> Config {
    let loaded = config::load(&with_splits(upstreams), "test.yaml");
    let (config, _) = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    config
}

/// Sources at work, and what they tell.
struct Watched {
    _sources: Sources,
    answers: mpsc::Receiver<Discovered>,
}

impl Watched {
    fn start(config: &Config, variables: Vec<(String, String)>) -> Self {
        let (into, answers) = mpsc::channel(64);
        let names = Names::asking(([127, 0, 0, 1], 9).into(), PathBuf::from("/nowhere/hosts"));
        let around = (names, Environment::of(variables));
        Self {
            _sources: discover::spawn_with(around, &config.upstreams, into),
            answers,
        }
    }

    /// The next answer of any upstream.
    async fn next(&mut self) -> Discovered {
        let waited = timeout(PATIENCE, self.answers.recv()).await;
        waited
            .unwrap_or_else(|_| panic!("nothing is told"))
            .unwrap()
    }

    /// The next answer of an upstream that is as wanted.
    async fn until(&mut self, upstream: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        let waiting = async {
            loop {
                let answer = self.answers.recv().await.unwrap();
                if answer.upstream.as_str() != upstream {
                    continue;
                }
                let shown = shown(&answer);
                if wanted(&shown) {
                    return shown;
                }
                seen.push(shown);
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{upstream} tells only {seen:#?}"))
    }

    /// Waits until an upstream tells just this.
    async fn tells(&mut self, upstream: &str, expected: &str) {
        self.until(upstream, |shown| shown == expected).await;
    }

    /// Waits for an error of an upstream that says this.
    async fn fails(&mut self, upstream: &str, words: &str) -> String {
        let is_it = |shown: &str| shown.starts_with('!') && shown.contains(words);
        self.until(upstream, is_it).await
    }
}

/// Addresses, `+` healthy, `-` unhealthy, `d` draining; an error with `!`.
fn shown(answer: &Discovered) -> String {
    let one = |endpoint: &Endpoint| {
        let health = match endpoint.health {
            Health::Healthy => "+",
            Health::Unhealthy => "-",
            Health::Unknown => "",
        };
        let draining = if endpoint.draining { "d" } else { "" };
        format!("{}{health}{draining}", endpoint.address)
    };
    match &answer.result {
        Ok(all) => all.iter().map(one).collect::<Vec<_>>().join(" "),
        Err(error) => format!("! {error}"),
    }
}

/// The service `web` with the port 3000, asked for ten times a second.
fn web(more: &str) -> String {
    let keys = "cluster: shop, service: web, port: 3000, container: web, interval: 100ms";
    format!("ecs: {{ {keys}{more} }}")
}

async fn amazon() -> Amazon {
    Amazon::start().await
}
