//! What metrics may be called, and how often they may be told.

use std::time::Duration;

use crate::config::{
    leaf::Text,
    schema::{FileBlock, MetricsBlock},
    walk::{Placed, Walk},
};

/// What is told more often than this costs more than it says.
const OFTEN: Duration = Duration::from_secs(1);
/// CloudWatch's own limit.
const NAMESPACE_MAX: usize = 255;

pub(super) fn metrics(file: &FileBlock, walk: &mut Walk) {
    let Some(Placed { value: block, .. }) = &file.metrics else {
        return;
    };
    names(block, walk);
    let statsd = block.statsd.as_ref().map(|at| &at.value);
    let emf = block.emf.as_ref().map(|at| &at.value);
    let intervals = [
        statsd.and_then(|block| block.interval.as_ref()),
        emf.and_then(|block| block.interval.as_ref()),
    ];
    for interval in intervals.into_iter().flatten() {
        if interval.value < OFTEN {
            let message = "metrics cannot be told more often than each second";
            walk.error(interval.at, "out_of_range", message, "write `1s` or more");
        }
    }
    if let Some(Placed {
        value: Text(namespace),
        at,
        ..
    }) = emf.and_then(|block| block.namespace.as_ref())
    {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_/#:".contains(c);
        let fits = namespace.len() <= NAMESPACE_MAX && namespace.chars().all(is_plain);
        if !fits || namespace.starts_with("AWS/") {
            let message = format!("CloudWatch takes no namespace `{namespace}`");
            let help = "use letters, digits and `.-_/#:`, at most 255, and not `AWS/` first";
            walk.error(*at, "bad_name", message, help);
        }
    }
}

fn names(block: &MetricsBlock, walk: &mut Walk) {
    let statsd = block.statsd.as_ref().map(|at| &at.value);
    let prefixes = [
        (block.prefix.as_ref(), false),
        (statsd.and_then(|block| block.prefix.as_ref()), true),
    ];
    for (prefix, may_have_dots) in prefixes {
        let Some(Placed {
            value: Text(prefix),
            at,
            ..
        }) = prefix
        else {
            continue;
        };
        let mut chars = prefix.chars();
        let starts = chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || may_have_dots && c == '.';
        if !starts || !chars.all(is_plain) {
            let message = format!("`{prefix}` cannot start the name of a metric");
            let help = if may_have_dots {
                "use letters, digits, `_` and `.`, a letter first"
            } else {
                "use letters, digits and `_`, a letter first"
            };
            walk.error(*at, "bad_name", message, help);
        }
    }
}
