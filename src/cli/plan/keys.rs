//! Recorded keys of users: one user a line.
//!
//! A line is the value of the split's first key, as it stands in the cookie or in the field; or,
//! for users that are known by more, one `SOURCE=VALUE` for each, with the sources as the file
//! writes them: `cookie:uid=4711 header:x-device=a1 client_ip=192.0.2.7`.

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    config::KeySource,
    model::{Point, Role, Share, VersionName},
    plan::{Chance, Head, Split},
};

/// A user as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// The line.
    pub(super) line: String,
    known: Vec<(KeySource, String)>,
    /// The value of whatever the first key is.
    bare: Option<String>,
}

/// What becomes of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    /// The version before.
    pub(super) before: (Role, VersionName),
    /// The version after, if the user kept no cookie of ours.
    pub(super) after: VersionName,
    /// The version after, if it kept it.
    pub(super) after_with_cookie: VersionName,
    /// Nothing of the user is known to the new split: its version is drawn anew.
    pub(super) is_drawn: bool,
}

/// Every user of a file; the error says which line is none.
pub(super) fn read(text: &str) -> Result<Vec<User>, String> {
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let user = |(number, line): (usize, &str)| {
        user(line.trim()).ok_or_else(|| format!("line {number} is no key: {line}"))
    };
    lines.map(user).collect()
}

fn user(line: &str) -> Option<User> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let known: Option<Vec<_>> = parts.iter().map(|part| named(part)).collect();
    let (known, bare) = match known {
        Some(known) => (known, None),
        None if parts.len() == 1 => (Vec::new(), Some(line.to_owned())),
        None => return None,
    };
    let line = line.to_owned();
    Some(User { line, known, bare })
}

fn named(part: &str) -> Option<(KeySource, String)> {
    let (source, value) = part.split_once('=')?;
    let source = match source.split_once(':') {
        Some(("cookie", name)) => KeySource::Cookie(name.to_owned()),
        Some(("header", name)) => KeySource::Header(name.to_ascii_lowercase()),
        None if source == "client_ip" => KeySource::ClientIp,
        Some(_) | None => return None,
    };
    Some((source, value.to_owned()))
}

/// A request of a user, with what it kept of ours.
struct Asking<'a> {
    known: Vec<(&'a KeySource, &'a str)>,
    kept: Option<String>,
    cookies: Vec<String>,
}

impl<'a> Asking<'a> {
    fn new(user: &'a User, first: Option<&'a KeySource>, kept: Option<String>) -> Self {
        let bare = first.zip(user.bare.as_deref());
        let known = user
            .known
            .iter()
            .map(|(source, value)| (source, value.as_str()));
        let known: Vec<_> = known.chain(bare).collect();
        let cookies = known.iter().filter_map(|(source, value)| match source {
            KeySource::Cookie(name) => Some(format!("{name}={value}")),
            KeySource::Header(_) | KeySource::ClientIp => None,
        });
        Self {
            cookies: cookies.collect(),
            known,
            kept,
        }
    }
}

impl Head for Asking<'_> {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn host(&self) -> &[u8] {
        b""
    }

    fn path(&self) -> &[u8] {
        b"/"
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.known.iter().find(|(source, _)| match source {
            KeySource::Header(known) => known == name,
            KeySource::Cookie(_) | KeySource::ClientIp => false,
        });
        found.map(|(_, value)| value.as_bytes())
    }

    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        let all = self.cookies.iter().chain(&self.kept);
        all.for_each(|cookie| each(cookie.as_bytes()));
    }

    fn client(&self) -> IpAddr {
        let found = self.known.iter().find_map(|(source, value)| match source {
            KeySource::ClientIp => value.parse().ok(),
            KeySource::Cookie(_) | KeySource::Header(_) => None,
        });
        found.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// What the split that took a user's requests did with it, and what the one that takes them now
/// does. `sources`: where each of them looks first.
pub(super) fn fate(
    user: &User,
    (before, after): (&Split, &Split),
    sources: [&[KeySource]; 2],
) -> Option<Fate> {
    // Who has no key falls anywhere; both draw the same, so that only what is written matters.
    let fresh = 0;
    let chance = Chance {
        point: Point::from_hash(fresh),
        fresh,
    };
    let [old, new] = sources;
    let first = old.first().or(new.first());
    let asking = |kept| Asking::new(user, first, kept);
    let is_known = |sources: &[KeySource]| {
        let asking = asking(None);
        let has = |source: &KeySource| match source {
            KeySource::Header(name) => asking.field(name).is_some(),
            KeySource::ClientIp | KeySource::Cookie(_) => {
                asking.known.iter().any(|(known, _)| *known == source)
            }
        };
        sources.iter().any(has)
    };
    if !is_settled(before) && !is_known(old) {
        return None;
    }
    let was = before.assign(&asking(None), chance);
    let kept = was
        .remember
        .zip(before.affinity.as_ref())
        .map(|(remember, affinity)| {
            let mut line = Vec::new();
            affinity.write_cookie(remember, &mut line);
            pair(&String::from_utf8_lossy(&line))
        });
    let name = |split: &Split, role| split.version(role).name.clone();
    Some(Fate {
        before: (was.role, name(before, was.role)),
        after: name(after, after.assign(&asking(None), chance).role),
        after_with_cookie: name(after, after.assign(&asking(kept), chance).role),
        is_drawn: !is_settled(after) && !is_known(new),
    })
}

/// Whether every user gets the same version, whoever it is.
fn is_settled(split: &Split) -> bool {
    split.canary.is_none() || split.share == Share::ZERO || split.share == Share::FULL
}

/// `name=value` of a `Set-Cookie` line.
fn pair(line: &str) -> String {
    let value = line.split_once(": ").map_or(line, |(_, value)| value);
    let value = value.split_once(';').map_or(value, |(value, _)| value);
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_user() {
        let users = read("4711\n\ncookie:uid=4711 client_ip=192.0.2.7\na=b\n").unwrap();
        let shown = users
            .iter()
            .map(|user| (user.known.len(), user.bare.as_deref()));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [(0, Some("4711")), (2, None), (0, Some("a=b"))]
        );
        assert_eq!(read("a\nb c\n"), Err("line 2 is no key: b c".to_owned()));
    }
}
