//! One bad route, told apart from a bad version.
//!
//! A fault of one route in five shows in the whole as soon as in the route, and the whole has more
//! of the capital: so it is the whole that accuses, where the route would say more. If one route
//! has the surplus of hits, and the others together are as good as stable, the failure is its.

use super::{
    evidence::Evidence,
    suspect::{Part, alone},
    weigh::Failure,
};
use crate::model::{Moment, RouteName};

impl Evidence {
    /// A failure of the whole that was found at `at` is put down to a route, if it is of one alone.
    pub(super) fn blame_route(&mut self, at: Moment) {
        let is_open = |failure: &&Failure| failure.at == at && failure.route.is_none();
        let Some(failure) = self.failure().filter(is_open) else {
            return;
        };
        // A plain rule is of the whole.
        if failure.cause.starts_with("absolute:") {
            return;
        }
        if let Some(route) = self.culprit(&failure.cause) {
            let why = self.words(&failure.cause, Some(&route));
            self.weighed.blame(route, why);
        }
    }

    /// The one route that is bad by this cause, among good ones.
    fn culprit(&self, cause: &str) -> Option<RouteName> {
        let margin = if cause.contains("latency_") {
            self.criteria.latency()
        } else {
            self.criteria.errors
        };
        let parts = self.routes.iter().map(|route| {
            let (counts, _) = route.strand.seen(cause, &self.criteria);
            Part {
                of: &route.name,
                counts: counts.canary,
                edge: margin.edge(counts.stable.rate()),
            }
        });
        let parts: Vec<_> = parts.filter(|part| part.counts.trials > 0).collect();
        let (own, _) = alone(&parts)?;
        Some(own.of.clone())
    }
}
