//! A request's end, recorded once, whatever its attempts came to.

use std::{rc::Rc, time::Duration};

use super::Account;
use crate::{
    measure::{Request, RequestLabel},
    model::{CodeClass, Moment, Outcome, Protocol, TraceId},
    proxy::{decide::Decision, worker::Worker},
};

/// A request under way.
#[derive(Debug)]
pub(crate) struct RequestGuard {
    worker: Rc<Worker>,
    account: Account,
    protocol: Protocol,
    trace: Option<TraceId>,
    began: Moment,
    is_settled: bool,
}

impl RequestGuard {
    /// A request was assigned, of a client that speaks this and names this trace.
    pub(crate) fn open(
        worker: &Rc<Worker>,
        decision: &Decision,
        (protocol, trace): (Protocol, Option<TraceId>),
        began: Moment,
    ) -> Self {
        let account = decision.account;
        if account.is_judged {
            let mut recorder = worker.recorder.borrow_mut();
            recorder.assign(account.key);
            // Where nothing is tried, nobody is exposed to anything.
            let is_tried = decision.split().is_some_and(|split| split.canary.is_some());
            if let Some(user) = account.user.filter(|_| is_tried) {
                recorder.expose(account.key, user);
            }
        }
        Self {
            worker: Rc::clone(worker),
            account,
            protocol,
            trace,
            began,
            is_settled: false,
        }
    }

    /// How long it has taken until then.
    pub(crate) fn lasted(&self, until: Moment) -> Duration {
        until.since(self.began)
    }

    /// The request has ended for the client, `at` this time.
    pub(crate) fn settle(&mut self, status: u16, outcome: Outcome, at: Moment) -> Duration {
        self.is_settled = true;
        let duration = self.lasted(at);
        self.worker.recorder.borrow_mut().request(&Request {
            key: self.account.key,
            label: RequestLabel {
                protocol: self.protocol,
                code_class: CodeClass::of(status),
                outcome,
            },
            duration,
            trace: self.trace.map(|trace| (trace, at)),
        });
        duration
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if !self.is_settled {
            self.settle(0, Outcome::ClientAbort, self.worker.now());
        }
    }
}
