//! Sources without the rest of Serin: what they tell control.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serin::{
    config,
    discover::{self, Discovered, Environment, Names, Sources},
    model::{Endpoint, Health},
};
use tokio::{sync::mpsc, time::timeout};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The source of one upstream, and what it says.
pub(crate) struct Source {
    told: mpsc::Receiver<Discovered>,
    _running: Sources,
}

impl Source {
    /// The source that is written as `marathon: { ... }` or another key of an upstream.
    pub(crate) fn new(written: &str) -> Self {
        // Nobody is asked for names.
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        Self::asking(
            Names::asking(nobody, PathBuf::from("/nowhere/hosts")),
            written,
        )
    }

    /// The same, which asks somebody for names.
    pub(crate) fn asking(names: Names, written: &str) -> Self {
        let text = format!(
            "listen: \"127.0.0.1:0\"\nupstreams:\n  web: {{ {written} }}\n\
             splits: {{ shop: {{ stable: web }} }}\n"
        );
        let loaded = config::load(&text, "test.yaml");
        let (config, _) = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        let (into, told) = mpsc::channel(16);
        Self {
            told,
            _running: discover::spawn_with((names, Environment::of([])), &config.upstreams, into),
        }
    }

    /// What is said next: endpoints in words, or the error.
    pub(crate) async fn next(&mut self) -> Result<Vec<String>, String> {
        let found = timeout(PATIENCE, self.told.recv()).await;
        let found = found.expect("it says something").unwrap().result;
        let words = |endpoints: &[Endpoint]| endpoints.iter().map(word).collect();
        found
            .map(|endpoints| words(&endpoints))
            .map_err(|error| error.to_string())
    }

    /// Waits until these endpoints are told.
    pub(crate) async fn until(&mut self, endpoints: &[&str]) {
        let mut last = None;
        let found = async {
            loop {
                let said = self.next().await;
                if said.as_ref().is_ok_and(|said| said == endpoints) {
                    return;
                }
                last = Some(said);
            }
        };
        let is_found = timeout(PATIENCE, found).await.is_ok();
        assert!(is_found, "{endpoints:?} is not told; the last was {last:?}");
    }

    /// Waits until an error is told, and returns it.
    pub(crate) async fn until_error(&mut self) -> String {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }
}

fn word(endpoint: &Endpoint) -> String {
    let health = match endpoint.health {
        Health::Healthy => " healthy",
        Health::Unhealthy => " unhealthy",
        Health::Unknown => "",
    };
    let draining = if endpoint.draining { " draining" } else { "" };
    let weight = if endpoint.weight == 1 {
        String::new()
    } else {
        format!(" x{}", endpoint.weight)
    };
    format!("{}{weight}{health}{draining}", endpoint.address)
}
