//! The secret that signs cookies when the file names none: made once, kept in the state directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

const FILE: &str = "cookie.secret";
const LENGTH: usize = 32;

/// Reads the secret, or makes it. Without a directory, or if it cannot be kept, it lasts as long
/// as this process: clients are assigned by their hash again after a restart.
pub(super) fn cookie_secret(directory: Option<&Path>) -> Vec<u8> {
    let Some(directory) = directory else {
        return fresh();
    };
    kept(&directory.join(FILE)).unwrap_or_else(|error| {
        tracing::warn!(
            %error, directory = %directory.display(),
            "the cookie secret cannot be kept; it lasts as long as this process"
        );
        fresh()
    })
}

fn kept(path: &Path) -> io::Result<Vec<u8>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        result => result,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    File::open(path)?.read_to_end(&mut secret)?;
    if secret.len() < LENGTH {
        let what = format!("{} is too short to sign with; remove it", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(secret)
}

fn make(path: &Path) -> io::Result<Vec<u8>> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let secret = fresh();
    // Whole or not at all: a crash in the middle must not leave half a secret.
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    Ok(secret)
}

fn fresh() -> Vec<u8> {
    let mut secret = vec![0; LENGTH];
    if let Err(error) = getrandom::fill(&mut secret) {
        tracing::error!(%error, "the system has no randomness; cookies are easier to forge");
        secret.fill_with(|| fastrand::u8(..));
    }
    secret
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_only_we_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = cookie_secret(Some(directory.path()));
        assert_eq!(first.len(), LENGTH);
        assert_eq!(cookie_secret(Some(directory.path())), first);
        let mode = fs::metadata(directory.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(cookie_secret(None), cookie_secret(None));
    }
}
