//! Doors to what sources read and keep to themselves, for `fuzz/`. In no other build.

pub use super::{
    aws::fuzzing::refused,
    cloud_map::fuzzing::instances,
    ecs::fuzzing::{addresses, tasks},
};
