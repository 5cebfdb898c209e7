//! Numbers that stand for names on the request path.
//!
//! `...Id` is a dense index into one plan and means nothing in another plan. `...Key` is allotted
//! once in the life of the process and never used again, so pools and recorders may keep it.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The same number as an index.
            pub const fn index(self) -> usize {
                crate::model::number::index(self.0)
            }
        }
    };
}

id!(
    /// The place of a split in `Plan::splits`.
    SplitId
);
id!(
    /// The place of an upstream in `Plan::upstreams`.
    UpstreamId
);
id!(
    /// The place of a route in its split. 0 is the split's first (or only) match.
    RouteId
);
id!(
    /// A split for the life of the process: the same name has the same key in every plan.
    SplitKey
);
id!(
    /// An upstream for the life of the process: the same name has the same key in every plan.
    UpstreamKey
);
id!(
    /// An upstream's endpoint for the life of the process: the same upstream name and address have
    /// the same key in every plan.
    EndpointKey
);
