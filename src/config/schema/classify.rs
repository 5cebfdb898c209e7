//! The keys of `classify`: what counts against a version.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Value as Json, json};

use super::{
    KeyInfo, Node, Optional, Placed, Required, Shape, UrlPath, Walk, block, describe_block,
    short::{any_of, text},
    word, words,
};
use crate::{
    config::{collection::Several, units::Misfit, walk::scalar},
    model::{GrpcStatus, Outcome},
};

block! {
    /// A rule of what counts against a version.
    struct ClassifyBlock {
        /// What it fits: `client_abort`, or a mapping of what must hold.
        when: WhenForm = Required,
        /// What that counts as: `tracked` is no failure and counted apart, `ignored` is kept from
        /// the comparison.
        r#as: Outcome = Required,
        /// Of `client_abort`: a client that has waited for longer than this is another matter.
        unless_slower_than: Duration = Optional,
    } later []
}

block! {
    /// What must hold, all of it.
    struct WhenBlock {
        /// The path of the request.
        path: UrlPath = Optional,
        /// The path of the request, or one above it.
        path_prefix: UrlPath = Optional,
        /// The status of the answer: `5xx`, `404`, or a list.
        status: Several<StatusForm> = Optional,
        /// The status of a call of gRPC, or a list: `UNAVAILABLE`.
        grpc_status: Several<GrpcStatus> = Optional,
    } later []
}

words!(Outcome {
    "success" => Self::Success,
    "failure" => Self::Failure,
    "tracked" => Self::Tracked,
    "ignored" => Self::Ignored,
} later []);

/// `when: client_abort`, `when: { path, path_prefix, status, grpc_status }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum WhenForm {
    ClientAbort,
    Block(Box<WhenBlock>),
}

impl Shape for WhenForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        match text(node) {
            Some(_) => word(node, walk, &[("client_abort", ())], &[]).map(|()| Self::ClientAbort),
            None => WhenBlock::read(node, walk).map(|block| Self::Block(Box::new(block))),
        }
    }

    fn describe() -> Json {
        any_of(&[json!({ "const": "client_abort" }), WhenBlock::describe()])
    }
}

/// `404`, or `4xx` for all from 400 to 499.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct StatusForm(pub RangeInclusive<u16>);

impl Shape for StatusForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let expects = "a status such as `404` or `5xx`";
        scalar(node, walk, expects, |text| {
            let (digits, last) = match text.strip_suffix("xx") {
                Some(class) => (format!("{class}00"), 99),
                None => (text.to_owned(), 0),
            };
            let is_plain = digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
            let first = digits.parse().ok().filter(|_| is_plain);
            let first = first.filter(|first| (100..600).contains(first));
            let range = first.map(|first: u16| Self(first..=first.saturating_add(last)));
            range.ok_or_else(|| Misfit::value(text, expects))
        })
    }

    fn describe() -> Json {
        any_of(&[
            json!({ "type": "integer", "minimum": 100, "maximum": 599 }),
            json!({ "type": "string", "pattern": "^([1-5]xx|[1-5][0-9][0-9])$" }),
        ])
    }
}

impl Shape for GrpcStatus {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let all = Self::ALL.iter().map(|status| (status.as_str(), *status));
        word(node, walk, &all.collect::<Vec<_>>(), &[])
    }

    fn describe() -> Json {
        let all = Self::ALL.iter().map(|status| status.as_str());
        json!({ "type": "string", "enum": all.collect::<Vec<_>>() })
    }
}
