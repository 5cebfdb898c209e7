//! Matches that take the same requests.

use std::collections::HashSet;

use crate::{
    config::{
        PathMatch, build,
        schema::{Fields, MatchBlock, SplitBlock},
        walk::{Placed, Walk},
    },
    model::SplitName,
};

/// Everything but the host that a match asks for.
type Condition = (PathMatch, Vec<String>, Vec<String>);

/// Warns of a match whose requests an earlier one takes: both ask for exactly the same.
pub(super) fn check(splits: &[(Placed<SplitName>, Placed<SplitBlock>)], walk: &mut Walk) {
    let mut taken: Vec<(String, Condition, usize)> = Vec::new();
    for (name, split) in splits {
        let Some(matches) = &split.value.r#match else {
            claim(&mut taken, &MatchBlock::default(), name, walk);
            continue;
        };
        for Placed {
            value: block, at, ..
        } in &matches.value.0
        {
            let place = Placed::written(name.value.clone(), *at);
            claim(&mut taken, block, &place, walk);
        }
    }
}

fn claim(
    taken: &mut Vec<(String, Condition, usize)>,
    block: &MatchBlock,
    name: &Placed<SplitName>,
    walk: &mut Walk,
) {
    let condition = condition(block);
    let hosts: Vec<String> = match &block.hosts {
        None => vec![String::new()],
        Some(hosts) => hosts
            .value
            .0
            .iter()
            .map(|host| host.value.0.clone())
            .collect(),
    };
    let mut mine: HashSet<&str> = HashSet::new();
    for host in &hosts {
        let earlier = taken
            .iter()
            .find(|(other, asked, _)| other == host && *asked == condition);
        let twice = !mine.insert(host);
        if let Some((_, _, line)) = earlier.filter(|_| !twice) {
            let what = if host.is_empty() {
                "every host".to_owned()
            } else {
                format!("`{host}`")
            };
            let message = format!("for {what}, this takes the requests that line {line} takes");
            let help = "the first one wins; make one of the two more particular";
            walk.warn(name.at, "shadowed_match", message, help);
        }
    }
    taken.extend(
        hosts
            .into_iter()
            .map(|host| (host, condition.clone(), name.at.line)),
    );
}

fn condition(block: &MatchBlock) -> Condition {
    let headers = block.headers.as_ref().map(|at| &at.value);
    let mut headers: Vec<String> = headers.map(texts).unwrap_or_default();
    let methods = block.methods.iter().flat_map(|at| &at.value.0);
    let mut methods: Vec<String> = methods.map(|method| method.value.0.clone()).collect();
    headers.sort();
    methods.sort();
    (build::path(block), headers, methods)
}

fn texts(Fields(fields): &Fields) -> Vec<String> {
    fields
        .iter()
        .map(|(name, value)| format!("{}={value:?}", name.0))
        .collect()
}
