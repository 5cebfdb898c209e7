//! The limits in time of one exchange with an endpoint.

use std::time::Duration;

use super::{downstream::Client, outgoing::Outgoing};
use crate::{
    model::{Moment, SplitKey},
    plan::{Split, Upstream},
    proxy::course::{Late, Withhold},
};

/// The limits in time of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Between two pieces of the request that the endpoint takes.
    pub(crate) send: Duration,
    /// From the end of the request to the end of the answer's head.
    pub(crate) head: Duration,
    /// The same, if the request can be repeated then.
    pub(crate) per_try: Option<Duration>,
    /// The split whose canary it is at, if stable takes over from one that is late.
    pub(crate) canary_of: Option<SplitKey>,
    /// Between two pieces of the answer's body.
    pub(crate) body: Duration,
    /// Between two pieces that the client sends or takes.
    pub(crate) client: Duration,
    /// When everything must be over.
    pub(crate) total: Option<Moment>,
}

impl Deadlines {
    pub(super) fn waiting(&self, can_repeat: bool) -> Duration {
        let per_try = self.per_try.filter(|_| can_repeat);
        per_try.map_or(self.head, |limit| limit.min(self.head))
    }

    /// Of an attempt.
    pub(crate) fn of(
        client: &Client,
        (split, upstream): (&Split, &Upstream),
        (outgoing, withhold): (&Outgoing, Option<&Withhold<'_>>),
        total: Option<Moment>,
    ) -> Self {
        let late = withhold.map(|it| it.late(outgoing));
        let Late { per_try, canary_of } = late.unwrap_or_default();
        let is_grpc = outgoing.reply.is_grpc;
        let timeouts = &upstream.timeouts;
        let of_client = &client.settings.timeouts;
        // The messages of a call may be far apart.
        let or_longer = |limit| {
            if is_grpc {
                of_client.stream_idle.max(limit)
            } else {
                limit
            }
        };
        Self {
            send: timeouts.body_idle,
            head: split.response_header.unwrap_or(timeouts.response_header),
            per_try,
            canary_of,
            body: or_longer(timeouts.body_idle),
            client: or_longer(of_client.body_idle),
            total,
        }
    }

    /// Whether an attempt that has waited so long may wait on.
    pub(crate) fn outlast(&self, patience: Duration, now: Moment) -> bool {
        let is_in_time = |total: Moment| patience < total.since(now);
        patience < self.waiting(true) && self.total.is_none_or(is_in_time)
    }

    /// How long an answer may still be waited for.
    pub(crate) fn left(&self, now: Moment) -> Duration {
        let left = |total: Moment| self.head.min(total.since(now));
        self.total.map_or(self.head, left)
    }

    /// So much of the time for an answer has gone by.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.head = self.head.saturating_sub(time);
        self.per_try = self.per_try.map(|limit| limit.saturating_sub(time));
    }

    /// Nothing is asked after this exchange.
    pub(crate) fn are_last(&mut self) {
        self.per_try = None;
        self.canary_of = None;
    }
}
