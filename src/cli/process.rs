//! Verbs on the process: it goes down, it logs more or less.

use clap::Args;
use http::Method;

use super::{
    Trouble,
    args::{Ask, Output},
    client::Client,
    screen::Screen,
};
use crate::admin::wire::{self, LogFilter, Process};

/// `serin log`.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// A level, or parts with one each: `debug`, `info,serin::control=debug`
    filter: String,
    #[command(flatten)]
    ask: Ask,
}

/// The process goes down.
pub(super) async fn drain(screen: &mut Screen, ask: &Ask) -> Result<(), Trouble> {
    let client = Client::new(&ask.admin)?;
    let path = "/v1/drain";
    let process: Process = client.act(Method::POST, path, String::new(), None).await?;
    let text = match ask.output {
        Output::Json => wire::to_json(&process) + "\n",
        Output::Text | Output::Wide => format!(
            "process {} goes down: requests under way come to their end\n",
            process.pid
        ),
    };
    Ok(screen.write(&text)?)
}

/// Other lines are logged from now on.
pub(super) async fn log(screen: &mut Screen, wanted: Log) -> Result<(), Trouble> {
    let client = Client::new(&wanted.ask.admin)?;
    let body = wire::to_json(&LogFilter {
        filter: wanted.filter,
    });
    let set: LogFilter = client.act(Method::PUT, "/v1/log", body, None).await?;
    let text = match wanted.ask.output {
        Output::Json => wire::to_json(&set) + "\n",
        Output::Text | Output::Wide => format!("logs {} until it ends\n", set.filter),
    };
    Ok(screen.write(&text)?)
}
