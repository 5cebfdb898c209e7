//! What holds several things: lists, one-or-many, mappings from names that the user chooses.

use serde_json::{Value as Json, json};

use super::{
    tree::{Node, Place, Value},
    walk::{Placed, Shape, Walk},
};

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Several<T>(pub Vec<Placed<T>>);

/// A mapping from names that the user chooses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named<N, T> {
    /// In the order of the file.
    pub items: Vec<(Placed<N>, Placed<T>)>,
    /// Every name that is written, whether or not its value could be read.
    pub names: Vec<String>,
}

/// The items of a list. `None` if not one of several can be read: that is no empty list.
fn items<T: Shape>(nodes: &[Node], walk: &mut Walk) -> Option<Vec<Placed<T>>> {
    let items: Vec<Placed<T>> = nodes
        .iter()
        .filter_map(|node| Placed::read(node, walk))
        .collect();
    if items.is_empty() && !nodes.is_empty() {
        None
    } else {
        Some(items)
    }
}

impl<T: Shape> Shape for Vec<Placed<T>> {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if let Value::List(nodes) = &node.value {
            return items(nodes, walk);
        }
        match &node.value {
            Value::Scalar { text, .. } => walk.wrong_kind(node, &format!("a list: `[{text}]`")),
            Value::Null | Value::Broken | Value::List(_) | Value::Map(_) => {
                walk.wrong_kind(node, "a list");
            }
        }
        None
    }

    fn describe() -> Json {
        json!({ "type": "array", "items": T::describe() })
    }
}

impl<T: Shape> Shape for Several<T> {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if let Value::List(nodes) = &node.value {
            return items(nodes, walk).map(Self);
        }
        Placed::read(node, walk).map(|only| Self(vec![only]))
    }

    fn describe() -> Json {
        json!({ "anyOf": [T::describe(), { "type": "array", "items": T::describe() }] })
    }
}

impl<N: Shape, T: Shape> Shape for Named<N, T> {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            walk.wrong_kind(node, "a mapping from names");
            return None;
        };
        let mut named = Self {
            items: Vec::new(),
            names: Vec::new(),
        };
        for entry in entries {
            named.names.push(entry.key.clone());
            warn_of_old_yaml(&entry.key, entry.plain, entry.at, walk);
            let value = Value::Scalar {
                text: entry.key.clone(),
                plain: entry.plain,
            };
            let key = Node {
                at: entry.at,
                owner: entry.at,
                value,
            };
            if let (Some(name), Some(item)) =
                (Placed::read(&key, walk), Placed::read(&entry.value, walk))
            {
                named.items.push((name, item));
            }
        }
        Some(named)
    }

    fn describe() -> Json {
        json!({ "type": "object", "additionalProperties": T::describe() })
    }
}

/// YAML 1.1 tools (`PyYAML`, Ansible) turn these words into booleans when they rewrite the file.
fn warn_of_old_yaml(name: &str, plain: bool, at: Place, walk: &mut Walk) {
    const BOOLEANS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    if plain && BOOLEANS.contains(&name.to_lowercase().as_str()) {
        let message = format!("`{name}` is a boolean for tools that speak YAML 1.1");
        walk.warn(
            at,
            "yaml_1_1_boolean",
            message,
            "choose another name, or put it in quotes",
        );
    }
}
