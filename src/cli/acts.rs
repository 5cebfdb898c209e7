//! Acts on a split, and probes.

use http::Method;
use serde_json::json;

use super::{
    Trouble,
    args::{Health, Output, Terms},
    client::Client,
    screen::Screen,
};
use crate::admin::wire::{self, Act, Done, Weights};

/// `promote`, `pause`, `resume`, `abort`, `retry`, `undo`, `gate`.
pub(super) async fn act(
    screen: &mut Screen,
    split: &str,
    verb: &str,
    full: Option<bool>,
    terms: Terms,
) -> Result<(), Trouble> {
    let body = wire::to_json(&Act {
        reason: terms.reason,
        full,
    });
    let client = Client::new(&terms.ask.admin)?;
    let path = format!("/v1/splits/{split}:{verb}");
    let done: Done = client
        .act(Method::POST, &path, body, terms.if_epoch)
        .await?;
    show(screen, &done, terms.ask.output)
}

/// `set-weight`.
pub(super) async fn set_weight(
    screen: &mut Screen,
    split: &str,
    canary: String,
    terms: Terms,
) -> Result<(), Trouble> {
    let body = wire::to_json(&Weights {
        canary,
        reason: terms.reason,
    });
    let client = Client::new(&terms.ask.admin)?;
    let path = format!("/v1/splits/{split}/weights");
    let done: Done = client.act(Method::PUT, &path, body, terms.if_epoch).await?;
    show(screen, &done, terms.ask.output)
}

fn show(screen: &mut Screen, done: &Done, output: Output) -> Result<(), Trouble> {
    let text = match output {
        Output::Json => wire::to_json(done) + "\n",
        Output::Text | Output::Wide => {
            let Done {
                split,
                epoch,
                weight,
                message,
            } = done;
            format!("{split}: {message}\n  canary at {weight}, epoch {epoch}\n")
        }
    };
    Ok(screen.write(&text)?)
}

/// `health`: 0 or 1 and nothing else, as container platforms want it.
pub(super) async fn health(screen: &mut Screen, health: &Health) -> Result<(), Trouble> {
    let path = if health.ready { "/readyz" } else { "/healthz" };
    let answer = match Client::new(&health.ask.admin) {
        Ok(client) => client.probe(path).await,
        Err(trouble) => Err(trouble),
    };
    let (status, text) = answer.map_err(Trouble::into_refusal)?;
    if health.ask.output.is_json() {
        let answer = json!({ "is_ok": status.is_success(), "message": text.trim_end() });
        screen.write(&format!("{answer}\n"))?;
    } else if status.is_success() {
        screen.write(&text)?;
    }
    if status.is_success() {
        return Ok(());
    }
    let help = "`serin status` shows splits and upstreams";
    Err(Trouble::refused(text.trim_end().replace('\n', "; "), help))
}
