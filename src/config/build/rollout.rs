//! The course of a rollout as others see it.

use super::plain;
use crate::config::{
    Auto, Gate, Rollout, Step, Webhook,
    leaf::Count,
    schema::{
        AutoBlock, GateBlock, GateForm, HookUrl, Interval, Pause, RolloutBlock, StepBlock, StepForm,
    },
    walk::Placed,
};

pub(super) fn rollout(block: &RolloutBlock) -> Option<Rollout> {
    let steps = &block.steps.as_ref()?.value;
    Some(Rollout {
        steps: steps
            .iter()
            .map(
                |Placed {
                     value: StepForm(block),
                     ..
                 }| step(block),
            )
            .collect::<Option<_>>()?,
        on_start: plain(block.on_start.as_ref())?,
        on_failure: plain(block.on_failure.as_ref())?,
        on_inconclusive: plain(block.on_inconclusive.as_ref())?,
        on_no_data: plain(block.on_no_data.as_ref())?,
    })
}

fn step(block: &StepBlock) -> Option<Step> {
    if let Some(weight) = &block.set_weight {
        return Some(Step::SetWeight(weight.value));
    }
    if let Some(Placed {
        value: Pause(long), ..
    }) = &block.pause
    {
        return Some(Step::Pause(*long));
    }
    if let Some(Placed {
        value: analysis, ..
    }) = &block.analysis
    {
        let (min, max) = (plain(analysis.min.as_ref()), plain(analysis.max.as_ref()));
        return Some(Step::Analysis { max, min });
    }
    if let Some(block) = &block.auto {
        return auto(&block.value).map(Step::Auto);
    }
    if let Some(form) = &block.gate {
        return gate(&form.value).map(Step::Gate);
    }
    plain(block.bake.as_ref()).map(Step::Bake)
}

fn auto(block: &AutoBlock) -> Option<Auto> {
    let budget = &block.harm_budget.as_ref()?.value;
    let Count(failed_requests) = plain(budget.failed_requests.as_ref())?;
    Some(Auto {
        from: plain(block.from.as_ref())?,
        to: plain(block.to.as_ref())?,
        failed_requests,
        min_step: plain(block.min_step.as_ref())?,
        max: plain(block.max.as_ref()),
    })
}

fn gate(form: &GateForm) -> Option<Gate> {
    Some(match form {
        GateForm::Manual => Gate {
            webhook: None,
            max: None,
        },
        GateForm::Webhook(block) => Gate {
            webhook: Some(webhook(block)?),
            max: plain(block.max.as_ref()),
        },
    })
}

fn webhook(block: &GateBlock) -> Option<Webhook> {
    let HookUrl(url) = plain(block.webhook.as_ref())?;
    let Interval(interval) = plain(block.interval.as_ref())?;
    Some(Webhook {
        url,
        kind: plain(block.r#type.as_ref())?,
        interval,
        timeout: plain(block.timeout.as_ref())?,
    })
}
