//! What a worker hands over on its tick: deltas by cell, and gauges.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use super::{EndpointCounts, EndpointLabel, Exemplars, Latencies, Seen};
use crate::model::{
    CodeClass, EndpointKey, ListenerName, Moment, Outcome, Protocol, Reason, Rejection, Role,
    RouteId, SplitKey, Stage,
};

/// What a count belongs to: the stage, the version's part and the route *of assignment*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// The split.
    pub split: SplitKey,
    /// The stage in which the request was assigned.
    pub stage: Stage,
    /// The part of the version it was assigned to.
    pub role: Role,
    /// The route it came by.
    pub route: RouteId,
    /// Of the part of stable that stands in for a canary in the shadow A/A.
    pub is_shadow: bool,
}

/// What a long-lived stream or a user belongs to, as the request was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// The split.
    pub split: SplitKey,
    /// The stage in which the request was assigned.
    pub stage: Stage,
    /// The part of the version it was assigned to.
    pub role: Role,
}

/// How an attempt is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptLabel {
    /// Of the answer.
    pub code_class: CodeClass,
    /// What it counts as.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

/// How a request is counted: what the client saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestLabel {
    /// What was spoken.
    pub protocol: Protocol,
    /// Of the answer.
    pub code_class: CodeClass,
    /// What it counts as.
    pub outcome: Outcome,
}

/// How a repeat is counted: an attempt beyond a request's first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepeatLabel {
    /// What was done.
    pub repeat: Repeat,
    /// What became of the attempt before it.
    pub reason: Reason,
}

/// What was done after an attempt that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repeat {
    /// The same version was asked again.
    Retry,
    /// Stable was asked for a canary.
    Rescue,
    /// The other version was asked for a file.
    Asset,
    /// Nothing: no budget was left.
    Denied,
    /// The same version was asked again beside an attempt that was late, which was taken after all,
    /// or failed as well.
    HedgeLost,
    /// The same, and the second attempt was taken.
    HedgeWon,
}

/// A few counters by label: a list, since a cell sees one to five labels in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<L>(Vec<(L, u64)>);

impl<L> Default for Tally<L> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<L: Copy + Eq> Tally<L> {
    /// Adds `count` under `label`.
    pub fn add(&mut self, label: L, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == label) {
            Some((_, total)) => *total += count,
            None => self.0.push((label, count)),
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        for (label, count) in &other.0 {
            self.add(*label, *count);
        }
    }

    /// The counts, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (L, u64)> + '_ {
        self.0.iter().copied()
    }

    /// The sum of the counts whose label `chosen` takes.
    pub fn sum(&self, chosen: impl Fn(&L) -> bool) -> u64 {
        self.0
            .iter()
            .filter(|(label, _)| chosen(label))
            .map(|(_, count)| count)
            .sum()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The counts of one [`CellKey`].
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// Requests assigned here (overrides left out): the realised share.
    pub assigned: u64,
    /// Judged requests whose outcome became known: one each, at the first attempt against the
    /// version that was chosen (client aborts and overrides left out).
    pub trials: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Every attempt.
    pub attempts: Tally<AttemptLabel>,
    /// Every request, as the client saw it.
    pub requests: Tally<RequestLabel>,
    /// Repeats after attempts at this version.
    pub repeats: Tally<RepeatLabel>,
    /// Judged trials: first byte sent to last byte received; a hung attempt counts at its timeout.
    pub latency: Latencies,
    /// Judged attempts that the client left, and when: those that were slow by then were slow.
    pub abandoned: Latencies,
    /// Attempts: first byte sent to first byte received.
    pub first_byte: Latencies,
    /// Connections made for attempts (`Reason::None`), and those that could not be made.
    pub connects: Tally<Reason>,
    /// Connections made for attempts: how long that took, TLS included, or until it failed.
    pub connect: Latencies,
    /// Requests: end of the head to the last byte handed to the client.
    pub duration: Latencies,
    /// Requests that stand for others of the same duration.
    pub exemplars: Exemplars,
    /// Of sticky trials, those whose user was not known to have failed before.
    pub at_risk: u64,
    /// When the first of the failures was.
    pub first_failure: Option<Moment>,
    /// Users (hashes) that failed, each named once a sample.
    pub failed_users: Vec<u64>,
    /// Ids of failed requests, a few of each sample.
    pub failed_requests: Vec<u64>,
}

impl Cell {
    /// Adds another cell.
    pub fn merge(&mut self, other: &Self) {
        self.merge_judged(other);
        self.attempts.merge(&other.attempts);
        self.requests.merge(&other.requests);
        self.repeats.merge(&other.repeats);
        self.first_byte.merge(&other.first_byte);
        self.connects.merge(&other.connects);
        self.connect.merge(&other.connect);
        self.duration.merge(&other.duration);
        self.exemplars.merge(&other.exemplars);
    }

    /// Adds what the judge weighs of another cell, and nothing else.
    pub fn merge_judged(&mut self, other: &Self) {
        self.assigned += other.assigned;
        self.trials += other.trials;
        self.failures += other.failures;
        self.at_risk += other.at_risk;
        let failures = self.first_failure.into_iter().chain(other.first_failure);
        self.first_failure = failures.min();
        self.latency.merge(&other.latency);
        self.abandoned.merge(&other.abandoned);
        self.failed_users.extend_from_slice(&other.failed_users);
        self.failed_requests
            .extend_from_slice(&other.failed_requests);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.assigned == 0
            && self.trials == 0
            && self.attempts.0.is_empty()
            && self.requests.0.is_empty()
            && self.repeats.0.is_empty()
            && self.connects.0.is_empty()
    }

    pub(super) fn reset(&mut self) -> Self {
        let taken = std::mem::take(self);
        self.attempts.0.reserve(taken.attempts.0.len());
        self.requests.0.reserve(taken.requests.0.len());
        self.attempts.clear();
        taken
    }
}

/// What a worker holds right now; a later sample of the same worker replaces it.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// Ages of judged attempts still under way, by cell.
    pub in_flight: FxHashMap<CellKey, Latencies>,
    /// Connections, by listener.
    pub listeners: Vec<ListenerGauges>,
    /// Idle and busy upstream connections.
    pub upstream_connections: (u64, u64),
    /// Bytes of bodies that are held for slow clients, or to be sent again.
    pub held_bytes: u64,
    /// What clients sent or did that was refused or cut off since the worker started, by cause.
    pub rejections: Vec<(Rejection, u64)>,
    /// Long-lived streams, by what their requests were assigned to.
    pub streams: Vec<(StreamKey, u64)>,
    /// Share of the time since the last sample in which the worker was busy, 0 to 1.
    pub busy: f64,
    /// Of its endpoints, made once a second.
    pub endpoints: Arc<[EndpointGauge]>,
}

/// What a worker knows of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointGauge {
    /// Which.
    pub endpoint: EndpointKey,
    /// Requests under way.
    pub in_flight: u32,
    /// Connections that wait for one.
    pub idle: u32,
    /// How long until it begins to answer; `None`: nobody knows.
    pub latency: Option<Duration>,
}

/// What a worker knows of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerGauges {
    /// The listener.
    pub name: ListenerName,
    /// Open connections.
    pub open: u64,
    /// Accepted since the worker started.
    pub accepted: u64,
    /// Turned away since the worker started.
    pub refused: u64,
    /// TLS handshakes since the worker started: done, and failed.
    pub handshakes: (u64, u64),
}

/// What a worker hands over on its tick.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The worker's number, from 0.
    pub worker: u16,
    /// What was counted since the last sample, by cell.
    pub cells: FxHashMap<CellKey, Cell>,
    /// Judged requests since the last sample, by endpoint.
    pub endpoints: FxHashMap<EndpointLabel, EndpointCounts>,
    /// Users that were assigned and that control may not have heard of.
    pub exposed: Vec<(StreamKey, Vec<Seen>)>,
    /// What the worker holds right now.
    pub gauges: Gauges,
    /// Requests refused before they reached any split, as the client saw them.
    pub refused: Tally<RequestLabel>,
    /// Endpoints that this worker has ejected since the last sample.
    pub ejections: Vec<Ejection>,
}

/// An endpoint was ejected because of how it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// Which.
    pub endpoint: EndpointKey,
    /// When.
    pub at: Moment,
    /// Until when.
    pub until: Moment,
    /// How often by now.
    pub times: u32,
    /// The status of its last answer; 0: it gave none.
    pub status: u16,
    /// Why its last answer did not come.
    pub reason: Reason,
}
