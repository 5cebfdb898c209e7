//! Verbs that ask a running proxy, and change nothing.

use clap::Args;

use super::{Ask, acts::seconds};

/// `serin status`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    /// Only this split
    pub(in crate::cli) split: Option<String>,
    /// Keep showing, four times a second, until Ctrl-C
    #[arg(short, long)]
    pub(in crate::cli) watch: bool,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `serin why`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Why {
    /// Only this split; or a rollout that is over, as `serin rollouts` names it (SPLIT-EPOCH)
    pub(in crate::cli) split: Option<String>,
    /// A rollout, whatever splits are called
    #[arg(long, value_name = "ID", conflicts_with = "split")]
    pub(in crate::cli) rollout: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `serin rollouts`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollouts {
    /// Only those of this split
    pub(in crate::cli) split: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `serin events`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Events {
    /// Keep showing what happens, until Ctrl-C
    #[arg(short, long)]
    pub(in crate::cli) follow: bool,
    /// Only what happens to this split
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) split: Option<String>,
    /// Only what a person should look at
    #[arg(long)]
    pub(in crate::cli) warnings: bool,
    /// With --follow: how long a proxy that has gone is waited for, before this ends with 2
    #[arg(long = "wait", value_name = "TIME", value_parser = seconds, default_value = "30s")]
    pub(in crate::cli) patience: u64,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `serin endpoints`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Endpoints {
    /// Only those of this upstream
    pub(in crate::cli) upstream: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `serin health`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Health {
    /// Ask whether traffic may be sent here
    #[arg(long)]
    pub(in crate::cli) ready: bool,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}
