//! Which users change their version, and which of them go back to one that they had left.
//!
//! Without recorded keys the share of users is counted over all points that a user can fall on: it
//! is exact where both files hash alike. Where they do not (another key, another name of the
//! split, which is the salt) the two versions of a user have nothing to do with each other, and the
//! share is what is to be expected. With recorded keys every one of them is asked for.

use super::{
    keys::{self, User},
    sides::Side,
};
use crate::{
    config::{self, KeySource, Sticky},
    model::{Point, Role, Share, SplitName, VersionName, number::real},
    plan::Split,
    rollout::Rollout,
};

/// Points that a user can fall on.
const POINTS: u16 = 10_000;

/// A split that took requests, one that takes them, and what that means for users.
#[derive(Debug)]
pub(super) struct Moves {
    /// The split before and after.
    pub(super) splits: (SplitName, SplitName),
    /// Whether users are known again, before and after.
    pub(super) is_sticky: (bool, bool),
    /// Whether the shares are exact, and not what is to be expected.
    pub(super) is_exact: bool,
    /// For users without a cookie of ours.
    pub(super) by_key: Shares,
    /// For users that keep their cookies, as browsers do.
    pub(super) with_cookie: Shares,
    /// What became of recorded users.
    pub(super) recorded: Option<Recorded>,
    /// Why users go back, in words.
    pub(super) why: Vec<String>,
    /// Users that have been on the canary since its rollout began.
    pub(super) exposed: Option<u64>,
}

/// Of all users, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Shares {
    /// They get another version.
    pub(super) moved: f64,
    /// They leave the canary for a version that is no newer.
    pub(super) flipped: f64,
}

/// What became of recorded users.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// How many there are.
    pub(super) users: usize,
    /// Those that get another version, as recorded.
    pub(super) moved: Vec<String>,
    /// Those of them that do although they keep their cookie.
    pub(super) moved_with_cookie: Vec<String>,
    /// How many leave the canary.
    pub(super) flipped: usize,
    /// How many of them do although they keep their cookie.
    pub(super) flipped_with_cookie: usize,
    /// How many have no key that the split knows, before or after: they fall anew.
    pub(super) without_key: usize,
}

impl Moves {
    /// The largest share of users that may move.
    pub(super) fn moved(&self) -> f64 {
        let recorded = self.recorded.as_ref();
        let of = |count: usize, all: &Recorded| real_of(count) / real_of(all.users.max(1));
        match recorded {
            Some(all) => of(all.moved.len().max(all.moved_with_cookie.len()), all),
            None => self.by_key.moved.max(self.with_cookie.moved),
        }
    }

    /// How many users go back, or which share of them.
    pub(super) fn flips(&self) -> f64 {
        match &self.recorded {
            Some(all) => real_of(all.flipped.max(all.flipped_with_cookie)),
            None => self.by_key.flipped.max(self.with_cookie.flipped),
        }
    }
}

fn real_of(count: usize) -> f64 {
    real(u64::try_from(count).unwrap_or(u64::MAX))
}

/// What a change of files means for the users of a pair of splits.
pub(super) fn moves(
    (before, after): (&Side, &Side),
    pair: &(SplitName, SplitName),
    users: Option<&[User]>,
) -> Option<Moves> {
    let (old, new) = (before.split(&pair.0)?, after.split(&pair.1)?);
    let (was, is) = (before.written(&pair.0)?, after.written(&pair.1)?);
    let [old_keys, new_keys] = [was, is].map(sources);
    let is_same_hash = was.name == is.name && old_keys == new_keys && is_same_memory(was, is);
    let is_bound = is_same_bond((was, is), (before, after));
    let by_key = shares((old, new), is_same_hash, false);
    let with_cookie = shares((old, new), is_same_hash, is_bound);
    let recorded = users.map(|users| recorded(users, (old, new), [&old_keys, &new_keys]));
    let is_sticky = (was.sticky.is_some(), is.sticky.is_some());
    let settled = |split: &Split| matches!(split.share, Share::ZERO | Share::FULL);
    let is_settled = settled(old) || settled(new) || old.canary.is_none() || new.canary.is_none();
    let flips = by_key.flipped.max(with_cookie.flipped) > 0.0;
    Some(Moves {
        splits: pair.clone(),
        is_sticky,
        is_exact: (is_same_hash || is_settled) && is_sticky.0 == is_sticky.1,
        by_key,
        with_cookie,
        recorded,
        why: if flips {
            reasons((was, is), (old, new))
        } else {
            Vec::new()
        },
        exposed: None,
    })
}

fn sources(split: &config::Split) -> Vec<KeySource> {
    let sticky = split.sticky.as_ref();
    sticky.map_or_else(Vec::new, |sticky| sticky.key.clone())
}

/// Users without a key are known by their cookie alone: it must be read again.
fn is_same_memory(was: &config::Split, is: &config::Split) -> bool {
    match (&was.sticky, &is.sticky) {
        (Some(was), Some(is)) => !was.key.is_empty() || is_same_cookie(was, is),
        (None, _) | (_, None) => false,
    }
}

fn is_same_cookie(was: &Sticky, is: &Sticky) -> bool {
    was.cookie.name == is.cookie.name && was.secret_file == is.secret_file
}

/// Whether a cookie that says canary says so still.
fn is_same_bond(
    (was, is): (&config::Split, &config::Split),
    (before, after): (&Side, &Side),
) -> bool {
    let (Some(old), Some(new)) = (&was.sticky, &is.sticky) else {
        return false;
    };
    let bond = |side: &Side, name| {
        let rollout: Option<&Rollout> = side.rollouts.get(name);
        rollout.map(|rollout| (rollout.epoch(), rollout.state().nonce))
    };
    let is_same_rollout = bond(before, &was.name) == bond(after, &is.name);
    was.name == is.name && was.canary == is.canary && is_same_cookie(old, new) && is_same_rollout
}

/// Counts every point, or multiplies what is independent.
fn shares((old, new): (&Split, &Split), is_same_hash: bool, is_bound: bool) -> Shares {
    let roles = |split: &Split| {
        let canary = split.canary.as_ref().map_or(0.0, |_| split.share.ratio());
        [(Role::Stable, 1.0 - canary), (Role::Canary, canary)]
    };
    let mut shares = Shares::default();
    let mut count = |was: Role, mut is: Role, part: f64| {
        let is_kept = is_bound && was == Role::Canary && new.share != Share::ZERO;
        if is_kept {
            is = Role::Canary;
        }
        let (from, to) = (name(old, was), name(new, is));
        if from != to {
            shares.moved += part;
            let is_back = was == Role::Canary && old.stable.name == *to;
            shares.flipped += if is_back { part } else { 0.0 };
        }
    };
    if is_same_hash {
        let role = |split: &Split, point| {
            if split.canary.is_some() && split.share.covers(point) {
                Role::Canary
            } else {
                Role::Stable
            }
        };
        for point in (0..POINTS).filter_map(Point::new) {
            count(role(old, point), role(new, point), 1.0 / f64::from(POINTS));
        }
    } else {
        for (was, before) in roles(old) {
            for (is, after) in roles(new) {
                count(was, is, before * after);
            }
        }
    }
    // Ten thousandths added up are not quite what they stand for.
    let exact = |share: f64| (share * 1e9).round() / 1e9;
    Shares {
        moved: exact(shares.moved),
        flipped: exact(shares.flipped),
    }
}

fn name(split: &Split, role: Role) -> &VersionName {
    &split.version(role).name
}

fn recorded(users: &[User], (old, new): (&Split, &Split), sources: [&[KeySource]; 2]) -> Recorded {
    let mut all = Recorded {
        users: users.len(),
        ..Recorded::default()
    };
    for user in users {
        let Some(fate) = keys::fate(user, (old, new), sources) else {
            all.without_key += 1;
            continue;
        };
        if fate.is_drawn {
            all.without_key += 1;
            continue;
        }
        let (role, version) = &fate.before;
        let is_back = |to: &VersionName| *role == Role::Canary && *to == old.stable.name;
        if fate.after != *version {
            all.moved.push(user.line.clone());
            all.flipped += usize::from(is_back(&fate.after));
        }
        if fate.after_with_cookie != *version {
            all.moved_with_cookie.push(user.line.clone());
            all.flipped_with_cookie += usize::from(is_back(&fate.after_with_cookie));
        }
    }
    all
}

/// Why users leave the canary.
fn reasons(
    (was, is): (&config::Split, &config::Split),
    (old, new): (&Split, &Split),
) -> Vec<String> {
    let mut why = Vec::new();
    if was.name != is.name {
        why.push(format!(
            "`{}` takes what `{}` took: a split's name is the salt of its hash",
            is.name, was.name
        ));
    }
    match (&was.sticky, &is.sticky) {
        (Some(_), None) => why.push("`sticky` is gone: every request falls anew".to_owned()),
        (Some(before), Some(after)) => {
            if before.key != after.key {
                why.push("`sticky.key` is another: users are hashed anew".to_owned());
            }
            if before.cookie.name != after.cookie.name {
                why.push("the cookie has another name: nobody brings it".to_owned());
            }
            if before.secret_file != after.secret_file {
                why.push("`secret_file` is another: no cookie is believed any more".to_owned());
            }
        }
        (None, Some(_) | None) => {}
    }
    if was.canary != is.canary {
        let named = |split: &config::Split| {
            let canary = split.canary.as_ref();
            canary.map_or_else(|| "none".to_owned(), ToString::to_string)
        };
        why.push(format!(
            "the canary is another: {} was {}",
            named(is),
            named(was)
        ));
    } else if new.share < old.share {
        why.push(format!(
            "the canary's share falls from {} to {}",
            old.share, new.share
        ));
    }
    why
}
