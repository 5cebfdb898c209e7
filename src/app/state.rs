//! Where rollout state is kept when nobody says.
//!
//! First what was said (`--state-dir`, then `state_dir:`), then what systemd gives
//! (`$STATE_DIRECTORY`), then a directory of this file's own: two configurations on one machine
//! must not share a rollout's history.

use std::{
    env, fs,
    hash::{Hash, Hasher},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use siphasher::sip::SipHasher13;

use super::Options;
use crate::config::{AdminSocket, Config};

/// The state directory, made if need be; `None`: none can be had, state lives in memory.
pub(super) fn directory(options: &Options, config: &Config) -> anyhow::Result<Option<PathBuf>> {
    let said = options
        .state_dir
        .clone()
        .or_else(|| config.state_dir.clone());
    if let Some(directory) = said {
        let made = make(&directory);
        made.with_context(|| format!("cannot make the state directory {}", directory.display()))?;
        return Ok(Some(directory));
    }
    let directory = by_default(&options.config);
    match make(&directory) {
        Ok(()) => Ok(Some(directory)),
        Err(error) => {
            tracing::warn!(
                directory = %directory.display(), %error,
                "no state directory: a restart forgets rollbacks; say --state-dir"
            );
            Ok(None)
        }
    }
}

/// Where admin's unix socket is, if there is one.
pub(super) fn socket(config: &Config, state: Option<&Path>) -> Option<PathBuf> {
    match &config.admin.unix {
        AdminSocket::None => None,
        AdminSocket::At(path) => Some(path.clone()),
        AdminSocket::Own => {
            let given = env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
            let directory = given.or_else(|| state.map(Path::to_owned));
            Some(directory?.join("admin.sock"))
        }
    }
}

fn make(directory: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    tracing::info!(directory = %directory.display(), "state");
    Ok(())
}

fn by_default(config: &Path) -> PathBuf {
    if let Some(given) = env::var_os("STATE_DIRECTORY") {
        return given.into();
    }
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    let base = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let base = base.unwrap_or_else(|| "/var/lib".into());
    base.join("serin").join(own_name(config))
}

/// The file's name with a few digits that tell it from another file of the same name.
fn own_name(config: &Path) -> String {
    let whole = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let mut hasher = SipHasher13::new();
    whole.hash(&mut hasher);
    let stem = config.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}-{:08x}", hasher.finish() & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_the_file_says_or_beside_the_state() {
        let of = |admin: &str| {
            let text = format!(
                "listen: \"127.0.0.1:80\"\n{admin}upstreams: {{ a: {{ static: [\"192.0.2.1:80\"] }} \
                 }}\nsplits: {{ s: {{ stable: a }} }}\n"
            );
            let (config, _) = crate::config::load(&text, "x.yaml").unwrap();
            socket(&config, Some(Path::new("/state")))
        };
        assert_eq!(of("admin: none\n"), None);
        assert_eq!(of("admin: \"127.0.0.1:1\"\n"), None);
        assert_eq!(of("admin: { unix: /x }\n"), Some("/x".into()));
        // The platform's place for such things may be given to this test, too.
        if env::var_os("RUNTIME_DIRECTORY").is_none() {
            assert_eq!(of(""), Some("/state/admin.sock".into()));
        }
    }

    #[test]
    fn two_files_of_one_name_have_two_directories() {
        let (one, two) = (
            own_name(Path::new("a/serin.yaml")),
            own_name(Path::new("b/serin.yaml")),
        );
        assert_ne!(one, two);
        assert!(one.starts_with("serin-"));
    }
}
