//! The nouns that every other room speaks.
//!
//! *Owns:* names, dense ids, shares, moments, sides, outcomes' labels.
//! *Does not know:* files, sockets, clocks, serde, any other room.
//! *Invariants:* every value is valid by construction (parse, don't validate).
//! *Read next:* `names.rs`, `share.rs`, then `crate::config`.

mod access;
mod endpoint;
mod generation;
mod ids;
mod labels;
mod names;
pub mod number;
mod share;
mod side;
mod time;
mod trace;

pub use access::Access;
pub use endpoint::{Endpoint, Health};
pub use generation::{Epoch, Generation, Nonce, Stage};
pub use ids::{EndpointKey, RouteId, SplitId, SplitKey, UpstreamId, UpstreamKey};
pub use labels::{
    CodeClass, EndpointState, GrpcStatus, Outcome, Protocol, Reason, Rejection, Role,
};
pub use names::{
    ListenerName, NameError, RouteName, SplitName, UpstreamName, VersionKey, VersionName, Zone,
};
pub use share::{Point, Share, ShareError};
pub use side::Side;
pub use time::Moment;
pub use trace::{SpanId, TraceId};
