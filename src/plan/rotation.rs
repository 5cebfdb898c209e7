//! Points for requests that fall on their own: spread evenly instead of drawn.

use crate::model::{Point, SplitKey};

/// Every 10,000 requests fall on every point once, and every shorter run is spread evenly too.
///
/// Each worker owns one. A step of about the golden ratio of the circle leaves the most even gaps;
/// 6,181 is the nearest number to it that has no factor in common with 10,000.
#[derive(Debug, Clone)]
pub struct Rotation {
    seed: u64,
    last: Vec<u16>,
}

const STEP: u16 = 6_181;
const CIRCLE: u16 = 10_000;

impl Rotation {
    /// Workers with different seeds start in different places.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            last: Vec::new(),
        }
    }

    /// Where this split's next request falls.
    pub fn next(&mut self, split: SplitKey) -> Point {
        let at = split.index();
        while self.last.len() <= at {
            self.seed = mix(self.seed);
            self.last.push(Point::from_hash(self.seed).value());
        }
        let Some(last) = self.last.get_mut(at) else {
            return Point::from_hash(0);
        };
        *last = last.saturating_add(STEP) % CIRCLE;
        Point::from_hash(u64::from(*last))
    }
}

/// One step of `SplitMix64`: makes of a random number another one.
pub(super) const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
