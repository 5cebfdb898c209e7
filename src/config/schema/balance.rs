//! Which endpoint of an upstream gets a request, and which gets none for a while.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Node, Optional, Placed, Shape, Walk, block, describe_block,
    short::{Key, any_of, text},
    word, words,
};
use crate::{
    config::{
        collection::Several,
        leaf::{Count, OrZero, Text},
    },
    model::Share,
};

block! {
    /// Which endpoint of an upstream gets a request.
    struct BalanceBlock {
        /// How one is chosen, by weight: `p2c`, of two the one with fewer requests under way, or
        /// that answers clearly faster; `round_robin`, in turn; `least_request`, of all the one
        /// with the fewest; `ring_hash`, the same one for the same `hash_key`.
        policy: Policy = Default("p2c"),
        /// For `ring_hash`: where the key is read, the first present wins: `cookie:NAME`,
        /// `header:NAME`, `client_ip`. A request without a key goes anywhere.
        hash_key: Several<Key> = Optional,
        /// Over this time the weight of a new endpoint, or of one that comes back, grows from 10 %
        /// to the whole. Those that are there at the start are not new.
        slow_start: OrZero = Default("30s"),
        /// The zone that this proxy is in: endpoints there are preferred, as far as they can carry
        /// its part. Without it: zones do not matter.
        zone: Text = Optional,
        /// If less than this part of the endpoints is healthy, health is not believed and all of
        /// them are used.
        panic_threshold: Share = Default("50%"),
    } later []
}

block! {
    /// When an endpoint gets no requests for a while because of how it answers.
    struct OutlierBlock {
        /// So many failures in a row, of all workers together.
        consecutive_failures: Count<1, 1000> = Default("3"),
        /// For how long at first; each repeat adds as much, and a minute without one takes it back.
        base_ejection_time: Duration = Default("10s"),
        /// The longest time.
        max_ejection_time: Duration = Default("5m"),
        /// At most this part of the endpoints at once; of two or more always one.
        max_ejection_percent: Share = Default("30%"),
    } later []
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Policy {
    P2c,
    RoundRobin,
    LeastRequest,
    RingHash,
}

words!(Policy {
    "p2c" => Self::P2c,
    "round_robin" => Self::RoundRobin,
    "least_request" => Self::LeastRequest,
    "ring_hash" => Self::RingHash,
} later ["maglev", "random"]);

/// `outlier_detection: none`, `outlier_detection: { ... }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum OutlierForm {
    None,
    Block(OutlierBlock),
}

impl Shape for OutlierForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if text(node) == Some("none") {
            return Some(Self::None);
        }
        OutlierBlock::read(node, walk).map(Self::Block)
    }

    fn describe() -> Json {
        any_of(&[json!({ "const": "none" }), OutlierBlock::describe()])
    }
}
