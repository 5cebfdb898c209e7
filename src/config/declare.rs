//! How a block of keys is declared: once, in `schema/`, with everything that follows from it.

use serde_json::{Map, Value as Json, json};

use super::{
    parse::parse,
    tree::{Node, Value},
};

/// Whether a key must be there, and what holds if it is not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// It must be there.
    Required,
    /// Nothing holds.
    Optional,
    /// This text holds.
    Default(&'static str),
}

/// The declaration of one key.
#[derive(Debug)]
pub(super) struct KeyInfo {
    /// Its name as the compiler spells it (`r#match`).
    pub raw: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must be there.
    pub need: Need,
    /// Its type's description.
    pub describe: fn() -> Json,
}

impl KeyInfo {
    /// The key as it stands in the file.
    pub(super) fn name(&self) -> &'static str {
        self.raw.strip_prefix("r#").unwrap_or(self.raw)
    }
}

/// The JSON Schema of a block.
pub(super) fn describe_block(doc: &str, keys: &[KeyInfo]) -> Json {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = (key.describe)();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), key.doc.trim().into());
            if let Need::Default(text) = key.need {
                schema.insert("default".into(), default_json(text));
            }
        }
        properties.insert(key.name().into(), schema);
    }
    let required = keys.iter().filter(|key| matches!(key.need, Need::Required));
    let required: Vec<&str> = required.map(KeyInfo::name).collect();
    let mut schema = json!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    if let Some(schema) = schema.as_object_mut().filter(|_| !required.is_empty()) {
        schema.insert("required".into(), required.into());
    }
    schema
}

/// A default as JSON: flow lists and mappings are JSON once their words are quoted, and there are
/// only empty ones and lists of words.
fn default_json(text: &str) -> Json {
    fn json(node: &Node) -> Json {
        match &node.value {
            Value::Null | Value::Broken => Json::Null,
            Value::Scalar { text, .. } => {
                serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone()))
            }
            Value::List(nodes) => nodes.iter().map(json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.value)))
                .collect(),
        }
    }
    parse(text).root.map_or(Json::Null, |node| json(&node))
}

/// Declares a block of keys: `name: Type = Need,`, then the keys that the product will have and
/// this build has not.
macro_rules! block {
    ($(#[doc = $doc:literal])* struct $name:ident {
        $($(#[doc = $key_doc:literal])* $key:ident: $type:ty = $need:expr,)*
    } later $later:expr $(, expect $lint:path, $reason:literal)?) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        $(#[expect($lint, reason = $reason)])?
        pub(in crate::config) struct $name {
            $($(#[doc = $key_doc])* pub $key: Option<Placed<$type>>,)*
        }

        impl $name {
            const KEYS: &[KeyInfo] = &[$(KeyInfo {
                raw: stringify!($key),
                doc: concat!($($key_doc),*),
                need: $need,
                describe: <$type as Shape>::describe,
            },)*];
        }

        impl Shape for $name {
            fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
                let entries = walk.entries(node, Self::KEYS, &$later)?;
                let mut keys = Self::KEYS.iter();
                Some(Self {
                    $($key: keys.next().and_then(|key| walk.field(node.owner, entries, key)),)*
                })
            }

            fn describe() -> serde_json::Value {
                describe_block(concat!($($doc),*), Self::KEYS)
            }
        }
    };
}

/// Gives a type its words in the file, and those that it will have.
macro_rules! words {
    ($type:ty { $($text:literal => $value:expr,)+ } later $later:expr) => {
        impl Shape for $type {
            fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
                word(node, walk, &[$(($text, $value),)+], &$later)
            }

            fn describe() -> serde_json::Value {
                serde_json::json!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}

pub(super) use {block, words};
