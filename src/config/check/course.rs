//! Steps that can be read, and that hardly anybody means: what never happens, judges nothing or
//! can decide nothing.

use std::time::Duration;

use crate::{
    config::{
        schema::{
            GateBlock, GateForm, Pause, RolloutBlock, SplitBlock, StepBlock, StepForm, WarmUp,
        },
        walk::{Placed, Walk},
    },
    model::Share,
};

/// Where one stands on the way through the steps.
#[derive(Debug, Default)]
struct Walked {
    share: Share,
    /// Something has judged the canary, or let a person or some time do it.
    is_watched: bool,
    /// How long the canary has had traffic at least.
    age: Duration,
}

/// Notes what is odd about the steps of a split whose rollout can be read.
pub(super) fn check(split: &SplitBlock, walk: &mut Walk) {
    let Some(Placed { value: rollout, .. }) = &split.rollout else {
        return;
    };
    let Some(steps) = rollout.steps.as_ref().filter(|steps| steps.is_clean) else {
        return;
    };
    let analysis = split.analysis.as_ref();
    let warm_up = analysis.and_then(|at| at.value.warm_up.as_ref());
    let warm_up = warm_up.map_or(Duration::ZERO, |at| {
        let WarmUp(warm_up) = at.value;
        warm_up
    });
    let mut walked = Walked::default();
    for step in &steps.value {
        let StepForm(block) = &step.value;
        weight(block, &mut walked, walk);
        waits(block, &mut walked, walk);
        analysed(block, &mut walked, warm_up, walk);
        if let Some(Placed {
            value: GateForm::Webhook(gate),
            ..
        }) = &block.gate
        {
            gated(gate, walk);
        }
        walked.is_watched |= block.gate.is_some();
    }
    end(rollout, &walked, walk);
}

/// A weight that changes nothing, or that nobody has judged.
fn weight(step: &StepBlock, walked: &mut Walked, walk: &mut Walk) {
    if let Some(auto) = &step.auto {
        walked.is_watched = true;
        walked.share = auto.value.to.as_ref().map_or(walked.share, |to| to.value);
        return;
    }
    let Some(weight) = &step.set_weight else {
        return;
    };
    if weight.value == walked.share {
        let message = format!(
            "the canary has {} already: this step does nothing",
            weight.value
        );
        walk.warn(
            weight.at,
            "idle_step",
            message,
            "remove it, or write another weight",
        );
    }
    if weight.value == Share::FULL && !walked.is_watched {
        let message = "the canary gets everything before anything has judged it";
        let help = "write `- set_weight: 5%` and `- analysis: { until: decided }` before it";
        walk.warn(weight.at, "unjudged_rollout", message, help);
        walked.is_watched = true;
    }
    walked.share = weight.value;
}

/// Waiting without traffic, and a bake that is none.
fn waits(step: &StepBlock, walked: &mut Walked, walk: &mut Walk) {
    let pause = step.pause.as_ref();
    let paused = pause.map(|at| {
        let Pause(time) = at.value;
        (time, at.at)
    });
    if let Some((Some(_), at)) = paused
        && walked.share == Share::ZERO
    {
        let message = "this waits while the canary has no traffic: nothing is learned";
        walk.warn(
            at,
            "missing_weight",
            message,
            "write `- set_weight: 5%` before it",
        );
    }
    if let Some(bake) = &step.bake
        && walked.share != Share::FULL
    {
        let message = format!(
            "a bake at {} is a pause: the canary has not got everything",
            walked.share
        );
        let help = "write `- set_weight: 100%` before it, or `pause`";
        walk.warn(bake.at, "early_bake", message, help);
    }
    if paused.is_some() || step.bake.is_some() {
        walked.is_watched |= walked.share > Share::ZERO;
        let time = paused.and_then(|(time, _)| time);
        let time = time.or(step.bake.as_ref().map(|at| at.value));
        let has_traffic = walked.share > Share::ZERO;
        walked.age += time.filter(|_| has_traffic).unwrap_or_default();
    }
}

/// An analysis that has nothing to compare with, or ends before slow tests begin.
fn analysed(step: &StepBlock, walked: &mut Walked, warm_up: Duration, walk: &mut Walk) {
    let Some(analysis) = &step.analysis else {
        return;
    };
    walked.is_watched = true;
    if walked.share == Share::FULL {
        let message = "at 100% there is no stable to compare the canary with";
        let help = "analyse below 100%; after it `bake` goes on watching";
        walk.warn(analysis.at, "undecidable_step", message, help);
    }
    let Some(max) = &analysis.value.max else {
        return;
    };
    if walked.age + max.value < warm_up {
        let message = format!(
            "this ends before the `warm_up` of {warm_up:?}: slow tests have not begun then"
        );
        let help = "write a longer `max`, or a shorter `warm_up`";
        walk.warn(max.at, "undecidable_step", message, help);
    }
    walked.age += max.value;
}

fn gated(gate: &GateBlock, walk: &mut Walk) {
    let Some(max) = &gate.max else { return };
    if let Some(timeout) = gate
        .timeout
        .as_ref()
        .filter(|timeout| timeout.value > max.value)
    {
        let at = if timeout.is_written {
            timeout.at
        } else {
            max.at
        };
        let message = "`timeout` is longer than `max`: the gate ends before its first answer";
        walk.error(
            at,
            "conflict",
            message,
            "write a longer `max`, or a shorter `timeout`",
        );
    }
    if let Some(interval) = gate.interval.as_ref()
        && interval.value.0 > max.value
    {
        let at = if interval.is_written {
            interval.at
        } else {
            max.at
        };
        let message = "`interval` is longer than `max`: the webhook is asked once only";
        walk.warn(
            at,
            "single_question",
            message,
            "write a longer `max`, or a shorter `interval`",
        );
    }
}

fn end(rollout: &RolloutBlock, walked: &Walked, walk: &mut Walk) {
    let Some(steps) = &rollout.steps else { return };
    let is_on_its_way = walked.share > Share::ZERO && walked.share < Share::FULL;
    if let Some(last) = steps.value.last().filter(|_| is_on_its_way) {
        let message = format!(
            "the steps end here, and the canary stays at {}",
            walked.share
        );
        let help = "write `- set_weight: 100%`, or `serin promote --full` when the time has come";
        walk.warn(last.at, "unfinished_rollout", message, help);
    }
}
