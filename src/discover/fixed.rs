//! A list of hosts and ports, and the loop that keeps its addresses fresh.
//!
//! Addresses are endpoints at once. Host names are asked for when their answer's time is over; a
//! name that fails keeps its last good addresses and is asked again, ever more slowly.

use std::{cmp::Reverse, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{DiscoverError, Names, Outlet, dns::Host};
use crate::{config::StaticEndpoint, model::Endpoint};

/// The first wait after an error; each further error doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after errors.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How often names may and must be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two questions, whatever the TTL.
    pub(super) shortest: Duration,
    /// Between two questions, whatever the TTL.
    pub(super) longest: Duration,
}

impl Pace {
    /// For host names in a list, which has no keys for it.
    pub(super) const OF_HOSTS: Self = Self {
        shortest: Duration::from_secs(1),
        longest: Duration::from_mins(1),
    };

    /// When to ask next. After an error: later with each, and never all proxies at the same time.
    pub(super) fn wait(self, holds: Duration, errors: u32) -> Duration {
        if errors == 0 {
            return holds.clamp(self.shortest, self.longest);
        }
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(errors.saturating_sub(1)));
        doubled
            .min(LAST_RETRY)
            .min(self.longest)
            .mul_f64(0.75 + 0.5 * fastrand::f64())
    }
}

/// Hosts and ports with what is known of their addresses.
#[derive(Debug)]
pub(super) struct List(Vec<Item>);

#[derive(Debug)]
struct Item {
    host: Host,
    written: StaticEndpoint,
}

/// What asking for a list's names has come to.
pub(super) struct Asked {
    /// How long the answers hold.
    holds: Duration,
    /// The first name that failed.
    error: Option<DiscoverError>,
}

impl List {
    /// A list as written.
    pub(super) fn new(written: &[StaticEndpoint]) -> Self {
        let item = |one: &StaticEndpoint| Item {
            host: Host::new(&one.host),
            written: one.clone(),
        };
        Self(written.iter().map(item).collect())
    }

    /// One name, all of whose addresses are endpoints.
    pub(super) fn of_name(name: &str, port: u16) -> Self {
        Self(vec![Item {
            host: Host::new(name),
            written: StaticEndpoint::new(name, port),
        }])
    }

    /// Sorted by address; of doubles the heaviest.
    pub(super) fn endpoints(&self) -> Arc<[Endpoint]> {
        let all = self.0.iter().flat_map(|item| {
            let StaticEndpoint {
                port,
                weight,
                zone,
                version,
                health,
                draining,
                ..
            } = &item.written;
            item.host.addresses().map(|address| Endpoint {
                address: SocketAddr::new(address, *port),
                weight: *weight,
                health: *health,
                draining: *draining,
                zone: zone.clone(),
                version: version.clone(),
            })
        });
        let mut endpoints: Vec<Endpoint> = all.collect();
        endpoints.sort_by_key(|endpoint| (endpoint.address, Reverse(endpoint.weight)));
        endpoints.dedup_by_key(|endpoint| endpoint.address);
        endpoints.into()
    }

    /// Whether nobody needs to be asked.
    pub(super) fn is_literal(&self) -> bool {
        self.0.iter().all(|item| item.host.is_literal())
    }

    /// Asks for every name, and tells the endpoints then known, and then what failed.
    pub(super) async fn refresh(&mut self, names: &Names, outlet: &Outlet) -> Option<Asked> {
        let (mut asking, mut answers) = (JoinSet::new(), Vec::new());
        for (place, mut item) in std::mem::take(&mut self.0).into_iter().enumerate() {
            // There may be thousands of addresses: only names need a task.
            if item.host.is_literal() {
                answers.push((place, Ok(Duration::MAX), item));
                continue;
            }
            let names = names.clone();
            asking.spawn(async move { (place, item.host.ask(&names).await, item) });
        }
        answers.extend(asking.join_all().await);
        answers.sort_by_key(|(place, _, _)| *place);
        let mut asked = Asked {
            holds: Duration::MAX,
            error: None,
        };
        let mut has_answer = answers.is_empty();
        for (_, answer, item) in answers {
            self.0.push(item);
            match answer {
                Ok(holds) => (asked.holds, has_answer) = (asked.holds.min(holds), true),
                Err(error) => asked.error = asked.error.or(Some(error)),
            }
        }
        if has_answer && !outlet.tell(Ok(self.endpoints())).await {
            return None;
        }
        match &asked.error {
            Some(error) if !outlet.tell(Err(error.clone())).await => None,
            _ => Some(asked),
        }
    }
}

/// When a list must be asked for again.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    errors: u32,
}

impl Schedule {
    /// No errors so far.
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, errors: 0 }
    }

    /// Refreshes and says how long to wait; `None`: nobody listens any more.
    pub(super) async fn refresh(
        &mut self,
        list: &mut List,
        names: &Names,
        outlet: &Outlet,
    ) -> Option<Duration> {
        let asked = list.refresh(names, outlet).await?;
        self.errors = if asked.error.is_some() {
            self.errors.saturating_add(1)
        } else {
            0
        };
        Some(self.pace.wait(asked.holds, self.errors))
    }
}

/// Keeps one list fresh. Of one that is all addresses nobody is asked; it is told again so that its
/// age stays small.
pub(super) async fn run(mut list: List, pace: Pace, names: Names, outlet: Outlet) {
    let mut schedule = Schedule::new(pace);
    while let Some(wait) = schedule.refresh(&mut list, &names, &outlet).await {
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_kept_within_the_pace_and_errors_slow_down() {
        let pace = Pace {
            shortest: Duration::from_secs(2),
            longest: Duration::from_mins(1),
        };
        let cases = [(0, 2), (30, 30), (86_400, 60)];
        for (ttl, wait) in cases {
            assert_eq!(
                pace.wait(Duration::from_secs(ttl), 0),
                Duration::from_secs(wait)
            );
        }
        for (errors, least, most) in [(1, 0.75, 1.25), (3, 3.0, 5.0), (40, 22.5, 37.5)] {
            let wait = pace.wait(Duration::ZERO, errors).as_secs_f64();
            assert!(
                (least..=most).contains(&wait),
                "after {errors} errors: {wait}"
            );
        }
    }
}
