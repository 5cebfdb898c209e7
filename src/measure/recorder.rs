//! A worker's own counters. Nothing here is shared, locked or allocated per request once warm.

use std::time::Duration;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    AttemptLabel, Cell, CellKey, Ejection, EndpointLabel, Exemplar, Gauges, Latencies, RepeatLabel,
    RequestLabel, Sample, StreamKey,
    delta::{self, Delta},
    endpoints::Endpoints,
    exposed::Exposed,
};
use crate::model::{
    EndpointKey, Moment, Outcome, Reason, Role, SplitKey, Stage, TraceId,
    number::{long, micros},
};

/// How many ids of failed requests one cell of one sample keeps.
const FAILED_IDS_MAX: usize = 8;
/// How many failed users one cell of one sample names; the rest go uncounted on both sides.
const FAILED_USERS_MAX: usize = 4_096;

/// How many cells are found without hashing their keys.
const HINTS: usize = 16;

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// What it belongs to.
    pub key: CellKey,
    /// How it is counted.
    pub label: AttemptLabel,
    /// First byte sent to first byte received, if one came.
    pub first_byte: Option<Duration>,
    /// First byte sent to last byte received, or to the end by whatever cause.
    pub total: Duration,
    /// When that was.
    pub ended: Moment,
    /// Whether the judge sees it: the first attempt of a client request that no override chose.
    pub judged: bool,
    /// The client, in sticky splits.
    pub user: Option<u64>,
    /// The request's id, to name it in evidence.
    pub request_id: u64,
    /// The endpoint that was chosen; `None`: the version had none.
    pub endpoint: Option<EndpointKey>,
}

/// How a request ended for the client.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// What it belongs to.
    pub key: CellKey,
    /// How it is counted.
    pub label: RequestLabel,
    /// End of the head to the last byte handed to the client.
    pub duration: Duration,
    /// The trace that it is a part of, if its client has told one, and when it ended.
    pub trace: Option<(TraceId, Moment)>,
}

/// A judged attempt under way; given back to [`Recorder::land`].
#[derive(Debug)]
#[must_use = "a flight that never lands looks like a hung request for ever"]
pub struct Flight(usize);

/// A cell that is being filled: its latencies become a part of it when it is taken.
#[derive(Debug, Default)]
struct Filling {
    cell: Cell,
    latency: Delta,
    abandoned: Delta,
    first_byte: Delta,
    connect: Delta,
    duration: Delta,
}

impl Filling {
    /// Counts an attempt that has failed or has not; `None`: it says nothing of its version.
    fn count(&mut self, attempt: &Attempt, failed: Option<bool>) {
        let cell = &mut self.cell;
        cell.attempts.add(attempt.label, 1);
        if let Some(first_byte) = attempt.first_byte {
            self.first_byte.record(first_byte);
        }
        if !attempt.judged {
            return;
        }
        let Some(failed) = failed else {
            if attempt.label.outcome == Outcome::ClientAbort {
                self.abandoned.record(attempt.total);
            }
            return;
        };
        cell.trials += 1;
        cell.failures += u64::from(failed);
        self.latency.record(attempt.total);
        if failed {
            cell.first_failure = cell.first_failure.or(Some(attempt.ended));
            if cell.failed_requests.len() < FAILED_IDS_MAX {
                cell.failed_requests.push(attempt.request_id);
            }
        }
        if let Some(user) = attempt.user {
            let is_named = cell.failed_users.contains(&user);
            cell.at_risk += u64::from(!is_named);
            if failed && !is_named && cell.failed_users.len() < FAILED_USERS_MAX {
                cell.failed_users.push(user);
            }
        }
    }

    fn take(&mut self) -> Cell {
        let mut cell = self.cell.reset();
        for (latencies, delta) in [
            (&mut cell.latency, &mut self.latency),
            (&mut cell.abandoned, &mut self.abandoned),
            (&mut cell.first_byte, &mut self.first_byte),
            (&mut cell.connect, &mut self.connect),
            (&mut cell.duration, &mut self.duration),
        ] {
            latencies.merge(&delta.take());
        }
        cell
    }
}

/// A worker's counters since its last sample, and its attempts under way.
#[derive(Debug, Default)]
pub struct Recorder {
    cells: Slab<(CellKey, Filling)>,
    places: FxHashMap<CellKey, usize>,
    /// Where the cells used last are. Few take turns, and comparing a key costs less than hashing
    /// it.
    hints: [usize; HINTS],
    endpoints: Endpoints,
    exposed: Exposed,
    flights: Slab<(CellKey, Moment)>,
    refused: super::Tally<RequestLabel>,
    ejections: Vec<Ejection>,
}

impl Recorder {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request was assigned to a version.
    pub fn assign(&mut self, key: CellKey) {
        self.fill(key, |filling| filling.cell.assigned += 1);
    }

    /// A user was assigned to a version that is tried, or compared with one.
    pub fn expose(&mut self, key: CellKey, user: u64) {
        let CellKey {
            split, stage, role, ..
        } = key;
        self.exposed.see(StreamKey { split, stage, role }, user);
    }

    /// A judged attempt begins.
    pub fn launch(&mut self, key: CellKey, at: Moment) -> Flight {
        Flight(self.flights.insert((key, at)))
    }

    /// A judged attempt has ended, by whatever cause.
    pub fn land(&mut self, flight: &Flight) {
        let _known = self.flights.try_remove(flight.0);
    }

    /// An attempt has ended.
    pub fn attempt(&mut self, attempt: &Attempt) {
        let failed = match attempt.label.outcome {
            Outcome::Success | Outcome::Tracked => Some(false),
            Outcome::Failure => Some(true),
            Outcome::ClientAbort | Outcome::Rejected | Outcome::Ignored => None,
        };
        self.fill(attempt.key, |filling| filling.count(attempt, failed));
        if let (Some(failed), true, Some(endpoint)) = (failed, attempt.judged, attempt.endpoint) {
            let CellKey { split, role, .. } = attempt.key;
            let label = EndpointLabel {
                split,
                role,
                endpoint,
            };
            self.endpoints.record(label, failed, attempt.total);
        }
    }

    /// A request has ended for the client.
    pub fn request(&mut self, request: &Request) {
        self.fill(request.key, |filling| {
            filling.cell.requests.add(request.label, 1);
            filling.duration.record(request.duration);
            if let Some((trace, at)) = request.trace {
                filling.cell.exemplars.offer(Exemplar {
                    trace,
                    at,
                    took: request.duration,
                });
            }
        });
    }

    /// A connection was made for an attempt (`Reason::None`), or could not be, and took so long.
    pub fn connected(&mut self, key: CellKey, result: Reason, took: Duration) {
        self.fill(key, |filling| {
            filling.cell.connects.add(result, 1);
            filling.connect.record(took);
        });
    }

    /// A request is asked again after an attempt, or would have been.
    pub fn repeat(&mut self, key: CellKey, label: RepeatLabel) {
        self.fill(key, |filling| filling.cell.repeats.add(label, 1));
    }

    /// A request was refused before it reached any split.
    pub fn refuse(&mut self, label: RequestLabel) {
        self.refused.add(label, 1);
    }

    /// An endpoint was ejected.
    pub fn eject(&mut self, ejection: Ejection) {
        self.ejections.push(ejection);
    }

    /// What was counted since the last time, and the ages of what is under way.
    pub fn take(&mut self, worker: u16, now: Moment) -> Sample {
        let mut sample = Sample {
            worker,
            ..Sample::default()
        };
        for (_, (key, filling)) in &mut self.cells {
            if !filling.cell.is_empty() {
                sample.cells.insert(*key, filling.take());
            }
        }
        sample.endpoints = self.endpoints.take(now);
        sample.exposed = self.exposed.take();
        sample.refused = std::mem::take(&mut self.refused);
        sample.ejections = std::mem::take(&mut self.ejections);
        sample.gauges = self.gauges(now);
        sample
    }

    /// Puts back a sample that could not be handed over, so that nothing is lost.
    pub fn put_back(&mut self, sample: &Sample) {
        for (key, cell) in &sample.cells {
            self.fill(*key, |filling| filling.cell.merge(cell));
        }
        self.endpoints.put_back(&sample.endpoints);
        self.exposed.put_back(&sample.exposed);
        self.refused.merge(&sample.refused);
        self.ejections.extend_from_slice(&sample.ejections);
    }

    /// Forgets cells of stages before `oldest` of one split that hold nothing.
    pub fn forget(&mut self, split: SplitKey, oldest: Stage) {
        self.exposed.forget(split, oldest);
        let places = &mut self.places;
        self.cells.retain(|_, (key, filling)| {
            let stays = key.split != split || key.stage >= oldest || !filling.cell.is_empty();
            if !stays {
                places.remove(key);
            }
            stays
        });
    }

    fn gauges(&self, now: Moment) -> Gauges {
        let flights = self.flights.iter();
        let mut ages: Vec<_> = flights
            .map(|(_, (key, since))| (*key, delta::edge_of(micros(now.since(*since)).max(1))))
            .collect();
        ages.sort_unstable();
        let in_flight = ages.chunk_by(|left, right| left.0 == right.0);
        let in_flight = in_flight.filter_map(|cell| {
            let (key, _) = cell.first()?;
            let buckets = cell.chunk_by(|left, right| left.1 == right.1);
            let buckets = buckets.filter_map(|same| Some((same.first()?.1, long(same.len()))));
            Some((*key, Latencies::few(buckets.collect())))
        });
        Gauges {
            in_flight: in_flight.collect(),
            ..Gauges::default()
        }
    }

    /// Hands over the cell of a key.
    fn fill(&mut self, key: CellKey, with: impl FnOnce(&mut Filling)) {
        let variant = 2 * usize::from(key.role == Role::Canary) + usize::from(key.is_shadow);
        let hint = (4 * key.route.index() + variant) % HINTS;
        let mut place = self.hints.get(hint).copied().unwrap_or_default();
        if self.cells.get(place).is_none_or(|(known, _)| *known != key) {
            let cells = &mut self.cells;
            let fresh = || cells.insert((key, Filling::default()));
            place = *self.places.entry(key).or_insert_with(fresh);
            if let Some(hint) = self.hints.get_mut(hint) {
                *hint = place;
            }
        }
        if let Some((_, filling)) = self.cells.get_mut(place) {
            with(filling);
        }
    }
}
