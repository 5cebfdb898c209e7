//! What no single value can say: whether the parts of the file fit together.
//!
//! *Owns:* references, uniqueness, contradictions, and the warnings about what is allowed but
//! rarely meant.
//! *Does not know:* how values are read; it gets them with their places.
//! *Invariants:* every check runs, whatever the others found; what could not be read is passed over
//! in silence, for it is reported already.
//! *Read next:* `split.rs`.

mod admin;
mod analysis;
mod balance;
mod breaker;
mod classify;
mod course;
mod health;
mod listener;
mod marathon;
mod memory;
mod metrics;
mod overlap;
mod places;
mod retry;
mod rollout;
mod split;
mod telling;
mod upstream;
mod warm_up;

use super::{
    guess,
    schema::{FileBlock, LongLivedForm},
    tree::Place,
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together.
pub(super) fn check(root: &Placed<FileBlock>, walk: &mut Walk) {
    let file = &root.value;
    let keys = ["listen", "listeners"];
    if file.listeners.is_none() && keys.iter().all(|key| walk.is_absent(root.at, key)) {
        let help = "write `listen: \"0.0.0.0:8080\"`";
        walk.error(
            Place::START,
            "missing_key",
            "there is no address to accept on",
            help,
        );
    }
    listener::check(file, walk);
    admin::check(file, walk);
    drain(file, walk);
    metrics::metrics(file, walk);
    telling::check(file, walk);
    if let Some(Placed {
        value: upstreams,
        at,
        ..
    }) = &file.upstreams
    {
        if upstreams.names.is_empty() {
            walk.error(
                *at,
                "empty_list",
                "there is no upstream",
                "write at least one",
            );
        }
        for (name, block) in &upstreams.items {
            upstream::check(block, name.at, walk);
        }
    }
    if let Some(Placed {
        value: splits, at, ..
    }) = &file.splits
    {
        if splits.names.is_empty() {
            walk.error(*at, "empty_list", "there is no split", "write at least one");
        }
        for (name, block) in &splits.items {
            split::check(block, name.at, walk);
            memory::check(&name.value, &block.value, walk);
        }
        overlap::check(&splits.items, walk);
        memory::shared(&splits.items, walk);
    }
    places::check(file, walk);
    references(file, walk);
}

fn drain(file: &FileBlock, walk: &mut Walk) {
    let drain = file.drain.as_ref();
    if let Some(LongLivedForm::Block(block)) = drain
        .and_then(|at| at.value.long_lived.as_ref())
        .map(|at| &at.value)
        && let (Some(deadline), Some(spread)) = (&block.deadline, &block.spread)
        && spread.value.0 > deadline.value
    {
        let at = if spread.is_written {
            spread.at
        } else {
            deadline.at
        };
        let help = "the ends are spread over a part of the time until `deadline`";
        walk.error(at, "conflict", "`spread` is longer than `deadline`", help);
    }
}

/// Every version is an upstream, and every upstream is some version.
fn references(file: &FileBlock, walk: &mut Walk) {
    let Some(Placed {
        value: upstreams, ..
    }) = &file.upstreams
    else {
        return;
    };
    let splits = file.splits.iter().flat_map(|at| &at.value.items);
    let versions = splits.flat_map(|(_, block)| [&block.value.stable, &block.value.canary]);
    let versions: Vec<_> = versions.flatten().collect();
    let mut all_known = file.splits.as_ref().is_some_and(|splits| splits.is_clean);
    for version in &versions {
        let name = version.value.as_str();
        if upstreams.names.iter().any(|known| known == name) {
            continue;
        }
        all_known = false;
        let known = || upstreams.names.iter().map(String::as_str);
        let help = match guess::nearest(name, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if upstreams.names.is_empty() => "write it under `upstreams`".to_owned(),
            None => format!("expected {}", guess::one_of(known().take(12))),
        };
        let message = format!("there is no upstream `{name}`");
        walk.error(version.at, "unknown_upstream", message, help);
    }
    // A misspelt version would otherwise be told twice.
    for (name, _) in upstreams.items.iter().filter(|_| all_known) {
        if !versions.iter().any(|version| version.value == name.value) {
            let message = format!("no split uses the upstream `{}`", name.value);
            walk.warn(
                name.at,
                "unused_upstream",
                message,
                "it is discovered all the same",
            );
        }
    }
}
