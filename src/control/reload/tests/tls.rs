//! Certificates beside the file: read with it, watched with it.

use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::model::Moment;

/// A file with a TLS listener, its certificate and key, in a directory.
fn lay(directory: &Path, ends_in: i32) -> PathBuf {
    issue(directory, ends_in);
    let path = directory.join("serin.yaml");
    let place = directory.display();
    let listener = format!(
        "listeners:
  - name: web
    address: \"127.0.0.1:0\"
    tls:
      certificates:
        - cert: {place}/web.pem
          key: {place}/web.key
"
    );
    write(
        &path,
        &text(1).replace("listen: \"127.0.0.1:0\"\n", &listener),
    );
    path
}

/// Writes a certificate that ends in a year, and its key.
fn issue(directory: &Path, year: i32) {
    let (certificate, key) = issued(year);
    write(&directory.join("web.pem"), &certificate);
    keep(&directory.join("web.key"), &key);
}

fn issued(year: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 7, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn keep(path: &Path, key: &str) {
    write(path, key);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn content(path: &Path) -> String {
    String::from_utf8(read(path).unwrap()).unwrap()
}

/// The codes of problems, and the lines that they stand in.
fn told(problems: &Problems) -> Vec<(&'static str, usize)> {
    let list = problems.list.iter();
    list.map(|problem| (problem.code, problem.line)).collect()
}

const FAR: i32 = 2_100;

#[test]
fn what_is_wrong_with_a_certificate_is_a_problem_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = lay(directory.path(), FAR);
    let file = |name: &str| directory.path().join(name);
    let loaded = read_config(&path).unwrap();
    assert_eq!(
        (loaded.warnings.list.len(), loaded.tls.servers.len()),
        (0, 1)
    );
    assert_eq!(read_again(&path, &Ok(loaded.clone())), None);

    let key = content(&file("web.key"));
    write(&file("web.key"), &issued(FAR).1);
    let problems = read_again(&path, &Ok(loaded)).unwrap().unwrap_err();
    assert_eq!(told(&problems), [("tls_unusable", 7)]);
    let shown = problems.to_string();
    assert!(
        shown.contains("listener web") && shown.contains("not the key of"),
        "{shown}"
    );
    assert!(!shown.contains(key.lines().nth(1).unwrap()));

    write(&file("web.pem"), "nothing");
    fs::remove_file(file("web.key")).unwrap();
    let problems = read_config(&path).unwrap_err();
    assert_eq!(
        told(&problems),
        [("tls_unreadable", 7), ("tls_unusable", 6)]
    );
}

#[test]
fn an_ended_certificate_and_an_open_key_draw_warnings() {
    let directory = tempfile::tempdir().unwrap();
    let path = lay(directory.path(), 2_020);
    let key = directory.path().join("web.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let loaded = read_config(&path).unwrap();
    let expected = [("certificate_ends", 6), ("key_exposed", 7)];
    assert_eq!(told(&loaded.warnings), expected);
    let shown = loaded.warnings.to_string();
    assert!(
        shown.contains("has expired") && shown.contains("chmod 600"),
        "{shown}"
    );
}

#[test]
fn people_hear_of_an_end_two_weeks_before() {
    let day = 24 * 60 * 60;
    let at = |days: u64| Moment::from_millis(days * day * 1_000);
    let cases = [
        (115, None),
        (114, None),
        (113, Some("expires in 13 days")),
        (100, Some("has expired, 0 days ago")),
        (90, Some("has expired, 10 days ago")),
    ];
    for (ends_at, expected) in cases {
        assert_eq!(ends(at(ends_at), at(100)).as_deref(), expected, "{ends_at}");
    }
}

#[test]
fn what_was_read_is_shown_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let path = lay(directory.path(), FAR);
    let secret = directory.path().join("secret");
    write(&secret, "0123456789abcdef");
    let sticky = format!("    sticky: {{ secret_file: {} }}\n", secret.display());
    let text = content(&path);
    write(&path, &(text + &sticky));
    let shown = format!("{:?}", read_config(&path).unwrap());
    assert!(shown.contains("web.pem"));
    assert!(!shown.contains("48, 49, 50, 51"), "the bytes of the secret");
}

/// When the certificate of the one listener ends.
fn year(status: &Status) -> Option<u64> {
    let (_, ends) = status.certificates.first()?;
    Some(1_970 + ends.millis() / 1_000 / 31_556_952)
}

impl Watched {
    async fn until_year(&self, wanted: i32) {
        let wanted = u64::try_from(wanted).unwrap();
        self.until("a new certificate", |status| year(status) == Some(wanted))
            .await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_written_anew_is_in_force() {
    let watched = Watched::begin(|directory| lay(directory, FAR));
    for round in 1..6 {
        let year = FAR + round;
        let (certificate, key) = issued(year);
        // By rename, one after the other: for a moment the key is another's.
        write(&watched.path("new.pem"), &certificate);
        keep(&watched.path("new.key"), &key);
        fs::rename(watched.path("new.pem"), watched.path("web.pem")).unwrap();
        fs::rename(watched.path("new.key"), watched.path("web.key")).unwrap();
        watched.until_year(year).await;
    }
    let status = watched.handle.status();
    assert_eq!(status.config.problem, None);
}

#[tokio::test]
async fn a_certificate_behind_a_link_that_is_swapped_is_in_force() {
    let lay = |directory: &Path| {
        fs::create_dir(directory.join("..1")).unwrap();
        issue(&directory.join("..1"), FAR);
        symlink("..1", directory.join("..data")).unwrap();
        let path = lay(directory, FAR);
        for name in ["web.pem", "web.key"] {
            fs::remove_file(directory.join(name)).unwrap();
            symlink(Path::new("..data").join(name), directory.join(name)).unwrap();
        }
        path
    };
    let watched = Watched::begin(lay);
    for round in 2..5 {
        let fresh = watched.path(&format!("..{round}"));
        fs::create_dir(&fresh).unwrap();
        issue(&fresh, FAR + round);
        symlink(&fresh, watched.path("..data_tmp")).unwrap();
        fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
        watched.until_year(FAR + round).await;
    }
}

#[tokio::test]
async fn a_broken_certificate_keeps_the_last_good_one_and_is_told() {
    let watched = Watched::begin(|directory| lay(directory, FAR));
    let before = watched.handle.status();
    write(&watched.path("web.pem"), "-----BEGIN CERTIFICATE-----\nAA");
    let status = watched
        .until("a problem", |status| status.config.problem.is_some())
        .await;
    let problem = status.config.problem.clone().unwrap();
    assert!(problem.contains("web.pem cannot be used"), "{problem}");
    assert_eq!(status.certificates, before.certificates);
    assert_eq!(status.generation, before.generation);
    issue(watched.directory.path(), FAR + 1);
    watched.until_year(FAR + 1).await;
    let mended = |status: &Status| status.config.problem.is_none();
    watched.until("it is mended", mended).await;
}
