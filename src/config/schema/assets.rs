//! The keys of `fallback_on_404`: files that only one version has.

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Method, Node, Placed, Required, Shape, UrlPath, Walk, block, describe_block,
};
use crate::config::{PathMatch, collection::Several, walk::scalar};

block! {
    /// Files that only one version has, such as those with a digest in their name: what the one
    /// answers 404 to, the other is asked once.
    struct AssetsBlock {
        /// Where they are, one path or a list; `/assets/*` is all below `/assets`.
        paths: Several<AssetPath> = Required,
        /// Methods that are asked again.
        methods: Several<Method> = Default("[GET, HEAD]"),
    } later []
}

/// A path, or all below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AssetPath(pub PathMatch);

impl Shape for AssetPath {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a path such as `/assets/*`", |text| {
            let Some(prefix) = text.strip_suffix("/*") else {
                return UrlPath::parse(text).map(|UrlPath(path)| Self(PathMatch::Exact(path)));
            };
            let prefix = if prefix.is_empty() { "/" } else { prefix };
            UrlPath::parse(prefix).map(|UrlPath(path)| Self(PathMatch::Prefix(path)))
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^/" })
    }
}
