//! `serin upgrade`: asks the running process to let a new one take its place, and waits until that
//! one answers.

use std::time::Duration;

use http::Method;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    Trouble,
    args::{Ask, Output},
    client::Client,
    progress::Progress,
    screen::Screen,
};
use crate::admin::wire::{self, Process};

/// How often it is looked who answers.
const LOOK: Duration = Duration::from_millis(50);
/// Longer than a new process may take.
const PATIENCE: Duration = Duration::from_secs(75);

/// Blocks until another process answers, or the old one says why it goes on.
pub(super) async fn upgrade(screen: &mut Screen, ask: &Ask) -> Result<(), Trouble> {
    let client = Client::new(&ask.admin)?;
    let path = "/v1/process:upgrade";
    let old: Process = client.act(Method::POST, path, String::new(), None).await?;
    let waiting = format!(
        "waiting for the process that takes the place of {}",
        old.pid
    );
    let new = timeout(PATIENCE, successor(&client, &old));
    let Ok(new) = Progress::waiting(&waiting, new).await else {
        let message = format!("process {} has not handed over in {PATIENCE:?}", old.pid);
        let help = "its log says how far it has come";
        return Err(Trouble::unasked(message, help));
    };
    let new = new?;
    let text = match ask.output {
        Output::Json => wire::to_json(&new) + "\n",
        Output::Text | Output::Wide => {
            let (from, to) = ((old.pid, old.version), (new.pid, new.version));
            format!(
                "upgraded: process {} ({}) has taken the place of {} ({})\n",
                to.0, to.1, from.0, from.1
            )
        }
    };
    Ok(screen.write(&text)?)
}

/// The process that has taken the old one's place.
async fn successor(client: &Client, old: &Process) -> Result<Process, Trouble> {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let _at = look.tick().await;
        // A connection that ends between the two processes is no answer.
        let Ok(now) = client.get::<Process>("/v1/process").await else {
            continue;
        };
        if now.pid != old.pid {
            return Ok(now);
        }
        if now.upgrade == "failed" {
            let message = now
                .problem
                .unwrap_or_else(|| "the upgrade has failed".to_owned());
            let help = format!("process {} goes on as if nothing was", now.pid);
            return Err(Trouble::refused(message, help));
        }
    }
}
