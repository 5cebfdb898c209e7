//! A scene: Serin with its file, two versions and a load; a fault, and what Serin does about it.

use std::{fs, path::PathBuf, time::Duration};

use serin::{
    app::{self, Options, Running},
    config::Drain,
    control::SplitStatus,
    model::{Role, Share},
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::{
    load::Load,
    version::{Fault, Version},
};

/// Longer than any fault takes to be found.
const PATIENCE: Duration = Duration::from_mins(3);

/// What is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Requests a second, and the canary's percent of them.
    pub(crate) rate: u32,
    pub(crate) percent: u32,
    /// Of the canary; `broken` of them get the fault.
    pub(crate) endpoints: usize,
    pub(crate) broken: usize,
    pub(crate) fault: Fault,
    pub(crate) begin: Begin,
    /// `None`: the default.
    pub(crate) warm_up: Option<&'static str>,
    /// A route for each.
    pub(crate) paths: &'static [&'static str],
}

/// When the fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the first request that Serin ever gets: nothing is known of stable either.
    WithSerin,
    /// With the canary's first request.
    WithCanary,
    /// After the canary was well for a while.
    Later,
}

/// How long the times are before a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    /// Stable alone.
    pub(crate) alone: Duration,
    /// Both, well.
    pub(crate) well: Duration,
}

/// What Serin did.
#[derive(Debug)]
pub(crate) struct Found {
    /// From the beginning of the harm to the moment at which nothing goes to the canary.
    pub(crate) after: Duration,
    /// Requests that the fault had hit by then.
    pub(crate) hit: u64,
    pub(crate) split: SplitStatus,
}

impl Found {
    /// The judge's cause.
    pub(crate) fn cause(&self) -> &str {
        &self.split.judgement.as_ref().unwrap().cause
    }
}

impl Scene {
    /// 1,000 requests a second, a tenth of them to one bad canary, without a warm-up.
    pub(crate) const fn of(name: &'static str, fault: Fault) -> Self {
        Self {
            name,
            rate: 1_000,
            percent: 10,
            endpoints: 1,
            broken: 1,
            fault,
            begin: Begin::Later,
            warm_up: Some("0s"),
            paths: &["/"],
        }
    }

    /// Plays it until the canary is rolled back.
    pub(crate) async fn play(&self, before: Before) -> Found {
        let stage = Stage::set(self).await;
        match self.begin {
            Begin::WithSerin => {}
            Begin::WithCanary => {
                stage.until_asked(Role::Stable, before.alone).await;
                stage.spoil();
                stage.begin();
            }
            Begin::Later => {
                stage.until_asked(Role::Stable, before.alone).await;
                stage.begin();
                let split = stage.until_asked(Role::Canary, before.well).await;
                assert_ne!(split.phase, "rolled_back", "{}: {split:?}", self.name);
                stage.spoil();
            }
        }
        let switched = Instant::now();
        let split = stage.until(|split| split.phase == "rolled_back").await;
        let now = Instant::now();
        assert_eq!(split.share, Share::ZERO);
        let hit = &stage.canary.hit;
        let began = match self.fault {
            Fault::Fails(_) | Fault::Hangs => hit.first().unwrap(),
            Fault::Nothing | Fault::Doubles | Fault::DoublesTail => switched,
        };
        let found = Found {
            after: now - began,
            hit: hit.count(),
            split,
        };
        stage.strike().await;
        found
    }

    /// Plays it without a fault, for as long as both are well, and says how it stands then.
    pub(crate) async fn play_well(&self, before: Before) -> SplitStatus {
        let stage = Stage::set(self).await;
        stage.until_asked(Role::Stable, before.alone).await;
        stage.begin();
        let split = stage.until_asked(Role::Canary, before.well).await;
        stage.strike().await;
        split
    }

    /// Plays it with a fault that is no reason to roll back, and says how it stands when the canary
    /// has had it for as long as it was well.
    pub(crate) async fn play_on(&self, before: Before) -> SplitStatus {
        let stage = Stage::set(self).await;
        stage.until_asked(Role::Stable, before.alone).await;
        stage.begin();
        stage.until_asked(Role::Canary, before.well).await;
        stage.spoil();
        let split = stage.until_asked(Role::Canary, 2 * before.well).await;
        stage.strike().await;
        split
    }

    fn text(&self, (stable, canary): (&Version, &Version), percent: u32) -> String {
        let quoted = |version: &Version| {
            let all = version.addresses().into_iter();
            let all: Vec<_> = all.map(|address| format!("\"{address}\"")).collect();
            all.join(", ")
        };
        let route = |(number, path): (usize, &&str)| {
            format!("      - {{ name: route-{number}, path_prefix: {path} }}\n")
        };
        let routes: String = self.paths.iter().enumerate().map(route).collect();
        let warm_up = self.warm_up.map_or_else(String::new, |warm_up| {
            format!("    analysis: {{ warm_up: {warm_up} }}\n")
        });
        format!(
            "listen: \"127.0.0.1:0\"\nadmin: \"127.0.0.1:0\"\nworkers: 2\nupstreams:\n\
             \x20 old: {{ static: [{}] }}\n\x20 new: {{ static: [{}] }}\n\
             splits:\n\x20 shop:\n\x20   match:\n{routes}\x20   stable: old\n\
             \x20   canary: new\n\x20   weight: {percent}%\n{warm_up}",
            quoted(stable),
            quoted(canary),
        )
    }
}

/// All that is under way.
struct Stage {
    /// `None` once it is struck.
    running: Option<Running>,
    place: TempDir,
    stable: Version,
    canary: Version,
    scene: Scene,
    load: Option<Load>,
}

impl Stage {
    /// Serin and stable at work; nothing goes to the canary.
    async fn set(scene: &Scene) -> Self {
        let mut stage = Self {
            running: None,
            place: tempfile::tempdir().unwrap(),
            stable: Version::of(scene.endpoints).await,
            canary: Version::of(scene.endpoints).await,
            scene: *scene,
            load: None,
        };
        let percent = match scene.begin {
            Begin::WithSerin => {
                stage.spoil();
                scene.percent
            }
            Begin::WithCanary | Begin::Later => 0,
        };
        stage.write(percent);
        let running = app::start(&Options {
            config: stage.file(),
            state_dir: Some(stage.place.path().join("state")),
        });
        let running = running.unwrap();
        let address = running.listeners.first().unwrap().1;
        stage.running = Some(running);
        stage.until(|split| split.share == share(percent)).await;
        stage.load = Some(Load::on(address, scene.rate, scene.paths));
        stage
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("serin.yaml")
    }

    fn write(&self, percent: u32) {
        let text = self.scene.text((&self.stable, &self.canary), percent);
        fs::write(self.file(), text).unwrap();
    }

    /// The fault begins.
    fn spoil(&self) {
        self.canary.spoil(self.scene.broken, self.scene.fault);
    }

    /// The canary gets its share.
    fn begin(&self) {
        self.write(self.scene.percent);
    }

    /// Waits until the split is as wanted.
    async fn until(&self, is_it: impl Fn(&SplitStatus) -> bool) -> SplitStatus {
        let mut watch = self.running.as_ref().unwrap().handle.watch();
        let waiting = watch.wait_for(|status| status.splits.first().is_some_and(&is_it));
        let found = timeout(PATIENCE, waiting).await;
        let name = self.scene.name;
        let status = found.unwrap_or_else(|_| panic!("{name}: waits in vain"));
        status.unwrap().splits.first().unwrap().clone()
    }

    /// Waits until a version was asked for as long as this, or the canary is rolled back.
    async fn until_asked(&self, role: Role, time: Duration) -> SplitStatus {
        let Scene { rate, percent, .. } = self.scene;
        let part = match role {
            Role::Stable => 100 - percent,
            Role::Canary => percent,
        };
        let count = time.as_secs_f64() * f64::from(rate * part) / 100.0;
        let is_it = |split: &SplitStatus| {
            let trials = split.arm(role).map_or(0, |arm| arm.trials);
            trials as f64 >= count || split.phase == "rolled_back"
        };
        self.until(is_it).await
    }

    async fn strike(mut self) {
        self.load = None;
        let drain = Drain {
            timeout: Duration::ZERO,
            lag: Duration::ZERO,
            long_lived: None,
        };
        let running = self.running.take().unwrap();
        running.stop(drain, std::future::pending()).await;
    }
}

fn share(percent: u32) -> Share {
    let points = u16::try_from(percent * 100).unwrap();
    Share::from_basis_points(points).unwrap()
}
