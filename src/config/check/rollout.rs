//! Whether the steps of a rollout fit together.

use crate::{
    config::{
        schema::{AutoBlock, RolloutBlock, StepBlock, StepForm},
        walk::{Placed, Walk},
    },
    model::Share,
};

/// Notes everything that does not fit together in one rollout.
pub(super) fn check(block: &Placed<RolloutBlock>, no_canary: bool, walk: &mut Walk) {
    if no_canary {
        let help = "write `canary:`, or remove the rollout";
        walk.error(block.at, "missing_canary", "a rollout needs a canary", help);
    }
    let Some(Placed {
        value: steps,
        at,
        is_clean,
        ..
    }) = &block.value.steps
    else {
        return;
    };
    if steps.is_empty() {
        let help = "write `- set_weight: 5%` and what follows it";
        walk.error(*at, "empty_list", "this rollout has no steps", help);
        return;
    }
    let mut weights = steps.iter().filter_map(|at| weight(&at.value.0));
    if *is_clean && weights.next().is_none() {
        let help = "write `- set_weight: 5%` before the others";
        walk.error(
            *at,
            "missing_weight",
            "no step gives the canary any traffic",
            help,
        );
    }
    falls(steps, walk);
    let mut has_traffic = false;
    for StepForm(step) in steps.iter().map(|at| &at.value) {
        has_traffic |= weight(step).is_some_and(|weight| weight.value > Share::ZERO);
        one_step(step, has_traffic || !is_clean, walk);
    }
}

/// The weight that a step leads to.
fn weight(step: &StepBlock) -> Option<&Placed<Share>> {
    let auto = step.auto.as_ref().and_then(|auto| auto.value.to.as_ref());
    step.set_weight.as_ref().or(auto)
}

fn falls(steps: &[Placed<StepForm>], walk: &mut Walk) {
    let mut last = Share::ZERO;
    for StepForm(step) in steps.iter().map(|at| &at.value) {
        let Some(weight) = weight(step) else { continue };
        if weight.value < last {
            let (message, help) = if step.auto.is_some() {
                let message = format!(
                    "this step ends at {}, and the canary has {last} already",
                    weight.value
                );
                (message, "`auto` only raises: it waits for a pass there")
            } else {
                let message = format!("this step falls from {last} to {}", weight.value);
                (message, "steps usually rise")
            };
            walk.warn(weight.at, "falling_weight", message, help);
        }
        last = weight.value;
    }
}

fn one_step(step: &StepBlock, has_traffic: bool, walk: &mut Walk) {
    if let Some(auto) = &step.auto {
        one_auto(&auto.value, walk);
    }
    let Some(Placed {
        value: analysis,
        at,
        ..
    }) = &step.analysis
    else {
        return;
    };
    if !has_traffic {
        let help = "write `- set_weight: 5%` before it";
        walk.error(
            *at,
            "missing_weight",
            "the canary has no traffic to be judged by",
            help,
        );
    }
    if let (Some(min), Some(max)) = (&analysis.min, &analysis.max)
        && min.value > max.value
    {
        walk.error(
            min.at,
            "conflict",
            "`min` is longer than `max`",
            "swap the two",
        );
    }
}

fn one_auto(auto: &AutoBlock, walk: &mut Walk) {
    if let (Some(from), Some(to)) = (&auto.from, &auto.to) {
        if from.value == Share::ZERO {
            let message = "at 0% there is nothing to judge the canary by";
            walk.error(from.at, "out_of_range", message, "write `0.1%`");
        } else if from.value >= to.value {
            let message = format!("`auto` has to rise, from {} to more than that", from.value);
            let help = "write a higher `to`, or `set_weight` for one weight";
            walk.error(to.at, "conflict", message, help);
        }
    }
    if let (Some(min_step), Some(max)) = (&auto.min_step, &auto.max)
        && min_step.value > max.value
    {
        let place = if min_step.is_written {
            min_step.at
        } else {
            max.at
        };
        let message = "`min_step` is longer than `max`: it ends before the first raise";
        walk.error(place, "conflict", message, "write a longer `max`");
    }
}
