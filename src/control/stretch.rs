//! What a stage means: how a split stood while requests were assigned in it.

use std::sync::Arc;

use crate::model::{Epoch, Nonce, Role, RouteName, Share, VersionName};

/// A stretch of a split's life in which nothing about it changed: what a [`Stage`] means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    pub(super) epoch: Epoch,
    pub(super) nonce: Nonce,
    pub(super) share: Share,
    pub(super) stable: VersionName,
    pub(super) canary: Option<VersionName>,
    pub(super) routes: Arc<[RouteName]>,
    /// How often the canary was judged anew before it.
    pub(super) round: u32,
}

impl Stretch {
    /// The version that had this part.
    pub(super) fn version(&self, role: Role) -> &VersionName {
        match role {
            Role::Stable => &self.stable,
            Role::Canary => self.canary.as_ref().unwrap_or(&self.stable),
        }
    }

    /// Whether both are of the same rollout against the same version.
    pub(super) fn is_of_trial(&self, other: &Self) -> bool {
        let trial = |stretch: &Self| (stretch.epoch, stretch.nonce);
        trial(self) == trial(other) && self.stable == other.stable
    }
}
