//! The tasks of a service of Amazon ECS.
//!
//! One round: `ListTasks` in pages, `DescribeTasks` by the hundred, and for tasks without an
//! interface of their own where their hosts are. A task that was there in the last round is asked
//! for again, even if `ListTasks` names it no more: that is how a task is seen to be stopping, and
//! how a list that came too short takes nobody away. Upstreams that pick tasks of the same service
//! (the two sides of a rolling deployment) share the rounds and see the same ones.

mod answers;
mod hosts;
mod read;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use self::{
    answers::{Described, Listed, Services, Task},
    hosts::Atlas,
    read::{Life, Rollouts, Seen},
};
use super::{
    DiscoverError, Environment, Outlet,
    aws::{Action, CallError, Caller, Pace, Service},
};
use crate::config::{Aws, Ecs, Source};

/// One round may take no longer: what is wrong must be told while people still wonder.
const ROUND: Duration = Duration::from_secs(8);
/// Tasks in one call.
const CHUNK: usize = 100;
/// A list without end is none.
const PAGES: usize = 200;

const LIST: Action = Action(Service::Ecs, "ListTasks");
const DESCRIBE: Action = Action(Service::Ecs, "DescribeTasks");
const SERVICES: Action = Action(Service::Ecs, "DescribeServices");

/// What the last round has come to; `None`: there was none yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Word(Option<Result<Arc<Seen>, DiscoverError>>);

/// A service that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fleet {
    aws: Aws,
    cluster: String,
    service: String,
    /// Whether its deployments are asked for, too.
    has_rollouts: bool,
}

impl Fleet {
    /// The one that an upstream picks from.
    pub(super) fn new(ecs: &Ecs) -> Self {
        use crate::config::Deployment::{Active, Id, Primary};
        Self {
            aws: ecs.aws.clone(),
            cluster: ecs.cluster.clone(),
            service: ecs.service.clone(),
            has_rollouts: match ecs.deployment {
                Some(Primary | Active) => true,
                Some(Id(_)) | None => false,
            },
        }
    }

    /// The one that a source picks from, if it does.
    pub(super) fn of(source: &Source) -> Option<Self> {
        match source {
            Source::Ecs(ecs) => Some(Self::new(ecs)),
            Source::CloudMap(_)
            | Source::Dns { .. }
            | Source::File(_)
            | Source::Marathon(_)
            | Source::Srv { .. }
            | Source::Static(_) => None,
        }
    }
}

/// Asks for a service again and again.
pub(super) async fn ask(fleet: Fleet, environment: Environment, tell: watch::Sender<Word>) {
    let mut pace = Pace::new(fleet.aws.interval);
    let caller = loop {
        match Caller::new(fleet.aws.clone(), environment.clone()).await {
            Ok(caller) => break caller,
            Err(error) => tell.send_replace(Word(Some(Err(error)))),
        };
        sleep(pace.next(false)).await;
    };
    let mut rounds = Rounds {
        caller,
        fleet,
        known: BTreeSet::new(),
        atlas: Atlas::default(),
        served: BTreeSet::new(),
    };
    loop {
        let late = || {
            let what = format!("{LIST} and what follows took longer than {ROUND:?}");
            CallError::Other(DiscoverError::Unreachable(what))
        };
        let round = timeout(ROUND, rounds.round()).await;
        let round = round.unwrap_or_else(|_| Err(late()));
        let is_throttled = round.as_ref().is_err_and(CallError::is_throttled);
        let word = round.map(Arc::new).map_err(DiscoverError::from);
        tell.send_replace(Word(Some(word)));
        sleep(pace.next(is_throttled)).await;
    }
}

/// Tells the endpoints of one upstream after each round.
pub(super) async fn run(ecs: Ecs, mut words: watch::Receiver<Word>, outlet: Outlet) {
    words.mark_changed();
    while words.changed().await.is_ok() {
        let Word(Some(word)) = words.borrow_and_update().clone() else {
            continue;
        };
        let is_heard = match word {
            Err(error) => outlet.tell(Err(error)).await,
            Ok(seen) => {
                let picked = read::pick(&seen, &ecs);
                outlet.tell_with(picked.endpoints, picked.odd).await
            }
        };
        if !is_heard {
            return;
        }
    }
}

/// Rounds of questions for one service.
struct Rounds {
    caller: Caller,
    fleet: Fleet,
    /// Tasks that were there in the last good round.
    known: BTreeSet<String>,
    atlas: Atlas,
    /// Deployments of which a task has been seen running.
    served: BTreeSet<String>,
}

impl Rounds {
    async fn round(&mut self) -> Result<Seen, CallError> {
        let listed = self.list().await?;
        let mut rollouts = if self.fleet.has_rollouts {
            self.rollouts().await?
        } else {
            Rollouts::default()
        };
        let asked: Vec<&String> = listed.union(&self.known).collect();
        let mut tasks = Vec::new();
        for chunk in asked.chunks(CHUNK) {
            let found = describe(&mut self.caller, &self.fleet.cluster, chunk).await?;
            tasks.extend(found);
        }
        if tasks.is_empty() && !listed.is_empty() {
            let what = format!(
                "{DESCRIBE} knows none of the {} tasks of {LIST}",
                listed.len()
            );
            return Err(DiscoverError::Malformed(what).into());
        }
        tasks.retain(|task| task.life() != Life::Gone);
        let cluster = &self.fleet.cluster;
        let hosts = self.atlas.learn(&mut self.caller, cluster, &tasks).await?;
        rollouts.remember(std::mem::take(&mut self.served), &tasks);
        self.served.clone_from(&rollouts.served);
        self.known = tasks.iter().map(|task| task.arn.clone()).collect();
        Ok(Seen {
            tasks,
            hosts,
            rollouts,
        })
    }

    async fn list(&mut self) -> Result<BTreeSet<String>, CallError> {
        let mut question = json!({
            "cluster": self.fleet.cluster,
            "serviceName": self.fleet.service,
        });
        let mut tasks = BTreeSet::new();
        for _ in 0..PAGES {
            let page: Listed = self.caller.json(LIST, &question).await?;
            tasks.extend(page.task_arns);
            match page.next_token.filter(|token| !token.is_empty()) {
                Some(token) => drop(
                    question
                        .as_object_mut()
                        .map(|question| question.insert("nextToken".to_owned(), token.into())),
                ),
                None => return Ok(tasks),
            }
        }
        let what = format!("{LIST} has no end after {PAGES} pages");
        Err(DiscoverError::Malformed(what).into())
    }

    async fn rollouts(&mut self) -> Result<Rollouts, CallError> {
        let Fleet {
            cluster, service, ..
        } = &self.fleet;
        let question = json!({ "cluster": cluster, "services": [service] });
        let told: Services = self.caller.json(SERVICES, &question).await?;
        let service = told.services.into_iter().next().ok_or_else(|| {
            DiscoverError::Unreachable(format!("{SERVICES} knows no service `{service}`"))
        })?;
        let task_sets = service.task_sets.filter(|sets| !sets.is_empty());
        let are_task_sets = task_sets.is_some();
        Ok(Rollouts {
            all: task_sets.or(service.deployments).unwrap_or_default(),
            are_task_sets,
            served: BTreeSet::new(),
        })
    }
}

async fn describe(
    caller: &mut Caller,
    cluster: &str,
    tasks: &[&String],
) -> Result<Vec<Task>, CallError> {
    let question = json!({ "cluster": cluster, "tasks": tasks });
    let told: Described = caller.json(DESCRIBE, &question).await?;
    let failures = told.failures.unwrap_or_default();
    let missing = |reason: &str| reason == "MISSING";
    let odd = failures
        .iter()
        .find_map(|failure| failure.reason.as_deref().filter(|reason| !missing(reason)));
    if let Some(reason) = odd {
        tracing::debug!(reason, "ECS does not tell about a task");
    }
    if told.tasks.len() + failures.len() < tasks.len() {
        let what = format!(
            "{DESCRIBE} left out some of {} tasks without a word",
            tasks.len()
        );
        return Err(DiscoverError::Malformed(what).into());
    }
    Ok(told.tasks)
}
