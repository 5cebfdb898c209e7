//! A real file in a real directory, saved in every way that people and tools save.

mod tls;

use std::{fs, os::unix::fs::symlink, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::{
    control::{Control, Handle, Setup, Status},
    model::Share,
};

fn text(percent: u16) -> String {
    format!(
        "listen: \"127.0.0.1:0\"
upstreams:
  v1: {{ static: [\"127.0.0.1:1\"] }}
  v2: {{ static: [\"127.0.0.1:2\"] }}
splits:
  shop:
    stable: v1
    canary: v2
    weight: {percent}%
"
    )
}

/// A watched file under control.
struct Watched {
    directory: TempDir,
    handle: Handle,
}

impl Watched {
    /// Writes the file in the way that `lay` says, and runs control on it.
    fn begin(lay: impl FnOnce(&Path) -> PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = lay(directory.path());
        let loaded = read_config(&path).unwrap();
        let setup = Setup {
            path: Some(path),
            loaded,
            state_dir: None,
        };
        let opened = Control::open(setup);
        tokio::spawn(opened.control.run());
        Self {
            directory,
            handle: opened.handle,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits for a snapshot of this kind.
    async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Arc<Status> {
        let mut snapshots = self.handle.watch();
        let found = timeout(
            Duration::from_secs(20),
            snapshots.wait_for(|status| is_so(status)),
        );
        let found = found.await.unwrap_or_else(|_| panic!("never: {what}"));
        Arc::clone(&found.unwrap())
    }

    async fn until_share(&self, percent: u16) {
        let wanted = Share::from_basis_points(percent * 100).unwrap();
        self.until(&format!("{wanted}"), |status| {
            status.splits[0].share == wanted
        })
        .await;
    }
}

fn plain(directory: &Path) -> PathBuf {
    let path = directory.join("serin.yaml");
    write(&path, &text(1));
    path
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test is the person who saves"
)]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn saved_in_place() {
    let watched = Watched::begin(plain);
    for percent in 2..12 {
        write(&watched.path("serin.yaml"), &text(percent));
        watched.until_share(percent).await;
    }
}

#[tokio::test]
async fn saved_by_rename() {
    let watched = Watched::begin(plain);
    for percent in 2..12 {
        write(&watched.path(".serin.yaml.swp"), &text(percent));
        fs::rename(watched.path(".serin.yaml.swp"), watched.path("serin.yaml")).unwrap();
        watched.until_share(percent).await;
    }
}

#[tokio::test]
async fn saved_by_swapping_a_link() {
    let lay = |directory: &Path| {
        fs::create_dir(directory.join("..1")).unwrap();
        write(&directory.join("..1/serin.yaml"), &text(1));
        symlink("..1", directory.join("..data")).unwrap();
        symlink("..data/serin.yaml", directory.join("serin.yaml")).unwrap();
        directory.join("serin.yaml")
    };
    let watched = Watched::begin(lay);
    for percent in 2..8 {
        let fresh = format!("..{percent}");
        fs::create_dir(watched.path(&fresh)).unwrap();
        write(&watched.path(&fresh).join("serin.yaml"), &text(percent));
        symlink(&fresh, watched.path("..data_tmp")).unwrap();
        fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
        watched.until_share(percent).await;
    }
}

#[tokio::test]
async fn saved_where_the_link_really_points() {
    let elsewhere = tempfile::tempdir().unwrap();
    write(&elsewhere.path().join("real.yaml"), &text(1));
    let lay = |directory: &Path| {
        symlink(
            elsewhere.path().join("real.yaml"),
            directory.join("serin.yaml"),
        )
        .unwrap();
        directory.join("serin.yaml")
    };
    let watched = Watched::begin(lay);
    write(&elsewhere.path().join("real.yaml"), &text(2));
    watched.until_share(2).await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_last_good_one_and_shows_where() {
    let watched = Watched::begin(plain);
    let path = watched.path("serin.yaml");
    write(&path, &text(5).replace("canary: v2", "canary: v3"));
    let status = watched
        .until("a problem", |status| status.config.problem.is_some())
        .await;
    let problem = status.config.problem.clone().unwrap();
    assert!(
        problem.contains('^') && problem.contains(":8:"),
        "{problem}"
    );
    assert_eq!(
        status.splits[0].share,
        Share::from_basis_points(100).unwrap()
    );
    fs::remove_file(&path).unwrap();
    let is_gone = |status: &Status| status.config.reloads.1 == 2;
    watched
        .until("a missing file is a problem, too", is_gone)
        .await;
    write(&path, &text(5));
    watched.until_share(5).await;
    assert_eq!(watched.handle.status().config.problem, None);
}

#[tokio::test]
async fn sighup_reads_and_tells_even_if_nothing_changed() {
    let watched = Watched::begin(plain);
    let mut news = watched.handle.news();
    watched.handle.reload();
    watched
        .until("a reload", |status| status.config.reloads == (1, 0))
        .await;
    // By rename: a signal may come while a file that is written in place is still half there.
    write(&watched.path(".serin.yaml.swp"), &text(2));
    fs::rename(watched.path(".serin.yaml.swp"), watched.path("serin.yaml")).unwrap();
    watched.handle.reload();
    watched.until_share(2).await;
    assert_eq!(news.recv().await.unwrap().what, "config_loaded");
    watched.handle.close().await;
}

#[test]
fn a_secret_that_is_missing_or_short_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    let sticky = format!(
        "    sticky: {{ secret_file: {:?} }}\n",
        secret.display().to_string()
    );
    let path = directory.path().join("serin.yaml");
    write(&path, &(text(1) + &sticky));
    let problems = read_config(&path).unwrap_err();
    let first = &problems.list[0];
    assert_eq!(
        (first.code, first.line, first.column),
        ("secret_unusable", 10, 29)
    );
    write(&secret, "short\n");
    assert!(
        read_config(&path)
            .unwrap_err()
            .to_string()
            .contains("5 bytes")
    );
    write(&secret, "0123456789abcdef\n");
    let loaded = read_config(&path).unwrap();
    assert_eq!(loaded.secrets.get(&secret).unwrap(), b"0123456789abcdef");
}

#[test]
fn a_file_that_is_as_it_was_is_not_parsed_again() {
    let directory = tempfile::tempdir().unwrap();
    let (path, secret) = (plain(directory.path()), directory.path().join("secret"));
    let sticky = format!("    sticky: {{ secret_file: {} }}\n", secret.display());
    write(&secret, "sixteen bytes or more");
    write(&path, &(text(1) + &sticky));
    let known = read_config(&path);
    assert!(known.is_ok(), "{known:?}");
    assert_eq!(read_again(&path, &known), None);
    // What is kept of another file tells whether this one was parsed.
    let mut other = known.clone().unwrap();
    other.config.splits.clear();
    other.secrets.clear();
    assert_eq!(read_again(&path, &Ok(other)), None);
    write(&secret, "sixteen other bytes");
    let found = read_again(&path, &known).unwrap().unwrap();
    assert_eq!(found.config, known.as_ref().unwrap().config);
    assert_ne!(found.secrets, known.as_ref().unwrap().secrets);
    write(&path, &text(2));
    assert!(
        read_again(&path, &known)
            .unwrap()
            .unwrap()
            .secrets
            .is_empty()
    );
}
