//! What the head of a request says of how its answer goes to the client.

use super::{Version, downstream::Client};
use crate::proxy::{decide::Decision, worker::Heads};

/// How the answer goes to the client.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact of the request's head"
)]
pub(crate) struct Reply {
    /// The client's version.
    pub(crate) version: Version,
    /// The method was HEAD.
    pub(crate) is_head: bool,
    /// It is a call of gRPC.
    pub(crate) is_grpc: bool,
    /// A WebSocket was asked for.
    pub(crate) is_websocket: bool,
    /// The client waits for `100 Continue`.
    pub(crate) expects_continue: bool,
    /// The client's connection may stay open.
    pub(crate) keep_alive: bool,
    /// Whole lines for the head: `Set-Cookie`.
    pub(crate) lines: Vec<u8>,
}

impl Reply {
    /// What the head and the decision say about the answer.
    pub(crate) fn prepare(
        client: &Client,
        heads: &Heads,
        is_grpc: bool,
        decision: &Decision,
    ) -> Self {
        let head = &heads.0;
        let mut lines = Vec::new();
        if let Some(remember) = decision.assignment.remember
            && let Some(affinity) = decision.split().and_then(|split| split.affinity.as_ref())
        {
            affinity.write_cookie(remember, &mut lines);
        }
        Self {
            version: head.version(),
            is_head: head.is_head(),
            is_grpc,
            is_websocket: head.wants_websocket() && client.settings.websocket,
            expects_continue: head.expects_continue(),
            keep_alive: head.keep_alive() && !client.worker.is_draining(),
            lines,
        }
    }
}
