//! The client's key: read, signed, written.
//!
//! What decides is the key's hash; the cookie only remembers. It is read strictly: what is not
//! exactly as we wrote it is as good as absent.
//!
//! # The cookie
//! 27 bytes in base64url, 36 characters: a byte for format and role, 8 for the tag of the rollout,
//! 2 for the point, 8 for the client's id, 8 for the signature. The signature is `SipHash-2-4`
//! under a key that HMAC-SHA256 derives from the secret for this split. `SipHash` is made for this
//! (short messages, secret key, 64 bits: Linux signs its SYN cookies with it) and costs a tenth of
//! an HMAC-SHA256 where the processor does not help; every request of a sticky split pays it. A
//! forger has only our answers to try against, 2^63 of them on average, and would gain a version.

use std::{collections::HashMap, fmt, path::PathBuf};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use siphasher::sip128::{Hash128, SipHasher24};

use super::{Head, Remember, cookie, sign};
use crate::{
    config::{self, KeySource, SameSite, Sticky},
    model::{Epoch, Nonce, Point, Role, SplitName, VersionName},
};

const CODED: usize = 36;
const RAW: usize = 27;
/// More cookies of our name and length than this are not looked at: verifying is not free.
const TRIES: u8 = 4;
/// The first byte: format 1, and the role.
const STABLE: u8 = 0x10;
const CANARY: u8 = 0x11;

/// Secrets that affinity and overrides sign with, already read by the caller.
///
/// Secrets from files come without the line end that editors leave.
#[derive(Clone, Default)]
pub struct Secrets {
    /// For splits without a secret of their own. Never empty, or anybody could sign.
    pub default: Vec<u8>,
    /// By the path that the file names.
    pub files: HashMap<PathBuf, Vec<u8>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("files", &self.files.keys())
            .finish_non_exhaustive()
    }
}

/// How clients of one split keep their version.
#[derive(PartialEq)]
pub struct Affinity {
    keys: Box<[KeySource]>,
    salt: [u8; 16],
    name: Box<[u8]>,
    /// What stands before and behind the value in a `Set-Cookie` line.
    before: Box<[u8]>,
    behind: Box<[u8]>,
    secret: [u8; 16],
    tag: u64,
}

impl fmt::Debug for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cookie = String::from_utf8_lossy(&self.name);
        let mut shown = f.debug_struct("Affinity");
        shown
            .field("keys", &self.keys)
            .field("cookie", &cookie)
            .field("tag", &self.tag);
        shown.finish_non_exhaustive()
    }
}

/// Who a client is: a stranger's key, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    /// Where it falls.
    pub point: Point,
    /// Tells it from other clients; independent of the point.
    pub id: u64,
    /// Where its key was read.
    pub source: &'a KeySource,
}

/// A cookie of ours with a good signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// What it says.
    pub remember: Remember,
    /// Whether it was written in the rollout that is in force.
    pub current: bool,
}

/// The rollout that a cookie is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bond<'a> {
    pub epoch: Epoch,
    pub nonce: Nonce,
    pub canary: Option<&'a VersionName>,
}

/// What is made of the key that a request brings, if it does.
pub(super) fn keyed<T>(
    source: &KeySource,
    head: &impl Head,
    make: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    Some(match source {
        KeySource::Cookie(name) => make(cookie::first(head, name.as_bytes())?),
        KeySource::Header(name) => make(head.field(name).filter(|value| !value.is_empty())?),
        KeySource::ClientIp => match head.client().to_canonical() {
            std::net::IpAddr::V4(address) => make(&address.octets()),
            std::net::IpAddr::V6(address) => make(&address.octets()),
        },
    })
}

impl Affinity {
    /// Derives everything that reading and signing need from a split's `sticky`.
    pub(super) fn new(
        sticky: &Sticky,
        split: &SplitName,
        secrets: &Secrets,
        bond: Bond<'_>,
    ) -> Self {
        let own = sticky
            .secret_file
            .as_ref()
            .and_then(|file| secrets.files.get(file));
        let secret = own.unwrap_or(&secrets.default);
        let derived = sign::hmac(secret, &["serin-cookie-v1", "\n", split.as_str()]);
        let (key, _) = halves(&derived);
        let salt = SipHasher24::new()
            .hash(split.as_str().as_bytes())
            .as_bytes();
        let mut before = b"Set-Cookie: ".to_vec();
        before.extend(clean(&sticky.cookie.name));
        before.push(b'=');
        Self {
            keys: sticky.key.clone().into(),
            salt,
            name: clean(&sticky.cookie.name).collect(),
            before: before.into(),
            behind: attributes(&sticky.cookie).into(),
            secret: key,
            tag: tag(&key, bond),
        }
    }

    /// Who the client is; `None` if it brings no key.
    pub(super) fn identity(&self, head: &impl Head) -> Option<Identity<'_>> {
        self.keys.iter().find_map(|source| {
            let hash = keyed(source, head, |key| self.hash(key))?;
            Some(Identity {
                point: Point::from_hash(hash.h1),
                id: hash.h2,
                source,
            })
        })
    }

    fn hash(&self, key: &[u8]) -> Hash128 {
        SipHasher24::new_with_key(&self.salt).hash(key)
    }

    /// The cookie that the client holds: of several the first of this rollout, else the first.
    pub(super) fn ticket(&self, head: &impl Head) -> Option<Ticket> {
        let mut best = None;
        let mut tries = 0_u8;
        cookie::values(head, &self.name, |value| {
            let enough = tries == TRIES || best.is_some_and(|ticket: Ticket| ticket.current);
            if enough || value.len() != CODED {
                return;
            }
            tries = tries.saturating_add(1);
            if let Some(ticket) = self.open(value)
                && (ticket.current || best.is_none())
            {
                best = Some(ticket);
            }
        });
        best
    }

    fn open(&self, value: &[u8]) -> Option<Ticket> {
        let mut raw = [0; RAW];
        BASE64_URL_SAFE_NO_PAD
            .decode_slice(value, &mut raw)
            .ok()
            .filter(|n| *n == RAW)?;
        let (signed, signature) = raw.split_last_chunk::<8>()?;
        // One comparison of two words: its time tells nothing of where they differ.
        if self.signature(signed) != u64::from_be_bytes(*signature) {
            return None;
        }
        let (kind, rest) = signed.split_first()?;
        let role = match *kind {
            STABLE => Role::Stable,
            CANARY => Role::Canary,
            _ => return None,
        };
        let (tag, rest) = rest.split_first_chunk::<8>()?;
        let (point, rest) = rest.split_first_chunk::<2>()?;
        let point = Point::new(u16::from_be_bytes(*point))?;
        let id = u64::from_be_bytes(*rest.first_chunk::<8>()?);
        let current = u64::from_be_bytes(*tag) == self.tag;
        Some(Ticket {
            remember: Remember { role, point, id },
            current,
        })
    }

    fn signature(&self, signed: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.secret).hash(signed).h1
    }

    /// The cookie's value, as it stands between `=` and `;`.
    pub(super) fn seal(&self, remember: Remember) -> [u8; CODED] {
        let kind = match remember.role {
            Role::Stable => STABLE,
            Role::Canary => CANARY,
        };
        let mut raw = [0; RAW];
        let fields = [kind]
            .into_iter()
            .chain(self.tag.to_be_bytes())
            .chain(remember.point.value().to_be_bytes())
            .chain(remember.id.to_be_bytes());
        for (to, from) in raw.iter_mut().zip(fields) {
            *to = from;
        }
        if let Some((signed, signature)) = raw.split_last_chunk_mut::<8>() {
            *signature = self.signature(signed).to_be_bytes();
        }
        let mut coded = [0; CODED];
        let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(raw, &mut coded);
        coded
    }

    /// Appends a whole `Set-Cookie: ...\r\n` line.
    pub fn write_cookie(&self, remember: Remember, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.seal(remember));
        out.extend_from_slice(&self.behind);
    }
}

/// What binds a cookie to one rollout of one canary version.
fn tag(key: &[u8; 16], bond: Bond<'_>) -> u64 {
    let mut bytes = b"tag".to_vec();
    bytes.extend(bond.epoch.0.to_be_bytes());
    bytes.extend(bond.nonce.0.to_be_bytes());
    bytes.extend(bond.canary.map_or("", |name| name.as_str()).bytes());
    SipHasher24::new_with_key(key).hash(&bytes).h1
}

fn halves(bytes: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    let half = |part: Option<&[u8; 16]>| part.copied().unwrap_or_default();
    (half(bytes.first_chunk()), half(bytes.last_chunk()))
}

fn attributes(cookie: &config::Cookie) -> Vec<u8> {
    let mut line = b"; Path=".to_vec();
    line.extend(clean(&cookie.path));
    if let Some(domain) = &cookie.domain {
        line.extend(b"; Domain=");
        line.extend(clean(domain));
    }
    if let Some(age) = cookie.max_age {
        line.extend(format!("; Max-Age={}", age.as_secs()).bytes());
    }
    let same_site: &[u8] = match cookie.same_site {
        SameSite::Lax => b"; SameSite=Lax",
        SameSite::Strict => b"; SameSite=Strict",
        SameSite::None => b"; SameSite=None",
    };
    line.extend(same_site);
    if cookie.secure {
        line.extend(b"; Secure");
    }
    if cookie.http_only {
        line.extend(b"; HttpOnly");
    }
    line.extend(b"\r\n");
    line
}

/// Checking is `config`'s; this only makes sure that no text ever breaks out of its line.
fn clean(text: &str) -> impl Iterator<Item = u8> {
    text.bytes()
        .filter(|byte| (b' '..=b'~').contains(byte) && *byte != b';')
}
