//! Whether an attempt that has failed is followed by another one, and where that goes.
//!
//! What a method allows (RFC 9110, section 9.2.2): an endpoint that was sent nothing can have done
//! nothing, so that any request goes elsewhere. An idempotent one may be sent again when its
//! connection broke. What an endpoint has begun to answer, or still may, is asked again only if it
//! is safe, unless the file names the method.

use std::time::Duration;

use crate::{
    config::{OnUnhealthy, RescueOn, RetryOn, RetryPolicy},
    model::{GrpcStatus, Role, Share},
};

/// Methods that change nothing: asking twice is as good as asking once.
const SAFE: [&[u8]; 3] = [b"GET", b"HEAD", b"OPTIONS"];

/// The retries of one split.
#[derive(Debug, PartialEq, Eq)]
pub struct Retry {
    written: RetryPolicy,
    on_unhealthy: OnUnhealthy,
}

/// What an attempt came to that has failed, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing was sent.
    Unsent,
    /// The connection broke before the answer, or what came is no HTTP.
    Broken,
    /// The answer's head did not come in time.
    Late,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Of a call of gRPC that is answered with a head only.
        grpc_status: Option<u8>,
        /// Whether it counts against its version.
        is_failure: bool,
    },
}

/// What is known of a request, as far as it may be sent again.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// Whether the method is idempotent.
    pub is_idempotent: bool,
    /// Whether an override has chosen its version.
    pub is_overridden: bool,
}

/// Where a request stands between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The part of the version that the last attempt was at.
    pub role: Role,
    /// Attempts so far.
    pub attempts: u8,
    /// Whether the version has an endpoint that was not tried.
    pub has_others: bool,
}

/// Where the next attempt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// To the same version, another endpoint if there is one.
    Same,
    /// To stable, for a canary.
    Stable,
    /// To the other version, for a file that this one does not have (`assets.rs`).
    Other,
}

impl Retry {
    /// Of a split.
    pub fn new(written: &RetryPolicy, on_unhealthy: OnUnhealthy) -> Self {
        Self {
            written: written.clone(),
            on_unhealthy,
        }
    }

    /// How many repeats may be made beyond the requests, as a share of them.
    pub const fn budget(&self) -> Share {
        self.written.retry_budget
    }

    /// How much stable takes back, as a share of what it answers well itself; `None`: all.
    pub const fn capacity(&self) -> Option<Share> {
        self.written.respect_capacity
    }

    /// Attempts of a request in all.
    pub const fn attempts(&self) -> u8 {
        self.written.attempts
    }

    /// Whether stable takes over where the canary cannot be reached.
    pub fn falls_back(&self) -> bool {
        self.on_unhealthy == OnUnhealthy::FallbackToStable
    }

    /// The limit of an attempt that may be repeated.
    pub const fn per_try(&self) -> Option<Duration> {
        self.written.per_try_timeout
    }

    /// Whether and where another attempt is made, as far as budgets allow it.
    pub fn again(&self, trouble: Trouble, asked: Asked<'_>, at: Standing) -> Option<Again> {
        let is_unsent = trouble == Trouble::Unsent;
        let falls_back = is_unsent && self.falls_back();
        let may_rescue = falls_back || self.rescues(trouble, asked);
        let may_repeat = self.repeats(trouble, asked) && (at.has_others || !is_unsent);
        let left = self.written.attempts.saturating_sub(at.attempts);
        match at.role {
            Role::Canary if may_rescue && may_repeat && left > 1 => Some(Again::Same),
            // `attempts` is no reason to let a canary's users down that cannot be reached.
            Role::Canary if may_rescue && (left > 0 || falls_back) => Some(Again::Stable),
            Role::Canary | Role::Stable => (may_repeat && left > 0).then_some(Again::Same),
        }
    }

    /// Whether stable answers for a canary.
    fn rescues(&self, trouble: Trouble, asked: Asked<'_>) -> bool {
        // Who has asked for this version wants to see what it says.
        if self.written.rescue_on == RescueOn::None || asked.is_overridden {
            return false;
        }
        let is_meant = match (&self.written.retry_on, trouble) {
            (Some(_), trouble) => self.is_written(trouble),
            (None, Trouble::Answer { is_failure, .. }) => is_failure,
            (None, Trouble::Unsent | Trouble::Broken | Trouble::Late) => true,
        };
        is_meant && self.allows(trouble, asked)
    }

    /// Whether the same version is asked again.
    fn repeats(&self, trouble: Trouble, asked: Asked<'_>) -> bool {
        let is_meant = match (&self.written.retry_on, trouble) {
            (Some(_), trouble) => self.is_written(trouble),
            (None, Trouble::Unsent | Trouble::Broken) => true,
            (None, Trouble::Late | Trouble::Answer { .. }) => false,
        };
        is_meant && self.allows(trouble, asked)
    }

    /// Whether a written condition holds.
    fn is_written(&self, trouble: Trouble) -> bool {
        let mut conditions = self.written.retry_on.iter().flatten();
        conditions.any(|condition| holds(condition, trouble))
    }

    /// Whether a request of this method may be sent again.
    fn allows(&self, trouble: Trouble, asked: Asked<'_>) -> bool {
        let names = |method: &String| method.as_bytes() == asked.method;
        match (trouble, &self.written.methods) {
            (Trouble::Unsent, _) => true,
            // Calls of gRPC are all POST: whoever lists it means them.
            (Trouble::Answer { .. }, _) if self.is_unavailable(trouble) => true,
            (_, Some(methods)) => methods.iter().any(names),
            (Trouble::Broken, None) => asked.is_idempotent,
            (Trouble::Late | Trouble::Answer { .. }, None) => SAFE.contains(&asked.method),
        }
    }

    fn is_unavailable(&self, trouble: Trouble) -> bool {
        let is_listed = |list: &Vec<RetryOn>| list.contains(&RetryOn::GrpcUnavailable);
        self.written.retry_on.as_ref().is_some_and(is_listed)
            && holds(&RetryOn::GrpcUnavailable, trouble)
    }
}

fn holds(condition: &RetryOn, trouble: Trouble) -> bool {
    match (condition, trouble) {
        (RetryOn::ConnectFailure, Trouble::Unsent)
        | (RetryOn::ResetBeforeResponse, Trouble::Broken)
        | (RetryOn::Timeout, Trouble::Late) => true,
        (RetryOn::Status(range), Trouble::Answer { status, .. }) => range.contains(&status),
        (RetryOn::GrpcUnavailable, Trouble::Answer { grpc_status, .. }) => {
            grpc_status.and_then(GrpcStatus::of) == Some(GrpcStatus::Unavailable)
        }
        (
            RetryOn::ConnectFailure
            | RetryOn::ResetBeforeResponse
            | RetryOn::Timeout
            | RetryOn::Status(_)
            | RetryOn::GrpcUnavailable,
            Trouble::Unsent | Trouble::Broken | Trouble::Late | Trouble::Answer { .. },
        ) => false,
    }
}
