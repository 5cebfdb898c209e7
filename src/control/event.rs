//! Every cause that can change what the proxy does. The set is closed: there is no other way.

use tokio::sync::oneshot;

use super::{
    audit::Audit,
    dossier::{Dossier, Summary},
    ejections::EndpointAsk,
    gate::GateAnswer,
    reload::Loaded,
    status::{EndpointStatus, Totals},
};
pub use crate::rollout::Command;
use crate::{
    config::Problems,
    discover::{Checked, Discovered},
    measure::Sample,
    model::{Epoch, Share, SplitName},
};

/// A cause.
#[derive(Debug)]
pub enum Event {
    /// A good file was read.
    Configured(Box<Loaded>),
    /// A bad file was read; the last good one stays.
    Rejected(Problems),
    /// A source has answered (or failed to).
    Discovered(Discovered),
    /// The word of checks on an endpoint has changed.
    Checked(Checked),
    /// A worker hands over what it counted.
    Sampled(Box<Sample>),
    /// A person asks.
    Asked(Ask),
    /// A person asks for something about an endpoint.
    AskedOfEndpoint(EndpointAsk),
    /// Somebody wants to know of all endpoints.
    Surveyed(oneshot::Sender<Vec<EndpointStatus>>),
    /// A webhook that was asked to open a gate keeps it shut.
    Answered(GateAnswer),
    /// A scraper wants the totals.
    Scraped(oneshot::Sender<Totals>),
    /// Somebody wants to know of rollouts under way and of those that ended last.
    Recalled(Recall),
    /// An act that was done, or refused, before it came to control.
    Noted(Box<Audit>),
    /// Time has passed.
    Tick,
    /// The listeners are open.
    Listening,
    /// The process is going down: be not ready, publish nothing more.
    Draining,
    /// Another process is to know what is kept: let it have the journal, and say when it may. No
    /// answer: it may not.
    Lending(oneshot::Sender<()>),
    /// That process takes this one's place: decide nothing more. `false`: something was decided
    /// that it does not know, and this process must go on.
    Leaving(oneshot::Sender<bool>),
    /// It does not take its place: go on.
    TakingBack,
    /// The last word: write what is unwritten, answer, and end.
    Closing(oneshot::Sender<()>),
}

/// A person's act, with where the answer goes.
#[derive(Debug)]
pub struct Ask {
    /// On which split.
    pub split: SplitName,
    /// What to do.
    pub command: Command,
    /// Only if the split's epoch is this one (`If-Match`).
    pub if_epoch: Option<Epoch>,
    /// Why, for the audit log.
    pub reason: Option<String>,
    /// Who (a user name or an address), for the audit log.
    pub actor: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Done, Refusal>>,
}

/// What somebody wants to know of what is kept in memory, with where the answer goes.
#[derive(Debug)]
pub enum Recall {
    /// All of them in a line each.
    Summaries(oneshot::Sender<Vec<Summary>>),
    /// What is kept of each, as text; also of splits that the file does not have now.
    Records(oneshot::Sender<Vec<(SplitName, String)>>),
    /// All that is known of one; `None`: it is not the newest of its split.
    Dossier(SplitName, Epoch, oneshot::Sender<Option<Box<Dossier>>>),
    /// The newest lines of the audit log, of one split or of all, at most so many.
    Audit(Option<SplitName>, usize, oneshot::Sender<Vec<Audit>>),
    /// When everything that has happened is in the journal.
    Written(oneshot::Sender<()>),
}

/// What an act has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The epoch now.
    pub epoch: Epoch,
    /// The canary's share now in force.
    pub share: Share,
    /// One sentence for the person.
    pub message: String,
}

/// Why an act was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind.
    pub kind: RefusalKind,
    /// What is the matter, lower case, no full stop.
    pub message: String,
    /// What to do next.
    pub help: String,
}

/// What kind a refusal is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// No such split (404).
    NotFound,
    /// The split's epoch is another (412).
    Stale,
    /// The rollout's phase does not allow it (409).
    Conflict,
    /// The act makes no sense for this split (422).
    Invalid,
    /// What is asked for was kept, and cannot be read (500).
    Unreadable,
}
