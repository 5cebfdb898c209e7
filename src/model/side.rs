//! Whose fault it was.

/// The side on which something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client's: gone, slow or malformed. Never counted against a version.
    Downstream,
    /// The endpoint's: refused, reset, late or malformed. Counted against its version.
    Upstream,
    /// Ours: a limit of this proxy. Never counted against a version.
    Proxy,
}
