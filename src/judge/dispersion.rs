//! How clustered stable's failures are: the index by which evidence is divided.
//!
//! Failures of one endpoint during a restart share a fate, and the coin does not help against
//! that. So, before a rollout, stable's endpoints are compared with each other: 1 means their
//! failures fall independently; 8, that they come in clumps of about eight. Each tick is compared
//! given its total, so an outage of all endpoints at once does not count.

use std::time::Duration;

use super::estimate::Decay;
use crate::model::number::real;

/// How much expected scatter there must be before the index is believed.
const SCATTER_MIN: f64 = 5.0;
/// In which time old scatter loses half of its say.
const HALF_LIFE: Duration = Duration::from_mins(10);
/// The index is raised by this much before it is used: it is an estimate.
const CAUTION: f64 = 1.15;

/// Scatter of failures between stable's endpoints, gathered over ticks of about a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dispersion {
    seen: f64,
    expected: f64,
}

impl Dispersion {
    /// Takes a tick: requests and failures of each endpoint.
    pub fn absorb(&mut self, endpoints: &[(u64, u64)]) {
        let requests: u64 = endpoints.iter().map(|(requests, _)| requests).sum();
        let failures: u64 = endpoints.iter().map(|(_, failures)| failures).sum();
        if failures == 0 || requests == 0 {
            return;
        }
        for (endpoint_requests, endpoint_failures) in endpoints {
            let part = real(*endpoint_requests) / real(requests);
            let expected = real(failures) * part;
            self.seen += (real(*endpoint_failures) - expected).powi(2);
            self.expected += expected * (1.0 - part);
        }
    }

    /// Lets what is old have less to say.
    pub fn fade(&mut self, elapsed: Duration) {
        let left = Decay::after(elapsed, HALF_LIFE).0;
        self.seen *= left;
        self.expected *= left;
    }

    /// The index; `None` while too little is known.
    pub fn index(&self) -> Option<f64> {
        (self.expected >= SCATTER_MIN).then(|| self.seen / self.expected)
    }

    /// What [`super::Criteria::dispersion`] should be: at least 1.
    pub fn divisor(&self) -> f64 {
        self.index().map_or(1.0, |index| (CAUTION * index).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_failures_give_one_and_clumps_their_size() {
        let (mut even, mut clumped) = (Dispersion::default(), Dispersion::default());
        assert!((even.divisor() - 1.0).abs() < 1e-12);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..4_000 {
            let mut endpoints = [(100, 0); 10];
            for _ in 0..3 {
                endpoints[random.usize(0..10)].1 += 1_u64;
            }
            even.absorb(&endpoints);
            let mut endpoints = [(100, 0); 10];
            endpoints[random.usize(0..10)].1 = 8;
            clumped.absorb(&endpoints);
            even.absorb(&[(100, 0); 10]);
        }
        let (even, clumped) = (even.index().unwrap(), clumped.index().unwrap());
        assert!((0.9..1.1).contains(&even), "{even}");
        assert!((7.9..8.1).contains(&clumped), "{clumped}");
    }

    #[test]
    fn old_clumps_fade() {
        let mut index = Dispersion::default();
        for _ in 0..30 {
            index.absorb(&[(100, 8), (100, 0)]);
        }
        for _ in 0..3_600 {
            index.fade(Duration::from_secs(1));
            index.absorb(&[(100, 1), (100, 0)]);
        }
        let index = index.index().unwrap();
        assert!((1.0..1.1).contains(&index), "{index}");
    }

    #[test]
    fn an_outage_of_all_endpoints_is_no_clump() {
        let mut outage = Dispersion::default();
        for _ in 0..10 {
            outage.absorb(&[(100, 100); 10]);
        }
        assert!(outage.index().unwrap() < 0.01);
    }
}
