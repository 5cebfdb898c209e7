//! Copies of users' requests for endpoints that warm up (`plan/warm_up.rs`).
//!
//! A copy goes its own way: in a task of its own, over a connection of its own, with its answer
//! thrown away. No user waits for it, and nothing counts it: no verdict, no ejection, no latency.

use std::{rc::Rc, sync::Arc};

use tokio::{task::spawn_local, time::timeout};

use super::{
    connect,
    decide::Decision,
    fault::FaultKind,
    h1::{copy, downstream::Client, outgoing::Outgoing},
    worker::Worker,
};
use crate::{
    model::{Moment, Role, Share},
    plan::{Copied, Split, Target, Upstream},
};

/// An answer with a status from here on has warmed nothing.
const BAD: u16 = 500;

/// Sends copies of a request to endpoints that want some: one of its own version, and for stable's
/// one of a canary that has traffic.
pub(super) fn copy(
    client: &Client,
    (decision, split): (&Decision, &Split),
    outgoing: &Outgoing,
    now: Moment,
) {
    let is_plain = outgoing.is_bodiless() && !outgoing.reply.is_websocket;
    if !is_plain || decision.assignment.overridden || client.worker.is_draining() {
        return;
    }
    let role = decision.assignment.role;
    send(client, (decision, split, role), outgoing, now);
    if role == Role::Stable && split.canary.is_some() && split.share != Share::ZERO {
        send(client, (decision, split, Role::Canary), outgoing, now);
    }
}

/// A copy on its way.
#[derive(Debug)]
struct Copy {
    worker: Rc<Worker>,
    upstream: Arc<Upstream>,
    target: Target,
    copied: Copied,
    head: Vec<u8>,
    is_head: bool,
    /// What the endpoint is told of the client before all.
    introduction: Vec<u8>,
}

fn send(
    client: &Client,
    (decision, split, role): (&Decision, &Split, Role),
    outgoing: &Outgoing,
    now: Moment,
) {
    let version = split.version(role);
    let Some(upstream) = decision.plan.upstream(version.upstream) else {
        return;
    };
    let method = outgoing.asked(decision).method;
    let random = client.worker.random.borrow_mut().u64(..);
    let Some((target, copied)) = upstream.copy_to(method, random, now) else {
        return;
    };
    let Ok(introduction) = connect::introduction(client, upstream) else {
        return;
    };
    let copy = Copy {
        worker: Rc::clone(&client.worker),
        upstream: Arc::clone(upstream),
        target: target.clone(),
        copied,
        head: outgoing.copy(version.name.as_str()),
        is_head: outgoing.reply.is_head,
        introduction,
    };
    spawn_local(Box::pin(copy.run()));
}

impl Copy {
    async fn run(self) {
        let limits = &self.upstream.timeouts;
        let limit = limits.connect + limits.response_header + limits.body_idle;
        let status = timeout(limit, self.exchange()).await;
        let now = self.worker.now();
        if matches!(status, Ok(Ok(status)) if status < BAD) {
            self.copied.answered(now);
        } else {
            self.copied.failed(now);
        }
    }

    async fn exchange(&self) -> Result<u16, FaultKind> {
        let at = (&*self.upstream, &self.target);
        let mut wire = connect::alone(&self.worker, at, &self.introduction).await?;
        let request = (&*self.head, self.is_head);
        let answered = copy::exchange(&mut wire, request, &self.worker.buffers).await;
        answered.map_err(|_| FaultKind::Reset)
    }
}
