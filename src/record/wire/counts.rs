//! Counts: ticks, cells, histograms, and stable's recent past.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Clock;
use crate::{
    judge,
    measure::{AttemptLabel, Cell, Latencies, Tally},
    model::{
        CodeClass, Outcome, Reason, RouteName, Share, Stage,
        number::{long, micros},
    },
    record::{Counted, Part, Ticked},
};

/// Values below this have a bucket each; above, each doubling has half as many.
const EXACT: u64 = 256;
const HALF: u64 = EXACT / 2;
const CODES: u64 = long(CodeClass::ALL.len());
const OUTCOMES: u64 = long(Outcome::ALL.len());
/// Of each cell of a tick so many ids of failed requests are kept.
const FAILED_MAX: usize = 8;

#[derive(Serialize, Deserialize)]
pub(super) struct Tick {
    from: i64,
    to: i64,
    strata: Vec<Stratum>,
}

#[derive(Serialize, Deserialize)]
struct Stratum {
    stage: u64,
    share: u16,
    stable: Arm,
    canary: Arm,
}

#[derive(Serialize, Deserialize)]
struct Arm {
    /// `None`: nothing was counted.
    counted: Option<Counts>,
    in_flight: Option<Buckets>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    assigned: u64,
    trials: u64,
    failures: u64,
    at_risk: u64,
    failed_users: Vec<u64>,
    failed_requests: Vec<u64>,
    attempts: Vec<(u64, u64)>,
    latency: Buckets,
    abandoned: Buckets,
}

/// The buckets of a histogram that are not empty, ascending: twice the step from the one before,
/// and one more if there is a count of two or more (less two) behind it.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Buckets(Vec<u64>);

#[derive(Serialize, Deserialize)]
pub(super) struct Baseline {
    requests: u64,
    failures: u64,
    latency: Buckets,
    routes: Vec<(String, u64, u64, Buckets)>,
}

impl Tick {
    pub(super) fn of(tick: &judge::Tick<'_>, clock: &mut Clock) -> Self {
        Self {
            from: clock.write(tick.from),
            to: clock.write(tick.to),
            strata: tick.strata.iter().map(Stratum::of).collect(),
        }
    }

    pub(super) fn read(self, clock: &mut Clock) -> Option<Ticked> {
        Some(Ticked {
            from: clock.read(self.from),
            to: clock.read(self.to),
            strata: self
                .strata
                .into_iter()
                .map(Stratum::read)
                .collect::<Option<_>>()?,
        })
    }
}

impl Stratum {
    fn of(stratum: &judge::Stratum<'_>) -> Self {
        Self {
            stage: stratum.stage.0,
            share: stratum.share.basis_points(),
            stable: Arm::of(stratum.stable),
            canary: Arm::of(stratum.canary),
        }
    }

    fn read(self) -> Option<Counted> {
        Some(Counted {
            stage: Stage(self.stage),
            share: Share::from_basis_points(self.share).ok()?,
            stable: self.stable.read()?,
            canary: self.canary.read()?,
        })
    }
}

impl Arm {
    fn of(arm: judge::Arm<'_>) -> Self {
        let counts = Counts::of(arm.cell);
        Self {
            counted: (counts != Counts::default()).then_some(counts),
            in_flight: arm.in_flight.map(Buckets::of),
        }
    }

    fn read(self) -> Option<Part> {
        Some(Part {
            cell: self.counted.unwrap_or_default().read()?,
            in_flight: match self.in_flight {
                Some(ages) => Some(ages.read()?),
                None => None,
            },
        })
    }
}

impl Counts {
    fn of(cell: &Cell) -> Self {
        let failed = cell.failed_requests.iter().take(FAILED_MAX);
        let attempts = cell.attempts.iter();
        Self {
            assigned: cell.assigned,
            trials: cell.trials,
            failures: cell.failures,
            at_risk: cell.at_risk,
            failed_users: cell.failed_users.clone(),
            failed_requests: failed.copied().collect(),
            attempts: attempts
                .map(|(label, count)| (number_of(label), count))
                .collect(),
            latency: Buckets::of(&cell.latency),
            abandoned: Buckets::of(&cell.abandoned),
        }
    }

    fn read(self) -> Option<Cell> {
        let mut attempts = Tally::default();
        for (number, count) in self.attempts {
            attempts.add(label_of(number)?, count);
        }
        Some(Cell {
            assigned: self.assigned,
            trials: self.trials,
            failures: self.failures,
            at_risk: self.at_risk,
            failed_users: self.failed_users,
            failed_requests: self.failed_requests,
            attempts,
            latency: self.latency.read()?,
            abandoned: self.abandoned.read()?,
            ..Cell::default()
        })
    }
}

impl Buckets {
    fn of(latencies: &Latencies) -> Self {
        let mut numbers = Vec::new();
        let mut last = 0;
        for (edge, count) in latencies.buckets() {
            let place = place_of(micros(edge));
            let step = place - last;
            last = place;
            numbers.push(2 * step + u64::from(count > 1));
            numbers.extend((count > 1).then(|| count - 2));
        }
        Self(numbers)
    }

    fn read(self) -> Option<Latencies> {
        let mut latencies = Latencies::new();
        let mut place = 0_u64;
        let mut numbers = self.0.into_iter();
        while let Some(number) = numbers.next() {
            place = place.checked_add(number / 2)?;
            let count = match number % 2 {
                0 => 1,
                _ => numbers.next()?.checked_add(2)?,
            };
            latencies.record_n(Duration::from_micros(edge_of(place)?), count);
        }
        Some(latencies)
    }
}

impl Baseline {
    pub(super) fn of(baseline: &judge::Baseline) -> Self {
        let routes = baseline.routes.iter().map(|route| {
            let latency = Buckets::of(&route.latency);
            (
                route.name.to_string(),
                route.requests,
                route.failures,
                latency,
            )
        });
        Self {
            requests: baseline.requests,
            failures: baseline.failures,
            latency: Buckets::of(&baseline.latency),
            routes: routes.collect(),
        }
    }

    pub(super) fn read(self) -> Option<judge::Baseline> {
        let mut routes = Vec::with_capacity(self.routes.len());
        for (name, requests, failures, latency) in self.routes {
            routes.push(judge::RouteBaseline {
                name: RouteName::new(&name).ok()?,
                requests,
                failures,
                latency: latency.read()?,
            });
        }
        Some(judge::Baseline {
            requests: self.requests,
            failures: self.failures,
            latency: self.latency.read()?,
            routes,
        })
    }
}

/// The number of the bucket that has this value, as `Latencies` divides them.
fn place_of(micros: u64) -> u64 {
    let bits = u64::BITS - micros.leading_zeros();
    let shift = bits.saturating_sub(EXACT.ilog2());
    u64::from(shift) * HALF + (micros >> shift)
}

/// The greatest value of a bucket; `None`: there is no such bucket.
fn edge_of(place: u64) -> Option<u64> {
    if place < EXACT {
        return Some(place);
    }
    let shift = place / HALF - 1;
    let past = place - shift * HALF + 1;
    let is_known = shift <= u64::from(u64::BITS - EXACT.ilog2());
    is_known
        .then(|| (u128::from(past) << shift) - 1)?
        .try_into()
        .ok()
}

/// A label as one number: its words' places in their lists.
fn number_of(label: AttemptLabel) -> u64 {
    fn place<T: PartialEq>(all: &[T], one: &T) -> u64 {
        let place = all.iter().position(|known| known == one);
        long(place.unwrap_or(all.len()))
    }
    let outcome = place(Outcome::ALL, &label.outcome);
    let reason = place(Reason::ALL, &label.reason);
    place(CodeClass::ALL, &label.code_class) + CODES * (outcome + OUTCOMES * reason)
}

fn label_of(number: u64) -> Option<AttemptLabel> {
    let place = |number| usize::try_from(number).ok();
    Some(AttemptLabel {
        code_class: *CodeClass::ALL.get(place(number % CODES)?)?,
        outcome: *Outcome::ALL.get(place(number / CODES % OUTCOMES)?)?,
        reason: *Reason::ALL.get(place(number / CODES / OUTCOMES)?)?,
    })
}
