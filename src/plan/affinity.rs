//! The client's key: read, signed, written.

/// Secrets that affinity and overrides sign with, already read by the caller.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// For splits without a secret of their own.
    pub default: Vec<u8>,
    /// By the path that the file names.
    pub files: std::collections::HashMap<std::path::PathBuf, Vec<u8>>,
}

/// How clients of one split keep their version.
#[derive(Debug)]
pub struct Affinity {}

/// How testers choose their version.
#[derive(Debug)]
pub struct Override {}
