//! Endpoints that Amazon knows.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Which of Amazon's APIs is asked, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Aws {
    /// The region; `None`: the environment's, or the instance's.
    pub region: Option<String>,
    /// Where the API is asked, without a path; `None`: the environment's, or the region's.
    pub endpoint: Option<String>,
    /// A file with a key, in the form of `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
    /// The time between two questions.
    pub interval: Duration,
}

/// The tasks of a service of Amazon ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ecs {
    /// Who is asked.
    pub aws: Aws,
    /// The cluster: a name or an ARN.
    pub cluster: String,
    /// The service: a name or an ARN.
    pub service: String,
    /// The port that the container listens on.
    pub port: u16,
    /// The container whose port and health count.
    pub container: Option<String>,
    /// Tasks of this deployment only.
    pub deployment: Option<Deployment>,
    /// Tasks of this task definition only: `family:revision`, a family, or an ARN.
    pub task_definition: Option<String>,
}

/// A deployment of a service, or a task set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployment {
    /// The one that ECS calls `PRIMARY`; another stands in for it while it has not served yet.
    Primary,
    /// Those that ECS calls `ACTIVE`; while there is none, the primary one.
    Active,
    /// The one with this id.
    Id(String),
}

/// The instances of a service of AWS Cloud Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMap {
    /// Who is asked.
    pub aws: Aws,
    /// The name of the namespace.
    pub namespace: String,
    /// The name of the service.
    pub service: String,
    /// The port of instances that are registered without one.
    pub port: Option<u16>,
    /// Instances with these attributes only.
    pub attributes: BTreeMap<String, String>,
    /// The attribute that tells a new release from an old one.
    pub version_attribute: String,
}
