//! The keys of `retry_policy`: what becomes of an attempt that has failed.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Method, Node, Optional, Placed, Shape, StatusForm, Walk, block,
    describe_block,
    short::{any_of, text},
    word, words,
};
use crate::{
    config::{RescueOn, RetryOn, collection::Several, leaf::Count},
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
