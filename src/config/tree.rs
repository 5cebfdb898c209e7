//! A text as a tree in which every node knows its place.

/// Where something stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters on this line, at least 1.
    pub width: usize,
}

impl Place {
    /// The first character of the file.
    pub(super) const START: Self = Self {
        line: 1,
        column: 1,
        width: 1,
    };
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where the value stands.
    pub at: Place,
    /// Where the key stands whose value it is; the value's own place if it has none.
    pub owner: Place,
    /// What was written.
    pub value: Value,
}

impl Node {
    /// Where to point when the whole value is meant: at a scalar, at the key of anything larger.
    pub(super) const fn place(&self) -> Place {
        match self.value {
            Value::Scalar { .. } => self.at,
            Value::Null | Value::Broken | Value::List(_) | Value::Map(_) => self.owner,
        }
    }

    /// An empty mapping that stands where something else stands.
    pub(super) const fn empty(at: Place) -> Self {
        Self {
            at,
            owner: at,
            value: Value::Map(Vec::new()),
        }
    }
}

/// What was written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Something that is already reported; nobody reads on.
    Broken,
    /// One value. `plain`: without quotes.
    Scalar {
        /// Without quotes and escapes.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
    /// `- a` or `[a]`.
    List(Vec<Node>),
    /// `k: v` or `{k: v}`, in the order of the file; a duplicate key is here twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// Whether the key is written without quotes.
    pub plain: bool,
    /// The value.
    pub value: Node,
}
