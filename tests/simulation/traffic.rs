//! What workers count when versions are as good as they are.

use std::time::Duration;

use serin::{
    measure::{Cell, CellKey, Sample},
    model::{Role, RouteId},
    plan::Split,
};

/// What is true and nobody in the process knows: how often each version fails, in 1/1000.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) stable: u32,
    pub(crate) canary: u32,
}

/// Requests of one tick.
pub(crate) struct Traffic<'a> {
    pub(crate) chance: &'a mut fastrand::Rng,
    pub(crate) truth: Truth,
    pub(crate) is_sticky: bool,
}

impl Traffic<'_> {
    /// What one worker hands over.
    pub(crate) fn sample(&mut self, split: &Split, worker: u16) -> Sample {
        let mut sample = Sample {
            worker,
            ..Sample::default()
        };
        let requests = self.chance.u32(200..500);
        let canary = self.about(requests, split.share.ratio());
        let counts = [
            (Role::Stable, requests - canary, self.truth.stable),
            (Role::Canary, canary, self.truth.canary),
        ];
        for (role, count, per_mille) in counts {
            let failures = self.about(count, f64::from(per_mille) / 1_000.0);
            let cell = self.cell(u64::from(count), u64::from(failures), worker);
            let (split, stage) = (split.key, split.stage);
            sample.cells.insert(
                CellKey {
                    split,
                    stage,
                    role,
                    route: RouteId(0),
                    is_shadow: false,
                },
                cell,
            );
        }
        sample
    }

    /// As many as expected, give or take one.
    fn about(&mut self, count: u32, ratio: f64) -> u32 {
        let expected = f64::from(count) * ratio;
        let whole = (1..=count)
            .filter(|nth| f64::from(*nth) <= expected)
            .count();
        let whole = u32::try_from(whole).unwrap();
        whole + u32::from(self.chance.f64() < expected - f64::from(whole))
    }

    fn cell(&mut self, count: u64, failures: u64, worker: u16) -> Cell {
        let mut cell = Cell {
            assigned: count,
            trials: count,
            failures,
            ..Cell::default()
        };
        // Histograms are what takes the time of this test: one worker has them.
        if worker == 0 {
            for millis in 4..8 {
                cell.latency
                    .record_n(Duration::from_millis(millis), count / 4);
            }
        }
        if self.is_sticky {
            cell.at_risk = count;
            cell.failed_users = (0..failures).map(|_| self.chance.u64(..)).collect();
        }
        cell
    }
}
