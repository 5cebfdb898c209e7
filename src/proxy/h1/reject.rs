//! Why a message is not taken: the client's fault (a status to answer) or the origin's (502).

/// A request that is refused. The connection closes after the answer, since nobody can tell where
/// the next request would begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Reject {
    /// The status to answer with: 400, 405, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// What is wrong, for the answer's text and the log.
    pub reason: &'static str,
}

impl Reject {
    pub(super) const fn bad(reason: &'static str) -> Self {
        Self {
            status: 400,
            reason,
        }
    }

    pub(super) const fn with(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }
}

/// A response that is not forwarded: the client gets 502, the upstream connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// What is wrong, for the log.
    pub reason: &'static str,
}
