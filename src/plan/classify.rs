//! What an attempt or a request counts as: the rules of a split, then those that always hold.
//!
//! The path is known when a request begins, all else when it ends; so a request carries along which
//! rules are still open to it, as bits. Nothing is copied.

use std::time::Duration;

use super::{Head, path};
use crate::{
    config::{ClassRule, PathMatch, When},
    model::{GrpcStatus, Outcome},
};

/// The rules of a split.
#[derive(Debug, Default, PartialEq)]
pub struct Classify {
    rules: Box<[Rule]>,
    /// Those that ask for no path.
    anywhere: u64,
    /// Whether any other is there.
    asks_for_paths: bool,
}

/// A rule, with the path in its normal form.
#[derive(Debug, PartialEq)]
struct Rule {
    written: ClassRule,
    path: Option<Path>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Path {
    Exact(Box<[u8]>),
    /// Without its last slash.
    Prefix(Box<[u8]>),
}

/// The rules that are open to a request, by its path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fitting(u64);

/// How an attempt or a request has ended, unless the endpoint or this proxy broke it off: that is
/// what it is, whatever rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a whole answer.
    Answer {
        /// Its status.
        status: u16,
        /// Of a call of gRPC.
        grpc_status: Option<u8>,
    },
    /// The client left, or stopped taking the answer, after this time.
    ClientAbort(Duration),
}

impl Ending {
    /// What it counts as without any rule.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::ClientAbort(_) => Outcome::ClientAbort,
            Self::Answer { status: 500.., .. } => Outcome::Failure,
            Self::Answer { grpc_status, .. } => {
                let status = grpc_status.and_then(GrpcStatus::of);
                if status.is_some_and(GrpcStatus::is_failure) {
                    Outcome::Failure
                } else {
                    Outcome::Success
                }
            }
        }
    }
}

impl Classify {
    /// Compiles rules, in the order of the file.
    pub fn new(rules: &[ClassRule]) -> Self {
        let rules: Box<[Rule]> = rules.iter().map(Rule::new).collect();
        let anywhere = bits(&rules, |rule| rule.path.is_none());
        let asks_for_paths = rules.iter().any(|rule| rule.path.is_some());
        Self {
            rules,
            anywhere,
            asks_for_paths,
        }
    }

    /// The rules that are open to a request.
    pub fn fitting(&self, head: &impl Head) -> Fitting {
        if !self.asks_for_paths {
            return Fitting(self.anywhere);
        }
        let Some(asked) = path::normalise(head.path()) else {
            return Fitting(self.anywhere);
        };
        let fits = |rule: &Rule| rule.path.as_ref().is_some_and(|path| path.takes(&asked));
        Fitting(self.anywhere | bits(&self.rules, fits))
    }

    /// What something that has ended so counts as.
    pub fn outcome(&self, fitting: Fitting, ending: Ending) -> Outcome {
        let mut rules = self.open(fitting);
        let rule = rules.find(|rule| fits(&rule.when, ending));
        rule.map_or_else(|| ending.outcome(), |rule| rule.outcome)
    }

    /// Whether answers are ignored, whatever they say: then nobody needs to wait for them.
    pub fn ignores_answers(&self, fitting: Fitting) -> bool {
        let mut rules = self.open(fitting);
        let rule = rules.find(|rule| matches!(rule.when, When::Request { .. }));
        rule.is_some_and(|rule| {
            let is_plain = matches!(
                &rule.when,
                When::Request { statuses, grpc_statuses, .. }
                    if statuses.is_empty() && grpc_statuses.is_empty()
            );
            is_plain && rule.outcome == Outcome::Ignored
        })
    }

    /// The rules that are open to a request, in their order.
    pub fn open(&self, Fitting(bits): Fitting) -> impl Iterator<Item = &ClassRule> {
        open(bits).filter_map(|place| self.rules.get(place).map(|rule| &rule.written))
    }
}

/// The places of rules, as bits; a file has no more rules than there are bits.
fn bits(rules: &[Rule], is_one: impl Fn(&Rule) -> bool) -> u64 {
    let places = (0..u64::BITS).zip(rules);
    let places = places.filter(|(_, rule)| is_one(rule));
    places.fold(0, |bits, (place, _)| bits | 1 << place)
}

/// The places that are set, in their order.
fn open(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits.wrapping_sub(1);
        usize::try_from(place).ok()
    })
}

/// Whether a rule that is open to a request fits its end.
fn fits(when: &When, ending: Ending) -> bool {
    match (when, ending) {
        (When::ClientAbort { unless_slower_than }, Ending::ClientAbort(after)) => {
            unless_slower_than.is_none_or(|limit| after <= limit)
        }
        (When::ClientAbort { .. }, Ending::Answer { .. }) => false,
        (
            When::Request {
                statuses,
                grpc_statuses,
                ..
            },
            ending,
        ) => {
            let (status, grpc_status) = match ending {
                Ending::ClientAbort(_) => (None, None),
                Ending::Answer {
                    status,
                    grpc_status,
                } => (Some(status), grpc_status.and_then(GrpcStatus::of)),
            };
            let among = |status| statuses.iter().any(|range| range.contains(&status));
            (statuses.is_empty() || status.is_some_and(among))
                && (grpc_statuses.is_empty()
                    || grpc_status.is_some_and(|status| grpc_statuses.contains(&status)))
        }
    }
}

impl Rule {
    fn new(written: &ClassRule) -> Self {
        let path = match &written.when {
            When::Request { path, .. } => path.as_ref().map(Path::new),
            When::ClientAbort { .. } => None,
        };
        Self {
            written: written.clone(),
            path,
        }
    }
}

impl Path {
    pub(super) fn new(written: &PathMatch) -> Self {
        let normal = |text: &str| {
            // A path that climbs above the root is never asked for.
            let path = path::normalise(text.as_bytes());
            path.map_or_else(|| text.as_bytes().to_vec(), std::borrow::Cow::into_owned)
        };
        match written {
            PathMatch::Exact(text) => Self::Exact(normal(text).into()),
            PathMatch::Prefix(text) => {
                let path = normal(text);
                Self::Prefix(path.strip_suffix(b"/").unwrap_or(&path).into())
            }
        }
    }

    pub(super) fn takes(&self, asked: &[u8]) -> bool {
        match self {
            Self::Exact(path) => **path == *asked,
            Self::Prefix(path) => {
                let rest = asked.strip_prefix(&**path);
                path.is_empty() || rest.is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
            }
        }
    }
}
