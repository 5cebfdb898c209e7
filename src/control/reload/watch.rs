//! Watches the file and those that it names: events of their directories, a look each second, and
//! SIGHUP.
//!
//! Editors rename, mounted volumes swap a symbolic link (`..data`), scripts write in place. So the
//! directory is watched, and the one that the file really lies in. A file that is written in place
//! may be seen half-written: what does not parse is read again for a moment before it is called
//! bad. Where no events come (network file systems), the look each second finds the change.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{Loaded, read_again, read_config};
use crate::{config::Problems, control::Event, plan::tls_files};

/// How long the directory must be quiet before the file is read...
const QUIET: Duration = Duration::from_millis(8);
/// ...but no longer than this in all: others may write there all the time.
const QUIET_MAX: Duration = Duration::from_millis(24);
/// How long a file that does not parse is taken for half-written.
const HALF_WRITTEN: Duration = Duration::from_millis(100);
/// How often it is read again in that time.
const AGAIN_EVERY: Duration = Duration::from_millis(10);
/// How often the file is looked at without any event.
const POLL: Duration = Duration::from_secs(1);

/// Why the file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Changed,
    Asked,
    Poll,
}

/// Sends what is read whenever it is another than before, until nobody listens any more.
pub(in crate::control) async fn watch(
    path: PathBuf,
    last: Loaded,
    mut asked: mpsc::Receiver<()>,
    events: mpsc::Sender<Event>,
) {
    let (told, mut changes) = mpsc::channel(1);
    let mut watched = Watched::new(told, files_of(&path, &last));
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Arc::new(Ok(last));
    loop {
        let cause = tokio::select! {
            Some(()) = changes.recv() => Cause::Changed,
            word = asked.recv() => match word {
                Some(()) => Cause::Asked,
                None => return,
            },
            _ = poll.tick() => Cause::Poll,
        };
        if cause == Cause::Changed {
            settle(&mut changes).await;
        }
        let found = read_patiently(&path, cause, &last).await;
        // A bad file names what it did before, as far as anybody knows.
        if let Some(Ok(loaded)) = &found {
            watched.turn_to(files_of(&path, loaded));
        }
        watched.follow();
        let Some(found) = found.filter(|found| cause == Cause::Asked || *found != *last) else {
            continue;
        };
        let event = match found.clone() {
            Ok(loaded) => Event::Configured(Box::new(loaded)),
            Err(problems) => Event::Rejected(problems),
        };
        last = Arc::new(found);
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The file and those that it names.
fn files_of(path: &Path, loaded: &Loaded) -> Vec<PathBuf> {
    let mut named: Vec<PathBuf> = loaded.secrets.keys().cloned().collect();
    named.extend(tls_files(&loaded.config).into_iter().map(Path::to_owned));
    named.extend(loaded.config.admin.tokens_file.clone());
    named.push(path.to_owned());
    named.sort_unstable();
    named
}

/// Waits until no more changes come.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    let began = Instant::now();
    while began.elapsed() < QUIET_MAX {
        if timeout(QUIET, changes.recv()).await.is_err() {
            return;
        }
    }
}

type Found = Result<Loaded, Problems>;

/// Reads; what does not parse right after a change is read again before it is called bad. `None`:
/// nobody has asked, and nothing has changed.
async fn read_patiently(path: &Path, cause: Cause, last: &Arc<Found>) -> Option<Found> {
    let began = Instant::now();
    loop {
        let known = (cause != Cause::Asked).then(|| Arc::clone(last));
        let found = read(path, known).await?;
        let is_over = cause == Cause::Poll || began.elapsed() >= HALF_WRITTEN;
        if found.is_ok() || is_over {
            return Some(found);
        }
        sleep(AGAIN_EVERY).await;
    }
}

/// Reading may block: the file may lie on a network.
async fn read(path: &Path, known: Option<Arc<Found>>) -> Option<Found> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || match known {
        Some(known) => read_again(&path, &known),
        None => Some(read_config(&path)),
    });
    read.await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading the file was broken off");
        Some(Err(Problems::default()))
    })
}

/// The directories under watch.
#[derive(Debug)]
struct Watched {
    told: mpsc::Sender<()>,
    files: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
}

impl Watched {
    fn new(told: mpsc::Sender<()>, files: Vec<PathBuf>) -> Self {
        let names = files.iter().filter_map(|path| path.file_name());
        let names: HashSet<OsString> = names.map(OsStr::to_owned).collect();
        let tell = told.clone();
        let heard = move |event: notify::Result<notify::Event>| {
            let matters = event.is_ok_and(|event| matters(&event, &names));
            if matters {
                // A full channel holds a change that is not yet looked at.
                let _already_told = tell.try_send(());
            }
        };
        let made = notify::recommended_watcher(heard);
        let made = made.inspect_err(|error| {
            tracing::warn!(%error, "no events of the file system; the file is read each second");
        });
        let mut watched = Self {
            told,
            files,
            watcher: made.ok(),
            directories: BTreeSet::new(),
        };
        watched.follow();
        watched
    }

    /// Watches these files from now on. What has changed in them meanwhile is looked at.
    fn turn_to(&mut self, files: Vec<PathBuf>) {
        if files != self.files {
            *self = Self::new(self.told.clone(), files);
            // A full channel holds a change that is not yet looked at.
            let _already_told = self.told.try_send(());
        }
    }

    /// Watches the directory of each file and the one it really lies in, wherever that is now.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let both = self.files.iter().flat_map(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            [parent(path), parent(&real)]
        });
        let wanted: BTreeSet<PathBuf> = both.collect();
        if wanted == self.directories {
            return;
        }
        for directory in std::mem::take(&mut self.directories) {
            // It may be gone already.
            let _gone = watcher.unwatch(&directory);
        }
        for directory in wanted {
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.directories.insert(directory)),
                Err(error) => tracing::warn!(
                    %error, directory = %directory.display(),
                    "the directory cannot be watched; its files are read each second"
                ),
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// Whether an event can mean another content of the file. Our own reading must not.
fn matters(event: &notify::Event, names: &HashSet<OsString>) -> bool {
    let is_named = |path: &PathBuf| path.file_name().is_some_and(|name| names.contains(name));
    let is_ours = event.paths.iter().any(is_named);
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => is_ours,
        EventKind::Access(_) => false,
        // Links are swapped under other names than the file's.
        EventKind::Create(_)
        | EventKind::Remove(_)
        | EventKind::Modify(_)
        | EventKind::Any
        | EventKind::Other => true,
    }
}
