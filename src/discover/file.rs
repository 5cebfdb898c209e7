//! A list of endpoints in another file, watched.
//!
//! Editors, configuration tools and mounted volumes replace a file by a rename or a changed link,
//! so it is the directory that is watched; and its content is compared each second, for file
//! systems that send no events. A list that is being written may read well and be too short, so a
//! change counts when the file has been quiet for a moment.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use super::{
    DiscoverError, Names, Outlet,
    fixed::{List, Pace, Schedule},
};
use crate::config::load_endpoints;

/// How often the content is compared, events or not.
const POLL: Duration = Duration::from_secs(1);
/// How long a changed file must have been quiet.
const QUIET: Duration = Duration::from_millis(20);
/// How many times that quiet is waited for before a busy file is read all the same.
const PATIENCE: u32 = 25;
/// A longer list is refused: it is not a list of endpoints.
const LONGEST: u64 = 16 << 20;

/// Keeps the list of one file fresh, and the addresses of the names in it.
pub(super) async fn run(path: PathBuf, names: Names, outlet: Outlet) {
    let changed = Arc::new(Notify::new());
    let mut watcher = watch(&path, &changed);
    let mut seen = None;
    let mut list = List::new(&[]);
    let mut schedule = Schedule::new(Pace::OF_HOSTS);
    let (mut due, mut problem) = (None, None);
    loop {
        let content = read(path.clone()).await;
        if seen.as_ref() != Some(&content) {
            let parsed = match &content {
                Ok(text) => understand(path.clone(), text.clone()).await,
                Err(error) => Err(error.clone()),
            };
            seen = Some(content);
            match parsed {
                Ok(read) => (list, due, problem) = (read, Some(Instant::now()), None),
                Err(error) => {
                    // The directory may be new, or may come back as another one.
                    drop(watcher.take());
                    watcher = watch(&path, &changed);
                    if !outlet.tell(Err(error.clone())).await {
                        return;
                    }
                    // Names in the last good list go on being asked for.
                    due = due.filter(|_| !list.is_literal());
                    problem = Some(error);
                }
            }
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            let Some(wait) = schedule.refresh(&mut list, &names, &outlet).await else {
                return;
            };
            due = Some(Instant::now() + wait);
            // The addresses are fresh, the list is not: its problem has the last word.
            if let Some(problem) = &problem
                && !outlet.tell(Err(problem.clone())).await
            {
                return;
            }
        }
        wait(&changed, due).await;
    }
}

/// Until something may have changed, a name is due, or the next poll.
async fn wait(changed: &Notify, due: Option<Instant>) {
    let poll = Instant::now() + POLL;
    tokio::select! {
        () = changed.notified() => {}
        () = sleep_until(due.map_or(poll, |due| due.min(poll))) => return,
    }
    for _ in 0..PATIENCE {
        if timeout(QUIET, changed.notified()).await.is_err() {
            return;
        }
    }
}

fn watch(path: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let told = Arc::clone(changed);
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading the file is an event too; only what can change it counts.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            told.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(handler).ok()?;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    watcher.watch(directory, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

async fn read(path: PathBuf) -> Result<String, DiscoverError> {
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_blocking(&path)).await;
    read.map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| DiscoverError::Unreachable(format!("cannot read {shown}: {error}")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rim: runs on the blocking pool"
)]
fn read_blocking(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LONGEST {
        return Err(std::io::Error::other(format!(
            "it is over {} MiB long",
            LONGEST >> 20
        )));
    }
    std::fs::read_to_string(path)
}

/// A list of thousands takes milliseconds, in which control must be free to roll back: it is parsed
/// where reading blocks.
async fn understand(path: PathBuf, text: String) -> Result<List, DiscoverError> {
    let parsed = tokio::task::spawn_blocking(move || parse(&path, &text)).await;
    parsed.unwrap_or_else(|error| Err(DiscoverError::Unreachable(error.to_string())))
}

fn parse(path: &Path, text: &str) -> Result<List, DiscoverError> {
    let parsed = load_endpoints(text);
    parsed.map(|written| List::new(&written)).map_err(|error| {
        let colon = if error.starts_with(|c: char| c.is_ascii_digit()) {
            ":"
        } else {
            ": "
        };
        DiscoverError::Malformed(format!("{}{colon}{error}", path.display()))
    })
}
