//! Matches that take the same requests.
//!
//! The most specific match wins wherever it stands (`plan::route`): host, then path, then the
//! number of conditions. Only among equals the order of the file decides, and that is rarely meant:
//! either the later one gets nothing at all, or it depends on where it stands.

use std::collections::HashMap;

use crate::{
    config::{
        PathMatch, build,
        schema::{MatchBlock, SplitBlock},
        tree::Place,
        walk::{Placed, Walk},
    },
    model::SplitName,
};

/// One match for one host.
struct Claim {
    host: String,
    path: PathMatch,
    headers: Vec<(String, Option<String>)>,
    methods: Vec<String>,
    line: usize,
}

/// Claims by their host: a file of many hosts is compared host by host.
type Taken = HashMap<String, Vec<Claim>>;

/// What an earlier match leaves for a later one of the same rank.
#[derive(PartialEq, Eq)]
enum Left {
    All,
    Some,
    Nothing,
}

/// Warns of matches of which only the order of the file decides.
pub(super) fn check(splits: &[(Placed<SplitName>, Placed<SplitBlock>)], walk: &mut Walk) {
    let mut taken = Taken::new();
    for (name, split) in splits {
        match &split.value.r#match {
            None if walk.is_absent(split.at, "match") => {
                claim(&mut taken, &MatchBlock::default(), name.at, walk);
            }
            None => {}
            Some(matches) => {
                for block in &matches.value.0 {
                    claim(&mut taken, &block.value, block.at, walk);
                }
            }
        }
    }
}

fn claim(taken: &mut Taken, block: &MatchBlock, at: Place, walk: &mut Walk) {
    let claims = claims(block, at.line);
    let pairs = claims.iter().flat_map(|later| {
        let firsts = taken.get(&later.host).into_iter().flatten();
        firsts.map(move |first| (first, later))
    });
    // The worst is told, once: a match of ten hosts is not told ten times.
    let nothing = pairs
        .clone()
        .find(|(first, later)| left(first, later) == Left::Nothing);
    let some = pairs
        .clone()
        .find(|(first, later)| left(first, later) == Left::Some);
    let help = "only the order of the file decides; make one of the two more particular";
    if let Some((first, later)) = nothing {
        let message = format!(
            "line {} takes all requests of this match{}",
            first.line,
            for_host(later)
        );
        walk.warn(at, "shadowed_match", message, help);
    } else if let Some((first, later)) = some {
        let message = format!(
            "some requests fit this and line {}{}",
            first.line,
            for_host(later)
        );
        walk.warn(at, "overlapping_match", message, help);
    }
    for claim in claims {
        taken.entry(claim.host.clone()).or_default().push(claim);
    }
}

fn for_host(claim: &Claim) -> String {
    if claim.host.is_empty() {
        String::new()
    } else {
        format!(" for `{}`", claim.host)
    }
}

fn claims(block: &MatchBlock, line: usize) -> Vec<Claim> {
    let hosts = block.hosts.iter().flat_map(|at| &at.value.0);
    let mut hosts: Vec<String> = hosts.map(|host| host.value.0.clone()).collect();
    if hosts.is_empty() {
        hosts.push(String::new());
    }
    let headers = block.headers.iter().flat_map(|at| &at.value.0);
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.0.clone(), value.clone()))
        .collect();
    let methods = block.methods.iter().flat_map(|at| &at.value.0);
    let methods: Vec<String> = methods.map(|method| method.value.0.clone()).collect();
    let one = |host| Claim {
        host,
        path: build::path(block),
        headers: headers.clone(),
        methods: methods.clone(),
        line,
    };
    hosts.into_iter().map(one).collect()
}

/// What `first` leaves for `later`, both as they stand in the file.
fn left(first: &Claim, later: &Claim) -> Left {
    let rank = |claim: &Claim| claim.headers.len() + usize::from(!claim.methods.is_empty());
    let same_place = first.host == later.host && first.path == later.path;
    let meet = first
        .methods
        .iter()
        .any(|method| later.methods.contains(method));
    let no_methods = first.methods.is_empty() || later.methods.is_empty();
    // Two exact values of one field cannot both be there.
    let apart = |(name, value): &(String, Option<String>)| {
        later
            .headers
            .iter()
            .any(|(n, v)| n == name && value.is_some() && v.is_some() && v != value)
    };
    if !same_place || rank(first) != rank(later) || !(meet || no_methods) {
        return Left::All;
    }
    if first.headers.iter().any(apart) {
        return Left::All;
    }
    let asked = |(name, value): &(String, Option<String>)| {
        later
            .headers
            .iter()
            .any(|(n, v)| n == name && (value.is_none() || v == value))
    };
    let all_methods = first.methods.is_empty()
        || (!later.methods.is_empty() && later.methods.iter().all(|m| first.methods.contains(m)));
    if all_methods && first.headers.iter().all(asked) {
        Left::Nothing
    } else {
        Left::Some
    }
}
