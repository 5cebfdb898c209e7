//! One Marathon and some of its apps: asked again and again, by whoever picks endpoints from them.

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    events,
    masters::Masters,
    wire::{self, App, Wanted},
};
use crate::{
    config::{LabelRule, Marathon, MasterLogin, Source},
    discover::DiscoverError,
};

/// An answer that takes longer than this is told of as a problem, and waited for.
pub(super) const SLOW: Duration = Duration::from_secs(4);
/// The first wait after an error; each further error doubles it, up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How long events must have been quiet before it is asked...
const QUIET: Duration = Duration::from_millis(30);
/// ...and for how long that quiet is waited for.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two questions, whatever the events.
const SPACE: Duration = Duration::from_millis(250);
/// What the last question has come to; `None`: there was none yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(pub(super) Option<Result<Arc<[App]>, DiscoverError>>);

/// Whom to ask for which apps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cluster {
    pub(super) masters: Vec<String>,
    pub(super) apps: Vec<String>,
    labels: Vec<LabelRule>,
    pub(super) has_events: bool,
    interval: Duration,
    pub(super) ca: Option<PathBuf>,
    pub(super) login: MasterLogin,
}

impl Cluster {
    /// The one that an upstream picks from.
    pub(crate) fn new(how: &Marathon) -> Self {
        Self {
            masters: how.masters.clone(),
            apps: how.apps.clone(),
            labels: how.labels.clone(),
            has_events: how.events,
            interval: how.interval,
            ca: how.ca.clone(),
            login: how.login.clone(),
        }
    }

    /// The one that a source picks from, if it does.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        match source {
            Source::Marathon(how) => Some(Self::new(how)),
            Source::CloudMap(_)
            | Source::Dns { .. }
            | Source::Ecs(_)
            | Source::File(_)
            | Source::Srv { .. }
            | Source::Static(_) => None,
        }
    }
}

/// Asks again and again.
pub(crate) async fn ask(cluster: Cluster, tell: watch::Sender<Heard>) {
    let changed = Notify::new();
    tokio::select! {
        () = ask_again_and_again(&cluster, &tell, &changed) => {}
        () = events::listen(&cluster, &changed) => {}
    }
}

async fn ask_again_and_again(cluster: &Cluster, tell: &watch::Sender<Heard>, changed: &Notify) {
    let (mut masters, path) = (Masters::new(cluster), path(cluster));
    let mut errors = 0_u32;
    loop {
        let began = Instant::now();
        let answer = {
            let mut answer = pin!(answer(cluster, &mut masters, &path));
            if let Ok(answer) = timeout(SLOW, &mut answer).await {
                answer
            } else {
                let slow = format!("Marathon has not answered for {SLOW:?}");
                tell.send_replace(Heard(Some(Err(DiscoverError::Unreachable(slow)))));
                answer.await
            }
        };
        errors = if answer.is_ok() {
            0
        } else {
            errors.saturating_add(1)
        };
        tell.send_replace(Heard(Some(answer)));
        wait(began, pace(cluster.interval, errors), changed).await;
    }
}

async fn answer(
    cluster: &Cluster,
    masters: &mut Masters,
    path: &str,
) -> Result<Arc<[App]>, DiscoverError> {
    let answer = masters.ask(path).await?;
    let wanted = Wanted {
        apps: cluster.apps.clone(),
        labels: cluster.labels.clone(),
    };
    // Megabytes take time, in which control must be free to roll back.
    let read = tokio::task::spawn_blocking(move || wire::read(&answer, &wanted)).await;
    let read = read.map_err(|error| DiscoverError::Unreachable(error.to_string()))?;
    read.map(Arc::from).map_err(|error| {
        DiscoverError::Malformed(format!("Marathon's answer cannot be understood: {error}"))
    })
}

/// When to ask next: within the interval, all proxies at other times.
pub(super) fn pace(interval: Duration, errors: u32) -> Duration {
    let jitter = 1.0 - 0.2 * fastrand::f64();
    let retry = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(errors.saturating_sub(1)));
    let wait = if errors == 0 { interval } else { retry };
    wait.min(interval).mul_f64(jitter)
}

/// Until the next question is due, or events say that it is worth asking. A question that took long
/// has used up the wait for the next one, so that what is mended meanwhile is soon seen.
async fn wait(began: Instant, longest: Duration, changed: &Notify) {
    let due = (began + longest).max(Instant::now() + longest.min(FIRST_RETRY));
    tokio::select! {
        () = changed.notified() => {}
        () = sleep_until(due) => return,
    }
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience && timeout(QUIET, changed.notified()).await.is_ok() {}
    sleep_until(began + SPACE).await;
}

/// What is asked: filtered by the master where it can.
pub(super) fn path(cluster: &Cluster) -> String {
    let mut path =
        "/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness".to_owned();
    // A master takes any id that has this text in it.
    if let Some(id) = shared(&cluster.apps) {
        path.push_str("&id=");
        path.push_str(id);
    }
    let rule = |rule: &LabelRule| match &rule.value {
        None => rule.name.clone(),
        Some(value) if rule.is_negated => format!("{}!={value}", rule.name),
        Some(value) => format!("{}=={value}", rule.name),
    };
    if !cluster.labels.is_empty() {
        let rules: Vec<String> = cluster.labels.iter().map(rule).collect();
        path.push_str("&label=");
        path.push_str(&rules.join(",").replace('=', "%3D").replace('!', "%21"));
    }
    path
}

/// The beginning that all ids share.
fn shared(ids: &[String]) -> Option<&str> {
    let (first, rest) = ids.split_first()?;
    let length = rest.iter().fold(first.len(), |length, id| {
        let same = first.bytes().zip(id.bytes()).take_while(|(a, b)| a == b);
        length.min(same.count())
    });
    first.get(..length).filter(|shared| shared.len() > 1)
}
