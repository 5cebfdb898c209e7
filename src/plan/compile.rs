//! From what was written, what is alive and what is decided: the plan.

use std::{collections::HashMap, sync::Arc};

use super::{Plan, Secrets};
use crate::{
    config::Config,
    model::{Endpoint, Epoch, Generation, Nonce, Share, SplitName, Stage, UpstreamName},
};

/// Allots keys that mean the same in every plan of this process.
#[derive(Debug, Default)]
pub struct Keys {}

/// What control has decided for one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Of its rollout; with the nonce, what cookies are bound to.
    pub epoch: Epoch,
    /// Tells rollouts of the same epoch apart.
    pub nonce: Nonce,
    /// The stage that samples carry.
    pub stage: Stage,
    /// The canary's share.
    pub share: Share,
}

/// What [`compile`] needs.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// What the human wrote.
    pub config: &'a Config,
    /// The last good endpoints by upstream.
    pub endpoints: &'a HashMap<UpstreamName, Arc<[Endpoint]>>,
    /// By split; a split that is not here gets its stable version only.
    pub shifts: &'a HashMap<SplitName, Shift>,
    /// What cookies and overrides are signed with.
    pub secrets: &'a Secrets,
    /// The plan in force: parts that did not change are shared.
    pub previous: Option<&'a Plan>,
    /// The number of the new plan.
    pub generation: Generation,
}

/// Makes a plan. Pure: the same inputs and keys give the same plan.
pub fn compile(_inputs: &Inputs<'_>, _keys: &mut Keys) -> Plan {
    todo!()
}
