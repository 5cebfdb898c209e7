//! What a record is made of: each call that the judge gets, as a value of its own.

use super::Decision;
use crate::{
    judge::{Arm, Baseline, Criteria, Stratum, Tick},
    measure::{Cell, Latencies},
    model::{Epoch, Moment, RouteName, Share, SplitName, Stage, VersionName},
};

/// The first word of a record: whose it is, and what the evidence was made from.
#[derive(Debug, Clone)]
pub struct Header {
    /// The version of Serin that wrote it.
    pub written_by: String,
    /// The split.
    pub split: SplitName,
    /// Its rollout.
    pub epoch: Epoch,
    /// The version that users had.
    pub stable: VersionName,
    /// The version that was tried.
    pub canary: VersionName,
    /// The split's routes, in the order of their numbers.
    pub routes: Vec<RouteName>,
    /// What it was judged by.
    pub criteria: Criteria,
    /// Stable's recent past.
    pub baseline: Baseline,
    /// When it began.
    pub began: Moment,
}

/// One thing that the judge was told, or that came of it.
#[derive(Debug, Clone)]
pub enum Frame {
    /// A stage began.
    Stage {
        /// Its number.
        stage: Stage,
        /// The canary's share in it.
        share: Share,
        /// Stable's recent past.
        baseline: Baseline,
        /// When.
        at: Moment,
    },
    /// So many endpoints share each version's requests.
    Endpoints {
        /// Of the canary.
        canary: usize,
        /// Of stable.
        stable: usize,
    },
    /// Stable's failures come in clumps: the evidence of errors is divided by this index.
    Dispersion(f64),
    /// A batch of new endpoints came.
    Fresh(Moment),
    /// What became known of all requests together.
    Tick(Ticked),
    /// What became known of one route, by its number.
    RouteTick(usize, Ticked),
    /// The judge looked, at the end of the last tick.
    Look,
    /// What of the judge's words was news then.
    Decision(Decision),
    /// Nothing more is kept.
    End(End),
}

/// Why a record has no more frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The rollout was over, the criteria changed, or Serin stopped.
    Finished,
    /// The record was as long as a record may be.
    Full,
    /// The writer did not keep up.
    Lost,
    /// The disk refused a write.
    Refused,
}

/// A [`Tick`] that owns what was counted.
#[derive(Debug, Clone)]
pub struct Ticked {
    /// The end of the tick before.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
    /// One a stage.
    pub strata: Vec<Counted>,
}

/// The requests of a tick that were assigned in one stage.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The stage of assignment.
    pub stage: Stage,
    /// The canary's share in it.
    pub share: Share,
    /// Of stable.
    pub stable: Part,
    /// Of the canary.
    pub canary: Part,
}

/// One version's part of it. Of the cell only what the judge or the evidence shown need is kept.
#[derive(Debug, Clone)]
pub struct Part {
    /// What was counted.
    pub cell: Cell,
    /// Ages of attempts under way at the end of the tick.
    pub in_flight: Option<Latencies>,
}

impl Ticked {
    /// What the judge takes.
    pub fn strata(&self) -> Vec<Stratum<'_>> {
        self.strata.iter().map(Counted::stratum).collect()
    }

    /// The tick of these strata.
    pub const fn tick<'a>(&self, strata: &'a [Stratum<'a>]) -> Tick<'a> {
        Tick {
            from: self.from,
            to: self.to,
            strata,
        }
    }
}

impl Counted {
    fn stratum(&self) -> Stratum<'_> {
        Stratum {
            stage: self.stage,
            share: self.share,
            stable: self.stable.arm(),
            canary: self.canary.arm(),
        }
    }
}

impl Part {
    const fn arm(&self) -> Arm<'_> {
        Arm {
            cell: &self.cell,
            in_flight: self.in_flight.as_ref(),
        }
    }
}

impl End {
    /// In words, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "the rollout was over, the criteria changed, or serin stopped",
            Self::Full => "the record was as long as a record may be",
            Self::Lost => "the writer did not keep up",
            Self::Refused => "the disk refused a write",
        }
    }
}
