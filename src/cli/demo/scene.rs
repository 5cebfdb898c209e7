//! The demo's folder: a config like a person's, and a place for state. Gone when the demo is.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The folder and what is in it.
#[derive(Debug)]
pub(super) struct Scene(PathBuf);

impl Scene {
    /// Makes the folder and writes the config.
    pub(super) fn build((stable, canary): (SocketAddr, SocketAddr)) -> anyhow::Result<Self> {
        let name = format!(
            "serin-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let scene = Self(std::env::temp_dir().join(name));
        fs::create_dir(&scene.0)?;
        write(&scene.config(), &config(stable, canary))?;
        Ok(scene)
    }

    /// The config's path.
    pub(super) fn config(&self) -> PathBuf {
        self.0.join("demo.yaml")
    }

    /// The folder for rollout state.
    pub(super) fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Nobody is left to tell; the system clears its temporary folder in the end.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo's own file, before anything runs"
)]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    fs::write(path, text)
}

/// The ramp: 19 s from 5 % to a promotion.
fn config(stable: SocketAddr, canary: SocketAddr) -> String {
    format!(
        "version: 1
listen: \"127.0.0.1:0\"
admin: \"127.0.0.1:0\"
workers: 1
upstreams:
  stable: {{ static: [\"{stable}\"] }}
  canary: {{ static: [\"{canary}\"] }}
splits:
  shop:
    stable: stable
    canary: canary
    sticky: {{ cookie: shop_version }}
    rollout:
      steps:
        - set_weight: 5%
        - pause: 3s
        - set_weight: 10%
        - pause: 3s
        - set_weight: 25%
        - pause: 6s
        - set_weight: 50%
        - pause: 4s
        - set_weight: 100%
        - bake: 3s
    analysis:
      warm_up: 0s
      absolute: {{ latency_p90: 500ms, min_requests: 50, window: 10s }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_of_the_demo_is_a_good_one() {
        let [old, new] = [80, 81].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (config, warnings) =
            crate::config::load(&config(old, new), "demo.yaml").expect("it loads");
        assert!(warnings.is_empty(), "{warnings}");
        assert_eq!(config.splits.len(), 1);
    }

    #[test]
    fn the_folder_goes_with_the_scene() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let scene = Scene::build((address, address)).expect("the folder is made");
        let folder = scene.0.clone();
        assert!(scene.config().exists());
        drop(scene);
        assert!(!folder.exists());
    }
}
