//! What several benches work on.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each bench uses a part of this, and stops where it stands"
)]

pub(crate) mod judging;
pub(crate) mod traffic;
