//! Whether the rules of what counts against a version make sense, each and in their order.

use super::split::{empty, one_path};
use crate::config::{
    ClassRule, PathMatch, When, build,
    schema::{ClassifyBlock, WhenBlock, WhenForm},
    tree::Place,
    walk::{Placed, Walk},
};
use crate::model::Outcome;

/// So many rules are looked at by a request at most.
const RULES_MAX: usize = 64;

/// Notes everything that is wrong with the rules of one split.
pub(super) fn check(rules: &Placed<Vec<Placed<ClassifyBlock>>>, walk: &mut Walk) {
    let Placed {
        value: blocks, at, ..
    } = rules;
    if blocks.len() > RULES_MAX {
        let message = format!("{} rules are more than {RULES_MAX}", blocks.len());
        let help = "a rule takes lists: `status: [404, 410]`";
        walk.error(*at, "out_of_range", message, help);
    }
    let mut earlier: Vec<(usize, ClassRule)> = Vec::new();
    for Placed {
        value: block,
        at,
        is_clean,
        ..
    } in blocks
    {
        let before = walk.problems.len();
        when(block, walk);
        // What is half read would seem to fit too much.
        let is_sound = *is_clean && walk.problems.len() == before;
        let Some(rule) = build::rule(block).filter(|_| is_sound) else {
            continue;
        };
        if let Some((line, _)) = earlier
            .iter()
            .find(|(_, it)| takes_all(&it.when, &rule.when))
        {
            let message = format!("line {line} takes all that this rule fits");
            let help = "the first rule that fits decides: write this one before it, or remove it";
            walk.warn(*at, "shadowed_rule", message, help);
        }
        ignores_all(&rule, *at, walk);
        earlier.push((at.line, rule));
    }
}

/// A rule after which nothing is left to judge.
fn ignores_all(rule: &ClassRule, at: Place, walk: &mut Walk) {
    let When::Request {
        path,
        statuses,
        grpc_statuses,
        ..
    } = &rule.when
    else {
        return;
    };
    let is_any = matches!(path, None | Some(PathMatch::Prefix(_)))
        && !matches!(path, Some(PathMatch::Prefix(prefix)) if prefix != "/");
    let is_every = is_any && statuses.is_empty() && grpc_statuses.is_empty();
    if is_every && rule.outcome == Outcome::Ignored {
        let message = "this ignores every answer: the canary is never judged";
        walk.warn(at, "unjudged_rollout", message, "name a path or a status");
    }
}

fn when(block: &ClassifyBlock, walk: &mut Walk) {
    let Some(Placed {
        value: WhenForm::Block(when),
        at,
        is_clean,
        ..
    }) = &block.when
    else {
        return;
    };
    if let Some(limit) = &block.unless_slower_than {
        let message = "`unless_slower_than` belongs to `when: client_abort`";
        let help = "what is slow is found by the latency of the versions: remove it";
        walk.error(limit.at, "conflict", message, help);
    }
    if *is_clean && **when == WhenBlock::default() {
        let help = "write `path`, `path_prefix`, `status` or `grpc_status`";
        walk.error(
            *at,
            "missing_key",
            "`when` names nothing that must hold",
            help,
        );
    }
    one_path(when.path.as_ref(), when.path_prefix.as_ref(), walk);
    let status = when.status.as_ref();
    empty(
        status.map(|at| (at.value.0.is_empty(), at.at)),
        "status",
        walk,
    );
    let status = when.grpc_status.as_ref();
    empty(
        status.map(|at| (at.value.0.is_empty(), at.at)),
        "grpc_status",
        walk,
    );
}

/// Whether all that `later` fits is taken by `first`.
fn takes_all(first: &When, later: &When) -> bool {
    match (first, later) {
        (
            When::ClientAbort {
                unless_slower_than: first,
            },
            When::ClientAbort {
                unless_slower_than: later,
            },
        ) => first.is_none_or(|first| later.is_some_and(|later| later <= first)),
        (When::ClientAbort { .. }, When::Request { .. }) => false,
        (
            When::Request {
                path,
                statuses,
                grpc_statuses,
            },
            When::ClientAbort { .. },
        ) => takes_paths(path.as_ref(), None) && statuses.is_empty() && grpc_statuses.is_empty(),
        (
            When::Request {
                path,
                statuses,
                grpc_statuses,
            },
            When::Request {
                path: later_path,
                statuses: later_statuses,
                grpc_statuses: later_grpc,
            },
        ) => {
            let later = later_statuses.iter().cloned().flatten().collect::<Vec<_>>();
            let has_status = |code: &u16| statuses.iter().any(|range| range.contains(code));
            takes_paths(path.as_ref(), later_path.as_ref())
                && takes_values(statuses.is_empty(), &later, has_status)
                && takes_values(grpc_statuses.is_empty(), later_grpc, |it| {
                    grpc_statuses.contains(it)
                })
        }
    }
}

/// Whether the values of a later rule are all among those of an earlier one; none stands for any.
fn takes_values<T>(takes_any: bool, later: &[T], has: impl Fn(&T) -> bool) -> bool {
    takes_any || (!later.is_empty() && later.iter().all(has))
}

fn takes_paths(first: Option<&PathMatch>, later: Option<&PathMatch>) -> bool {
    let Some(first) = first else { return true };
    let (PathMatch::Exact(text) | PathMatch::Prefix(text)) = first;
    match (first, later) {
        (PathMatch::Prefix(_), _) if text == "/" => true,
        (_, None) => false,
        (PathMatch::Exact(_), Some(later)) => first == later,
        (PathMatch::Prefix(_), Some(PathMatch::Exact(later) | PathMatch::Prefix(later))) => {
            let rest = later.strip_prefix(text.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}
