//! Before and after: two files, each with what its rollouts decide and the plan that follows.
//!
//! Nothing here is a model of the proxy: rollouts are the ones that control runs, and the plan is
//! compiled as control compiles it. So what is said of the new file is what the proxy will do.

use std::collections::HashMap;

use crate::{
    config::{Config, Source, Split},
    model::{Generation, Moment, Nonce, SplitName, Stage, UpstreamName},
    plan::{self, Inputs, Keys, Plan, Secrets, Shift, Tls},
    rollout::{Event, Origin, Record, Rollout},
};

/// What is kept of each split's rollout.
pub(super) type Records = HashMap<SplitName, Record>;

/// Tells the rollouts that the new file begins from those that are under way.
const NEW: Nonce = Nonce(1);
/// Stands for the proxy's own secret, which is the same before and after.
const OWN_SECRET: [u8; 32] = [1; 32];

/// One file, and what it leads to.
#[derive(Debug)]
pub(super) struct Side {
    /// What is written.
    pub(super) config: Config,
    /// By split: where its rollout stands.
    pub(super) rollouts: HashMap<SplitName, Rollout>,
    /// What the proxy obeys.
    pub(super) plan: Plan,
    /// What the file says and what is not done, by split, in words.
    pub(super) refused: Vec<(SplitName, String)>,
}

impl Side {
    /// The file in force.
    pub(super) fn before(config: Config, records: &Records, now: Moment) -> Self {
        let mut rollouts = HashMap::new();
        for split in &config.splits {
            let kept = records.get(&split.name).cloned();
            let (rollout, _) = Rollout::new(split, origin(kept), Nonce(0), now);
            rollouts.insert(split.name.clone(), rollout);
        }
        Self::of(config, rollouts, Vec::new())
    }

    /// Another file, saved while the first is in force.
    pub(super) fn after(&self, config: Config, records: &Records, now: Moment) -> Self {
        let (mut rollouts, mut refused) = (HashMap::new(), Vec::new());
        for split in &config.splits {
            let (rollout, decisions) = if let Some(known) = self.rollouts.get(&split.name) {
                let mut rollout = known.clone();
                let decisions = rollout.on(Event::Configured(split, NEW), now);
                (rollout, decisions)
            } else {
                let kept = records.get(&split.name).cloned();
                Rollout::new(split, origin(kept), NEW, now)
            };
            let entries = decisions.entries.iter();
            let held =
                entries.filter(|entry| matches!(entry.what, "barred" | "refused" | "waiting"));
            refused.extend(held.map(|entry| (split.name.clone(), entry.why.clone())));
            refused.extend(ignored(split, &rollout).map(|why| (split.name.clone(), why)));
            rollouts.insert(split.name.clone(), rollout);
        }
        Self::of(config, rollouts, refused)
    }

    fn of(
        config: Config,
        rollouts: HashMap<SplitName, Rollout>,
        refused: Vec<(SplitName, String)>,
    ) -> Self {
        let shift = |rollout: &Rollout| Shift {
            epoch: rollout.epoch(),
            nonce: rollout.state().nonce,
            stage: Stage(0),
            share: rollout.share(),
        };
        let shifts = rollouts.iter().map(|(name, it)| (name.clone(), shift(it)));
        let inputs = Inputs {
            config: &config,
            endpoints: &HashMap::new(),
            shifts: &shifts.collect(),
            secrets: &secrets(&config),
            tls: &Tls::default(),
            previous: None,
            generation: Generation(0),
            now: Moment::ZERO,
        };
        let plan = plan::compile(&inputs, &mut Keys::default());
        Self {
            config,
            rollouts,
            plan,
            refused,
        }
    }

    /// A split as it is written.
    pub(super) fn written(&self, name: &SplitName) -> Option<&Split> {
        self.config.splits.iter().find(|split| split.name == *name)
    }

    /// A split as the proxy obeys it.
    pub(super) fn split(&self, name: &SplitName) -> Option<&plan::Split> {
        let found = self.plan.splits.iter().find(|split| split.name == *name);
        found.map(|split| &**split)
    }

    /// How many endpoints the file names for an upstream; `None`: they are found elsewhere.
    pub(super) fn endpoints(&self, name: &UpstreamName) -> Option<usize> {
        let mut upstreams = self.config.upstreams.iter();
        let upstream = upstreams.find(|upstream| upstream.name == *name)?;
        match &upstream.source {
            Source::Static(list) => Some(list.len()),
            Source::CloudMap(_)
            | Source::Ecs(_)
            | Source::File(_)
            | Source::Dns { .. }
            | Source::Marathon(_)
            | Source::Srv { .. } => None,
        }
    }
}

fn origin(kept: Option<Record>) -> Origin {
    kept.map_or(Origin::New, |record| Origin::Kept(Box::new(record)))
}

/// A weight that is written, but is not the one in force, and that nobody has changed.
fn ignored(split: &Split, rollout: &Rollout) -> Option<String> {
    let written = split.weight.filter(|_| split.canary.is_some())?;
    let share = rollout.share();
    let is_plain = split.rollout.is_none() && !rollout.state().aborted;
    (is_plain && written != share).then(|| {
        format!(
            "{written} is written and {share} is in force: a save that does not change `weight` \
             moves nothing; `serin set-weight {} {written}` does",
            split.name
        )
    })
}

/// A secret stands for each file that holds one: the same file before and after is the same.
fn secrets(config: &Config) -> Secrets {
    let stickies = config
        .splits
        .iter()
        .filter_map(|split| split.sticky.as_ref());
    let files = stickies.filter_map(|sticky| sticky.secret_file.clone());
    Secrets {
        default: OWN_SECRET.to_vec(),
        files: files
            .map(|file| {
                let secret = file.as_os_str().as_encoded_bytes().to_vec();
                (file, secret)
            })
            .collect(),
    }
}
