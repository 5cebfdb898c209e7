//! How often one may try.
//!
//! One task owns what is remembered of each caller, and is asked over a channel. It remembers at
//! most [`CALLERS_MAX`] of each kind, and forgets who has been quiet, so that strangers cannot fill
//! it. Aborts have a budget of their own: nothing else that a caller does can use it up.

use std::{collections::HashMap, time::Duration};

use tokio::sync::{mpsc, oneshot};

use crate::{clock, model::Moment};

/// Callers of one kind that are remembered.
const CALLERS_MAX: usize = 1_024;
/// Questions that may wait.
const WAITING_MAX: usize = 256;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Try {
    /// A token that is not known; by address.
    Unknown,
    /// What the caller's role does not allow: it is written down.
    Refused,
    /// An act.
    Act,
    /// The act that takes a canary to zero.
    Abort,
}

impl Try {
    /// How many at once, and the time after which there is one more.
    const fn budget(self) -> (u32, Duration) {
        match self {
            Self::Unknown => (30, Duration::from_secs(2)),
            Self::Refused => (60, Duration::from_secs(1)),
            // A deployment that changes a weight ten times a second is no stranger.
            Self::Act | Self::Abort => (100, Duration::from_millis(50)),
        }
    }
}

/// What waits for an answer: how long to wait, if the budget is used up.
type Question = (Try, String, oneshot::Sender<Option<Duration>>);

/// The way to ask. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pace(mpsc::Sender<Question>);

impl Pace {
    /// The way to ask, and what answers until nobody can ask any more.
    pub(super) fn new() -> (Self, impl Future<Output = ()> + Send) {
        let (ask, mut asked) = mpsc::channel::<Question>(WAITING_MAX);
        let answering = async move {
            let mut budgets = Budgets::default();
            while let Some((what, who, answer)) = asked.recv().await {
                // Whoever asked may be gone.
                let _gone = answer.send(budgets.spend(what, who, clock::now()));
            }
        };
        (Self(ask), answering)
    }

    /// Counts a try; how long to wait if it is one too many.
    pub(super) async fn spend(&self, what: Try, who: String) -> Option<Duration> {
        let (answer, answered) = oneshot::channel();
        let is_asked = self.0.send((what, who, answer)).await.is_ok();
        match answered.await {
            Ok(wait) if is_asked => wait,
            // The process goes down. An abort is let through, whatever happens.
            Ok(_) | Err(_) => (what != Try::Abort).then_some(Duration::from_secs(1)),
        }
    }
}

/// What is left to whom: for each, when its budget will be whole again.
#[derive(Debug, Default)]
struct Budgets(HashMap<(Try, String), Moment>);

impl Budgets {
    fn spend(&mut self, what: Try, who: String, now: Moment) -> Option<Duration> {
        let (burst, every) = what.budget();
        let key = (what, who);
        let whole_at = self.0.get(&key).copied().unwrap_or(now).max(now);
        let spent = whole_at.since(now);
        let limit = every * (burst - 1);
        if spent > limit {
            return Some(spent.saturating_sub(limit));
        }
        self.make_room(what, now);
        self.0.insert(key, whole_at + every);
        None
    }

    /// Forgets who has a whole budget; if all are busy, who is nearest to it.
    fn make_room(&mut self, what: Try, now: Moment) {
        let of_kind = |budgets: &HashMap<(Try, String), Moment>| {
            budgets.keys().filter(|(kind, _)| *kind == what).count()
        };
        if of_kind(&self.0) < CALLERS_MAX {
            return;
        }
        self.0.retain(|_, whole_at| *whole_at > now);
        if of_kind(&self.0) < CALLERS_MAX {
            return;
        }
        let known = self.0.iter().filter(|((kind, _), _)| *kind == what);
        let nearest = known.min_by_key(|(_, whole_at)| **whole_at);
        if let Some(nearest) = nearest.map(|(key, _)| key.clone()) {
            self.0.remove(&nearest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);

    #[test]
    fn a_budget_is_used_up_and_comes_back() {
        let mut budgets = Budgets::default();
        let mut act = |now| budgets.spend(Try::Act, "kim".to_owned(), now);
        for _ in 0..100 {
            assert_eq!(act(NOW), None);
        }
        let wait = act(NOW).unwrap();
        assert_eq!(wait, Duration::from_millis(50));
        assert_eq!(act(NOW + wait), None);
        assert!(act(NOW + wait).is_some());
        let later = NOW + Duration::from_mins(1);
        assert!((0..100).all(|_| act(later).is_none()), "whole again");
        assert!(act(later).is_some());
    }

    #[test]
    fn nobody_uses_up_what_is_anothers_nor_what_aborts_need() {
        let mut budgets = Budgets::default();
        let mut spend = |what, who: &str| budgets.spend(what, who.to_owned(), NOW);
        while spend(Try::Act, "kim").is_none() {}
        while spend(Try::Unknown, "10.0.0.7").is_none() {}
        assert_eq!(spend(Try::Abort, "kim"), None);
        assert_eq!(spend(Try::Act, "lee"), None);
        assert_eq!(spend(Try::Unknown, "10.0.0.8"), None);
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut budgets = Budgets::default();
        for number in 0..20_000 {
            budgets.spend(Try::Unknown, number.to_string(), NOW);
            budgets.spend(Try::Act, number.to_string(), NOW);
        }
        assert!(budgets.0.len() <= 2 * CALLERS_MAX, "{}", budgets.0.len());
        let later = NOW + Duration::from_hours(1);
        budgets.spend(Try::Unknown, "one more".to_owned(), later);
        assert!(budgets.0.len() < CALLERS_MAX, "the quiet are forgotten");
    }
}
