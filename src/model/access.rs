//! What a caller of the admin API may do.

/// Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Access {
    /// Nothing but to ask whether the process lives.
    #[default]
    None,
    /// See everything that is shown.
    Read,
    /// Move traffic, too.
    Operate,
    /// Change the process, too: read its file, take its place, drain it.
    Admin,
}

impl Access {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::None, Self::Read, Self::Operate, Self::Admin];

    /// Its word: `none`, `read`, `operate`, `admin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// What a word means.
    pub fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|access| access.as_str() == word)
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_may_do_what_those_before_it_may() {
        assert!(Access::ALL.is_sorted());
        for access in Access::ALL {
            assert_eq!(Access::of(access.as_str()), Some(access));
        }
        assert_eq!(Access::of("root"), None);
    }
}
