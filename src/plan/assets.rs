//! Files that only one version has: a page of the one version asks the other for a file whose name
//! holds a digest, and a cache in between would remember the 404.

use super::{classify::Path, path};
use crate::config;

/// What the other version is asked once if the one answers 404.
#[derive(Debug, PartialEq)]
pub struct Assets {
    paths: Box<[Path]>,
    methods: Box<[String]>,
}

impl Assets {
    /// Compiles what is written.
    pub fn new(written: &config::Assets) -> Self {
        Self {
            paths: written.paths.iter().map(Path::new).collect(),
            methods: written.methods.clone().into(),
        }
    }

    /// Whether a request is for one of them; `target` is the path, maybe with a query.
    pub fn takes(&self, method: &[u8], target: &[u8]) -> bool {
        let end = memchr::memchr(b'?', target).unwrap_or(target.len());
        let asked = target.get(..end).and_then(path::normalise);
        let mut methods = self.methods.iter();
        methods.any(|known| known.as_bytes() == method)
            && asked.is_some_and(|asked| self.paths.iter().any(|path| path.takes(&asked)))
    }
}
