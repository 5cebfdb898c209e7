//! Files that only one version has.

use super::PathMatch;

/// What the other version is asked once if the one answers 404.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// Where they are.
    pub paths: Vec<PathMatch>,
    /// Methods that are asked again.
    pub methods: Vec<String>,
}
