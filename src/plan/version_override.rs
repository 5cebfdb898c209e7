//! How testers choose their version: `<version>.<signature>` in a header or a cookie.
//!
//! The signature is the HMAC-SHA256, in base64url without padding, of the lines
//! `serin-override-v1`, the split's name and the version's name (no line end after the last): any
//! tool can make one.
//! What is not signed, or badly, is as good as absent.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Head, Secrets, cookie, sign};
use crate::{
    config,
    model::{SplitName, VersionName},
};

/// The length of a signature in base64url.
const CODED: usize = 43;

/// How testers choose their version.
#[derive(Clone, PartialEq)]
pub struct Override {
    split: SplitName,
    header: Option<String>,
    cookie: Option<String>,
    secret: Box<[u8]>,
}

impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Override");
        shown
            .field("header", &self.header)
            .field("cookie", &self.cookie);
        shown.finish_non_exhaustive()
    }
}

impl Override {
    /// The value that chooses `version` in `split`.
    pub fn sign(secret: &[u8], split: &SplitName, version: &VersionName) -> String {
        let signature = sign::hmac(secret, &message(split, version.as_str()));
        format!("{version}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// `None` without a secret: then nobody can sign.
    pub(super) fn new(
        written: &config::Override,
        split: &SplitName,
        secrets: &Secrets,
    ) -> Option<Self> {
        let secret = secrets
            .files
            .get(&written.signed_by)
            .filter(|secret| !secret.is_empty())?;
        Some(Self {
            split: split.clone(),
            header: written.header.clone(),
            cookie: written.cookie.clone(),
            secret: secret.as_slice().into(),
        })
    }

    /// The name of the version that a request asks for with a good signature.
    pub(super) fn version<'a>(&self, head: &'a impl Head) -> Option<&'a str> {
        let header = self.header.as_ref().and_then(|name| head.field(name));
        let cookie = || {
            self.cookie
                .as_ref()
                .and_then(|name| cookie::first(head, name.as_bytes()))
        };
        header
            .and_then(|value| self.open(value))
            .or_else(|| self.open(cookie()?))
    }

    fn open<'a>(&self, value: &'a [u8]) -> Option<&'a str> {
        let (version, signature) = std::str::from_utf8(value).ok()?.rsplit_once('.')?;
        if signature.len() != CODED {
            return None;
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        sign::verifies(&self.secret, &message(&self.split, version), &signature).then_some(version)
    }
}

/// Names hold no line ends, so no two messages are the same.
fn message<'a>(split: &'a SplitName, version: &'a str) -> [&'a str; 5] {
    ["serin-override-v1", "\n", split.as_str(), "\n", version]
}
