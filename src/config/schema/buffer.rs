//! The keys of `buffer`: what an upstream is spared of slow clients.

use super::{KeyInfo, Node, Optional, Placed, Shape, Walk, block, describe_block};
use crate::config::leaf::Bytes;

block! {
    /// What the upstream is spared of slow clients: for servers that do one request at a time.
    struct BufferBlock {
        /// So much of a request's body is read before an endpoint is asked; a longer one is sent
        /// as it comes. What is here can be sent again (`retry_policy`). Without it: a body is sent
        /// as it comes.
        request: Bytes = Optional,
        /// So much of an answer is taken from the endpoint while the client is slow. Without it: no
        /// more than the client takes.
        response: Bytes = Optional,
    } later []
}
