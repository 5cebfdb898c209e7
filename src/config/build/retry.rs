//! What becomes of an attempt that has failed, or is late, as others see it.

use super::{plain, split::list};
use crate::config::{
    Assets, Hedge, OnUnhealthy, RescueOn, RetryPolicy,
    schema::{AssetPath, AssetsBlock, HedgeAfterForm, HedgeBlock, Method, RetryBlock, RetryOnForm},
};

pub(super) fn assets(block: &AssetsBlock) -> Assets {
    Assets {
        paths: list(block.paths.as_ref(), |AssetPath(path)| path),
        methods: list(block.methods.as_ref(), |Method(method)| method),
    }
}

pub(super) fn hedge(block: &HedgeBlock) -> Option<Hedge> {
    let HedgeAfterForm(after) = plain(block.after.as_ref())?;
    Some(Hedge {
        after,
        methods: list(block.methods.as_ref(), |Method(method)| method),
        budget: plain(block.budget.as_ref())?,
    })
}

pub(super) fn policy(block: &RetryBlock, on_unhealthy: OnUnhealthy) -> Option<RetryPolicy> {
    let unwritten = match on_unhealthy {
        OnUnhealthy::FallbackToStable => RescueOn::Stable,
        OnUnhealthy::Fail => RescueOn::None,
    };
    let retry_on = block.retry_on.as_ref();
    let methods = block.methods.as_ref();
    Some(RetryPolicy {
        attempts: u8::try_from(block.attempts.as_ref()?.value.0).ok()?,
        retry_on: retry_on.map(|_| list(retry_on, |RetryOnForm(condition)| condition)),
        methods: methods.map(|_| list(methods, |Method(method)| method)),
        per_try_timeout: plain(block.per_try_timeout.as_ref()),
        retry_budget: plain(block.retry_budget.as_ref())?,
        respect_capacity: plain(block.respect_capacity.as_ref()),
        rescue_on: plain(block.rescue_on.as_ref()).unwrap_or(unwritten),
    })
}
