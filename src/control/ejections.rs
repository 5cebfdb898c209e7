//! Endpoints that get no requests for a while: who has put them out, why, and until when.
//!
//! Workers eject what fails in a row, and say so afterwards; a person and the judge eject here. It
//! is a note at the endpoint that every worker reads (`plan/vitals.rs`), no plan: it is in force at
//! once, and goes by itself when its time is over.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::sync::oneshot;

use super::{Audit, Control, News, Refusal, RefusalKind, Subject, turn::Turn};
use crate::{
    measure::Ejection,
    model::{EndpointKey, Moment, Reason, SplitName, UpstreamName},
    plan::{Plan, Target, Upstream},
};

/// What a person wants of an endpoint.
#[derive(Debug)]
pub struct EndpointAsk {
    /// Of which upstream; `None`: of all that have it.
    pub upstream: Option<UpstreamName>,
    /// Which endpoint.
    pub address: SocketAddr,
    /// What to do.
    pub command: EndpointCommand,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub actor: String,
    /// Where the answer goes: what it has led to, in words.
    pub answer: oneshot::Sender<Result<String, Refusal>>,
}

/// What can be done with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointCommand {
    /// No requests for so long; `None`: until a person takes it back.
    Eject(Option<Duration>),
    /// Requests again.
    Uneject,
}

/// An endpoint that is out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Out {
    upstream: UpstreamName,
    address: SocketAddr,
    /// Why, in words.
    pub(super) why: String,
    /// Until when; `None`: until a person takes it back.
    until: Option<Moment>,
}

/// Endpoints that are out.
#[derive(Debug, Default)]
pub(super) struct Ejections {
    out: BTreeMap<EndpointKey, Out>,
    /// How often endpoints were ejected, by upstream.
    pub(super) counts: BTreeMap<UpstreamName, u64>,
}

impl Ejections {
    /// Why an endpoint is out, if it is.
    pub(super) fn get(&self, endpoint: EndpointKey) -> Option<&Out> {
        self.out.get(&endpoint)
    }

    fn note(&mut self, endpoint: EndpointKey, out: Out) {
        *self.counts.entry(out.upstream.clone()).or_default() += 1;
        self.out.insert(endpoint, out);
    }
}

impl Control {
    /// Workers have ejected endpoints.
    pub(super) fn ejected(&mut self, ejections: &[Ejection], turn: &mut Turn) {
        if ejections.is_empty() {
            return;
        }
        let plan = self.in_force.plan();
        for ejection in ejections {
            let endpoint = ejection.endpoint;
            let found = plan.owner(endpoint).and_then(|upstream| {
                let mut all = upstream.endpoints.iter();
                Some((upstream, all.find(|target| target.key == endpoint)?))
            });
            // It has gone meanwhile.
            let Some((upstream, target)) = found else {
                continue;
            };
            let why = because(ejection, upstream);
            let out = Out {
                upstream: upstream.name.clone(),
                address: target.address,
                until: Some(ejection.until),
                why,
            };
            turn.news.push(told(&out, ejection.at, "proxy"));
            turn.audits.push(audited(&out, ejection.at, "proxy"));
            turn.is_status_stale = true;
            self.ejections.note(endpoint, out);
        }
    }

    /// Ejects an endpoint of an upstream; `until` is `None` until a person takes it back. `Err`:
    /// it is not among those that requests go to.
    pub(super) fn eject(
        &mut self,
        (upstream, address): (&UpstreamName, SocketAddr),
        until: Option<Moment>,
        (why, by): (&str, &str),
        (now, turn): (Moment, &mut Turn),
    ) -> Result<(), Refusal> {
        let plan = self.in_force.plan();
        let (upstream, target) = find(&plan, Some(upstream), address)
            .pop()
            .ok_or_else(|| unknown(address))?;
        upstream.eject(target, until);
        let out = Out {
            upstream: upstream.name.clone(),
            address,
            why: why.to_owned(),
            until,
        };
        turn.news.push(told(&out, now, by));
        turn.is_status_stale = true;
        self.ejections.note(target.key, out);
        Ok(())
    }

    /// Endpoints that the judge found to be bad among good ones are out for as long as a worker
    /// would ever eject them.
    pub(super) fn put_out(
        &mut self,
        (split, canary): (&SplitName, &Upstream),
        endpoints: &[SocketAddr],
        now: Moment,
        turn: &mut Turn,
    ) {
        let Some(rule) = &canary.outlier_detection else {
            return;
        };
        let length = rule.max_ejection_time;
        let why = format!("the judge of {split}: it is bad and the canary's others are not");
        for address in endpoints {
            let at = (&canary.name, *address);
            let until = Some(now + length);
            // One that has gone meanwhile needs no ejection.
            if self.eject(at, until, (&why, "judge"), (now, turn)).is_ok() {
                let (upstream, address, why) = (canary.name.clone(), *address, why.clone());
                let out = Out {
                    upstream,
                    address,
                    why,
                    until,
                };
                turn.audits.push(audited(&out, now, "judge"));
            }
        }
    }

    /// A person asks for something about an endpoint.
    pub(super) fn asked_of_endpoint(&mut self, ask: EndpointAsk, now: Moment, turn: &mut Turn) {
        let plan = self.in_force.plan();
        let found = find(&plan, ask.upstream.as_ref(), ask.address);
        let result = if found.is_empty() {
            Err(unknown(ask.address))
        } else {
            let parts = found.into_iter().map(|at| self.act_on(at, &ask, now, turn));
            Ok(parts.collect::<Vec<_>>().join("; "))
        };
        self.audit(Audit {
            at: now,
            of: Subject::Endpoint(ask.upstream, ask.address),
            actor: ask.actor,
            command: command_text(ask.command),
            reason: ask.reason,
            result: match &result {
                Ok(done) => format!("done: {done}"),
                Err(refusal) => format!("refused: {refusal}"),
            },
            moved: None,
        });
        // Whoever asked may be gone.
        let _gone = ask.answer.send(result);
    }

    fn act_on(
        &mut self,
        (upstream, target): (&Upstream, &Target),
        ask: &EndpointAsk,
        now: Moment,
        turn: &mut Turn,
    ) -> String {
        let name = &upstream.name;
        match ask.command {
            EndpointCommand::Eject(length) => {
                let why = ask.reason.as_deref().unwrap_or("no reason given");
                let until = length.map(|length| now + length);
                let at = (name, target.address);
                // It was found a moment ago.
                let _ejected = self.eject(at, until, (why, &ask.actor), (now, turn));
                let long = length.map_or_else(String::new, |long| format!(" for {long:?}"));
                let others = upstream.endpoints.iter();
                let left = others.filter(|one| !one.vitals.is_ejected(now)).count();
                let warning = if left == 0 {
                    " (none is left, so that it is used all the same)"
                } else {
                    ""
                };
                format!("{name}: {} is out{long}{warning}", target.address)
            }
            EndpointCommand::Uneject => {
                let was_out = target.vitals.is_ejected(now);
                upstream.readmit(target, now);
                if was_out {
                    self.back(target.key, (name, target.address), (now, &ask.actor), turn);
                    format!("{name}: {} is back", target.address)
                } else {
                    format!("{name}: {} was not out", target.address)
                }
            }
        }
    }

    /// Endpoints whose time is over are back.
    pub(super) fn readmit_due(&mut self, now: Moment, turn: &mut Turn) {
        let is_over = |out: &Out| out.until.is_some_and(|until| now >= until);
        let due = self.ejections.out.iter().filter(|(_, out)| is_over(out));
        let due: Vec<_> = due.map(|(key, out)| (*key, out.clone())).collect();
        for (key, out) in due {
            self.back(key, (&out.upstream, out.address), (now, "proxy"), turn);
        }
    }

    fn back(
        &mut self,
        endpoint: EndpointKey,
        (upstream, address): (&UpstreamName, SocketAddr),
        (now, by): (Moment, &str),
        turn: &mut Turn,
    ) {
        self.ejections.out.remove(&endpoint);
        turn.is_status_stale = true;
        turn.news.push(News {
            at: now,
            what: "endpoint_back",
            split: None,
            epoch: None,
            share: None,
            by: by.to_owned(),
            text: format!("{upstream}: {address} gets requests again, slowly at first"),
            is_warning: false,
        });
    }
}

fn command_text(command: EndpointCommand) -> String {
    match command {
        EndpointCommand::Eject(None) => "eject".to_owned(),
        EndpointCommand::Eject(Some(length)) => format!("eject for {length:?}"),
        EndpointCommand::Uneject => "uneject".to_owned(),
    }
}

/// Where requests to an address may go.
fn find<'a>(
    plan: &'a Plan,
    upstream: Option<&UpstreamName>,
    address: SocketAddr,
) -> Vec<(&'a Upstream, &'a Target)> {
    let is_wanted = |known: &&std::sync::Arc<Upstream>| upstream.is_none_or(|it| *it == known.name);
    let upstreams = plan.upstreams.iter().filter(is_wanted);
    let found = upstreams.filter_map(|upstream| {
        let mut targets = upstream.endpoints.iter();
        let target = targets.find(|target| target.address == address)?;
        Some((&**upstream, target))
    });
    found.collect()
}

fn unknown(address: SocketAddr) -> Refusal {
    Refusal {
        kind: RefusalKind::NotFound,
        message: format!("no requests go to {address}"),
        help: "`serin endpoints` lists all of them".to_owned(),
    }
}

fn because(ejection: &Ejection, upstream: &Upstream) -> String {
    let rule = upstream.outlier_detection.as_ref();
    let failures = rule.map_or(0, |rule| rule.consecutive_failures);
    let last = match (ejection.reason, ejection.status) {
        (Reason::None, status) => format!("a {status}"),
        (reason, _) => reason.to_string(),
    };
    if ejection.times > 1 {
        format!("it fails again: {last} (ejection {})", ejection.times)
    } else {
        format!("{failures} failures in a row, the last one {last}")
    }
}

/// A line of the audit log.
fn audited(out: &Out, at: Moment, by: &str) -> Audit {
    Audit {
        at,
        of: Subject::Endpoint(Some(out.upstream.clone()), out.address),
        actor: by.to_owned(),
        command: "eject".to_owned(),
        reason: Some(out.why.clone()),
        result: "done".to_owned(),
        moved: None,
    }
}

fn told(out: &Out, at: Moment, by: &str) -> News {
    let Out {
        upstream,
        address,
        why,
        until,
    } = out;
    let long = until.map_or_else(
        || "until somebody takes it back".to_owned(),
        |until| format!("for {} s", until.since(at).as_secs()),
    );
    News {
        at,
        what: "endpoint_ejected",
        split: None,
        epoch: None,
        share: None,
        by: by.to_owned(),
        text: format!("{upstream}: {address} gets no requests {long}: {why}"),
        is_warning: true,
    }
}
