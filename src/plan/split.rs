//! Which version of a split a request is for.
//!
//! The canary owns the points below its share, so growing it only takes from stable. In order: a
//! signed override; a cookie of this rollout that says canary, while the canary has a share at
//! all; the point where the client falls. A cookie that says stable pins nobody, or returning users
//! would never follow the ramp.

use super::{Assignment, Chance, Head, Remember, Split, Version, rotation::mix};
use crate::{
    config::KeySource,
    model::{Point, Role, Share},
};

/// The part of stable's users, or requests, that stands in for a canary in the shadow A/A.
pub const SHADOW: Share = match Share::from_basis_points(1_000) {
    Ok(share) => share,
    Err(_) => Share::ZERO,
};
/// Keeps the shadow apart from everything else that is drawn from the same number.
const SHADOW_SALT: u64 = 0x5ead_0c0f_fee5_ca1e;

/// Why a request is for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    /// A signed override asked for it.
    Override,
    /// There is no other version.
    OnlyVersion,
    /// The client's cookie of this rollout says canary.
    Cookie,
    /// The hash of the client's key fell there.
    Key(&'a KeySource),
    /// The point in the client's cookie.
    CookiePoint,
    /// A client seen for the first time, and it fell there.
    NewClient,
    /// The split is not sticky: the request fell there on its own.
    Chance,
}

impl Split {
    /// The version that plays a part; the canary's part is stable's if there is no canary.
    pub fn version(&self, role: Role) -> &Version {
        match role {
            Role::Stable => &self.stable,
            Role::Canary => self.canary.as_ref().unwrap_or(&self.stable),
        }
    }

    /// Which version a request is for.
    pub fn assign(&self, head: &impl Head, chance: Chance) -> Assignment {
        self.assign_because(head, chance).0
    }

    /// Which version a request is for, and why.
    ///
    /// A tenth of stable is the shadow, drawn by user where there is one, and in any case
    /// independent of the point: a growing canary takes from both parts alike.
    pub fn assign_because(&self, head: &impl Head, chance: Chance) -> (Assignment, Why<'_>) {
        let (assignment, why) = self.choose(head, chance);
        let is_of_stable = assignment.role == Role::Stable && !assignment.overridden;
        let seed = assignment.user.unwrap_or(chance.fresh) ^ SHADOW_SALT;
        let is_shadow = is_of_stable && SHADOW.covers(Point::from_hash(mix(seed)));
        (
            Assignment {
                is_shadow,
                ..assignment
            },
            why,
        )
    }

    fn choose(&self, head: &impl Head, chance: Chance) -> (Assignment, Why<'_>) {
        let plain = |role| Assignment {
            role,
            overridden: false,
            is_shadow: false,
            user: None,
            remember: None,
        };
        if let Some(role) = self.overridden(head) {
            return (
                Assignment {
                    overridden: true,
                    ..plain(role)
                },
                Why::Override,
            );
        }
        if self.canary.is_none() {
            // Nothing is to be remembered, but users are told apart all the same.
            let user = self.affinity.as_ref().and_then(|affinity| {
                let identity = affinity.identity(head).map(|identity| identity.id);
                identity.or_else(|| affinity.ticket(head).map(|ticket| ticket.remember.id))
            });
            return (
                Assignment {
                    user,
                    ..plain(Role::Stable)
                },
                Why::OnlyVersion,
            );
        }
        let Some(affinity) = &self.affinity else {
            return (plain(self.role_at(chance.point)), Why::Chance);
        };

        let known = affinity.ticket(head);
        let (point, id, why) = match (affinity.identity(head), known) {
            (Some(key), _) => (key.point, key.id, Why::Key(key.source)),
            (None, Some(ticket)) => (ticket.remember.point, ticket.remember.id, Why::CookiePoint),
            (None, None) => (
                Point::from_hash(mix(chance.fresh)),
                chance.fresh,
                Why::NewClient,
            ),
        };
        let current = known
            .filter(|ticket| ticket.current)
            .map(|ticket| ticket.remember.role);
        let pinned = current == Some(Role::Canary) && self.share != Share::ZERO;
        let (role, why) = if pinned {
            (Role::Canary, Why::Cookie)
        } else {
            (self.role_at(point), why)
        };
        let remember = (current != Some(role)).then_some(Remember { role, point, id });
        (
            Assignment {
                user: Some(id),
                remember,
                ..plain(role)
            },
            why,
        )
    }

    fn overridden(&self, head: &impl Head) -> Option<Role> {
        let name = self.version_override.as_ref()?.version(head)?;
        let is = |version: &Version| version.name.as_str() == name;
        if is(&self.stable) {
            Some(Role::Stable)
        } else {
            self.canary
                .as_ref()
                .filter(|version| is(version))
                .map(|_| Role::Canary)
        }
    }

    fn role_at(&self, point: Point) -> Role {
        if self.share.covers(point) {
            Role::Canary
        } else {
            Role::Stable
        }
    }
}
