//! Frames as `postcard` has them: twins of our types that serde knows (I9: serde ends here).
//!
//! Numbers are varints, so small ones are short: moments are written as the time since the one
//! before, histograms as steps between buckets. Reals are written whole: a replay must come to the
//! same last bit.

mod counts;
mod criteria;

use serde::{Deserialize, Serialize};

use self::counts::{Baseline, Tick};
use super::{Decision, End, Frame, Header, Said};
use crate::{
    judge,
    model::{
        Epoch, Moment, RouteName, Share, SplitName, Stage, VersionName,
        number::{length, long},
    },
};

/// The last moment that was written or read.
#[derive(Debug, Default)]
pub(super) struct Clock(u64);

impl Clock {
    fn write(&mut self, at: Moment) -> i64 {
        let since = at.micros().wrapping_sub(self.0).cast_signed();
        self.0 = at.micros();
        since
    }

    fn read(&mut self, since: i64) -> Moment {
        self.0 = self.0.wrapping_add(since.cast_unsigned());
        Moment::from_micros(self.0)
    }
}

#[derive(Serialize, Deserialize)]
struct HeaderTwin {
    written_by: String,
    split: String,
    epoch: u64,
    stable: String,
    canary: String,
    routes: Vec<String>,
    #[serde(with = "criteria::Twin")]
    criteria: judge::Criteria,
    baseline: Baseline,
    began: i64,
}

#[derive(Serialize, Deserialize)]
enum Twin {
    Stage(u64, u16, Baseline, i64),
    Endpoints(u64, u64),
    Dispersion(f64),
    Fresh(i64),
    Tick(Tick),
    RouteTick(u64, Tick),
    Look,
    Decision(Word),
    End(u8),
}

/// A decision.
#[derive(Serialize, Deserialize)]
struct Word {
    at: i64,
    said: u8,
    cause: String,
    route: Option<String>,
    evidence: f64,
    canary_requests: u64,
    why: String,
}

const SAID: [Said; 3] = [Said::Worse, Said::Pass, Said::Fail];
const ENDS: [End; 4] = [End::Finished, End::Full, End::Lost, End::Refused];

/// The header as bytes.
pub(super) fn header(header: &Header, clock: &mut Clock) -> Vec<u8> {
    bytes(&HeaderTwin {
        written_by: header.written_by.clone(),
        split: header.split.to_string(),
        epoch: header.epoch.0,
        stable: header.stable.to_string(),
        canary: header.canary.to_string(),
        routes: header.routes.iter().map(RouteName::to_string).collect(),
        criteria: header.criteria.clone(),
        baseline: Baseline::of(&header.baseline),
        began: clock.write(header.began),
    })
}

/// A header from bytes; `None`: they are none.
pub(super) fn read_header(body: &[u8], clock: &mut Clock) -> Option<Header> {
    let twin: HeaderTwin = read(body)?;
    let routes = twin.routes.iter().map(|name| RouteName::new(name).ok());
    if !criteria::are_sane(&twin.criteria) {
        return None;
    }
    Some(Header {
        written_by: twin.written_by,
        split: SplitName::new(&twin.split).ok()?,
        epoch: Epoch(twin.epoch),
        stable: VersionName::new(&twin.stable).ok()?,
        canary: VersionName::new(&twin.canary).ok()?,
        routes: routes.collect::<Option<_>>()?,
        criteria: twin.criteria,
        baseline: twin.baseline.read()?,
        began: clock.read(twin.began),
    })
}

/// A frame as bytes.
pub(super) fn frame(frame: &Frame, clock: &mut Clock) -> Vec<u8> {
    bytes(&match frame {
        Frame::Stage {
            stage,
            share,
            baseline,
            at,
        } => Twin::Stage(
            stage.0,
            share.basis_points(),
            Baseline::of(baseline),
            clock.write(*at),
        ),
        Frame::Endpoints { canary, stable } => Twin::Endpoints(long(*canary), long(*stable)),
        Frame::Dispersion(divisor) => Twin::Dispersion(*divisor),
        Frame::Fresh(at) => Twin::Fresh(clock.write(*at)),
        Frame::Tick(ticked) => return tick(None, &ticked.tick(&ticked.strata()), clock),
        Frame::RouteTick(route, ticked) => {
            return tick(Some(*route), &ticked.tick(&ticked.strata()), clock);
        }
        Frame::Look => Twin::Look,
        Frame::Decision(decision) => Twin::Decision(Word::of(decision, clock)),
        Frame::End(end) => Twin::End(place(&ENDS, end)),
    })
}

/// A tick as bytes.
pub(super) fn tick(route: Option<usize>, tick: &judge::Tick<'_>, clock: &mut Clock) -> Vec<u8> {
    let tick = Tick::of(tick, clock);
    bytes(&match route {
        Some(route) => Twin::RouteTick(long(route), tick),
        None => Twin::Tick(tick),
    })
}

/// A frame from bytes; `None`: they are none.
pub(super) fn read_frame(body: &[u8], clock: &mut Clock) -> Option<Frame> {
    Some(match read(body)? {
        Twin::Stage(stage, share, baseline, at) => Frame::Stage {
            stage: Stage(stage),
            share: Share::from_basis_points(share).ok()?,
            baseline: baseline.read()?,
            at: clock.read(at),
        },
        Twin::Endpoints(canary, stable) => Frame::Endpoints {
            canary: length(canary),
            stable: length(stable),
        },
        Twin::Dispersion(divisor) => Frame::Dispersion(divisor),
        Twin::Fresh(at) => Frame::Fresh(clock.read(at)),
        Twin::Tick(tick) => Frame::Tick(tick.read(clock)?),
        Twin::RouteTick(route, tick) => Frame::RouteTick(length(route), tick.read(clock)?),
        Twin::Look => Frame::Look,
        Twin::Decision(word) => Frame::Decision(word.read(clock)?),
        Twin::End(end) => Frame::End(*ENDS.get(usize::from(end))?),
    })
}

impl Word {
    fn of(decision: &Decision, clock: &mut Clock) -> Self {
        Self {
            at: clock.write(decision.at),
            said: place(&SAID, &decision.said),
            cause: decision.cause.clone(),
            route: decision.route.as_ref().map(RouteName::to_string),
            evidence: decision.evidence,
            canary_requests: decision.canary_requests,
            why: decision.why.clone(),
        }
    }

    fn read(self, clock: &mut Clock) -> Option<Decision> {
        let route = self.route.map(|name| RouteName::new(&name));
        Some(Decision {
            at: clock.read(self.at),
            said: *SAID.get(usize::from(self.said))?,
            cause: self.cause,
            route: route.transpose().ok()?,
            evidence: self.evidence,
            canary_requests: self.canary_requests,
            why: self.why,
        })
    }
}

/// The place of a value in a list that has it; one that is not there cannot be read again.
fn place<T: PartialEq>(list: &[T], value: &T) -> u8 {
    let place = list.iter().position(|one| one == value);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

fn bytes(twin: &impl Serialize) -> Vec<u8> {
    // Only a sequence of unknown length cannot be written, and no twin has one.
    postcard::to_allocvec(twin).unwrap_or_default()
}

/// The length of a body as bytes.
pub(super) fn size(body: &[u8]) -> Vec<u8> {
    bytes(&long(body.len()))
}

/// A length, and what comes after it; `None`: it is cut short.
pub(super) fn read_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = postcard::take_from_bytes::<u64>(bytes).ok()?;
    Some((length(size), rest))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    let (twin, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty().then_some(twin)
}
