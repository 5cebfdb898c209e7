//! Credentials in a file, in the form of `~/.aws/credentials`.

use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;

/// Longer files are no credentials.
const LONGEST: u64 = 1 << 20;

/// Reads the profile `default`. Nothing of the file is in the error.
pub(super) async fn read(path: PathBuf) -> Result<Credentials, String> {
    let shown = path.display().to_string();
    let text = text(path).await?;
    parse(&text).map_err(|wrong| format!("{shown}: {wrong}"))
}

/// Reads a file where reading may block.
pub(super) async fn text(path: PathBuf) -> Result<String, String> {
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_blocking(&path)).await;
    read.map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| format!("cannot read {shown}: {error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rim: runs on the blocking pool"
)]
fn read_blocking(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LONGEST {
        return Err(std::io::Error::other("it is over 1 MiB long"));
    }
    std::fs::read_to_string(path)
}

pub(super) fn parse(text: &str) -> Result<Credentials, &'static str> {
    let (mut key, mut secret, mut token) = (None, None, None);
    let mut is_ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            is_ours = name.trim_end_matches(']').trim() == "default";
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| is_ours) else {
            continue;
        };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => key = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    let key = key.ok_or("the profile `default` has no `aws_access_key_id`")?;
    let secret = secret.ok_or("the profile `default` has no `aws_secret_access_key`")?;
    Ok(Credentials::new(key, secret, token, None, "file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_default_is_read_and_no_other() {
        let text = "# made by a tool\n[old]\naws_access_key_id=AKOLD\n\n[default]\n\
                    aws_access_key_id = AK1\r\naws_secret_access_key=s/e=c\naws_session_token = t\n\
                    [other]\naws_access_key_id=AK2\n";
        let found = parse(text).unwrap();
        assert_eq!(found.access_key_id(), "AK1");
        assert_eq!(found.secret_access_key(), "s/e=c");
        assert_eq!(found.session_token(), Some("t"));
        for broken in [
            "",
            "[default]\naws_access_key_id=A\n",
            "aws_access_key_id=A\naws_secret_access_key=s\n",
        ] {
            assert!(
                parse(broken)
                    .unwrap_err()
                    .starts_with("the profile `default`")
            );
        }
    }
}
