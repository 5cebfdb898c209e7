//! Asks webhooks whether gates may open.
//!
//! Control says in its status which gates wait for whom. One task for each such gate asks, one
//! request at a time, until the gate is open or waits no more. Nothing else waits for a webhook: a
//! slow or dead one keeps its own gate shut, and that is all.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::{Request, header};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::wire::{self, GateQuestion};
use crate::{
    control::{Asker, Command, Gate, GateAnswer, Handle, SplitStatus, Status},
    model::{Epoch, SplitName},
    net::web::{Limits, Trust, Web, WebError},
};

/// What a webhook says beside its status is not read far.
const BODY_MAX: usize = 64 * 1024;

/// A gate while it waits: split, epoch, revision and step. A person's act begins a new wait.
type Place = (SplitName, Epoch, u64, usize);

/// Asks for every gate that waits, until `ending`.
pub(super) async fn follow(handle: Handle, ending: CancellationToken) {
    let made = tokio::task::spawn_blocking(|| Web::new(&Trust::System)).await;
    let client = match made {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => {
            tracing::error!(%error, "no webhook can be asked");
            return;
        }
        // The process goes down.
        Err(_) => return,
    };
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

async fn ask_until_open(handle: Handle, client: Web, place: Place) {
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
async fn ask(client: &Web, gate: &Gate, question: String) -> Result<String, String> {
    let request = Request::post(&gate.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "serin")
        .body(Bytes::from(question))
        .map_err(|error| error.to_string())?;
    let limits = Limits {
        time: gate.timeout,
        body: BODY_MAX,
    };
    let answer = match client.ask(request, limits).await {
        Ok(answer) => answer.status(),
        Err(WebError::Slow(time)) => return Err(format!("no answer in {time:?}")),
        Err(error) => return Err(format!("it cannot be asked ({error})")),
    };
    let text = format!("it answered {}", answer.as_u16());
    if answer.is_success() {
        Ok(text)
    } else {
        Err(text)
    }
}

/// Host and port of an address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}
