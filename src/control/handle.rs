//! What other rooms hold of control: they ask, read and listen; they never write.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{
    Admission, Ask, Command, Done, EndpointAsk, EndpointCommand, EndpointStatus, Event, GateAnswer,
    News, Refusal, RefusalKind, Status, Totals, journal::Archive,
};
use crate::{
    config::Config,
    discover::Discovered,
    model::{Epoch, SplitName, UpstreamName},
};

/// A way to ask control and to read what it says. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) reloads: mpsc::Sender<()>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) config: watch::Receiver<Arc<Config>>,
    pub(super) news: broadcast::Sender<News>,
    /// What was kept of rollouts; `None`: nothing is kept.
    pub(super) archive: Option<Archive>,
    pub(super) admission: watch::Receiver<Arc<Admission>>,
}

/// Who asks for an act, why, and under what condition.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// A user name or an address, for the audit log.
    pub actor: String,
    /// Why, for the audit log.
    pub reason: Option<String>,
    /// Only if the split's epoch is this one.
    pub if_epoch: Option<Epoch>,
}

impl Handle {
    /// The last snapshot.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// Every snapshot from now on: on change and four times a second.
    pub fn watch(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// The file in force, now and whenever it changes (for discovery).
    pub fn config(&self) -> watch::Receiver<Arc<Config>> {
        self.config.clone()
    }

    /// Who may ask admin, and for what, as of now.
    pub fn admission(&self) -> Arc<Admission> {
        Arc::clone(&self.admission.borrow())
    }

    /// What happens from now on, line by line.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Asks for an act on a split and waits until it is in force or refused.
    pub async fn ask(
        &self,
        split: SplitName,
        command: Command,
        asker: Asker,
    ) -> Result<Done, Refusal> {
        let (answer, answered) = oneshot::channel();
        let Asker {
            actor,
            reason,
            if_epoch,
        } = asker;
        let ask = Ask {
            split,
            command,
            if_epoch,
            reason,
            actor,
            answer,
        };
        self.send(Event::Asked(ask)).await;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Asks for something about an endpoint; what it has led to, in words.
    pub async fn ask_of_endpoint(
        &self,
        (upstream, address): (Option<UpstreamName>, SocketAddr),
        command: EndpointCommand,
        asker: Asker,
    ) -> Result<String, Refusal> {
        let (answer, answered) = oneshot::channel();
        let ask = EndpointAsk {
            upstream,
            address,
            command,
            reason: asker.reason,
            actor: asker.actor,
            answer,
        };
        self.send(Event::AskedOfEndpoint(ask)).await;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Every endpoint as it is now; `None` if control has ended.
    pub async fn endpoints(&self) -> Option<Vec<EndpointStatus>> {
        let (answer, answered) = oneshot::channel();
        self.send(Event::Surveyed(answer)).await;
        answered.await.ok()
    }

    /// What metrics are made of; `None` if control has ended.
    pub async fn totals(&self) -> Option<Totals> {
        let (answer, answered) = oneshot::channel();
        self.send(Event::Scraped(answer)).await;
        answered.await.ok()
    }

    /// Reads the file now (SIGHUP). What comes of it is told in status and news.
    pub fn reload(&self) {
        // A full channel holds a reload that has not begun: it reads what this one would.
        let _already_asked = self.reloads.try_send(());
    }

    /// Hands over what a discovery source has answered.
    pub async fn discovered(&self, discovered: Discovered) {
        self.send(Event::Discovered(discovered)).await;
    }

    /// Hands over what a webhook has answered, if that keeps its gate shut.
    pub async fn gate_answered(&self, answer: GateAnswer) {
        self.send(Event::Answered(answer)).await;
    }

    /// Says that the listeners are open: a condition of readiness.
    pub async fn listening(&self) {
        self.send(Event::Listening).await;
    }

    /// Says that the process goes down: readiness ends, no plan is published any more.
    pub async fn drain(&self) {
        self.send(Event::Draining).await;
    }

    /// Lets another process have the journal; whether it may open it now. This one still judges,
    /// and writes nothing until [`Handle::take_back`].
    pub async fn lend(&self) -> bool {
        let (done, lent) = oneshot::channel();
        self.send(Event::Lending(done)).await;
        lent.await.is_ok()
    }

    /// Leaves all decisions to the process that has the journal; `false`: something was decided
    /// since it was lent, and nothing has changed.
    pub async fn leave(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.send(Event::Leaving(answer)).await;
        answered.await.unwrap_or(false)
    }

    /// Goes on after all, and writes what came up meanwhile.
    pub async fn take_back(&self) {
        self.send(Event::TakingBack).await;
    }

    /// The last word: waits until everything is written and the loop has ended.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.send(Event::Closing(done)).await;
        // An error means that the loop had ended already.
        let _ended = closed.await;
    }

    /// A sender of events, for those who make their own.
    pub fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    async fn send(&self, event: Event) {
        // An error means that control has ended: the answer channel says so to those who wait.
        let _ended = self.events.send(event).await;
    }
}

impl Handle {
    /// A handle on channels whose other ends the caller holds, in place of control's own.
    pub fn on(
        events: mpsc::Sender<Event>,
        reloads: mpsc::Sender<()>,
        status: watch::Receiver<Arc<Status>>,
        config: watch::Receiver<Arc<Config>>,
        news: broadcast::Sender<News>,
    ) -> Self {
        Self {
            events,
            reloads,
            status,
            config,
            news,
            archive: None,
            admission: watch::Sender::default().subscribe(),
        }
    }

    /// The same, with somebody else to say who may ask; without, nobody may.
    pub fn admitting(self, admission: watch::Receiver<Arc<Admission>>) -> Self {
        Self { admission, ..self }
    }
}

fn gone() -> Refusal {
    Refusal {
        kind: RefusalKind::Conflict,
        message: "the control loop has ended".to_owned(),
        help: "the process is going down; ask again when it is back".to_owned(),
    }
}
