//! The variables of the process that Amazon's tools agree on.

use std::{collections::HashMap, fmt, sync::Arc};

/// Variables whose names begin with `AWS_`. Some are secrets: only names are shown.
#[derive(Clone, Default)]
pub struct Environment(Arc<HashMap<String, String>>);

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let ours = std::env::vars_os().filter_map(text);
        Self::of(ours.filter(|(name, _)| name.starts_with("AWS_")))
    }

    /// These.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }

    /// The value of one; what is empty is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        Some(value).filter(|value| !value.is_empty())
    }

    /// Whether one says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.0.keys().collect();
        names.sort();
        f.debug_set().entries(names).finish()
    }
}
