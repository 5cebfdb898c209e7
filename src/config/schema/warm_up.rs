//! What a new endpoint is sent before users land on it.

use std::time::Duration;

use super::{Default, KeyInfo, Node, Placed, Shape, Walk, block, describe_block, word, words};
use crate::config::{SafeMethod, collection::Several, leaf::Count};

block! {
    /// A new endpoint gets copies of safe requests, whose answers are thrown away, before it gets
    /// requests of its own; those that are there at the start are not new. A canary's endpoints get
    /// stable's, too, while it has traffic.
    struct WarmUpBlock {
        /// So many copies must be answered, with a status below 500.
        mirror: Count<1, 100_000> = Default("200"),
        /// Methods that are copied, one or a list: `GET`, `HEAD`. A request with a body never is.
        methods: Several<SafeMethod> = Default("[GET]"),
        /// After this time an endpoint gets requests of its own, whatever became of the copies.
        age: Duration = Default("60s"),
    } later []
}

words!(SafeMethod { "GET" => Self::Get, "HEAD" => Self::Head, } later []);
