//! Whether the parts of one split fit together.

use std::collections::HashSet;

use super::{analysis, classify, course, places, retry, rollout};
use crate::config::{
    SameSite,
    collection::Several,
    schema::{CookieForm, MatchBlock, SplitBlock, StickyBlock, UrlPath},
    tree::Place,
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together in one split.
pub(super) fn check(block: &Placed<SplitBlock>, at: Place, walk: &mut Walk) {
    let Placed { value: split, .. } = block;
    let no_canary = split.canary.is_none() && walk.is_absent(block.at, "canary");
    versions(split, no_canary, walk);
    if let Some(Placed {
        value: Several(matches),
        at,
        ..
    }) = &split.r#match
    {
        routes(matches, *at, walk);
    }
    if let Some(sticky) = &split.sticky {
        cookie(&sticky.value, sticky.at, walk);
    }
    if let Some(Placed {
        value: block,
        at,
        is_clean: true,
        ..
    }) = &split.r#override
        && block.header.is_none()
        && block.cookie.is_none()
    {
        let help = "write `header: x-serin-version`, or name a cookie";
        walk.error(
            *at,
            "missing_key",
            "nothing is named to read the override from",
            help,
        );
    }
    if let Some(rules) = &split.classify {
        classify::check(rules, walk);
    }
    retry::check(split, no_canary, walk);
    retry::assets(split, no_canary, walk);
    retry::hedge(split, walk);
    analysis::check(split, walk);
    if let Some(block) = &split.rollout {
        rollout::check(block, no_canary, walk);
    }
    course::check(split, walk);
    timeouts(split, at, walk);
}

fn versions(split: &SplitBlock, no_canary: bool, walk: &mut Walk) {
    if let (Some(stable), Some(canary)) = (&split.stable, &split.canary)
        && stable.value == canary.value
    {
        let message = format!("`{}` is both stable and canary", canary.value);
        let help = "name another upstream, or remove `canary`";
        walk.error(canary.at, "same_version", message, help);
    }
    let Some(weight) = &split.weight else { return };
    if no_canary {
        let help = "`weight` is the canary's share: write `canary:`, or remove it";
        walk.error(weight.at, "missing_canary", "a weight needs a canary", help);
    }
    if split.rollout.is_some() {
        let message = "the rollout's steps decide, not this weight";
        let help = "remove it; when it is changed later, it takes the split out of its steps";
        walk.warn(weight.at, "weight_with_rollout", message, help);
    }
}

fn routes(matches: &[Placed<MatchBlock>], at: Place, walk: &mut Walk) {
    if matches.is_empty() {
        let help = "remove `match` to take every request";
        walk.error(at, "empty_list", "this list of matches is empty", help);
    }
    let mut names = HashSet::new();
    for Placed {
        value: block, at, ..
    } in matches
    {
        match &block.name {
            None if matches.len() > 1 => {
                let help = "each of several matches is a route with a name: it labels metrics";
                walk.error(*at, "missing_key", "`name` is missing", help);
            }
            Some(name) if !names.insert(&name.value) => {
                let message = format!("two matches are called `{}`", name.value);
                walk.error(
                    name.at,
                    "duplicate_name",
                    message,
                    "metrics tell them apart by name",
                );
            }
            None | Some(_) => {}
        }
        one_path(block.path.as_ref(), block.path_prefix.as_ref(), walk);
        places::twice(block.hosts.as_ref(), |host| &host.0, walk);
        places::twice(block.methods.as_ref(), |method| &method.0, walk);
        host_field(block, walk);
        empty(
            block
                .hosts
                .as_ref()
                .map(|at| (at.value.0.is_empty(), at.at)),
            "hosts",
            walk,
        );
        empty(
            block
                .methods
                .as_ref()
                .map(|at| (at.value.0.is_empty(), at.at)),
            "methods",
            walk,
        );
    }
}

/// HTTP/2 has no such field, and a port may stand in it.
fn host_field(block: &MatchBlock, walk: &mut Walk) {
    let Some(fields) = &block.headers else { return };
    if fields.value.0.iter().any(|(name, _)| name.0 == "host") {
        let message = "a field `host` is compared as it was sent, port and all";
        walk.warn(fields.at, "host_field", message, "write `hosts: [NAME]`");
    }
}

/// A path is exact, or it is a prefix.
pub(super) fn one_path(
    path: Option<&Placed<UrlPath>>,
    prefix: Option<&Placed<UrlPath>>,
    walk: &mut Walk,
) {
    let (Some(path), Some(_)) = (path, prefix) else {
        return;
    };
    let message = "`path` and `path_prefix` are both written";
    let help = "keep `path` for one path, or `path_prefix` for all below it";
    walk.error(path.at, "conflict", message, help);
}

/// An empty list could be read as "none" or as "any".
pub(super) fn empty(list: Option<(bool, Place)>, key: &str, walk: &mut Walk) {
    let Some((true, at)) = list else { return };
    let help = format!("remove `{key}` to take any");
    walk.error(at, "empty_list", "this list is empty", help);
}

fn cookie(sticky: &StickyBlock, at: Place, walk: &mut Walk) {
    if let Some(key) = &sticky.key {
        let mut seen = HashSet::new();
        for source in &key.value.0 {
            if !seen.insert(format!("{:?}", source.value)) {
                let message = "this source of the key is listed twice";
                walk.error(source.at, "duplicate_name", message, "keep one");
            }
        }
    }
    let Some(Placed {
        value: CookieForm(cookie),
        ..
    }) = &sticky.cookie
    else {
        return;
    };
    let is_none = cookie
        .same_site
        .as_ref()
        .is_some_and(|at| at.value == SameSite::None);
    let is_secure = cookie.secure.as_ref().is_some_and(|secure| secure.value);
    if is_none && !is_secure {
        let place = cookie
            .same_site
            .as_ref()
            .map_or(at, |same_site| same_site.at);
        let message = "browsers drop a cookie with `same_site: none` that is not secure";
        walk.error(place, "insecure_cookie", message, "add `secure: true`");
    }
    let prefixed = cookie
        .name
        .as_ref()
        .filter(|name| name.value.0.starts_with("__"));
    if let Some(name) = prefixed.filter(|_| !is_secure) {
        let message = format!(
            "browsers drop a cookie called `{}` that is not secure",
            name.value.0
        );
        walk.error(name.at, "insecure_cookie", message, "add `secure: true`");
    }
}

fn timeouts(split: &SplitBlock, at: Place, walk: &mut Walk) {
    let Some(timeouts) = &split.timeouts else {
        return;
    };
    if let (Some(head), Some(total)) = (&timeouts.value.response_header, &timeouts.value.total)
        && head.value > total.value
    {
        let place = if head.is_written { head.at } else { at };
        let message = "`response_header` is longer than `total`";
        walk.error(
            place,
            "conflict",
            message,
            "the total ends the request first",
        );
    }
}
