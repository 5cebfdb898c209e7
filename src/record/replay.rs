//! Judging a record again, by its own criteria or by others.

use super::{Decision, End, Frame, Header, Sums, Watch};
use crate::{
    judge::{self, Criteria, Evidence, Judgement},
    model::Moment,
};

/// What one look of the judge came to.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Moment,
    /// What the judge says.
    pub judgement: Judgement,
    /// What of it is news.
    pub news: Vec<Decision>,
}

/// A replay under way: the judge is told frame by frame what it was told then.
#[derive(Debug, Clone)]
pub struct Replay {
    criteria: Criteria,
    evidence: Evidence,
    watch: Watch,
    sums: Sums,
    decisions: Vec<Decision>,
    live: Vec<Decision>,
    began: Moment,
    now: Moment,
    end: Option<End>,
}

impl Replay {
    /// At the beginning of a record, by these criteria; the record's own are in its header.
    pub fn new(header: &Header, criteria: &Criteria) -> Self {
        Self {
            criteria: criteria.clone(),
            evidence: Evidence::new(criteria, &header.baseline, header.began),
            watch: Watch::default(),
            sums: Sums::default(),
            decisions: Vec::new(),
            live: Vec::new(),
            began: header.began,
            now: header.began,
            end: None,
        }
    }

    /// Takes the next frame; what the judge says now, if it looked here.
    pub fn step(&mut self, frame: &Frame) -> Option<Seen> {
        match frame {
            Frame::Stage {
                stage,
                share,
                baseline,
                at,
            } => {
                self.evidence.begin_stage(*stage, *share, baseline, *at);
                self.watch.begin_stage();
            }
            Frame::Endpoints { canary, stable } => self.evidence.tell_endpoints(*canary, *stable),
            Frame::Dispersion(index) => self.evidence.disperse(*index),
            Frame::Fresh(at) => self.evidence.new_endpoints(*at),
            Frame::Tick(tick) => {
                self.now = tick.to;
                self.sums.add(tick);
                self.evidence.absorb(&tick.tick(&tick.strata()));
            }
            Frame::RouteTick(route, tick) => {
                let strata = tick.strata();
                self.evidence.absorb_route(*route, &tick.tick(&strata));
            }
            Frame::Look => return Some(self.look()),
            Frame::Decision(decision) => self.live.push(decision.clone()),
            Frame::End(end) => self.end = Some(*end),
        }
        None
    }

    /// What was seen so far.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What was counted so far, by version.
    pub const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// What this replay's judge said so far.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// What the live judge had said by now.
    pub fn live(&self) -> &[Decision] {
        &self.live
    }

    /// Whether both said the same at the same moments, to the last bit.
    pub fn is_as_live(&self) -> bool {
        let mut pairs = self.decisions.iter().zip(&self.live);
        self.decisions.len() == self.live.len() && pairs.all(|(ours, live)| ours.is_same(live))
    }

    /// Why the record has ended; `None`: it has not, or was cut short.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// When the record began, and its last tick so far.
    pub const fn span(&self) -> (Moment, Moment) {
        (self.began, self.now)
    }

    fn look(&mut self) -> Seen {
        let judgement = judge::judge(&self.evidence, &self.criteria);
        let news = self.watch.see(&judgement, self.now);
        self.decisions.extend_from_slice(&news);
        Seen {
            at: self.now,
            judgement,
            news,
        }
    }
}
