//! The keys of `retry_policy` and `hedge`: what becomes of an attempt that has failed, or is late.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Method, Node, Optional, Placed, Shape, StatusForm, Walk, block,
    describe_block,
    short::{any_of, text},
    word, words,
};
use crate::{
    config::{
        HedgeAfter, RescueOn, RetryOn, collection::Several, leaf::Count, units::Misfit,
        walk::scalar,
    },
    model::Share,
};

block! {
    /// What becomes of an attempt that has failed before a byte of its answer reached the client.
    struct RetryBlock {
        /// Attempts of a request in all; the last one of a canary's request is stable's. `1`:
        /// nothing is repeated.
        attempts: Count<1, 10> = Default("2"),
        /// What is repeated, one or a list: `connect_failure` (nothing was sent),
        /// `reset_before_response` (broken off, or no HTTP), `timeout`, `gateway_error` (502, 503,
        /// 504), a status such as `503` or `5xx`, `grpc_unavailable`. Without it: the first two,
        /// and a canary's attempt also if it is late or its answer is a failure (`classify`).
        retry_on: Several<RetryOnForm> = Optional,
        /// Methods that may be repeated after something was sent. Without it: GET, HEAD and
        /// OPTIONS; after `reset_before_response` every idempotent one. A body is repeated if all
        /// of it is here: see `buffer` of the upstream.
        methods: Several<Method> = Optional,
        /// From the end of the request to the end of the answer's head, of an attempt that may be
        /// repeated. Without it: `response_header` alone.
        per_try_timeout: Duration = Optional,
        /// Repeats beyond the requests, as a share of them; of connections that could not be made
        /// there is no limit.
        retry_budget: Share = Default("20%"),
        /// Whether stable answers for a canary's attempt that has failed, as far as it may be
        /// repeated; the canary is charged all the same: `stable` or `none`. Without it: `stable`,
        /// or `none` with `on_unhealthy: fail`.
        rescue_on: RescueOn = Optional,
        /// How much stable takes back from a canary that fails or cannot be reached, as a share of
        /// the requests of its own that it answers well; the rest gets 503. Without it: all.
        respect_capacity: Share = Optional,
    } later []
}

block! {
    /// When a request gets a second attempt at another endpoint of its version, although the first
    /// one is still awaited: the answer that begins first is taken, the other attempt is broken
    /// off.
    struct HedgeBlock {
        /// How long the first attempt is waited for: a time, or a quantile of how long the version
        /// takes to begin an answer, `p50` to `p99.9`, once a worker has seen 100 of them.
        after: HedgeAfterForm = Default("p99"),
        /// Methods that are asked twice: of GET, HEAD and OPTIONS, and never with a body.
        methods: Several<Method> = Default("[GET, HEAD]"),
        /// Second attempts, as a share of the split's requests.
        budget: Share = Default("2%"),
    } later []
}

/// How long an attempt is waited for: a time, or a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct HedgeAfterForm(pub HedgeAfter);

/// A quantile from the median on, in tenths of a percent.
fn quantile(text: &str) -> Option<u16> {
    let number = text.strip_prefix('p')?;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |part: &str, len| part.len() == len && part.bytes().all(|c| c.is_ascii_digit());
    let is_written_so = is_plain(whole, 2) && is_plain(tenth, 1);
    let value = 10 * whole.parse::<u16>().ok()? + tenth.parse::<u16>().ok()?;
    (is_written_so && value >= 500).then_some(value)
}

impl Shape for HedgeAfterForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if !text(node).is_some_and(|text| text.starts_with('p')) {
            return Duration::read(node, walk).map(|time| Self(HedgeAfter::Time(time)));
        }
        scalar(node, walk, "a quantile such as `p99`", |text| {
            let misfit = || {
                Misfit::new(
                    "bad_value",
                    format!("`{text}` is no quantile from the median on"),
                    "write `p50` to `p99.9`, or a time such as `50ms`",
                )
            };
            let found = quantile(text).ok_or_else(misfit)?;
            Ok(Self(HedgeAfter::Quantile(found)))
        })
    }

    fn describe() -> Json {
        let quantile = json!({ "type": "string", "pattern": r"^p[5-9][0-9](\.[0-9])?$" });
        any_of(&[quantile, Duration::describe()])
    }
}

/// A condition: a word, or statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RetryOnForm(pub RetryOn);

const WORDS: [(&str, RetryWord); 5] = [
    ("connect_failure", RetryWord::ConnectFailure),
    ("reset_before_response", RetryWord::ResetBeforeResponse),
    ("timeout", RetryWord::Timeout),
    ("gateway_error", RetryWord::GatewayError),
    ("grpc_unavailable", RetryWord::GrpcUnavailable),
];

#[derive(Debug, Clone, Copy)]
enum RetryWord {
    ConnectFailure,
    ResetBeforeResponse,
    Timeout,
    GatewayError,
    GrpcUnavailable,
}

impl Shape for RetryOnForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let is_status = text(node).is_some_and(|text| text.starts_with(|c: char| c.is_numeric()));
        if is_status {
            let StatusForm(range) = StatusForm::read(node, walk)?;
            if *range.start() < 400 {
                let message = format!("an answer of {} is no reason to repeat it", range.start());
                walk.error(node.at, "out_of_range", message, "write `503` or `5xx`");
                return None;
            }
            return Some(Self(RetryOn::Status(range)));
        }
        Some(Self(match word(node, walk, &WORDS, &[])? {
            RetryWord::ConnectFailure => RetryOn::ConnectFailure,
            RetryWord::ResetBeforeResponse => RetryOn::ResetBeforeResponse,
            RetryWord::Timeout => RetryOn::Timeout,
            RetryWord::GatewayError => RetryOn::Status(502..=504),
            RetryWord::GrpcUnavailable => RetryOn::GrpcUnavailable,
        }))
    }

    fn describe() -> Json {
        let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        any_of(&[json!({ "enum": words }), StatusForm::describe()])
    }
}

words!(RescueOn { "stable" => Self::Stable, "none" => Self::None, } later []);
