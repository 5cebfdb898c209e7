//! What tests over real sockets are told with: an origin, a client, a proxy.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "each test crate uses a part of this, and a test stops where it stands"
)]

pub mod canon;
pub mod certificates;
pub mod client;
pub mod collector;
pub mod corpus;
pub mod ecs;
pub mod frames;
pub mod h2_client;
pub mod h2_origin;
pub mod marathon;
pub mod origin;
pub mod proxy;
