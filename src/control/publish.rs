//! Shares, endpoints and the file in; a plan in force out. The only holder of the publisher (I1).

use std::{collections::HashMap, sync::Arc};

use super::endpoints::Endpoints;
use crate::{
    config::Config,
    model::{Generation, Moment, SplitKey, SplitName},
    plan::{self, Inputs, Keys, Plan, Publisher, Reader, Secrets, Shift, Tls, compile},
};

/// What is in force, and the means to replace it.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) config: Arc<Config>,
    pub(super) secrets: Secrets,
    pub(super) tls: Tls,
    pub(super) endpoints: Endpoints,
    pub(super) shifts: HashMap<SplitName, Shift>,
    keys: Keys,
    publisher: Publisher,
    reader: Reader,
    /// Plans that were in force and that some worker may still hold.
    retired: Vec<Arc<Plan>>,
}

impl InForce {
    /// Puts a first plan in force.
    pub(super) fn begin(
        config: Config,
        (secrets, tls): (Secrets, Tls),
        endpoints: Endpoints,
        shifts: HashMap<SplitName, Shift>,
        mut keys: Keys,
    ) -> Self {
        let inputs = Inputs {
            config: &config,
            endpoints: &endpoints.good,
            shifts: &shifts,
            secrets: &secrets,
            tls: &tls,
            previous: None,
            generation: Generation(1),
            now: Moment::ZERO,
        };
        let (publisher, reader) = plan::channel(compile(&inputs, &mut keys));
        let config = Arc::new(config);
        Self {
            config,
            secrets,
            tls,
            endpoints,
            shifts,
            keys,
            publisher,
            reader,
            retired: Vec::new(),
        }
    }

    /// Puts what is here now in force, under the next generation.
    pub(super) fn publish(&mut self, now: Moment) {
        let previous = Arc::clone(self.reader.current());
        let inputs = Inputs {
            config: &self.config,
            endpoints: &self.endpoints.good,
            shifts: &self.shifts,
            secrets: &self.secrets,
            tls: &self.tls,
            previous: Some(&previous),
            generation: previous.generation.next(),
            now,
        };
        let plan = compile(&inputs, &mut self.keys);
        let is_published = self.publisher.publish(plan);
        debug_assert!(is_published, "generations rise");
        self.retired.push(previous);
        self.free_retired();
    }

    /// Frees plans that nobody else holds any more. It is done here, so that no request waits
    /// while thousands of routes or endpoints are freed.
    pub(super) fn free_retired(&mut self) {
        let _current = self.reader.current();
        self.retired.retain(|plan| Arc::strong_count(plan) > 1);
    }

    /// The number of the plan in force.
    pub(super) fn generation(&mut self) -> Generation {
        self.reader.current().generation
    }

    /// The plan in force.
    pub(super) fn plan(&mut self) -> Arc<Plan> {
        Arc::clone(self.reader.current())
    }

    /// A reader for a worker.
    pub(super) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The key of a split in every plan of this process.
    pub(super) fn key(&mut self, split: &SplitName) -> SplitKey {
        self.keys.split(split)
    }
}
