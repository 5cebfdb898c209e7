//! Numbers that only rise: of plans, of rollouts, of stages.

macro_rules! rising {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The next number.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

rising!(
    /// The number of a plan. A later plan has a higher one.
    Generation
);
rising!(
    /// The number of a split's rollout: a new rollout or a `retry` is epoch + 1. Cookies and API
    /// calls carry it.
    Epoch
);
rising!(
    /// The number of a stretch of one split's life in which its weight, its versions and its epoch
    /// stay the same. Samples carry it, so that a late outcome counts where it was assigned.
    Stage
);

/// 128 random bits that tell two rollouts with the same epoch apart (after a lost state).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Nonce(pub u128);
