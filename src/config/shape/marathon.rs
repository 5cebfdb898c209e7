//! Tasks of Marathon apps as endpoints.

use std::{path::PathBuf, time::Duration};

/// Which tasks of which apps, and whom to ask for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marathon {
    /// The masters, without a `/` at the end. One of them answers for all.
    pub masters: Vec<String>,
    /// The ids of the apps; empty: every app that the selector takes.
    pub apps: Vec<String>,
    /// What the labels of an app must say, all of it.
    pub labels: Vec<LabelRule>,
    /// Which of a task's ports.
    pub port: TaskPort,
    /// Which tasks while a deployment replaces them.
    pub tasks: TaskHalf,
    /// Tasks that a deployment has not found ready yet are left out.
    pub ready_only: bool,
    /// Whether the event stream is listened to.
    pub events: bool,
    /// The longest time between two questions.
    pub interval: Duration,
    /// The authorities that sign the masters' certificates; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Who asks.
    pub login: MasterLogin,
}

/// What one label of an app must say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelRule {
    /// The label.
    pub name: String,
    /// Its value; `None`: any.
    pub value: Option<String>,
    /// It must not say so.
    pub is_negated: bool,
}

/// Which of a task's ports is the endpoint's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskPort {
    /// The first that is not UDP.
    First,
    /// By its place, from 0.
    Index(usize),
    /// By its name in the app.
    Name(String),
    /// This number, whatever the app says.
    Number(u16),
}

/// Which tasks of an app, by the configuration that they were started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskHalf {
    /// All of them.
    All,
    /// Those of an earlier configuration; all, if none of them can be used.
    Old,
    /// Those of the app's present configuration; all, as long as there is none.
    New,
}

/// Who asks a master.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MasterLogin {
    /// Nobody in particular.
    None,
    /// A user and a file with the password.
    Basic {
        /// The user's name.
        user: String,
        /// The file with the password.
        password: PathBuf,
    },
    /// A service account of DC/OS: a file with its id, its key, and where it logs in.
    ServiceAccount(PathBuf),
}
