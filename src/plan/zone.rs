//! Endpoints in the proxy's own zone are preferred, as far as they can carry its part.
//!
//! Proxies are taken to be spread evenly over the zones, which is all that one of them can know. So
//! each zone brings an equal part of the requests; if the own zone has at least its part of the
//! weight, all requests stay, else those stay that it can carry, and the rest goes to the others.

use std::collections::BTreeSet;

use super::{Target, rotation::mix};
use crate::model::{Zone, number::long};

/// An upstream's endpoints, here and elsewhere.
#[derive(Debug, PartialEq)]
pub struct Near {
    here: Box<[Target]>,
    elsewhere: Box<[Target]>,
    /// The part of requests that stays, of 2^32.
    stays: u64,
}

impl Near {
    /// `None`: there is nothing to prefer.
    pub(super) fn new(targets: &[Target], zones: &[Option<Zone>], own: &Zone) -> Option<Self> {
        let part = |is_wanted: bool| {
            let all = targets.iter().zip(zones);
            let wanted = all.filter(|(_, zone)| (zone.as_ref() == Some(own)) == is_wanted);
            Target::part(wanted.map(|(target, _)| target.clone()))
        };
        let (here, elsewhere) = (part(true), part(false));
        if here.is_empty() || elsewhere.is_empty() {
            return None;
        }
        let weight = |targets: &[Target]| -> u64 {
            targets.iter().map(|target| u64::from(target.weight)).sum()
        };
        // Endpoints of no zone are one zone more.
        let count = long(zones.iter().collect::<BTreeSet<_>>().len());
        let all = weight(&here) + weight(&elsewhere);
        let carried = (weight(&here) * count).saturating_mul(1 << 32) / all.max(1);
        Some(Self {
            stays: carried.min(1 << 32),
            here,
            elsewhere,
        })
    }

    /// Where a request goes.
    pub(super) fn pick(&self, random: u64) -> &[Target] {
        if mix(!random) >> 32 < self.stays {
            &self.here
        } else {
            &self.elsewhere
        }
    }
}
