//! Who shares which traffic.

use std::{path::PathBuf, time::Duration};

use super::{Analysis, Assets, ClassRule, Hedge, RetryPolicy, Rollout};
use crate::model::{RouteName, Share, SplitName, UpstreamName};

/// A match and the versions that share its traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Its name.
    pub name: SplitName,
    /// What it takes; at least one, named routes (`default` if unnamed).
    pub routes: Vec<Match>,
    /// The version users have today.
    pub stable: UpstreamName,
    /// The version being tried, if any.
    pub canary: Option<UpstreamName>,
    /// The canary's share as written; `None` if the file says none (a rollout decides).
    pub weight: Option<Share>,
    /// How clients keep their version; `None`: every request falls anew.
    pub sticky: Option<Sticky>,
    /// How testers choose their version.
    pub version_override: Option<Override>,
    /// What happens to the share of a canary without a usable endpoint.
    pub on_unhealthy: OnUnhealthy,
    /// What becomes of an attempt that has failed.
    pub retry_policy: RetryPolicy,
    /// When an attempt gets a second one beside it; `None`: never.
    pub hedge: Option<Hedge>,
    /// Files that only one version has.
    pub assets: Option<Assets>,
    /// Limits in time that this split sets over its upstreams'.
    pub timeouts: SplitTimeouts,
    /// How endpoints are told when a request came.
    pub request_start: RequestStart,
    /// What counts against a version; the first rule that fits decides.
    pub classify: Vec<ClassRule>,
    /// The course of the rollout, if one is written.
    pub rollout: Option<Rollout>,
    /// How versions are compared.
    pub analysis: Analysis,
}

/// What a split or a route takes: everything written must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The route's name: a metric label.
    pub name: RouteName,
    /// Host names (lower case, no port), `*.example` for every subdomain; empty: any.
    pub hosts: Vec<String>,
    /// The path, exactly or by prefix.
    pub path: PathMatch,
    /// Header fields that must be there.
    pub headers: Vec<HeaderMatch>,
    /// Methods; empty: any.
    pub methods: Vec<String>,
}

/// How a path is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This path and all below it: `/a` takes `/a`, `/a/` and `/a/b`, not `/ab`.
    Prefix(String),
    /// This path only.
    Exact(String),
}

/// A header field that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Field name, lower case.
    pub name: String,
    /// Its exact value; `None`: any.
    pub value: Option<String>,
}

/// How clients keep their version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Where the client's identity is read, first present wins; empty: our own cookie is it.
    pub key: Vec<KeySource>,
    /// The cookie that remembers.
    pub cookie: Cookie,
    /// A file with the secret that signs cookies; `None`: one is made and kept in the state
    /// directory.
    pub secret_file: Option<PathBuf>,
}

/// Where a client's identity is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The value of a cookie.
    Cookie(String),
    /// The value of a header field (lower case).
    Header(String),
    /// The client's address.
    ClientIp,
}

/// The cookie that remembers a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its life; `None`: the browser's session.
    pub max_age: Option<Duration>,
    /// `Path`.
    pub path: String,
    /// `Domain`, if any.
    pub domain: Option<String>,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Secure`.
    pub secure: bool,
    /// `SameSite`.
    pub same_site: SameSite,
}

/// The `SameSite` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`.
    Lax,
    /// `Strict`.
    Strict,
    /// `None` (asks for `Secure`).
    None,
}

/// How testers choose their version: a header or a cookie whose value is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The header field, lower case.
    pub header: Option<String>,
    /// The cookie.
    pub cookie: Option<String>,
    /// The file with the secret that signs.
    pub signed_by: PathBuf,
}

/// What happens to the share of a canary without a usable endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// Stable answers, and the canary is charged with a failure.
    FallbackToStable,
    /// The client gets the error.
    Fail,
}

/// How endpoints are told when a request came, in `X-Request-Start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestStart {
    /// In seconds, with milliseconds behind the point.
    #[default]
    Seconds,
    /// In milliseconds.
    Millis,
    /// In microseconds.
    Micros,
    /// They are not.
    Disabled,
}

/// Limits in time of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SplitTimeouts {
    /// From the end of the request to the end of the answer's head, instead of the upstream's.
    pub response_header: Option<Duration>,
    /// From the end of the request's head to the last byte of the answer.
    pub total: Option<Duration>,
}
