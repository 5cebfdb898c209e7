//! The keys of a rollout and its steps.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Node, Optional, Pause, Placed, Required, Shape, StepForm, Walk, block,
    describe_block, word, words,
};
use crate::{
    config::{
        GateKind, OnFailure, OnInconclusive, OnStart,
        leaf::{Count, Text},
        tree::Value,
        units::Misfit,
        walk::scalar,
    },
    model::Share,
};

/// The shortest time between two questions to a webhook.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

block! {
    /// The course of a rollout.
    struct RolloutBlock {
        /// When it starts.
        on_start: OnStart = Default("new_version"),
        /// What happens, in order.
        steps: Vec<Placed<StepForm>> = Required,
        /// What a failed canary does.
        on_failure: OnFailure = Default("rollback"),
        /// What a stage does whose time is over without a decision.
        on_inconclusive: OnInconclusive = Default("pause"),
        /// What a stage does that saw no traffic.
        on_no_data: OnInconclusive = Default("pause"),
    } later ["abort"]
}

block! {
    /// One step of a rollout: exactly one key.
    struct StepBlock {
        /// Gives the canary this share.
        set_weight: Share = Optional,
        /// Waits, watched: a duration, or `{}` until an operator resumes or promotes.
        pause: Pause = Optional,
        /// Waits for the judge.
        analysis: AnalysisStepBlock = Optional,
        /// Raises the weight by itself, as the evidence allows.
        auto: AutoBlock = Optional,
        /// Waits for a person (`manual`), or for the answer of a webhook.
        gate: GateForm = Optional,
        /// Waits, watched, before the rollout ends well.
        bake: Duration = Optional,
    } later ["mirror"]
}

block! {
    /// A step that waits for the judge: a pass goes on, a fail rolls back.
    struct AnalysisStepBlock {
        /// What it waits for.
        until: Until = Default("decided"),
        /// The shortest wait.
        min: Duration = Optional,
        /// The longest wait; then `on_inconclusive` or `on_no_data` holds. Without it: no end.
        max: Duration = Optional,
    } later []
}

block! {
    /// A pause that says how long it is.
    struct PauseBlock {
        /// How long. Without it: until an operator resumes or promotes.
        duration: Duration = Optional,
    } later []
}

block! {
    /// A step that raises the weight by itself, as the evidence allows.
    struct AutoBlock {
        /// The weight it begins with, unless the canary has more already.
        from: Share = Default("0.1%"),
        /// The weight it ends at, with a pass.
        to: Share = Required,
        /// What a bad canary may cost on the way.
        harm_budget: HarmBudgetBlock = Default("{}"),
        /// The shortest time between two raises.
        min_step: Duration = Default("30s"),
        /// The longest time; then `on_inconclusive` or `on_no_data` holds. Without it: no end.
        max: Duration = Optional,
    } later []
}

block! {
    /// What a bad canary may cost.
    struct HarmBudgetBlock {
        /// Requests that fail beyond what the margin tolerates.
        failed_requests: Count<1, 1_000_000_000> = Default("200"),
    } later ["users"]
}

block! {
    /// A step that waits for the answer of a service of yours.
    struct GateBlock {
        /// Asked by POST; an answer of 200 to 299 opens the gate. An `https://` address must show a
        /// certificate that the system trusts.
        webhook: HookUrl = Required,
        /// What is asked for; it is sent along.
        r#type: GateKind = Default("confirm_traffic_increase"),
        /// How long after an answer that keeps it shut it is asked again.
        interval: Interval = Default("10s"),
        /// How long an answer may take.
        timeout: Duration = Default("5s"),
        /// The longest wait; then `on_inconclusive` holds. Without it: no end.
        max: Duration = Optional,
    } later []
}

/// What an analysis step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Until {
    Decided,
}

words!(Until { "decided" => Self::Decided, } later []);
words!(OnStart { "new_version" => Self::NewVersion, "manual" => Self::Manual, } later []);
words!(OnFailure {
    "rollback" => Self::Rollback,
    "pause" => Self::Pause,
    "notify" => Self::Notify,
} later []);
words!(OnInconclusive { "pause" => Self::Pause, "rollback" => Self::Rollback, } later []);
words!(GateKind {
    "confirm_rollout" => Self::ConfirmRollout,
    "confirm_traffic_increase" => Self::ConfirmTrafficIncrease,
    "confirm_promotion" => Self::ConfirmPromotion,
} later ["rollback", "event"]);

/// `gate: manual`, `gate: { webhook: ... }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum GateForm {
    Manual,
    Webhook(Box<GateBlock>),
}

impl Shape for GateForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if matches!(node.value, Value::Scalar { .. }) {
            return word(node, walk, &[("manual", ())], &[]).map(|()| Self::Manual);
        }
        GateBlock::read(node, walk).map(|block| Self::Webhook(Box::new(block)))
    }

    fn describe() -> Json {
        json!({ "anyOf": [json!({ "const": "manual" }), GateBlock::describe()] })
    }
}

/// The address of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct HookUrl(pub String);

impl HookUrl {
    fn parse(text: &str) -> Result<Self, Misfit> {
        let expects = "an address such as `https://deploy.internal/approve`";
        let misfit = || Misfit::value(text, expects);
        let uri: ::http::Uri = text.parse().map_err(|_| misfit())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri
            .authority()
            .filter(|_| is_web)
            .ok_or_else(misfit)?
            .as_str();
        if authority.contains('@') {
            let message = "a webhook's address holds no user and no password".to_owned();
            let help = "remove what stands before the `@`";
            return Err(Misfit::new("bad_value", message, help));
        }
        if authority.starts_with(':') || authority.ends_with(':') {
            return Err(misfit());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Shape for HookUrl {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "the address of a webhook", Self::parse)
    }

    fn describe() -> Json {
        let mut schema = Text::describe();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("pattern".into(), "^https?://".into());
        }
        schema
    }
}

/// A time between two questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Interval(pub Duration);

impl Shape for Interval {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let long = Duration::read(node, walk)?;
        if long < INTERVAL_MIN {
            let message = "this is too often for a service that others share";
            walk.error(node.at, "out_of_range", message, "write `100ms` or more");
            return None;
        }
        Some(Self(long))
    }

    fn describe() -> Json {
        Duration::describe()
    }
}
