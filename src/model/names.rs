//! Names that people write in the file, and texts that sources of endpoints give: one type a role,
//! so that none is taken for another.

use std::{fmt, sync::Arc};

/// Says why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name cannot be empty")]
    Empty,
    /// The text is over 63 bytes long.
    #[error("a name has at most 63 characters")]
    TooLong,
    /// The text has a character that metrics, URLs or logs could not carry safely.
    #[error("`{0}` cannot stand in a name: use letters, digits, `_`, `-` and `.`")]
    Character(char),
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > 63 {
        return Err(NameError::TooLong);
    }
    let stranger = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c)));
    stranger.map_or(Ok(()), |c| Err(NameError::Character(c)))
}

/// A text that is cheap to copy and shown as it is.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

/// What people write.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        text!($(#[$doc])* $name);

        impl $name {
            /// Parses a name: 1 to 63 of `A-Z a-z 0-9 _ - .`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }
        }
    };
}

/// What a source of endpoints says.
macro_rules! told {
    ($(#[$doc:meta])* $name:ident) => {
        text!($(#[$doc])* $name);

        impl $name {
            /// The text as the source gives it.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }
        }
    };
}

name!(
    /// The name of an address we accept on.
    ListenerName
);
name!(
    /// The name of a split: the unit of weight, stickiness, analysis and rollout.
    SplitName
);
name!(
    /// The name of one match inside a split; a metric label.
    RouteName
);
name!(
    /// The name of a group of endpoints.
    UpstreamName
);
name!(
    /// The name of a version: an upstream in its place in a split.
    VersionName
);

told!(
    /// Where an endpoint runs: an availability zone, a rack, a data centre.
    Zone
);
told!(
    /// What tells a new release of the program at an endpoint from an old one: a task definition,
    /// the time of a configuration. Sources pick endpoints by it; people see it.
    VersionKey
);

impl From<&UpstreamName> for VersionName {
    fn from(upstream: &UpstreamName) -> Self {
        Self(upstream.0.clone())
    }
}

impl From<&VersionName> for UpstreamName {
    fn from(version: &VersionName) -> Self {
        Self(version.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_label_a_url_and_a_log_can_carry() {
        let cases = [
            ("shop", Ok(())),
            ("shop-v2.eu_1", Ok(())),
            ("", Err(NameError::Empty)),
            ("a b", Err(NameError::Character(' '))),
            ("caf\u{e9}", Err(NameError::Character('\u{e9}'))),
            (&"x".repeat(64), Err(NameError::TooLong)),
        ];
        for (text, expected) in cases {
            assert_eq!(SplitName::new(text).map(|_| ()), expected, "{text:?}");
        }
    }
}
