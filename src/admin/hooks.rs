//! Asks webhooks whether gates may open.
//!
//! Control says in its status which gates wait for whom. One task for each such gate asks, one
//! request at a time, until the gate is open or waits no more. Nothing else waits for a webhook: a
//! slow or dead one keeps its own gate shut, and that is all.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
};

use http::{Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::wire::{self, GateQuestion};
use crate::{
    control::{Asker, Command, Gate, GateAnswer, Handle, SplitStatus, Status},
    model::{Epoch, SplitName},
};

type Http = Client<HttpConnector, Full<Bytes>>;

/// A gate while it waits: split, epoch, revision and step. A person's act begins a new wait.
type Place = (SplitName, Epoch, u64, usize);

/// Asks for every gate that waits, until `ending`.
pub(super) async fn follow(handle: Handle, ending: CancellationToken) {
    let client: Http = Client::builder(TokioExecutor::new()).build_http();
    let mut changes = handle.watch();
    let mut asking: HashMap<Place, AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let status = changes.borrow_and_update().clone();
        let waiting = waiting(&status);
        asking.retain(|place, task| {
            let is_waiting = waiting.contains(place);
            if !is_waiting {
                task.abort();
            }
            is_waiting
        });
        for place in waiting {
            asking.entry(place).or_insert_with_key(|place| {
                let asks = ask_until_open(handle.clone(), client.clone(), place.clone());
                tasks.spawn(asks)
            });
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = ending.cancelled() => return,
            next = changes.changed() => if next.is_err() {
                return;
            },
        }
    }
}

fn waiting(status: &Status) -> HashSet<Place> {
    if status.is_draining {
        return HashSet::new();
    }
    let place = |split: &SplitStatus| {
        let gate = split.gate.as_ref()?;
        Some((split.name.clone(), split.epoch, split.revision, gate.step))
    };
    status.splits.iter().filter_map(place).collect()
}

async fn ask_until_open(handle: Handle, client: Http, place: Place) {
    let (split, epoch, _, step) = place;
    loop {
        let status = handle.status();
        let mut splits = status.splits.iter();
        let Some((known, gate)) = splits
            .find(|known| known.name == split)
            .and_then(|known| Some((known, known.gate.as_ref()?)))
        else {
            return;
        };
        let by = format!("webhook {}", host(&gate.url));
        let question = wire::to_json(&GateQuestion::new(known, gate));
        let answer = match ask(&client, gate, question).await {
            Ok(answer) => {
                let asker = Asker {
                    actor: by.clone(),
                    reason: Some(answer),
                    if_epoch: Some(epoch),
                };
                let command = Command::OpenGate { step: Some(step) };
                match handle.ask(split.clone(), command, asker).await {
                    Ok(_) => return,
                    Err(refusal) => refusal.to_string(),
                }
            }
            Err(answer) => answer,
        };
        handle
            .gate_answered(GateAnswer {
                split: split.clone(),
                epoch,
                step,
                by,
                text: answer,
            })
            .await;
        sleep(gate.interval).await;
    }
}

/// One question; what was answered, in words: `Ok` opens.
async fn ask(client: &Http, gate: &Gate, question: String) -> Result<String, String> {
    let request = Request::post(&gate.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "serin")
        .body(Full::from(question))
        .map_err(|error| error.to_string())?;
    let answer = match timeout(gate.timeout, client.request(request)).await {
        Ok(Ok(answer)) => answer.status(),
        Ok(Err(error)) => return Err(format!("it cannot be asked ({})", root(&error))),
        Err(_) => return Err(format!("no answer in {:?}", gate.timeout)),
    };
    let text = format!("it answered {}", answer.as_u16());
    if answer.is_success() {
        Ok(text)
    } else {
        Err(text)
    }
}

/// What lies at the bottom of an error.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

/// Host and port of an address.
fn host(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split(['/', '?']).next().unwrap_or(rest)
}
