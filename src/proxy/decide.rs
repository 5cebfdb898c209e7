//! Asks the plan what to do with a head. Pure: the head and chance are brought.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use super::{
    fault::FaultKind,
    h1::RequestHead,
    settle::Account,
    worker::{Held, Worker},
};
use crate::{
    measure::CellKey,
    model::{Outcome, Role, RouteId},
    plan::{Assignment, Chance, Cidr, Ending, Fitting, Head, Split},
};

/// A request's head as the plan sees it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) bytes: &'a [u8],
    pub(crate) peer: IpAddr,
    pub(crate) trusted: &'a [Cidr],
}

impl View<'_> {
    /// Whether the peer's word about whom it forwards for is believed.
    pub(crate) fn is_peer_trusted(&self) -> bool {
        is_trusted(self.peer, self.trusted)
    }
}

fn is_trusted(address: IpAddr, trusted: &[Cidr]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

impl Head for View<'_> {
    fn method(&self) -> &[u8] {
        self.head.method(self.bytes)
    }

    fn host(&self) -> &[u8] {
        self.head.host(self.bytes)
    }

    fn path(&self) -> &[u8] {
        self.head.path(self.bytes)
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.head.field(self.bytes, name)
    }

    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        self.head.cookies(self.bytes).for_each(each);
    }

    /// The peer, or the last address in `X-Forwarded-For` that is not a trusted proxy's.
    fn client(&self) -> IpAddr {
        if !self.is_peer_trusted() {
            return self.peer;
        }
        let forwarded = self
            .head
            .field(self.bytes, "x-forwarded-for")
            .unwrap_or_default();
        let hops = text(forwarded)
            .rsplit(',')
            .map_while(|hop| hop.trim().parse().ok());
        let mut client = self.peer;
        for hop in hops {
            client = hop;
            if !is_trusted(hop, self.trusted) {
                break;
            }
        }
        client
    }
}

/// Bytes that the strict parser has let through are ASCII; anything else is empty.
fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

/// What the plan says of a request.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The plan, kept as long as the request lasts.
    pub(crate) plan: Rc<Held>,
    /// The split's place in it.
    split: usize,
    /// The route by which the request came.
    pub(crate) route: RouteId,
    /// The version it is for.
    pub(crate) assignment: Assignment,
    /// How it is counted.
    pub(crate) account: Account,
    /// The rules that may decide what it counts as.
    rules: Fitting,
    /// Of the keys that stable's and the canary's endpoints are chosen by, if they are.
    hashes: [Option<u64>; 2],
}

impl Decision {
    /// The split that takes the request.
    pub(crate) fn split(&self) -> Option<&Arc<Split>> {
        self.plan.splits.get(self.split)
    }

    /// What the request, or an attempt, counts as that has ended so.
    pub(crate) fn outcome(&self, ending: Ending) -> Outcome {
        self.split().map_or_else(
            || ending.outcome(),
            |split| split.classify.outcome(self.rules, ending),
        )
    }

    /// What it counts as that something went wrong after this time: no rule excuses a version, but
    /// what it means that the client left is for rules to say.
    pub(crate) fn outcome_of_fault(&self, kind: FaultKind, after: Duration) -> Outcome {
        let outcome = kind.outcome();
        if outcome == Outcome::ClientAbort {
            return self.outcome(Ending::ClientAbort(after));
        }
        outcome
    }

    /// The hash of the key that a version's endpoints are chosen by.
    pub(crate) const fn hash_of(&self, role: Role) -> Option<u64> {
        let [stable, canary] = self.hashes;
        match role {
            Role::Stable => stable,
            Role::Canary => canary,
        }
    }

    /// How an attempt at a version is counted.
    pub(crate) fn account_of(&self, role: Role) -> Account {
        Account {
            key: CellKey {
                role,
                ..self.account.key
            },
            ..self.account
        }
    }
}

/// Finds the split and the version for a request.
pub(crate) fn decide(
    worker: &Worker,
    view: &View<'_>,
    request_id: u64,
) -> Result<Decision, FaultKind> {
    let plan = worker.plan();
    let (id, route) = plan.find(view).ok_or(FaultKind::NoRoute)?;
    let split = plan.splits.get(id.index()).ok_or(FaultKind::NoRoute)?;
    let chance = Chance {
        point: worker.rotation.borrow_mut().next(split.key),
        fresh: worker.random.borrow_mut().u64(..),
    };
    let assignment = split.assign(view, chance);
    let key = CellKey {
        split: split.key,
        stage: split.stage,
        role: assignment.role,
        route,
        is_shadow: assignment.is_shadow,
    };
    let rules = split.classify.fitting(view);
    let is_judged = !assignment.overridden;
    let account = Account {
        key,
        is_judged,
        is_awaited: is_judged && !split.classify.ignores_answers(rules),
        user: assignment.user,
        request_id,
    };
    let hash = |role| plan.upstream(split.version(role).upstream)?.hash(view);
    let hashes = [Role::Stable, Role::Canary].map(hash);
    Ok(Decision {
        hashes,
        split: id.index(),
        route,
        assignment,
        account,
        rules,
        plan,
    })
}
